"""What must hold in every run, looked at whenever a correct node writes, sends or finalises (docs/spec/simulation.md).

Agreement: one header a height. Validity: only submitted envelopes, each transaction successful once. Certificates and
signatures verify. FINAL survives. No correct node ever signs two votes for one place, asks for a view and votes below
it, sends what it has not logged, asks for a view without what it committed to, or tries what its signer refuses. Nobody
halts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

from chain_core.codec.block import decode_certificate, decode_header, encode_certificate, header_hash, header_message
from chain_core.codec.transaction import decode_receipt
from chain_core.codec.values import decode_value
from chain_core.codec.votes import decode_signed_new_view, decode_signed_view_change, decode_signed_vote
from chain_core.consensus.messages import CommitProof, Message, PrePrepare
from chain_core.ledger.store import LedgerStore
from chain_core.ledger.vote_log import record_key, split_record_key
from chain_core.network.frames import ConsensusFrame, Frame
from chain_core.node.journal import Kind, decode_pre_prepare
from chain_core.node.ports import FinalBlock
from chain_core.node.safe_signer import SigningRefused
from chain_core.types.block import HeaderVote, SignedNewView, SignedViewChange, SignedVote
from chain_core.types.validator_set import ValidatorSet
from tests.simulation.chain import TOTAL, amount_of
from tests.simulation.disk import Change
from tests.simulation.logview import LogView

if TYPE_CHECKING:
    from tests.simulation.world import World

_BLAME = ("EQUIVOCATION", "BAD_NEW_VIEW", "BAD_PROPOSAL")
_NEW_VIEW = record_key(None, Kind.NEW_VIEW, 0)


class Violation(AssertionError):
    """Something that must never happen did; the message begins with the rule."""


@dataclass(slots=True)
class Past:
    """What one correct node did, over all its restarts."""

    log: LogView = field(default_factory=LogView)
    signed: dict[tuple[object, ...], bytes] = field(default_factory=dict)
    entered_view: int = 0
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

    def durable(self, index: int, changes: Sequence[Change]) -> None:
        """A batch of a node's writes became durable."""
        past = self.past[index]
        log = past.log
        records = log.durable(changes)
        for key, value in records:
            if key == _NEW_VIEW:
                past.entered_view = decode_signed_new_view(value).message.view
                self.world.views.add(past.entered_view)
        for key, value in records:
            height, kind, view = split_record_key(key)
            match kind:
                case Kind.OWN_VIEW_CHANGE:
                    self._asked(index, decode_signed_view_change(value))
                case Kind.OWN_PREPARE | Kind.OWN_COMMIT | Kind.OWN_RE_PROPOSAL:
                    self._voted(index, decode_signed_vote(value))
                    if view != past.entered_view:
                        what = f"votes in view {view}, its log holds the NEW-VIEW of {past.entered_view}"
                        self._fail("durability", index, what)
                    self._rests(index, log, height, kind, view)
                case Kind.ACCEPTED:
                    proposal = decode_pre_prepare(value)
                    if proposal.vote.vote.signer == index:
                        self._voted(index, proposal.vote)
                    lacking = log.lacks(proposal.batch.envelope_ids)
                    if lacking:
                        self._fail("durability", index, f"logs a proposal of height {height} without {lacking} bodies")
                case _:
                    pass

    def _rests(self, index: int, log: LogView, height: int | None, kind: int, view: int) -> None:
        """A COMMIT rests on its prepared certificate, a PREPARE on the PRE-PREPARE."""
        under = {Kind.OWN_COMMIT: Kind.PREPARED, Kind.OWN_PREPARE: Kind.ACCEPTED}.get(Kind(kind))
        if under is not None and record_key(height, under, view) not in log.records:
            self._fail("durability", index, f"logs a {Kind(kind).name} of height {height} without {under.name}")

    def _voted(self, index: int, vote: SignedVote) -> None:
        v, past = vote.vote, self.past[index]
        if v.view < past.asked_view:
            self._fail("views", index, f"signs a {v.phase.name} in view {v.view}, having asked for {past.asked_view}")
        if v.phase.name == "COMMIT":
            past.committed[v.height] = max(past.committed.get(v.height, 0), v.view)

    def _asked(self, index: int, message: SignedViewChange) -> None:
        past, asked = self.past[index], message.message
        final = decode_header(asked.final_header).height
        shown = {p.batch.height: p.pre_prepare.vote.view for p in asked.prepared}
        for height, view in past.committed.items():
            if height > final and view > shown.get(height, -1):
                what = f"asks for view {asked.new_view} without what it committed to at height {height}"
                self._fail("view change", index, what)
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
            case CommitProof(batch=batch, commits=commits):
                places = {(c.vote.height, c.vote.view, c.vote.digest) for c in commits}
                signers = {c.vote.signer for c in commits}
                q = self.world.chain.validators.q
                if len(places) != 1 or len(signers) != q or len(commits) != q or batch.height != commits[0].vote.height:
                    self._fail("certificates", index, f"sends a commit proof of {sorted(places)} by {signers}")
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
        if not past.log.knows(signature):
            self._fail("durability", index, f"sends {place} before it is durable")

    def misunderstood(self, sender: int, receiver: int, what: str) -> None:
        """A correct node refuses what a correct one said."""
        self._fail("one language", receiver, f"refuses a {what} of the correct node {sender}")

    # -- finality

    def finalised(self, index: int, block: FinalBlock, store: LedgerStore) -> None:
        """A node reports a block final."""
        chain, past = self.world.chain, self.past[index]
        digest = header_hash(block.header_bytes)
        if self.chain.setdefault(block.height, digest) != digest:
            self._fail("agreement", index, f"finalises another block at height {block.height}")
        if fault := self._unsound(block, chain.validators):
            self._fail("certificates", index, f"has a certificate {fault} at height {block.height}")
        if store.header(block.height) != block.header_bytes:
            self._fail("durability", index, f"reports height {block.height} before it is on disk")
        past.final[block.height] = digest
        past.envelopes.update(block.envelope_ids)
        for envelope_id, raw in zip(block.envelope_ids, block.receipts, strict=True):
            self._receipt(index, block.height, envelope_id, raw)

    def _unsound(self, block: FinalBlock, validators: ValidatorSet) -> str:
        """What is wrong with a certificate, by the paper's arithmetic and not by the code under test."""
        signatures = decode_certificate(block.certificate_bytes).signatures
        signers = [signer for signer, _ in signatures]
        n = len(validators.validators)
        faulty = (n - 1) // 3
        quorum = (n + faulty + 2) // 2
        if len(signers) != quorum:
            return f"of {len(signers)} signatures"
        if signers != sorted(set(signers)) or not 0 <= signers[0] <= signers[-1] < n:
            return f"of signers {signers}"
        message = header_message(self.world.chain.genesis_hash, header_hash(block.header_bytes))
        items = [(validators.validators[s].consensus_key, message, signature) for s, signature in signatures]
        return "" if all(self.world.verify(items)) else "with a wrong signature"

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
        blamed = facts.get("signer", facts.get("primary"))
        if code in _BLAME and isinstance(blamed, int) and self.world.nodes[blamed].correct:
            self._fail("no correct node is blamed", index, f"raises {code} {facts}")

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

    def bounded(self) -> None:
        """What correct nodes keep in memory is bounded at every time."""
        for node in self.world.nodes:
            if node.correct and node.up:
                self._bounded(node.index)

    def _bounded(self, index: int) -> None:
        replica = self.world.nodes[index].replica
        assert replica is not None
        state, n = replica.core.state, self.world.n
        if state.view > self.world.schedule.now_ms // state.config.parameters.order_timeout_ms + n:
            self._fail("views", index, f"was moved to view {state.view}, faster than any timer runs")
        w = state.config.parameters.window_heights
        sizes = (len(state.stash) // w, len(state.view_changes), len(state.answered), len(state.slot.commits))
        if (
            max(sizes) > 4 * n
            or len(state.slots) > w
            or replica.bodies.held > 4_000
            or len(replica.bodies.wanted) > 2 * w
        ):
            self._fail("bounds", index, f"keeps {sizes} messages")
