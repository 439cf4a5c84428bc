"""What a holder of the genesis document believes of a chain: only what the genesis's validators certified.

Pure checks over the answers of untrusted nodes; each certificate is verified once.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from chain_core.codec import signed
from chain_core.codec.block import decode_certificate, decode_header
from chain_core.codec.certificates import check_certificate, check_receipt
from chain_core.codec.evidence import check_equivocation, decode_equivocation
from chain_core.codec.genesis import decode_genesis, genesis_hash
from chain_core.codec.proofs import (
    check_inclusion,
    check_state_proof,
    decode_inclusion,
    decode_packet,
    decode_state_proof,
)
from chain_core.codec.seen import seen_key
from chain_core.codec.validator_set import decode_validator_set, hash_of_encoded_set
from chain_core.crypto.merkle import merkle_root
from chain_core.execution.codes import UNMARKED
from chain_core.node.answers import CertifiedHeader, OutboxAnswer, ProvenReceipt, StateAnswer
from chain_core.types.block import Header
from chain_core.types.errors import InvalidProof, MalformedBytes
from chain_core.types.evidence import Equivocation
from chain_core.types.ids import MAIN_LEDGER
from chain_core.types.packet import Packet
from chain_core.types.transaction import Envelope, Receipt
from chain_core.types.validator_set import ValidatorSet

_KEPT_HEADERS = 1_024
_KEPT_EPOCHS = 4_096
_NEXT = "ask another node; this one's answer proves nothing"


class EpochAhead(InvalidProof):
    """A header of an epoch that this view has not followed the chain into yet (``epoch_following`` does)."""

    code = "EPOCH_AHEAD"


class TooManyEpochs(InvalidProof):
    """More changes of validators than a view follows: its memory is bounded."""

    code = "TOO_MANY_EPOCHS"


@dataclass(frozen=True, slots=True)
class VerifiedReceipt:
    """A receipt under a final header, with the evidence that anybody else can check again."""

    header: Header
    receipt: Receipt
    certified: CertifiedHeader
    proven: ProvenReceipt


class ChainView:
    """Checks what nodes say about one ledger of one chain. All ``check_*`` raise InvalidProof.

    ``genesis_header`` is height 0 where the caller computed it from the document with the chain's contracts; without it
    nothing under height 0 can be believed, for no certificate covers it.
    """

    def __init__(
        self,
        genesis: bytes,
        *,
        ledger: int = MAIN_LEDGER,
        genesis_header: bytes = b"",
        first: ValidatorSet | None = None,
    ) -> None:
        """``first``: the validators of epoch 0 where the genesis document's are not: a sub-ledger's, as proven under
        ledger 0 (``sub_ledger_view``).
        """
        self.genesis_bytes, self.genesis = genesis, decode_genesis(genesis)
        self.genesis_hash = genesis_hash(genesis)
        self.ledger = ledger
        self._genesis_header = genesis_header
        self._headers: OrderedDict[int, tuple[bytes, Header]] = OrderedDict()
        self._epochs = [(0, first or self.genesis.validators)]

    @property
    def epoch(self) -> int:
        """The last epoch that the chain was followed into."""
        return len(self._epochs) - 1

    @property
    def validators(self) -> ValidatorSet:
        """The validators of that epoch."""
        return self._epochs[-1][1]

    def validators_of(self, epoch: int) -> ValidatorSet:
        """The validators of an epoch up to the last one followed. Raises EpochAhead."""
        if epoch >= len(self._epochs):
            raise EpochAhead(
                f"a header of epoch {epoch}, the chain was followed into epoch {self.epoch}",
                where="header",
                next_step="bring the last header of each epoch in between, with the next one's validators",
            )
        return self._epochs[epoch][1]

    def follow(self, closing: CertifiedHeader, next_set: bytes) -> None:
        """Into the next epoch, by the last header of this one and the encoded set that it names. Raises InvalidProof.

        No epoch can be skipped: only this epoch's validators say who comes after them.
        """
        header = self.check_header(closing)
        where = f"header {header.height}"
        if header.epoch != self.epoch or header.next_validator_set_hash == header.validator_set_hash:
            raise InvalidProof(f"it does not close epoch {self.epoch}", where=where, next_step=_NEXT)
        if hash_of_encoded_set(next_set) != header.next_validator_set_hash:
            raise InvalidProof("the set is not the one that the header names", where=where, next_step=_NEXT)
        if len(self._epochs) >= _KEPT_EPOCHS:
            raise TooManyEpochs(f"{_KEPT_EPOCHS} epochs", where=where, next_step="run a release that keeps more")
        try:
            self._epochs.append((header.height + 1, decode_validator_set(next_set)))
        except MalformedBytes as error:
            raise InvalidProof(error.what, where=error.where, next_step=_NEXT) from error

    def check_header(self, certified: CertifiedHeader) -> Header:
        """The header, when it is final. Two final headers at one height are reported as what they are."""
        if certified.header == self._genesis_header and certified.header:
            return decode_header(certified.header)
        try:
            shown = decode_header(certified.header)
            height = shown.height
            known = self._headers.get(height)
            if known is not None and known[0] == certified.header:
                return known[1]
            if not height:
                raise InvalidProof(
                    "height 0 has no certificate: it is computed from the genesis document with the chain's contracts",
                    where="header",
                    next_step="wait for the first block",
                )
            certificate = decode_certificate(certified.certificate)
        except MalformedBytes as error:
            raise InvalidProof(error.what, where=error.where, next_step=_NEXT) from error
        header = check_certificate(certified.header, certificate, self.validators_of(shown.epoch), self.genesis_hash)
        self._check_reach(header)
        if header.ledger != self.ledger:
            raise InvalidProof(
                f"a header of ledger {header.ledger}, not {self.ledger}", where="header", next_step=_NEXT
            )
        if known is not None:
            raise InvalidProof(
                f"two certified headers at height {height}: the chain has forked",
                where=f"{known[0].hex()} and {certified.header.hex()}",
                next_step="stop using this chain and show both headers with their certificates to its regulator",
            )
        self._headers[height] = (certified.header, header)
        if len(self._headers) > _KEPT_HEADERS:
            self._headers.popitem(last=False)
        return header

    def _check_reach(self, header: Header) -> None:
        """What left validators sign above their epoch is worth nothing, however many of them sign it."""
        start = self._epochs[header.epoch][0]
        end = self._epochs[header.epoch + 1][0] if header.epoch < self.epoch else None
        if header.height < start or (end is not None and header.height >= end):
            raise InvalidProof(
                f"height {header.height} is not one of epoch {header.epoch}, which begins at {start}"
                + (f" and ends before {end}" if end is not None else ""),
                where="header",
                next_step=_NEXT,
            )

    def check_receipt(self, certified: CertifiedHeader, proven: ProvenReceipt) -> VerifiedReceipt:
        """The receipt, when it stands under the final header."""
        header = self.check_header(certified)
        try:
            receipt = check_receipt(proven.receipt, decode_inclusion(proven.proof), header)
        except MalformedBytes as error:
            raise InvalidProof(error.what, where=error.where, next_step=_NEXT) from error
        return VerifiedReceipt(header, receipt, certified, proven)

    def check_own_receipt(
        self, envelope: Envelope, certified: CertifiedHeader, proven: ProvenReceipt
    ) -> VerifiedReceipt:
        """The receipt of ``envelope``; or of another one with the same body, when that one used the nonce."""
        verified = self.check_receipt(certified, proven)
        receipt = verified.receipt
        same_body = receipt.transaction_id == envelope.transaction_id and receipt.code not in UNMARKED
        if receipt.envelope_id != envelope.envelope_id and not same_body:
            raise InvalidProof(
                f"the receipt is that of envelope {receipt.envelope_id.hex()}",
                where=f"height {verified.header.height}",
                next_step=_NEXT,
            )
        return verified

    def check_receipts(self, header: Header, receipts: Sequence[bytes]) -> None:
        """These are all receipts of a (verified) header, in order."""
        if len(receipts) != header.receipt_count or merkle_root(receipts) != header.receipt_root:
            raise InvalidProof(
                "the receipts do not lead to the header's root", where=f"height {header.height}", next_step=_NEXT
            )

    def check_equivocation(self, proof: bytes) -> Equivocation:
        """The proof, when it convicts a validator of its epoch on this chain and ledger."""
        try:
            found = decode_equivocation(proof)
            if found.ledger != self.ledger:
                raise InvalidProof(f"of ledger {found.ledger}, not {self.ledger}", where="proof", next_step=_NEXT)
            return check_equivocation(proof, self.validators_of(found.epoch), self.genesis_hash)
        except MalformedBytes as error:
            raise InvalidProof(error.what, where=error.where, next_step=_NEXT) from error

    def check_unused(self, account: bytes, nonce: int, certified: CertifiedHeader, proof: bytes) -> Header:
        """The final header under whose seen root the nonce is not used."""
        header = self.check_header(certified)
        _check_state(seen_key(self.ledger, account, nonce), None, proof, header.seen_root, signed.SEEN_ROOT)
        return header

    def check_state(self, keys: Sequence[bytes], answer: StateAnswer) -> tuple[Header, list[bytes | None]]:
        """The values of the keys under one final header."""
        header = self.check_header(answer.header)
        if len(keys) != len(answer.items):
            raise InvalidProof(f"{len(answer.items)} values for {len(keys)} keys", where="items", next_step=_NEXT)
        for key, item in zip(keys, answer.items, strict=True):
            _check_state(key, item.value, item.proof, header.state_root, signed.STATE_ROOT)
        return header, [item.value for item in answer.items]

    def check_outbox(self, answer: OutboxAnswer) -> tuple[Header, list[Packet]]:
        """All packets of a final height: as many as the header counts, each at its index."""
        header = self.check_header(answer.header)
        where = f"outbox of height {header.height}"
        if len(answer.packets) != header.outbox_count:
            raise InvalidProof(
                f"{len(answer.packets)} packets, the header counts {header.outbox_count}", where=where, next_step=_NEXT
            )
        packets = []
        for index, item in enumerate(answer.packets):
            try:
                proof, packet = decode_inclusion(item.proof), decode_packet(item.packet)
            except MalformedBytes as error:
                raise InvalidProof(error.what, where=error.where, next_step=_NEXT) from error
            if proof.index != index:
                raise InvalidProof(f"packet {index} is proven at index {proof.index}", where=where, next_step=_NEXT)
            check_inclusion(item.packet, proof, header.outbox_count, header.outbox_root, where)
            packets.append(packet)
        return header, packets


def _check_state(key: bytes, value: bytes | None, proof: bytes, root: bytes, kind: bytes) -> None:
    try:
        decoded = decode_state_proof(proof)
    except MalformedBytes as error:
        raise InvalidProof(error.what, where=error.where, next_step=_NEXT) from error
    check_state_proof(key, value, decoded, root, kind)
