"""One small chain in which every record of docs/spec/formats.md occurs: the source of the golden vectors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from chain_core.codec import signed
from chain_core.codec.block import batch_digest, encode_batch, encode_header, header_hash, header_message, params_hash
from chain_core.codec.genesis import encode_genesis, genesis_hash
from chain_core.codec.proofs import encode_packet, packet_hash
from chain_core.codec.seen import SeenEntry, encode_seen, seen_key, state_key
from chain_core.codec.signed import derive_id
from chain_core.codec.transaction import (
    decode_envelope,
    encode_body,
    encode_envelope,
    encode_receipt,
    transaction_id,
)
from chain_core.codec.validator_set import validator_set_hash
from chain_core.codec.values import encode_value
from chain_core.codec.votes import encode_new_view, encode_view_change, encode_vote
from chain_core.crypto.merkle import MerkleTree, merkle_root
from chain_core.types.block import (
    Batch,
    Certificate,
    CertifiedBlock,
    Header,
    HeaderVote,
    NewView,
    Phase,
    PreparedCertificate,
    SignedNewView,
    SignedViewChange,
    SignedVote,
    ViewChange,
    Vote,
)
from chain_core.types.genesis import DEFAULT_PARAMETERS, Genesis, GenesisAccount
from chain_core.types.ids import NO_ACCOUNT, ZERO_HASH
from chain_core.types.packet import InclusionProof, Packet
from chain_core.types.transaction import Envelope, Operation, Receipt, Signer, TransactionBody
from chain_core.types.validator_set import Validator, ValidatorSet
from chain_core.types.values import Value
from tests.vectors.keys import Signatures, public_key
from tests.vectors.state_model import StateModel

TIME_MS = 1_767_225_600_000
"""2026-01-01T00:00:00Z."""
OPERATOR = bytes.fromhex("00112233445566778899aabbccddeeff")
WITNESS = bytes.fromhex("0123456789abcdef0123456789abcdef")
SECURITY = bytes.fromhex("5ec0000000000000000000000000005e")
REGULATOR = bytes.fromhex("ffeeddccbbaa99887766554433221100")


def validator_set() -> ValidatorSet:
    """Four validators with consensus keys 0 to 3 and transport keys 4 to 7."""
    return ValidatorSet(
        tuple(Validator(f"node-{i}", f"示例机构 {i}", public_key(i), public_key(4 + i)) for i in range(4))
    )


def supervisory_genesis() -> Genesis:
    """The genesis document of the supervisory chain that the local one embeds."""
    keys: dict[str, tuple[bytes, ...]] = {"transaction": (public_key(9),)}
    account = GenesisAccount(REGULATOR, "示例监管机构", ("regulator",), keys)
    return Genesis(
        "supervisory-vectors",
        "supervisory",
        "",
        TIME_MS - 1000,
        validator_set(),
        dict(DEFAULT_PARAMETERS),
        (),
        (account,),
        {"calendar": {"version": 1, "holidays": [20_454]}},
    )


def local_genesis() -> Genesis:
    """The genesis document of the chain that all other records belong to."""
    keys: dict[str, tuple[bytes, ...]] = {"transaction": (public_key(0),), "did-auth": (public_key(10),)}
    accounts = (
        GenesisAccount(OPERATOR, "示例运营机构", ("admin", "operator"), keys),
        GenesisAccount(WITNESS, "示例见证机构", (), {"transaction": (public_key(8),)}),
    )
    return Genesis(
        "local-vectors",
        "local",
        "BJ",
        TIME_MS,
        validator_set(),
        dict(DEFAULT_PARAMETERS),
        ("example-flag",),
        accounts,
        {"kernel": {"unit_decimals": 0}},
        encode_genesis(supervisory_genesis()),
    )


@dataclass(frozen=True)
class Samples:
    """Every record of the chain's first two heights. ``signatures`` signs, or gives what is stored."""

    signatures: Signatures

    # ---- the chain

    @cached_property
    def validators(self) -> ValidatorSet:
        return validator_set()

    @cached_property
    def genesis_bytes(self) -> bytes:
        return encode_genesis(local_genesis())

    @cached_property
    def chain(self) -> bytes:
        """The chain's genesis hash."""
        return genesis_hash(self.genesis_bytes)

    @cached_property
    def above(self) -> bytes:
        """The supervisory chain's genesis hash."""
        return genesis_hash(encode_genesis(supervisory_genesis()))

    # ---- a transaction with a cosigner

    @cached_property
    def body(self) -> TransactionBody:
        transfer: dict[str, Value] = {"to": WITNESS, "security": SECURITY, "quantity": 1_000, "memo": "协议转让"}
        note: dict[str, Value] = {"codes": [0, -1, 256, None, True], "by-day": {3: "x"}}
        return TransactionBody(
            0,
            OPERATOR,
            7,
            TIME_MS + 60_000,
            (Operation("kernel", "transfer", transfer), Operation("kernel", "note", note)),
            NO_ACCOUNT,
            "业务-0001",
            TIME_MS - 86_400_000,
            (WITNESS,),
        )

    @cached_property
    def body_bytes(self) -> bytes:
        return encode_body(self.body)

    @cached_property
    def envelope(self) -> Envelope:
        message = signed.message(signed.TX, self.chain, self.body_bytes)
        signers = tuple(Signer(public_key(n), self.signatures.sign(n, message)) for n in (0, 8))
        return decode_envelope(encode_envelope(self.body_bytes, signers))

    @cached_property
    def plain_envelope(self) -> Envelope:
        """A second transaction: one signer, one operation without arguments."""
        body = TransactionBody(0, WITNESS, 0, TIME_MS + 60_000, (Operation("kernel", "ping", {}),))
        raw = encode_body(body)
        message = signed.message(signed.TX, self.chain, raw)
        signer = Signer(public_key(8), self.signatures.sign(8, message))
        return decode_envelope(encode_envelope(raw, (signer,)))

    @cached_property
    def receipts(self) -> tuple[Receipt, ...]:
        first, second = self.envelope, self.plain_envelope
        events = signed.tagged_hash(signed.EVENTS, encode_value([["kernel", "moved", {"quantity": 1_000}]]))
        none = signed.tagged_hash(signed.EVENTS, encode_value([]))
        return (
            Receipt(0, first.envelope_id, first.transaction_id, OPERATOR, 7, 0, "", (), events),
            Receipt(
                0, second.envelope_id, second.transaction_id, WITNESS, 0, 13, "holder-cap", (200, "BJ000001"), none
            ),
        )

    @cached_property
    def receipt_bytes(self) -> tuple[bytes, ...]:
        return tuple(encode_receipt(receipt) for receipt in self.receipts)

    # ---- packets

    @cached_property
    def packet(self) -> Packet:
        """The report of block 1 (docs/spec/packets.md §2)."""
        content: dict[str, Value] = {
            "height": 1,
            "time_ms": TIME_MS + 2_000,
            "transactions": 2,
            "refusals": 1,
            "events": merkle_root([encode_value([["kernel", "moved", {"quantity": 1_000}]]), encode_value([])]),
            "event_count": 2,
            "totals": {"reports": 1, "transactions": 2, "refusals": 1, "alarms": 0},
            "supervisory_height": 5,
            "directives_executed": 1,
        }
        return Packet(self.chain, 0, self.above, 0, "report", 0, "block", encode_value(content))

    @cached_property
    def directive(self) -> Packet:
        """The first directive to this chain (docs/spec/directives.md §2)."""
        content: dict[str, Value] = {
            "account": OPERATOR,
            "deadline_ms": TIME_MS + 86_400_000,
            "reference": "示例文书 1",
        }
        return Packet(self.above, 0, self.chain, 0, "directive", 0, "freeze_holder", encode_value(content))

    @cached_property
    def supervisory_state(self) -> StateModel:
        """What the supervisory chain's state root proves of directives: the next sequence, and each directive."""
        values = {state_key("accounts", b"x%d" % n): encode_value(n) for n in range(9)}
        values[state_key("directives", b"n" + self.chain)] = encode_value(1)
        values[state_key("directives", b"d" + self.chain + bytes(8))] = encode_packet(self.directive)
        return StateModel(values, 4)

    @cached_property
    def acknowledgement(self) -> Packet:
        content: dict[str, Value] = {
            "sequence": self.directive.sequence,
            "packet": packet_hash(encode_packet(self.directive)),
            "code": 0,
        }
        return Packet(self.chain, 0, self.above, 0, "directive", 0, "ack", encode_value(content))

    @cached_property
    def outbox(self) -> tuple[bytes, ...]:
        return (encode_packet(self.packet), encode_packet(self.acknowledgement))

    # ---- state

    @cached_property
    def holders(self) -> tuple[bytes, ...]:
        """65 accounts: one more than a chunk of a roll holds."""
        return tuple(derive_id(self.chain, "account", OPERATOR, f"H{number:04d}") for number in range(65))

    @cached_property
    def chunks(self) -> tuple[bytes, ...]:
        """The roll of ``SECURITY`` in chunks of at most 64."""
        return (encode_value(list(self.holders[:64])), encode_value(list(self.holders[64:])))

    @cached_property
    def state(self) -> StateModel:
        """Some keys in six buckets, two of four split; among them one roll of holders and all its holdings."""
        values = {state_key("kernel", b"x%d" % n): encode_value(n) for n in range(17)}
        head: dict[str, Value] = {"count": 65, "chunks": 2, "digest": merkle_root(self.chunks)}
        values[state_key("kernel", b"R" + SECURITY)] = encode_value(head)
        for number, chunk in enumerate(self.chunks):
            values[state_key("kernel", b"r" + SECURITY + number.to_bytes(4, "big"))] = chunk
        for place, account in enumerate(self.holders):
            holding = (1_000 + place).to_bytes(8, "big") + bytes(16) + place.to_bytes(4, "big")
            values[state_key("kernel", b"H" + SECURITY + account)] = holding
        return StateModel(values, 6)

    @cached_property
    def seen(self) -> StateModel:
        values = {}
        for index, item in enumerate((self.envelope, self.plain_envelope)):
            entry = SeenEntry(item.transaction_id, 1, index, item.body.valid_until_ms)
            values[seen_key(0, item.body.account, item.body.nonce)] = encode_seen(entry)
        return StateModel(values, 2, signed.SEEN_ROOT)

    # ---- blocks

    @cached_property
    def genesis_header(self) -> bytes:
        """Height 0: computed by everybody, certified by nobody."""
        set_hash = validator_set_hash(self.validators)
        none = merkle_root(())
        parameters = params_hash(DEFAULT_PARAMETERS, ("example-flag",))
        return encode_header(
            Header(
                self.chain, 0, 0, 0, 0, TIME_MS, ZERO_HASH, none, 0, none, 0, none, 0, none, 0,
                StateModel({}, 6).root, StateModel({}, 2, signed.SEEN_ROOT).root, set_hash, set_hash, parameters,
            )
        )  # fmt: skip

    @cached_property
    def batch(self) -> Batch:
        return Batch(0, 0, 1, 0, TIME_MS + 2_000, (self.envelope.envelope_id, self.plain_envelope.envelope_id))

    @cached_property
    def digest(self) -> bytes:
        return batch_digest(encode_batch(self.batch))

    @cached_property
    def header(self) -> Header:
        set_hash = validator_set_hash(self.validators)
        return Header(
            self.chain,
            0,
            0,
            1,
            0,
            self.batch.time_ms,
            header_hash(self.genesis_header),
            merkle_root([self.genesis_header]),
            1,
            merkle_root(self.batch.envelope_ids),
            2,
            merkle_root(self.receipt_bytes),
            2,
            merkle_root(self.outbox),
            2,
            self.state.root,
            self.seen.root,
            set_hash,
            set_hash,
            params_hash(DEFAULT_PARAMETERS, ("example-flag",)),
        )

    @cached_property
    def header_bytes(self) -> bytes:
        return encode_header(self.header)

    @cached_property
    def header_votes(self) -> tuple[HeaderVote, ...]:
        hashed = header_hash(self.header_bytes)
        message = header_message(self.chain, hashed)
        return tuple(
            HeaderVote(self.header, self.header_bytes, hashed, i, self.signatures.sign(i, message)) for i in range(4)
        )

    @cached_property
    def certificate(self) -> Certificate:
        """Signed by replicas 0, 1 and 3."""
        votes = [self.header_votes[i] for i in (0, 1, 3)]
        return Certificate(votes[0].header_hash, tuple((vote.signer, vote.signature) for vote in votes))

    @cached_property
    def block(self) -> CertifiedBlock:
        envelopes = (self.envelope.raw, self.plain_envelope.raw)
        return CertifiedBlock(self.header_bytes, self.certificate, self.batch, envelopes)

    def inclusion(self, leaves: tuple[bytes, ...], index: int) -> InclusionProof:
        """The proof of one of this block's leaves."""
        return InclusionProof(index, len(leaves), MerkleTree(leaves).path(index))

    # ---- votes of height 2, view 0, whose primary is replica 0

    @cached_property
    def next_batch(self) -> Batch:
        return Batch(0, 0, 2, 0, TIME_MS + 4_000, (self.plain_envelope.envelope_id,))

    def vote(self, phase: Phase, signer: int, view: int = 0) -> SignedVote:
        """A vote for ``next_batch``."""
        digest = batch_digest(encode_batch(self.next_batch))
        vote = Vote(phase, 0, 0, 2, view, 0, digest, signer)
        body = encode_vote(vote)
        signature = self.signatures.sign(signer, signed.message(signed.VOTE, self.chain, body))
        return SignedVote(vote, body, signature)

    @cached_property
    def prepared(self) -> PreparedCertificate:
        prepares = tuple(self.vote(Phase.PREPARE, i) for i in (1, 2))
        return PreparedCertificate(self.next_batch, self.vote(Phase.PRE_PREPARE, 0), prepares)

    @cached_property
    def commits(self) -> tuple[SignedVote, ...]:
        """q COMMITs: ``next_batch`` is ordered for ever."""
        return tuple(self.vote(Phase.COMMIT, i) for i in (0, 2, 3))

    def view_change(self, signer: int, *, first: bool = False) -> SignedViewChange:
        """VIEW-CHANGE to view 1: with height 1 final and height 2 prepared, or (``first``) with nothing
        yet.
        """
        message = ViewChange(0, 0, 1, signer, self.header_bytes, self.certificate, (self.prepared,))
        if first:
            message = replace(message, final_header=self.genesis_header, final_certificate=None, prepared=())
        body = encode_view_change(message)
        signature = self.signatures.sign(signer, signed.message(signed.VIEW_CHANGE, self.chain, body))
        return SignedViewChange(message, body, signature)

    @cached_property
    def new_view(self) -> SignedNewView:
        changes = (self.view_change(1), self.view_change(2), self.view_change(3, first=True))
        message = NewView(0, 0, 1, 1, changes, (self.vote(Phase.PRE_PREPARE, 1, view=1),))
        body = encode_new_view(message)
        signature = self.signatures.sign(1, signed.message(signed.NEW_VIEW, self.chain, body))
        return SignedNewView(message, body, signature)

    # ---- ids

    def derived(self) -> dict[str, bytes]:
        """Ids that the operator derives under references of its own."""
        return {
            reference: derive_id(self.chain, kind, OPERATOR, reference)
            for kind, reference in (("account", "H0001"), ("security", "BJ000001.DCFGFR2601"), ("account", "业务"))
        }

    def transaction_ids(self) -> tuple[bytes, bytes]:
        """(transaction id, envelope id) of the first transaction."""
        return transaction_id(self.body_bytes), self.envelope.envelope_id
