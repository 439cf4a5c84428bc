"""Stories told on purpose in calm weather, each the shortest one that a certain wrong rule does not survive.

The network loses just what a story needs. Byzantine members may spoil one: then it is left at where it stands; what was
handed in must become final all the same.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

from chain_core.consensus.messages import PrePrepare
from chain_core.consensus.state import ReplicaState
from chain_core.network.frames import ConsensusFrame, Frame
from chain_core.types.block import HeaderVote, Phase, SignedNewView, SignedVote
from chain_core.types.validator_set import ValidatorSet
from tests.simulation.byzantine import Censor
from tests.simulation.chain import CLIENTS
from tests.simulation.reopenings import halt_and_reopen
from tests.simulation.soundness import quorum_of

if TYPE_CHECKING:
    from tests.simulation.world import World

Lost = Callable[[int, Frame], bool]
"""(receiver, frame): whether the network loses it."""
_VIEW_CHANGE_MS = 14_000
"""Some of the timers of views that do not begin."""
_MANY = 8
"""Blocks of more transactions are not filled here."""
_CHATTER_MS = 700


class Stories:
    """Tells stories, one after the other."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.random = Random(f"stories of {world.seed}")
        self._lost: Lost | None = None
        self._all = (self.split, self.uncommitted, self.hole, self.deaf, self.deposed)

    def passes(self, to: int, frame: Frame) -> bool:
        """Whether the story lets this frame through."""
        return self._lost is None or not self._lost(to, frame)

    def tell(self, count: int) -> None:
        """``count`` stories, which go round with the seed; and one of a censoring member, where there is one."""
        for place in range(count):
            self._one(self._all[(self.world.seed + place) % len(self._all)])
        if count and any(isinstance(s, Censor) for node in self.world.nodes for s in node.strategies):
            self._one(self.censored)
        if count and all(node.correct for node in self.world.nodes):
            self._one(self.reopened)

    def reopened(self) -> None:
        """Faulty builds leave no header a quorum: the height is reopened by order."""
        halt_and_reopen(self.world, self.random, self._wait)

    def _one(self, story: Callable[[], None]) -> None:
        world, name = self.world, story.__name__
        world.note(f"story: {name}")
        world.counted["stories told"] += 1
        if self._wait(lambda: len(self._voting()) >= self._validators.q - self._validators.f, world.liveness_ms):
            story()
        self._lost = None
        world.network.heal()
        world.until(lambda: not world.missing(), world.liveness_ms, f"what was handed in during the story {name}")

    # -- the stories

    def split(self) -> None:
        """One replica alone prepares; the others, without it, prepare something else; then a quorum with both in it
        changes view: the batch of the highest view goes on (PBFT §4.4).
        """
        view, height = self._place()
        first = self.random.choice(sorted(self._voting()))
        everybody = set(range(self.world.places))
        self._lost = lambda to, f: _vote(f, Phase.COMMIT) or (_vote(f, Phase.PREPARE, view) and to != first)
        self._hand_in(3)
        if not self._wait(lambda: set(self._prepared(height, view)) == {first}, 3_000):
            return
        self.world.network.partition([{first}, everybody - {first}])
        if not self._wait(lambda: bool(self._prepared(height, view + 1)), _VIEW_CHANGE_MS):
            return
        later = max(self._prepared(height, view + 1).values())
        self._lost = lambda to, f: _vote(f, Phase.COMMIT) or (to == first and _of_view(f, later))
        away = self._needless(first)
        self.world.network.partition([away, everybody - away])
        self._wait(lambda: self._place()[0] > later, 2 * _VIEW_CHANGE_MS)

    def uncommitted(self) -> None:
        """What was prepared is prepared again in view after view: timers grow, certificates are replaced."""
        view, _ = self._place()
        self._lost = lambda to, f: _vote(f, Phase.COMMIT)
        self._hand_in(3)
        if self._wait(
            lambda: min((state.view for state in self._voting().values()), default=0) >= view + 3, 2 * _VIEW_CHANGE_MS
        ):
            self.world.advance(500)

    def hole(self) -> None:
        """A height above is prepared, the one below it is not: it gets the null batch."""
        state = self._leading
        size = state.config.parameters.max_block_transactions
        if state.window_end < state.final_height + 2 or size > _MANY:
            return
        view, height = self._place()
        self._lost = lambda to, f: _vote(f, Phase.PREPARE, view, height)
        self._hand_in(1 + 2 * size)
        if self._wait(lambda: bool(self._prepared(height + 1, view)), 1_500):
            self._wait(lambda: self._place()[0] > view, _VIEW_CHANGE_MS)

    def deaf(self) -> None:
        """One replica commits some heights and hears no header vote: the others are final, and nothing more comes."""
        deaf = self.random.choice(sorted(self._voting()))
        self._lost = lambda to, f: to == deaf and isinstance(f, ConsensusFrame) and isinstance(f.message, HeaderVote)
        for _ in range(3):
            height = self.world.checker.height
            self._hand_in(1)
            self._wait(lambda: self.world.checker.height > height, 3_000)  # noqa: B023 - within this round

    def deposed(self) -> None:
        """The primary is alone with what it proposed, and comes back into the next view."""
        view, _ = self._place()
        primary = self._validators.primary(view)
        self._hand_in(3)
        if self._wait(lambda: self._proposed(), 1_000):
            self.world.network.partition([{primary}, set(range(self.world.places)) - {primary}])
        self._wait(lambda: self._place()[0] > view, _VIEW_CHANGE_MS)
        self.world.advance(1_000)

    def censored(self) -> None:
        """A censoring primary keeps its office by ordering everything else, until the request timer (PBFT §4.4)."""
        world = self.world
        censor = next(n.index for n in world.nodes if any(isinstance(s, Censor) for s in n.strategies))
        for _ in range(2 * world.n):
            view, _ = self._place()
            primary = self._validators.primary(view)
            if primary == censor:
                break
            world.network.partition([{primary}, set(range(world.places)) - {primary}])
            self._hand_in(1)
            self._wait(lambda: self._place()[0] > view, _VIEW_CHANGE_MS)  # noqa: B023 - within this round
            world.network.heal()
        victim, end_ms = world.hand_in(0), world.schedule.now_ms + world.liveness_ms
        while not self._final(victim) and world.schedule.now_ms < end_ms:
            world.hand_in(self.random.randrange(1, CLIENTS))
            world.advance(_CHATTER_MS)
        world.until(lambda: self._final(victim), 0, "the censored transaction")

    # -- what they look at

    def _hand_in(self, count: int) -> None:
        for _ in range(count):
            self.world.hand_in()

    def _wait(self, done: Callable[[], bool], within_ms: int) -> bool:
        """Lets time pass until something holds; False when it does not in time."""
        end_ms = self.world.schedule.now_ms + within_ms
        while not done():
            if not self.world.schedule.step(end_ms):
                return False
        return True

    def _voting(self) -> dict[int, ReplicaState]:
        """The states of the correct members of the latest epoch."""
        latest = self._leading.config.epoch
        cores = {n.index: n.replica.core.state for n in self.world.nodes if n.correct and n.replica is not None}
        return {i: state for i, state in cores.items() if state.may_vote and state.config.epoch == latest}

    @property
    def _leading(self) -> ReplicaState:
        """The state of a correct node in the latest epoch that any of them votes in."""
        cores = [node.replica.core.state for node in self.world.nodes if node.correct and node.replica is not None]
        return max(cores, key=lambda state: (state.may_vote, state.config.epoch))

    @property
    def _validators(self) -> ValidatorSet:
        return self._leading.config.validators

    def _place(self) -> tuple[int, int]:
        """The highest view that one of them is in, and the height that is next there."""
        states = [state for state in self._voting().values() if not state.view_changing]
        return max(((state.view, state.final_height + 1) for state in states), default=(0, 1))

    def _prepared(self, height: int, view: int) -> dict[int, int]:
        """Who prepared something at a height in this view or a later one, and in which."""
        found = {}
        for index, state in self._voting().items():
            slot = state.slots.get(height)
            if slot is not None and slot.prepared is not None and slot.prepared.pre_prepare.vote.view >= view:
                found[index] = slot.prepared.pre_prepare.vote.view
        return found

    def _proposed(self) -> bool:
        """Whether a proposal is in flight somewhere."""
        return any(slot.accepted is not None for s in self._voting().values() for slot in s.slots.values())

    def _final(self, envelope_id: bytes) -> bool:
        """Whether all correct nodes have it in a block."""
        past = self.world.checker.past
        return all(envelope_id in past[node.index].envelopes for node in self.world.nodes if node.correct)

    def _needless(self, but: int) -> set[int]:
        """As many members as a quorum does without, Byzantine ones first; ``but`` is needed."""
        n = self._validators.n
        others = sorted((i for i in range(n) if i != but), key=lambda i: (self.world.nodes[i].correct, -i))
        return set(others[: n - quorum_of(n)])


def _vote(frame: Frame, phase: Phase, view: int | None = None, height: int | None = None) -> bool:
    """Whether a frame is an ordering vote of this phase (view, height)."""
    if not isinstance(frame, ConsensusFrame) or not isinstance(frame.message, SignedVote):
        return False
    vote = frame.message.vote
    return vote.phase is phase and view in (None, vote.view) and height in (None, vote.height)


def _of_view(frame: Frame, view: int) -> bool:
    """Whether a frame takes part in ordering in a view."""
    if not isinstance(frame, ConsensusFrame):
        return False
    match frame.message:
        case PrePrepare(vote=vote) | (SignedVote() as vote):
            return vote.vote.view == view
        case SignedNewView():
            return frame.message.message.view == view
        case _:
            return False
