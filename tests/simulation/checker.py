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

from chain_core.codec.block import decode_certificate, decode_header, encode_certificate, header_hash
from chain_core.codec.transaction import decode_receipt
from chain_core.codec.validator_set import validator_set_hash
from chain_core.codec.votes import (
    decode_header_vote,
    decode_signed_new_view,
    decode_signed_view_change,
    decode_signed_vote,
)
from chain_core.consensus.messages import CommitProof, Message, PrePrepare
from chain_core.execution.codes import Code
from chain_core.ledger.store import LedgerStore
from chain_core.ledger.vote_log import record_key, split_record_key
from chain_core.network.frames import ConsensusFrame, Frame
from chain_core.node.journal import Kind, decode_pre_prepare
from chain_core.node.ports import FinalBlock
from chain_core.node.safe_signer import SigningRefused
from chain_core.node.snapshot_joining import PEER_LIES
from chain_core.types.block import HeaderVote, SignedNewView, SignedViewChange, SignedVote
from tests.simulation import bounds
from tests.simulation.chain import START_MS
from tests.simulation.disk import Change, Content
from tests.simulation.duties import Duties
from tests.simulation.forgotten import Forgotten
from tests.simulation.logview import LogView
from tests.simulation.reopenings import Statements
from tests.simulation.soundness import Judge

if TYPE_CHECKING:
    from tests.simulation.node import SimNode
    from tests.simulation.world import World

_AHEAD_MS = 7_500
"""Clock tolerance, and how far clocks are off."""
_BLAME = ("EQUIVOCATION", "BAD_NEW_VIEW", "BAD_PROPOSAL", PEER_LIES)
_NEW_VIEW = record_key(None, Kind.NEW_VIEW, 0)


class Violation(AssertionError):
    """Something that must never happen did; the message begins with the rule."""


@dataclass(slots=True)
class Past:
    """What one correct node did, over all its restarts."""

    log: LogView = field(default_factory=LogView)
    signed: dict[tuple[object, ...], bytes] = field(default_factory=dict)
    entered_view: tuple[int, int] = (0, 0)
    """Epoch and view; so is ``asked_view``."""
    asked_view: tuple[int, int] = (0, 0)
    asked_by: dict[tuple[int, int], int] = field(default_factory=dict)
    """Highest view of a VIEW-CHANGE by epoch and sender, heard since the last start."""
    committed: dict[int, int] = field(default_factory=dict)
    """Height -> highest view of a COMMIT."""
    final: dict[int, bytes] = field(default_factory=dict)
    envelopes: set[bytes] = field(default_factory=set)


