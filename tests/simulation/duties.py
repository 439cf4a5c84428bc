"""What correct replicas owe each other, and what they owe to the bodies in their pools (docs/spec/pbft.md §5).

Whoever shows that it is behind is helped within a re-sending period; what was taken from a pool stands in a proposal
in flight, or waits there again. Looked at from outside: by what was heard, what was sent, what the tables hold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chain_core.codec.block import decode_header
from chain_core.consensus.messages import CommitProof, FinalityNotice, Heartbeat, Message
from chain_core.consensus.state import ReplicaState
from chain_core.network.frames import ConsensusFrame, Frame
from chain_core.node.replica import Replica
from chain_core.types.block import SignedNewView, SignedViewChange

if TYPE_CHECKING:
    from tests.simulation.checker import Checker

_KINDS = {FinalityNotice: "the final header", SignedNewView: "the NEW-VIEW", CommitProof: "the commit proof"}


class Duties:
    """Fails through the checker."""

    def __init__(self, checker: Checker) -> None:
        self._checker, self._world = checker, checker.world
        self._given: dict[tuple[int, int, str], int] = {}
        """When a node last gave a peer something of a kind."""
        self._committed: dict[int, tuple[Replica, int, int]] = {}
        """The height that stands committed and not final at a node, and since when."""

    def sent(self, index: int, to: int, frame: Frame) -> None:
        """A frame leaves a correct node."""
        if isinstance(frame, ConsensusFrame) and (kind := _KINDS.get(type(frame.message))):
            self._given[index, to, kind] = self._world.schedule.now_ms

    def took(self, index: int, message: Message) -> None:
        """A correct node took a message as verified: it must be what the paper asks for, and have its consequences."""
        if fault := self._fault(index, message):
            self._checker.fail("certificates", index, f"takes a {type(message).__name__} that is wrong: {fault}")
        if isinstance(message, SignedViewChange):
            self._checker.asked_for(index, message)
        elif isinstance(message, Heartbeat):
            self._heard(index, message)

    def _fault(self, index: int, message: Message) -> str:
        judge = self._checker.judge
        match message:
            case SignedViewChange():
                if message.message.final_certificate is not None:
                    judge(index, decode_header(message.message.final_header).epoch)
                return judge(index, message.message.epoch).view_change(message)
            case CommitProof(batch=batch):
                return judge(index, batch.epoch).proof(message)
            case FinalityNotice(header_bytes=header, certificate=certificate):
                return judge(index, decode_header(header).epoch).certificate(header, certificate)
            case _:
                return ""

    def _heard(self, index: int, message: Heartbeat) -> None:
        """A heartbeat that shows less than the node has is answered."""
        replica = self._world.nodes[index].replica
        if replica is None:
            return
        state, peer = replica.core.state, message.sender
        config, n = state.config, state.config.validators.n
        if config.me is None or message.epoch != config.epoch or peer == config.me or not 0 <= peer < n:
            return
        if message.final_height < state.final_height and state.final_certificate is not None:
            self._owes(index, state, peer, "the final header", f"height {message.final_height}")
        behind = (message.view, not message.view_changing) < (state.view, True)
        entered = self._checker.past[index].entered_view == (config.epoch, state.view)
        if behind and entered and state.view and not state.view_changing:  # nothing begins view 0
            self._owes(index, state, peer, "the NEW-VIEW", f"view {message.view}")

    def look(self) -> None:
        """Once in a while: who committed shows it to those who seem not to have, and no body is lost."""
        for node in self._world.nodes:
            if node.correct and node.replica is not None:
                self._committed_is_shown(node.index, node.replica)
                lost = set(node.replica.pool.flying()) - _proposed(node.replica.core.state)
                if lost:
                    self._checker.fail("bodies", node.index, f"keeps {len(lost)} from its pool for no proposal")

    def _committed_is_shown(self, index: int, replica: Replica) -> None:
        state, now_ms = replica.core.state, self._world.schedule.now_ms
        slot = state.slot
        if state.me is None or slot.committed is None or slot.proof is None:
            self._committed.pop(index, None)
            return
        known = self._committed.get(index)
        if known is None or known[0] is not replica or known[1] != slot.height:
            self._committed[index] = replica, slot.height, now_ms
        elif now_ms - known[2] > 2 * state.config.parameters.resend_ms:
            for peer in range(state.config.validators.n):
                if peer != state.me and peer not in slot.header_votes:
                    self._owes(index, state, peer, "the commit proof", f"no header of height {slot.height}")

    def _owes(self, index: int, state: ReplicaState, peer: int, kind: str, shown: str) -> None:
        given_ms = self._given.get((index, peer, kind))
        patience_ms = state.config.parameters.resend_ms
        if given_ms is None or self._world.schedule.now_ms - given_ms > patience_ms:
            self._checker.fail("help", index, f"does not give {kind} to {peer}, which shows {shown}")


def _proposed(state: ReplicaState) -> set[bytes]:
    """The bodies of all batches in flight."""
    batches = [due.message.batch for due in state.re_proposals.values()]
    for slot in state.slots.values():
        batches += [known.batch for known in (slot.accepted, slot.prepared, slot.proof) if known is not None]
    return {envelope_id for batch in batches for envelope_id in batch.envelope_ids}
