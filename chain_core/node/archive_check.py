"""Whether archived blocks are the chain's, from the genesis document alone (docs/spec/archive.md section 2)."""

from __future__ import annotations

from chain_core.codec import signed
from chain_core.codec.block import decode_header, header_hash
from chain_core.codec.certificates import certificate_signatures
from chain_core.codec.proofs import check_leaves
from chain_core.codec.transaction import decode_receipt
from chain_core.codec.validator_set import decode_validator_set, hash_of_encoded_set, validator_set_hash
from chain_core.crypto.hashing import sm3_many
from chain_core.crypto.provider import VerifyItem
from chain_core.crypto.providers import provider
from chain_core.ledger import packing
from chain_core.ledger.archive_file import ArchiveFile
from chain_core.ledger.blocks import ArchivedBlock
from chain_core.ledger.errors import StoreCorrupt
from chain_core.network.ingress import check_block_contents
from chain_core.types.block import Header
from chain_core.types.errors import InvalidProof, MalformedBytes
from chain_core.types.genesis import Genesis
from chain_core.types.validator_set import ValidatorSet

SIGNATURES_AT_ONCE = 256
_NEXT = "take the file from another copy of the archive; it proves nothing as it is"


class ArchiveCheck:
    """Checks consecutive files of one archive; raises InvalidProof with file and height.

    With ``own_headers`` an archive may begin in the middle and its files' sets count as introduced: the caller compares
    every header with one it has verified.
    """

    def __init__(self, genesis: Genesis, genesis_hash: bytes, ledger: int, *, own_headers: bool = False) -> None:
        self._genesis_hash, self._ledger = genesis_hash, ledger
        self._own_headers = own_headers
        self._sets: dict[bytes, ValidatorSet] = {validator_set_hash(genesis.validators): genesis.validators}
        self._introduced: set[bytes] = set(self._sets)
        self._previous: Header | None = None
        self._previous_hash = b""
        self._waiting: list[VerifyItem] = []

    def check(self, file: ArchiveFile) -> list[tuple[Header, ArchivedBlock]]:
        """All blocks of a file, verified."""
        head, where = file.head, str(file.path)
        if (head.genesis_hash, head.ledger) != (self._genesis_hash, self._ledger):
            raise InvalidProof("the file is of another chain or ledger", where=where, next_step=_NEXT)
        self._learn(head.validator_sets, where)
        if self._previous is not None and self._previous.height + 1 != head.first:
            self._previous = None  # a gap: this file stands for itself
        found: list[tuple[Header, ArchivedBlock]] = []
        try:
            for height, block in file.blocks():
                found.append((self._check_block(height, block), block))
                if len(self._waiting) >= SIGNATURES_AT_ONCE:
                    self._verify(where)
            self._verify(where)
        except InvalidProof as refusal:
            place = refusal.where if refusal.where == where else f"{where}, {refusal.where}"
            raise InvalidProof(refusal.what, where=place, next_step=_NEXT) from refusal
        return found

    def _learn(self, encoded_sets: tuple[bytes, ...], where: str) -> None:
        for encoded in encoded_sets:
            try:
                self._sets[hash_of_encoded_set(encoded)] = decode_validator_set(encoded)
            except MalformedBytes as error:
                raise InvalidProof(f"no validator set: {error.what}", where=where, next_step=_NEXT) from error
            if self._own_headers:
                self._introduced.add(hash_of_encoded_set(encoded))

    def _check_block(self, height: int, archived: ArchivedBlock) -> Header:
        block, where = archived.block, f"height {height}"
        header = _decoded(block.header, where)
        validators = self._sets.get(header.validator_set_hash)
        if validators is None or header.validator_set_hash not in self._introduced:
            raise InvalidProof("its validator set is neither the genesis document's nor follows from it", where=where)
        _, items = certificate_signatures(block.header, block.certificate, validators, self._genesis_hash)
        self._waiting.extend(items)
        previous = self._previous
        if header.height != height or header.ledger != self._ledger:
            raise InvalidProof(f"it holds height {header.height} of ledger {header.ledger}", where=where)
        if previous is not None:
            if header.prev_hash != self._previous_hash:
                raise InvalidProof("the header does not follow the one before it", where=where)
            if header.validator_set_hash != previous.next_validator_set_hash:
                raise InvalidProof("the validator set is not the one the header before it names", where=where)
        check_block_contents(block, header)
        _check_results(archived, header, where)
        self._introduced.add(header.next_validator_set_hash)
        self._previous, self._previous_hash = header, header_hash(block.header)
        return header

    def _verify(self, where: str) -> None:
        items, self._waiting = self._waiting, []
        if items and not all(provider().sm2_verify_many(items)):
            raise InvalidProof("a signature in a certificate does not verify", where=where)


def _check_results(archived: ArchivedBlock, header: Header, where: str) -> None:
    try:
        receipts, events, outbox = (
            packing.unpack(part, where) for part in (archived.receipts, archived.events, archived.outbox)
        )
        check_leaves(receipts, header.receipt_count, header.receipt_root, f"receipts of {where}")
        check_leaves(outbox, header.outbox_count, header.outbox_root, f"packets of {where}")
        digests = [decode_receipt(receipt).events_digest for receipt in receipts]
    except (StoreCorrupt, MalformedBytes) as error:
        raise InvalidProof(error.what, where=where) from error
    if digests != sm3_many([signed.EVENTS + item for item in events]):
        raise InvalidProof("the events are not those the receipts name", where=where)


def _decoded(header_bytes: bytes, where: str) -> Header:
    try:
        return decode_header(header_bytes)
    except MalformedBytes as error:
        raise InvalidProof(error.what, where=where) from error