class Checker:
    """Raises Violation."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.past = {index: Past() for index in range(world.places)}
        self.chain: dict[int, bytes] = {}
        """Header hash by height, as the first correct node finalised it."""
        self.executed: dict[tuple[int, int], bytes] = {}
        """Header by height and attempt, as the first correct node signed it."""
        self.judges = {0: Judge(world.chain.validators, world.chain.genesis_hash, world.verify, self.judges_of)}
        """By epoch."""
        self.successes: dict[bytes, tuple[int, bytes]] = {}
        """Transaction id -> height and envelope of its success."""
        self.contents: dict[int, Sequence[bytes]] = {}
        """Envelope ids by height, as the first correct node reported them."""
        self.forgotten = Forgotten(world)
        self.skipped: set[bytes] = set()
        self.awaited: dict[int, set[int]] = {}
        """Heights that came by snapshot before anybody reported them, and to whom."""
        self.may_halt: set[int] = set()
        self.halts: dict[int, str] = {}
        self.duties, self.statements = Duties(self), Statements(self)

    def judge(self, index: int, epoch: int) -> Judge:
        """Who judges what an epoch's validators signed; whom they are, a correct node's final state says."""
        if epoch not in self.judges:
            replica = self.world.nodes[index].replica
            info = replica.executor.epoch(replica.store, epoch) if replica is not None else None
            if info is None:
                self.fail("epochs", index, f"acts in epoch {epoch}, which it does not know")
            genesis_hash = self.world.chain.genesis_hash
            self.judges[epoch] = Judge(info.validators, genesis_hash, self.world.verify, self.judges_of)
        return self.judges[epoch]

    def judges_of(self, epoch: int) -> Judge:
        """The judge of an epoch that was seen before."""
        return self.judges[epoch]

    def fail(self, rule: str, index: int, what: str) -> NoReturn:
        """A correct node broke a rule."""
        raise Violation(f"{rule}: node {index} {what} (at {self.world.schedule.now_ms} ms)")

    # -- disk

    def durable(self, index: int, changes: Sequence[Change]) -> None:
        """A batch of a node's writes became durable."""
        past, log = self.past[index], self.past[index].log
        if gone := log.forgotten(changes, max(past.final, default=0)):
            self.fail("durability", index, f"forgets its votes of heights {sorted(gone)}, which are not final")
        records = log.durable(changes)
        self.statements.durable(index, changes, records)
        for key, value in records:
            if key == _NEW_VIEW:
                self._entered(index, decode_signed_new_view(value))
        for key, value in records:
            height, kind, view = split_record_key(key)
            match kind:
                case Kind.OWN_VIEW_CHANGE:
                    self._asked(index, decode_signed_view_change(value))
                case Kind.OWN_PREPARE | Kind.OWN_COMMIT | Kind.OWN_RE_PROPOSAL:
                    vote = decode_signed_vote(value)
                    self._voted(index, vote)
                    if (vote.vote.epoch, view) != max(past.entered_view, (vote.vote.epoch, 0)):
                        what = f"votes in view {view}, its log holds the NEW-VIEW of {past.entered_view}"
                        self.fail("durability", index, what)
                    self._rests(index, log, height, kind, view)
                case Kind.OWN_HEADER_VOTE:
                    self._header(index, decode_header_vote(value))
                case Kind.ACCEPTED:
                    proposal = decode_pre_prepare(value)
                    if proposal.vote.vote.signer == index:
                        self._voted(index, proposal.vote)
                    lacking = log.lacks(proposal.batch.envelope_ids)
                    if lacking:
                        self.fail("durability", index, f"logs a proposal of height {height} without {lacking} bodies")
                case _:
                    pass

    def _entered(self, index: int, message: SignedNewView) -> None:
        past = self.past[index]
        past.entered_view = (message.message.epoch, message.message.view)
        self.world.views.add(past.entered_view)
        if fault := self.judge(index, message.message.epoch).new_view(message):
            self.fail("certificates", index, f"enters view {past.entered_view} by a NEW-VIEW that {fault}")

    def _header(self, index: int, vote: HeaderVote) -> None:
        """Correct nodes execute what is committed, and it leads them all to one header."""
        place = (vote.header.height, vote.header.attempt)
        if self.executed.setdefault(place, vote.header_bytes) != vote.header_bytes and not self.may_halt:
            self.fail("agreement", index, f"votes for another header of height {vote.header.height}")

    def _rests(self, index: int, log: LogView, height: int | None, kind: int, view: int) -> None:
        """A COMMIT rests on its prepared certificate, a PREPARE on the PRE-PREPARE."""
        under = {Kind.OWN_COMMIT: Kind.PREPARED, Kind.OWN_PREPARE: Kind.ACCEPTED}.get(Kind(kind))
        if under is not None and record_key(height, under, view) not in log.records:
            self.fail("durability", index, f"logs a {Kind(kind).name} of height {height} without {under.name}")

    def _voted(self, index: int, vote: SignedVote) -> None:
        v, past = vote.vote, self.past[index]
        if (v.epoch, v.view) < past.asked_view:
            self.fail("views", index, f"signs a {v.phase.name} in view {v.view}, having asked for {past.asked_view}")
        if v.phase.name == "COMMIT":
            past.committed[v.height] = max(past.committed.get(v.height, 0), v.view)

    def _asked(self, index: int, message: SignedViewChange) -> None:
        past, asked = self.past[index], message.message
        final = decode_header(asked.final_header).height
        shown = {p.batch.height: p.pre_prepare.vote.view for p in asked.prepared}
        for height, view in past.committed.items():
            if height > final and view > shown.get(height, -1):
                what = f"asks for view {asked.new_view} without what it committed to at height {height}"
                self.fail("view change", index, what)
        past.asked_view = max(past.asked_view, (asked.epoch, asked.new_view))

    def booted(self, index: int, store: LedgerStore) -> None:
        """A node is back: what it reported final is there; what it had no time to report counts now."""
        past = self.past[index]
        past.asked_by.clear()
        self.forgotten.restarted(index)
        for height, digest in past.final.items():
            header = store.header(height)
            if header is None or header_hash(header) != digest:
                self.fail("final survives", index, f"has lost height {height}")
        for height in range(max(past.final, default=0) + 1, store.final_height + 1):
            block = store.block(height)
            if block is None:  # it came past this height by a snapshot
                self._joined(index, height, store)
                continue
            certificate = encode_certificate(block.certificate)
            ids, receipts = block.batch.envelope_ids, store.receipts(height)
            self.finalised(index, FinalBlock(height, block.header, certificate, ids, receipts), store)

    @property
    def height(self) -> int:
        """The highest height that a correct node reported."""
        return max(self.chain, default=0)

    def forget(self, index: int) -> None:
        """A node's disk is gone, with all that it ever wrote."""
        self.past[index] = Past()

    def restored(self, index: int, image: Content, height: int) -> None:
        """A node has its disk of ``height`` back. What it signed since stays signed; what it kept is gone."""
        past = self.past[index]
        past.final = {at: digest for at, digest in past.final.items() if at <= height}
        past.envelopes = {name for at in past.final for name in self.contents.get(at, ())}
        past.log.restored(tuple(image.values.items()))
        newest = past.log.records.get(_NEW_VIEW)
        entered = decode_signed_new_view(newest).message if newest is not None else None
        past.entered_view = (entered.epoch, entered.view) if entered is not None else (0, 0)
        past.asked_view, past.committed = (0, 0), {}
        self.forgotten.set_back(set(past.signed))

    def _joined(self, index: int, height: int, store: LedgerStore) -> None:
        """A height without a body: its header and certificate came with a snapshot, its contents are the chain's."""
        raw, certificate = store.header(height), store.certificate(height)
        if raw is None or certificate is None:
            self.fail("final survives", index, f"has no header of height {height}")
        self._final_header(index, height, raw, certificate)
        if height in self.contents:
            self.past[index].envelopes.update(self.contents[height])
        else:  # nobody but Byzantine members had reported it
            self.awaited.setdefault(height, set()).add(index)

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
                self._signed(
                    index,
                    ("view change", message.message.epoch, message.message.new_view),
                    message.body,
                    message.signature,
                )
            case SignedNewView() if message.message.signer == index:
                self._signed(
                    index, ("new view", message.message.epoch, message.message.view), message.body, message.signature
                )
                for vote in message.message.pre_prepares:
                    self._vote_sent(index, vote)
            case CommitProof():
                if fault := self.judge(index, message.batch.epoch).proof(message):
                    self.fail("certificates", index, f"sends a commit proof {fault}")
            case _:
                self.statements.sent(index, message)

    def _vote_sent(self, index: int, vote: SignedVote) -> None:
        v = vote.vote
        if v.signer == index:
            self._signed(index, (v.phase.name, v.height, v.attempt, v.view), vote.body, vote.signature)

    def _signed(self, index: int, place: tuple[object, ...], body: bytes, signature: bytes) -> None:
        past = self.past[index]
        if past.signed.setdefault(place, body) != body:
            if index != self.world.forgetful or self.forgotten.told(place):
                self.fail("no double vote", index, f"signs a second {place}")
            self.forgotten.cast_again(place)
            past.signed[place] = body
        if not past.log.knows(signature):
            self.fail("durability", index, f"sends {place} before it is durable")

    def misunderstood(self, sender: int, receiver: int, what: str) -> None:
        """A correct node refuses what a correct one said."""
        self.fail("one language", receiver, f"refuses a {what} of the correct node {sender}")

    # -- finality

    def finalised(self, index: int, block: FinalBlock, store: LedgerStore) -> None:
        """A node reports a block final."""
        self._final_header(index, block.height, block.header_bytes, block.certificate_bytes)
        self._time(index, block, store)
        if store.header(block.height) != block.header_bytes:
            self.fail("durability", index, f"reports height {block.height} before it is on disk")
        self.contents.setdefault(block.height, block.envelope_ids)
        for other in (index, *self.awaited.pop(block.height, ())):
            self.past[other].envelopes.update(block.envelope_ids)
        for envelope_id, raw in zip(block.envelope_ids, block.receipts, strict=True):
            self._receipt(index, block.height, envelope_id, raw)

    def _final_header(self, index: int, height: int, raw: bytes, encoded: bytes) -> None:
        """A header is final for this node: the one that others have, certified by its epoch's set."""
        digest = header_hash(raw)
        if self.chain.setdefault(height, digest) != digest:
            self.fail("agreement", index, f"finalises another block at height {height}")
        header, judge = decode_header(raw), self.judge(index, decode_header(raw).epoch)
        if validator_set_hash(judge.validators) != header.validator_set_hash:
            self.fail("epochs", index, f"finalises height {height} of epoch {header.epoch} under another set")
        if fault := judge.certificate(raw, decode_certificate(encoded)):
            self.fail("certificates", index, f"has a certificate {fault} at height {height}")
        self.past[index].final[height] = digest

    def _time(self, index: int, block: FinalBlock, store: LedgerStore) -> None:
        """f+1 correct nodes took the proposal, all but one by a clock that is about right; an empty one was due."""
        time_ms = decode_header(block.header_bytes).time_ms
        parent = store.header(block.height - 1)
        assert parent is not None
        ahead_ms = time_ms - START_MS - self.world.schedule.now_ms
        parent_ms, idle_ms = decode_header(parent).time_ms, self.world.size.idle_ms
        if not block.envelope_ids and time_ms != parent_ms + 1 and (not idle_ms or time_ms < parent_ms + idle_ms):
            self.fail("validity", index, f"finalises an empty block that was not due, at height {block.height}")
        if time_ms > parent_ms + 1 and ahead_ms > _AHEAD_MS:
            self.fail("validity", index, f"finalises height {block.height} {ahead_ms} ms ahead of time")

    def _receipt(self, index: int, height: int, envelope_id: bytes, raw: bytes) -> None:
        receipt = decode_receipt(raw)
        if envelope_id not in self.world.submitted or receipt.envelope_id != envelope_id:
            self.fail("validity", index, f"finalises an envelope that nobody submitted, at height {height}")
        if receipt.code == Code.SKIPPED and envelope_id not in self.skipped:
            self.skipped.add(envelope_id)
            self.world.counted["poison skipped"] += 1
        place = (height, envelope_id)
        if receipt.code == 0 and self.successes.setdefault(receipt.transaction_id, place) != place:
            self.fail("validity", index, f"lets a transaction succeed twice, at height {height}")

    def alarmed(self, index: int, code: str, facts: dict[str, str | int]) -> None:
        """A node has something to tell; its core never asks the signer for what the signer refuses."""
        if code == SigningRefused.code:
            self.fail("the core obeys", index, f"was refused a signature: {facts}")
        blamed = facts.get("signer", facts.get("primary", facts.get("peer")))
        wrong = code in _BLAME and isinstance(blamed, int) and self.world.nodes[blamed].correct
        if wrong and not (code == "EQUIVOCATION" and self.forgotten.blamed(facts)):
            self.fail("no correct node is blamed", index, f"raises {code} {facts}")

    def halted(self, index: int, code: str, facts: dict[str, str | int]) -> None:
        """A correct node stopped voting."""
        self.halts[index] = code
        if index not in self.may_halt and not self.forgotten.excuses(index, code, facts):
            self.fail("nobody halts", index, f"halts with {code} {facts}")

    def followers(self) -> list[SimNode]:
        """The correct nodes that are up and belong to the chain."""
        return [node for node in self.world.nodes if node.correct and node.up and not self.world.dismissed(node)]

    def level(self) -> bool:
        """Whether they have the same height."""
        return len({node.store.final_height for node in self.followers()}) == 1

    def bounded(self) -> None:
        """What correct nodes keep in memory is bounded at every time."""
        for node in self.world.nodes:
            if node.correct and node.up:
                self.bounded_at(node.index)
        self.duties.look()

    def bounded_at(self, index: int) -> None:
        replica = self.world.nodes[index].replica
        assert replica is not None
        state, n = replica.core.state, self.world.n
        if state.view > self.world.schedule.now_ms // state.config.parameters.order_timeout_ms + n:
            self.fail("views", index, f"was moved to view {state.view}, faster than any timer runs")
        if excess := bounds.excess(replica, n):
            self.fail("bounds", index, f"keeps too much: {excess}")

    # -- views

    def timer(self, index: int, after_ms: int, longest_ms: int) -> None:
        """A correct node sets a timer."""
        if after_ms > longest_ms:
            self.fail("views", index, f"sets a timer of {after_ms} ms, the longest is {longest_ms}")

    def asked_for(self, index: int, change: SignedViewChange) -> None:
        """f+1 VIEW-CHANGEs for higher views must have moved a node."""
        replica = self.world.nodes[index].replica
        if replica is None or not replica.core.state.may_vote:
            return
        state, asked = replica.core.state, self.past[index].asked_by
        signer, view, epoch = change.message.signer, change.message.new_view, state.config.epoch
        if change.message.epoch > epoch:
            return  # it has not begun here: dropped, and sent again
        place = change.message.epoch, signer
        asked[place] = max(asked.get(place, 0), view)
        higher = sorted(view for (of, _), view in asked.items() if of == epoch and view > state.view)
        if len(higher) > (state.config.validators.n - 1) // 3 and not state.closed:
            self.fail("views", index, f"stays in view {state.view}, though {len(higher)} ask for {higher}")
