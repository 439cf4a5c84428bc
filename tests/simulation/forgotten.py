"""Which votes of a validator whose disk was set back its peers can still tell it of (docs/spec/pbft.md, section 6).

It asks q-1 of n-1 other validators. What more than f correct ones hold, one of those who answer holds. What fewer ever
got, what they refused (a proposal whose time they do not believe) or let go (a VIEW-CHANGE for a view they are past),
or lost by a restart of their own, it cannot learn: then it is one of the f, and may contradict itself, or halt when it
is shown such a vote later. No correct validator counted such a vote for anything, or it would hold it.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from chain_core.consensus.messages import Message, PrePrepare
from chain_core.consensus.state import Slot
from chain_core.node.replica import KEY_USED_ELSEWHERE
from chain_core.types.block import HeaderVote, SignedViewChange, SignedVote

if TYPE_CHECKING:
    from tests.simulation.node import SimNode
    from tests.simulation.world import World

Place = tuple[object, ...]
Vote = SignedVote | HeaderVote | SignedViewChange


class Forgotten:
    """Who holds which votes of the forgetful node."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._heard: dict[Place, dict[int, Vote]] = defaultdict(dict)
        """The vote at a place as each correct validator took it last."""
        self._lost: set[Place] = set()
        """Where it had signed when its disk was set back."""
        self._again: set[Place] = set()
        """Where it signed once more."""
        self._could_tell: dict[Place, set[int]] = {}
        """Who held the vote at each of these then, and has not restarted since."""

    def heard(self, receiver: SimNode, message: Message) -> None:
        """A correct node took a verified message."""
        if isinstance(message, PrePrepare):
            message = message.vote
        if (
            isinstance(message, SignedVote | HeaderVote | SignedViewChange)
            and _signer(message) == self._world.forgetful
        ):
            self._heard[_place(message)][receiver.index] = message

    def set_back(self, signed: set[Place]) -> None:
        """The node asks its peers for what they hold at present; what they hear of later, it may be told too late."""
        self._lost = signed
        self._could_tell = {place: self._holders(place) for place in signed}

    def cast_again(self, place: Place) -> None:
        """It signed there once more, with nobody to warn it; from now on it has to remember."""
        self._lost.discard(place)
        self._again.add(place)
        self._world.counted["forgotten votes cast again"] += 1

    def blamed(self, facts: dict[str, str | int]) -> bool:
        """Whether an EQUIVOCATION is about a place where it signed once more: who holds both votes has proof of it."""
        phase, height, view = facts.get("phase"), facts.get("height"), facts.get("view")
        if facts.get("signer") != self._world.forgetful:
            return False
        if phase == "VIEW_CHANGE":
            return any(place[0] == "view change" and place[2] == view for place in self._again)
        if phase == "HEADER":
            return any(place[:2] == ("header", height) for place in self._again)
        return any((place[0], place[1], place[-1]) == (phase, height, view) for place in self._again)

    def restarted(self, index: int) -> None:
        """What a node held in memory is gone."""
        for holders in (*self._heard.values(), *self._could_tell.values()):
            if isinstance(holders, dict):
                holders.pop(index, None)
            else:
                holders.discard(index)

    def told(self, place: Place) -> bool:
        """Whether it has to know that it signed there: since it was set back, or whoever answers, one holds it."""
        return place not in self._lost or len(self._could_tell[place]) > self._world.chain.validators.f

    def excuses(self, index: int, code: str, facts: dict[str, str | int]) -> bool:
        """Whether a node halts because of a vote of its own that nobody was bound to tell it of."""
        mine = index == self._world.forgetful and code == KEY_USED_ELSEWHERE
        self._world.counted["forgotten votes shown later"] += mine
        vote = str(facts.get("vote"))
        holders = set[int]().union(*(held for place, held in self._could_tell.items() if _name(place) == vote))
        return mine and len(holders) <= self._world.chain.validators.f

    def _holders(self, place: Place) -> set[int]:
        return {index for index, vote in self._heard.get(place, {}).items() if self._holds(index, place, vote)}

    def _holds(self, index: int, place: Place, vote: Vote) -> bool:
        """Whether a validator keeps the vote, or is beyond where it could be cast again."""
        replica = self._world.nodes[index].replica
        if replica is None or replica.core.state.me is None:
            return False
        state = replica.core.state
        if isinstance(vote, SignedViewChange):
            entered = state.new_view.message.view_changes if state.new_view is not None else ()
            return state.config.epoch > vote.message.epoch or vote in (*state.view_changes.values(), *entered)
        height = vote.vote.height if isinstance(vote, SignedVote) else vote.header.height
        return state.final_height >= height or any(_keeps(slot, vote) for slot in state.ascending())


def _keeps(slot: Slot, vote: SignedVote | HeaderVote) -> bool:
    if isinstance(vote, HeaderVote):
        return vote in (slot.header_votes.get(vote.signer), slot.ahead.get(vote.signer))
    votes = [*slot.prepares.values(), *slot.commits.values(), *slot.skips.values()]
    votes += [skip for skips in slot.proofs for skip in skips]
    if slot.accepted is not None:
        votes.append(slot.accepted.vote)
    if slot.prepared is not None:
        votes += [slot.prepared.pre_prepare, *slot.prepared.prepares]
    if slot.proof is not None:
        votes += slot.proof.commits
    return vote in votes


def _signer(message: Vote) -> int:
    match message:
        case SignedVote(vote=vote):
            return vote.signer
        case HeaderVote(signer=signer):
            return signer
        case SignedViewChange(message=asked):
            return asked.signer


def _place(message: Vote) -> Place:
    """As the checker names it."""
    match message:
        case SignedVote(vote=v):
            return (v.phase.name, v.height, v.attempt, v.view)
        case HeaderVote(header=header):
            return ("header", header.height, header.attempt)
        case SignedViewChange(message=asked):
            return ("view change", asked.epoch, asked.new_view)


def _name(place: Place) -> str:
    """As the production code names it."""
    match place:
        case ("header", height, _):
            return f"header vote at height {height}"
        case ("view change", _, view):
            return f"VIEW-CHANGE for view {view}"
        case (phase, height, _, view):
            return f"{phase} at height {height}, view {view}"
    return ""
