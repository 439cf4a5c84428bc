"""One simulated world: nodes, network, clients, a plan of faults drawn from the seed, and the run until all is final.

The first part is bad weather: loss, partitions, crashes, Byzantine members. Then the network heals, crashed nodes come
back (Byzantine ones stay what they are), and within ``LIVENESS_MS`` every transaction of a correct client must be final
on every correct node. The chain goes on until it has the height that the run is to reach.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from chain_core.crypto.provider import VerifyItem
from chain_core.network.frames import Frame
from chain_core.node.ports import Admission
from chain_core.types.transaction import Envelope, Operation
from tests.simulation.byzantine import Censor
from tests.simulation.chain import CLIENTS, POISON, START_MS, Chain, chain, private_of
from tests.simulation.checker import Checker, Violation
from tests.simulation.ending import standing, the_end, together
from tests.simulation.faults import Faults
from tests.simulation.forgers import Twin
from tests.simulation.governing import Governing
from tests.simulation.network import Network
from tests.simulation.node import SimNode
from tests.simulation.schedule import Schedule
from tests.simulation.signatures import Tags
from tests.simulation.stories import Stories
from tests.simulation.strategies import SNAPSHOT_LIARS, STRATEGIES, Makers

LIVENESS_MS = 60_000
"""Simulated time after healing: some view changes of at most 8 s each, one for each Byzantine member and some more."""
CENSORED_LIVENESS_MS = LIVENESS_MS + 2 * 64_000
"""Where a censoring member is first to be deposed by the request timer (8 times the longest ordering timeout)."""
RETRY_MS = 3_000
TICK_MS = 400
ASKING_MS = 50
_FORGETFUL = 0.2
PACE_MS = 20
NO_SNAPSHOTS = 2_000
"""Heights that no run reaches."""


@dataclass(frozen=True, slots=True)
class Size:
    """How big a run is."""

    n: int = 4
    bad_weather_ms: int = 40_000
    transactions: int = 40
    faults: int = 24
    heights: int = 0
    window: int = 1
    block: int = 2_000
    """Transactions a block holds at most: with few, several heights are in flight."""
    idle_ms: int = 0
    snapshot_distance: int = NO_SNAPSHOTS
    """Certified heights further ahead than this are not fetched block by block."""
    snapshot_every: int = NO_SNAPSHOTS
    """Of which heights snapshots are kept; a node that is no validator yet begins when there is a chain."""
    stories: int = 0
    """Stories told after the weather (``stories.py``)."""
    proposals: int = 0
    """What governors propose; with any, there is a node more that may become a validator."""


@dataclass(slots=True)
class Outcome:
    """What came of a run."""

    seed: int
    trace: str
    height: int
    view: int
    simulated_ms: int
    healed_ms: int
    strategies: list[str]
    counted: Counter[str]


class World:
    """A run of one seed. ``directory``: the nodes' ledgers are LevelDBs there and signatures are SM2; None: disks and
    signatures are simulated. ``on`` is another chain than the usual one.
    """

    def __init__(
        self,
        seed: int,
        size: Size,
        directory: Path | None,
        *,
        byzantine: dict[int, Makers] | None = None,
        on: Chain | None = None,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self.seed, self.size, self.n = seed, size, size.n
        self.random = Random(seed)
        self.schedule = Schedule()
        self.network = Network(self.schedule, self.random, self._deliver)
        self.chain: Chain = on or chain(
            size.n, window_heights=size.window, max_block_transactions=size.block, idle_block_ms=size.idle_ms
        )
        if directory is None and on is None:
            self.chain = replace(self.chain, signatures=Tags(private_of))
        self.counted: Counter[str] = Counter()
        self.views: set[tuple[int, int]] = set()
        """Epochs and views that a correct node entered by a NEW-VIEW."""
        self.said: dict[tuple[object, ...], bytes] = {}
        """What Byzantine members signed for each place; empty once they contradicted themselves there."""
        self.submitted: dict[bytes, Envelope] = {}
        self.promised: set[bytes] = set()
        """Envelopes of correct clients, which must become final."""
        self._verdicts: dict[VerifyItem, bool] = {}
        self._trace = hashlib.sha256()
        self._tell = tell
        self._nonces: Counter[int] = Counter()
        self.places = size.n + (size.proposals > 0)
        self.faults = Faults(self)
        self.governing = Governing(self)
        self.stories = Stories(self)
        self.checker = Checker(self)
        self.forgetful: int | None = None
        """Who gets an older copy of its disk back, in the place of a Byzantine member."""
        chosen = self._draw_byzantine() if byzantine is None else byzantine
        self.nodes = [self._node(index, directory, f"node-{index}", chosen) for index in range(self.places)]
        self.twins = {
            node.index: self._node(node.index, directory, f"twin-{node.index}", chosen)
            for node in self.nodes
            if any(isinstance(strategy, Twin) for strategy in node.strategies)
        }

    def _node(self, index: int, directory: Path | None, name: str, chosen: dict[int, Makers]) -> SimNode:
        place = None if directory is None else directory / name
        tricks = [make(self.random, self.n) for make in chosen.get(index, ())]
        return SimNode(self, index, place, self.random.randint(-1_500, 1_500), tricks)

    def _draw_byzantine(self) -> dict[int, Makers]:
        """Mostly f members; their first trick goes through the list with the seed, so that each is seen."""
        f = self.chain.validators.f
        members = self.random.sample(range(self.n), f if self.random.random() < 0.85 else 0)
        drawn: dict[int, Makers] = {}
        for place, member in enumerate(members):
            first = STRATEGIES[(self.seed + place) % len(STRATEGIES)]
            others = self.random.sample(STRATEGIES, self.random.choice((0, 0, 1, 2)))
            liar = [self.random.choice(SNAPSHOT_LIARS)] if self.random.random() < 0.3 else []
            drawn[member] = (first, *(other for other in [*others, *liar] if other is not first))
        if len(drawn) == f and self.random.random() < _FORGETFUL:
            self.forgetful, _ = drawn.popitem()
        return drawn

    # -- what nodes and clients use

    def note(self, what: str) -> None:
        """One line of the trace: no digest or signature in it, since those differ from run to run."""
        line = f"{self.schedule.now_ms:>7} {what}"
        self._trace.update(line.encode() + b"\n")
        if self._tell is not None:
            self._tell(line)

    def verify(self, items: Sequence[VerifyItem]) -> list[bool]:
        """Each signature is verified once a run, whoever asks again."""
        fresh = [item for item in dict.fromkeys(items) if item not in self._verdicts]
        if fresh:
            self._verdicts.update(zip(fresh, self.chain.signatures.verify_many(fresh), strict=True))
        return [self._verdicts[item] for item in items]

    def transaction(self, client: int, nonce: int, valid_ms: int) -> Envelope:
        """A client's signed transaction, valid for ``valid_ms`` from now."""
        envelope = self.chain.transaction(client, nonce, START_MS + self.schedule.now_ms + valid_ms)
        self.submitted[envelope.envelope_id] = envelope
        return envelope

    def govern(self, governor: int, call: Operation) -> None:
        """A governor's transaction: nobody promises that it becomes final."""
        nonce = self._nonces[governor]
        self._nonces[governor] += 1
        envelope = self.chain.transaction(governor, nonce, START_MS + self.schedule.now_ms + 30_000, call)
        self.submitted[envelope.envelope_id] = envelope
        self._hand_in(envelope, None)

    def passes(self, to: int, frame: Frame) -> bool:
        """Whether the network carries this frame to ``to`` at present."""
        return self.faults.passes(to, frame) and self.stories.passes(to, frame)

    def reboot_later(self, node: SimNode) -> None:
        """A crashed node comes back."""
        self.faults.reboot_later(node)

    def _deliver(self, receiver: int, sender: int, data: bytes) -> None:
        self.counted["frames"] += 1
        self.note(f"{sender}>{receiver} {data[0] >> 3 if data else 0} {len(data)}")
        twin = self.twins.get(receiver)
        both = twin is None or self.random.random() < 0.1
        if both or sender % 2 == 0:
            self.nodes[receiver].deliver(sender, data)
        if twin is not None and (both or sender % 2 == 1):
            twin.deliver(sender, data)

    # -- clients

    def _burst(self) -> None:
        """One transaction, or some at once."""
        for _ in range(self.random.choice((1, 1, 1, 6))):
            self._client()

    def _client(self) -> None:
        client = self.random.randrange(CLIENTS)
        nonce = self._nonces[client]
        self._nonces[client] += 1
        if self.random.random() < 0.1:  # may expire before it is ordered
            self._hand_in(self.transaction(client, nonce, 4_000), None)
        elif self.random.random() < 0.5:
            self._hand_in(self.promise(client, nonce), None)
        else:  # a client that knows one node only
            node = self.random.choice([node for node in self.nodes if node.correct and node.index != self.forgetful])
            self._hand_in(self.promise(client, nonce), node)

    def promise(self, client: int, nonce: int) -> Envelope:
        """A correct client's transaction, which must become final."""
        envelope = self.transaction(client, nonce, 500_000)
        self.promised.add(envelope.envelope_id)
        return envelope

    def hand_in(self, client: int | None = None) -> bytes:
        """A correct client hands in a transaction until it is final; its envelope id."""
        client = self.random.randrange(CLIENTS) if client is None else client
        nonce = self._nonces[client]
        self._nonces[client] += 1
        envelope = self.promise(client, nonce)
        self._hand_in(envelope, None, anybody=False)
        return envelope.envelope_id

    def poison(self) -> None:
        """A client hands in what no node can execute: the quorum must skip it, and go on."""
        client = self.random.randrange(CLIENTS)
        call = Operation("tally", "add", {"amount": POISON})
        envelope = self.chain.transaction(client, self._nonces[client], START_MS + self.schedule.now_ms + 500_000, call)
        self._nonces[client] += 1
        self.submitted[envelope.envelope_id] = envelope
        self.promised.add(envelope.envelope_id)
        self._hand_in(envelope, None)

    def _hand_in(self, envelope: Envelope, known: SimNode | None, *, anybody: bool = True) -> None:
        """A client hands in and hands in again until some correct node reports FINAL."""
        final = any(envelope.envelope_id in past.envelopes for past in self.checker.past.values())
        if final or envelope.body.valid_until_ms <= START_MS + self.schedule.now_ms:
            return
        node = known or self.random.choice([node for node in self.nodes if anybody or node.correct])
        answer = node.submit(envelope.raw)
        if answer is Admission.ACCEPTED and self.random.random() < 0.1:
            node.submit(envelope.raw)
        self.schedule.after(RETRY_MS, lambda: self._hand_in(envelope, known, anybody=False))

    def _go_on(self) -> None:
        """After healing clients hand in one by one until the chain is high enough."""
        if self.checker.height < self.size.heights:
            if max(self.missing().values(), default=0) < 2 * self.size.window:
                self._client()
            self.schedule.after(PACE_MS, self._go_on)

    def _tick(self) -> None:
        for node in self.nodes:
            if node.up:
                for strategy in node.strategies:
                    strategy.tick(node)
        if self.schedule.now_ms % (4 * TICK_MS) < TICK_MS:
            self.checker.bounded()
        self.schedule.after(TICK_MS, self._tick)

    # -- the run

    @property
    def liveness_ms(self) -> int:
        """How long after healing the last promised transaction may become final."""
        censored = any(isinstance(s, Censor) for node in self.nodes for s in node.strategies)
        return CENSORED_LIVENESS_MS if censored else LIVENESS_MS

    def dismissed(self, node: SimNode) -> bool:
        """Whether a node was removed as a validator while it was away in an epoch in which it still was one: nobody
        owes it anything, and it cannot verify what comes after that epoch.
        """
        if node.index < self.n or node.replica is None or node.replica.core.state.config.me is None:
            return False
        latest = max((other.replica for other in self.nodes if other.replica), key=lambda r: r.core.state.config.epoch)
        names = [validator.name for validator in latest.core.state.config.validators.validators]
        return f"v{node.index}" not in names

    def missing(self) -> dict[int, int]:
        """Correct nodes that lack promised transactions, and how many."""
        lacking = {
            node.index: len(self.promised - self.checker.past[node.index].envelopes)
            for node in self.nodes
            if node.correct and not self.dismissed(node)
        }
        return {index: count for index, count in lacking.items() if count}

    def begin(self) -> None:
        """Boot all nodes, let their signers ask each other; then Byzantine ones begin to act."""
        late = self.nodes[self.n :] if self.size.snapshot_every < NO_SNAPSHOTS else []
        for node in (*self.nodes, *self.twins.values()):
            if node not in late:
                node.boot()
        self.advance(ASKING_MS)
        self.schedule.after(TICK_MS, self._tick)

    def advance(self, ms: int) -> None:
        """Let ``ms`` pass."""
        end_ms = self.schedule.now_ms + ms
        while self.schedule.step(end_ms):
            pass

    def until(self, done: Callable[[], bool], within_ms: int, what: str) -> None:
        """Let time pass until something holds. Violation when it does not within ``within_ms``."""
        end_ms = self.schedule.now_ms + within_ms
        while not done():
            if not self.schedule.step(end_ms):
                raise Violation(f"liveness: {what} is not reached within {within_ms} ms; missing: {self.missing()}")

    def run(self) -> Outcome:
        """Bad weather, healing, and all is final. Raises Violation."""
        self.begin()
        for _ in range(self.size.transactions):
            self.schedule.after(self.random.randrange(self.size.bad_weather_ms), self._burst)
        self.faults.plan()
        if self.size.proposals:
            self.governing.plan(self.size.proposals)
        self.advance(self.size.bad_weather_ms)
        healed_at_ms = self.schedule.now_ms
        self.until(lambda: not self.missing(), self.liveness_ms, "the last promised transaction")
        healed_ms = self.schedule.now_ms - healed_at_ms
        self.stories.tell(self.size.stories)
        self._go_on()
        self.until(lambda: self.checker.height >= self.size.heights, self.liveness_ms, "the height to reach")
        self.until(lambda: not self.missing(), self.liveness_ms, "the last promised transaction")
        before = standing(self.checker)
        self.advance(3_000)
        together(self.checker, before)
        self.until(self.checker.level, 2_000, "one height")  # an idle block may be on its way
        the_end(self.checker)
        correct = next(node for node in self.nodes if node.correct and node.up)
        assert correct.replica is not None
        self.counted["view changes"] = len(self.views)
        self.counted["epochs begun"] = max(node.epoch for node in self.nodes)
        self.counted["heights"] = correct.store.final_height
        return Outcome(
            self.seed,
            self._trace.hexdigest(),
            correct.store.final_height,
            correct.replica.core.state.view,
            self.schedule.now_ms,
            healed_ms,
            [f"{node.index}:{type(s).__name__}" for node in self.nodes for s in node.strategies],
            self.counted,
        )

    def close(self) -> None:
        """Release the ledgers."""
        for node in (*self.nodes, *self.twins.values()):
            if node.up:
                node.store.close()
