"""What must hold in every run, looked at whenever a correct node writes, sends or finalises.

Agreement: one header a height. Validity: only submitted envelopes, each transaction successful once. Certificates and
signatures verify. FINAL survives. No correct node ever signs two votes for one place, asks for a view and votes below
it, sends what it has not logged, asks for a view without what it committed to, or tries what its signer refuses. Nobody
halts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

from chain_core.codec.block import decode_certificate, decode_header, encode_certificate, header_hash
from chain_core.codec.certificates import certificate_signatures
from chain_core.codec.transaction import decode_receipt
from chain_core.codec.values import decode_value
from chain_core.codec.votes import decode_signed_new_view, decode_signed_view_change, decode_signed_vote
from chain_core.consensus.messages import Message, PrePrepare
from chain_core.ledger.store import LedgerStore
from chain_core.ledger.vote_log import split_record_key
from chain_core.network.frames import ConsensusFrame, Frame
from chain_core.node.journal import Kind, decode_pre_prepare
from chain_core.node.ports import FinalBlock
from chain_core.node.safe_signer import SigningRefused
from chain_core.types.block import HeaderVote, SignedNewView, SignedViewChange, SignedVote
from tests.simulation.chain import TOTAL, amount_of

if TYPE_CHECKING:
    from tests.simulation.world import World


class Violation(AssertionError):
    """Something that must never happen did; the message begins with the rule."""


@dataclass(slots=True)
class Past:
    """What one correct node did, over all its restarts."""

    logged: list[bytes] = field(default_factory=list)
    known_logged: set[bytes] = field(default_factory=set)
    signed: dict[tuple[object, ...], bytes] = field(default_factory=dict)
    asked_view: int = 0
    committed: dict[int, int] = field(default_factory=dict)
    """Height -> highest view of a COMMIT."""
    final: dict[int, bytes] = field(default_factory=dict)
    envelopes: set[bytes] = field(default_factory=set)


class Checker:
    """Raises Violation."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.past = {index: Past() for index in range(world.n)}
        self.chain: dict[int, bytes] = {}
        """Header hash by height, as the first correct node finalised it."""
        self.successes: dict[bytes, tuple[int, bytes]] = {}
        """Transaction id -> height and envelope of its success."""
        self.may_halt: set[int] = set()
        self.halts: dict[int, str] = {}

    def _fail(self, rule: str, index: int, what: str) -> NoReturn:
        raise Violation(f"{rule}: node {index} {what} (at {self.world.schedule.now_ms} ms)")

    # -- disk

    def logged(self, index: int, records: Sequence[tuple[bytes, bytes]], store: LedgerStore) -> None:
        """One synced write of the vote log."""
        past = self.past[index]
        past.logged.extend(value for _, value in records)
        have = {split_record_key(key): value for key, value in store.log_read()}
        started = have.get((None, Kind.NEW_VIEW, 0))
        entered = decode_signed_new_view(started).message.view if started is not None else 0
        for key, value in records:
            height, kind, view = split_record_key(key)
            if kind == Kind.OWN_VIEW_CHANGE:
                self._asked(index, decode_signed_view_change(value))
            elif kind in (Kind.OWN_PREPARE, Kind.OWN_COMMIT, Kind.OWN_RE_PROPOSAL):
                self._voted(index, decode_signed_vote(value))
                if view != entered:
                    self._fail("durability", index, f"votes in view {view}, its log holds the NEW-VIEW of {entered}")
            if kind == Kind.OWN_COMMIT and (height, Kind.PREPARED, view) not in have:
                self._fail("durability", index, f"logs a COMMIT of height {height} without its prepared certificate")
            if kind == Kind.OWN_PREPARE and (height, Kind.ACCEPTED, view) not in have:
                self._fail("durability", index, f"logs a PREPARE of height {height} without the PRE-PREPARE")
            if kind == Kind.ACCEPTED:
                proposal = decode_pre_prepare(value)
                if proposal.vote.vote.signer == index:
                    self._voted(index, proposal.vote)
                missing = [i for i in proposal.batch.envelope_ids if store.logged_body(i) is None]
                if missing:
                    self._fail("durability", index, f"logs a proposal of height {height} without {len(missing)} bodies")

    def _voted(self, index: int, vote: SignedVote) -> None:
        v, past = vote.vote, self.past[index]
        if v.view < past.asked_view:
            self._fail("views", index, f"signs a {v.phase.name} in view {v.view}, having asked for {past.asked_view}")
        if v.phase.name == "COMMIT":
            past.committed[v.height] = max(past.committed.get(v.height, 0), v.view)

    def _asked(self, index: int, message: SignedViewChange) -> None:
        past, asked = self.past[index], message.message
        height = decode_header(asked.final_header).height + 1
        shown = [p.pre_prepare.vote.view for p in asked.prepared if p.batch.height == height]
        if past.committed.get(height, -1) > max(shown, default=-1):
            self._fail("view change", index, f"asks for view {asked.new_view} without what it committed to")
        past.asked_view = max(past.asked_view, asked.new_view)

    def booted(self, index: int, store: LedgerStore) -> None:
        """A node is back: what it reported final is there; what it had no time to report counts now."""
        past = self.past[index]
        for height, digest in past.final.items():
            header = store.header(height)
            if header is None or header_hash(header) != digest:
                self._fail("final survives", index, f"has lost height {height}")
        for height in range(max(past.final, default=0) + 1, store.final_height + 1):
            block = store.block(height)
            assert block is not None
            certificate = encode_certificate(block.certificate)
            ids, receipts = block.batch.envelope_ids, store.receipts(height)
            self.finalised(index, FinalBlock(height, block.header, certificate, ids, receipts), store)

    # -- wire

    def sent(self, index: int, frame: Frame) -> None:
        """A frame leaves a correct node."""
        if isinstance(frame, ConsensusFrame):
            self._sent(index, frame.message)

    def _sent(self, index: int, message: Message) -> None:
        match message:
            case PrePrepare(vote=vote) | (SignedVote() as vote):
                self._vote_sent(index, vote)
            case HeaderVote():
                place = ("header", message.header.height, message.header.attempt)
                self._signed(index, place, message.header_bytes, message.signature)
            case SignedViewChange() if message.message.signer == index:
                self._signed(index, ("view change", message.message.new_view), message.body, message.signature)
            case SignedNewView() if message.message.signer == index:
                self._signed(index, ("new view", message.message.view), message.body, message.signature)
                for vote in message.message.pre_prepares:
                    self._vote_sent(index, vote)
            case _:
                pass

    def _vote_sent(self, index: int, vote: SignedVote) -> None:
        v = vote.vote
        if v.signer == index:
            self._signed(index, (v.phase.name, v.height, v.view), vote.body, vote.signature)

    def _signed(self, index: int, place: tuple[object, ...], body: bytes, signature: bytes) -> None:
        past = self.past[index]
        if past.signed.setdefault(place, body) != body:
            self._fail("no double vote", index, f"signs a second {place}")
        if signature not in past.known_logged:
            if not any(signature in value for value in past.logged):
                self._fail("durability", index, f"sends {place} before it is logged")
            past.known_logged.add(signature)

    # -- finality

    def finalised(self, index: int, block: FinalBlock, store: LedgerStore) -> None:
        """A node reports a block final."""
        chain, past = self.world.chain, self.past[index]
        digest = header_hash(block.header_bytes)
        if self.chain.setdefault(block.height, digest) != digest:
            self._fail("agreement", index, f"finalises another block at height {block.height}")
        certificate = decode_certificate(block.certificate_bytes)
        _, items = certificate_signatures(block.header_bytes, certificate, chain.validators, chain.genesis_hash)
        if not all(self.world.verify(items)):
            self._fail("certificates", index, f"has an invalid certificate at height {block.height}")
        if store.header(block.height) != block.header_bytes:
            self._fail("durability", index, f"reports height {block.height} before it is on disk")
        past.final[block.height] = digest
        past.envelopes.update(block.envelope_ids)
        for envelope_id, raw in zip(block.envelope_ids, block.receipts, strict=True):
            self._receipt(index, block.height, envelope_id, raw)

    def _receipt(self, index: int, height: int, envelope_id: bytes, raw: bytes) -> None:
        receipt = decode_receipt(raw)
        if envelope_id not in self.world.submitted or receipt.envelope_id != envelope_id:
            self._fail("validity", index, f"finalises an envelope that nobody submitted, at height {height}")
        place = (height, envelope_id)
        if receipt.code == 0 and self.successes.setdefault(receipt.transaction_id, place) != place:
            self._fail("validity", index, f"lets a transaction succeed twice, at height {height}")

    def alarmed(self, index: int, code: str, facts: dict[str, str | int]) -> None:
        """A correct node has something to tell; its core never asks the signer for what the signer refuses."""
        if code == SigningRefused.code:
            self._fail("the core obeys", index, f"was refused a signature: {facts}")

    def halted(self, index: int, code: str, facts: dict[str, str | int]) -> None:
        """A correct node stopped voting."""
        self.halts[index] = code
        if index not in self.may_halt:
            self._fail("nobody halts", index, f"halts with {code} {facts}")

    # -- at the end

    def the_end(self) -> None:
        """All correct nodes that are up hold the same chain, and their state is what the receipts say."""
        up = [node for node in self.world.nodes if node.correct and node.up]
        heights = {node.store.final_height for node in up}
        if len(heights) != 1:
            raise Violation(f"agreement: the correct nodes end at heights {sorted(heights)}")
        total = sum(amount_of(self.world.submitted[envelope_id]) for _, envelope_id in self.successes.values())
        for node in up:
            for height in range(1, node.store.final_height + 1):
                header = node.store.header(height)
                if header is None or header_hash(header) != self.chain[height]:
                    self._fail("agreement", node.index, f"holds another block at height {height}")
            raw = node.store.get(TOTAL)
            if (decode_value(raw) if raw is not None else 0) != total:
                self._fail("validity", node.index, f"has a state that does not add up to {total}")
            self._bounded(node.index)

    def _bounded(self, index: int) -> None:
        replica = self.world.nodes[index].replica
        assert replica is not None
        state, n = replica.core.state, self.world.n
        if state.view > self.world.schedule.now_ms // state.config.parameters.order_timeout_ms + n:
            self._fail("views", index, f"was moved to view {state.view}, faster than any timer runs")
        sizes = (len(state.stash), len(state.view_changes), len(state.answered), len(state.slot.commits))
        if max(sizes) > 4 * n or len(replica.bodies.held) > 4_000 or len(replica.bodies.wanted) > 2:
            self._fail("bounds", index, f"keeps {sizes} messages")
