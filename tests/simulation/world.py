"""One simulated world: nodes, network, clients, a plan of faults drawn from the seed, and the run until all is final.

The first part is bad weather: loss, partitions, crashes, Byzantine members. Then the network heals, crashed nodes come
back (Byzantine ones stay what they are), and within ``LIVENESS_MS`` every transaction of a correct client must be final
on every correct node.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from chain_core.consensus.messages import PrePrepare
from chain_core.crypto.provider import VerifyItem
from chain_core.crypto.providers import provider
from chain_core.network.frames import ConsensusFrame, Frame
from chain_core.node.ports import Admission
from chain_core.types.block import HeaderVote, SignedNewView, SignedVote
from chain_core.types.transaction import Envelope
from tests.simulation.byzantine import STRATEGIES, Censor, Strategy
from tests.simulation.chain import CLIENTS, START_MS, Chain, chain
from tests.simulation.checker import Checker, Violation
from tests.simulation.network import CALM, Network, Weather
from tests.simulation.node import CRASH_POINTS, SimNode
from tests.simulation.schedule import Schedule

LIVENESS_MS = 60_000
"""Simulated time after healing: some view changes of at most 8 s each, one for each Byzantine member and some more."""
CENSORED_LIVENESS_MS = LIVENESS_MS + 2 * 64_000
"""Where a censoring member is first to be deposed by the request timer (8 times the longest ordering timeout)."""
RETRY_MS = 3_000
TICK_MS = 400
ASKING_MS = 50


@dataclass(frozen=True, slots=True)
class Size:
    """How big a run is."""

    n: int = 4
    bad_weather_ms: int = 40_000
    transactions: int = 60
    faults: int = 24


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
    """A run of one seed; ``directory`` holds the nodes' ledgers."""

    def __init__(
        self,
        seed: int,
        size: Size,
        directory: Path,
        *,
        byzantine: dict[int, Sequence[Callable[[Random, int], Strategy]]] | None = None,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self.seed, self.size, self.n = seed, size, size.n
        self.random = Random(seed)
        self.schedule = Schedule()
        self.network = Network(self.schedule, self.random, self._deliver)
        self.chain: Chain = chain(size.n)
        self.counted: Counter[str] = Counter()
        self.submitted: dict[bytes, Envelope] = {}
        self.promised: set[bytes] = set()
        """Envelopes of correct clients, which must become final."""
        self._verdicts: dict[VerifyItem, bool] = {}
        self._trace = hashlib.sha256()
        self._tell = tell
        self._in_bad_weather = True
        self.muffled: dict[str, set[int]] = {}
        """Kinds of messages that the network loses at present, and whom they do not reach."""
        self.checker = Checker(self)
        chosen = self._draw_byzantine() if byzantine is None else byzantine
        self.nodes = [
            SimNode(
                self,
                index,
                directory / f"node-{index}",
                self.random.randint(-1_500, 1_500),
                [make(self.random, size.n) for make in chosen.get(index, ())],
            )
            for index in range(size.n)
        ]

    def _draw_byzantine(self) -> dict[int, Sequence[Callable[[Random, int], Strategy]]]:
        """Mostly f members; their first trick goes through the list with the seed, so that each is seen."""
        f = self.chain.validators.f
        members = self.random.sample(range(self.n), f if self.random.random() < 0.85 else 0)
        drawn: dict[int, Sequence[Callable[[Random, int], Strategy]]] = {}
        for place, member in enumerate(members):
            first = STRATEGIES[(self.seed + place) % len(STRATEGIES)]
            others = self.random.sample(STRATEGIES, self.random.choice((0, 0, 1, 2)))
            drawn[member] = (first, *(other for other in others if other is not first))
        return drawn

    # -- what nodes and clients use

    def note(self, what: str) -> None:
        """One line of the trace: no digest or signature in it, since those differ from run to run."""
        line = f"{self.schedule.now_ms:>7} {what}"
        self._trace.update(line.encode() + b"\n")
        if self._tell is not None:
            self._tell(line)

    def verify(self, items: Sequence[VerifyItem]) -> list[bool]:
        """Real SM2 verification; each signature once a run, whoever asks again."""
        fresh = [item for item in dict.fromkeys(items) if item not in self._verdicts]
        if fresh:
            self._verdicts.update(zip(fresh, provider().sm2_verify_many(fresh), strict=True))
        return [self._verdicts[item] for item in items]

    def transaction(self, client: int, nonce: int, valid_ms: int) -> Envelope:
        """A client's signed transaction, valid for ``valid_ms`` from now."""
        envelope = self.chain.transaction(client, nonce, START_MS + self.schedule.now_ms + valid_ms)
        self.submitted[envelope.envelope_id] = envelope
        return envelope

    def reboot_later(self, node: SimNode) -> None:
        """A crashed node comes back some time later, in bad weather; at once afterwards."""
        delay = self.random.randint(200, 6_000) if self._in_bad_weather else 500
        self.schedule.after(delay, lambda: self._reboot(node))

    def _reboot(self, node: SimNode) -> None:
        if not node.up:
            node.boot()

    def _deliver(self, receiver: int, sender: int, data: bytes) -> None:
        self.counted["frames"] += 1
        self.note(f"{sender}>{receiver} {data[0] >> 3 if data else 0} {len(data)}")
        self.nodes[receiver].deliver(sender, data)

    # -- clients

    def _client(self, client: int, nonce: int) -> None:
        if self.random.random() < 0.1:  # may expire before it is ordered
            self._hand_in(self.transaction(client, nonce, 4_000), anybody=True)
        else:
            self._hand_in(self.promise(client, nonce), anybody=True)

    def promise(self, client: int, nonce: int) -> Envelope:
        """A correct client's transaction, which must become final."""
        envelope = self.transaction(client, nonce, 500_000)
        self.promised.add(envelope.envelope_id)
        return envelope

    def _hand_in(self, envelope: Envelope, *, anybody: bool) -> None:
        """A client hands in and hands in again until some correct node reports FINAL."""
        final = any(envelope.envelope_id in past.envelopes for past in self.checker.past.values())
        if final or envelope.body.valid_until_ms <= START_MS + self.schedule.now_ms:
            return
        node = self.random.choice([node for node in self.nodes if anybody or node.correct])
        answer = node.submit(envelope.raw)
        if answer is Admission.ACCEPTED and self.random.random() < 0.1:
            node.submit(envelope.raw)
        self.schedule.after(RETRY_MS, lambda: self._hand_in(envelope, anybody=False))

    # -- faults

    def _plan(self) -> None:
        size, random = self.size, self.random
        for number in range(size.transactions):
            client, nonce = number % CLIENTS, number // CLIENTS
            at = random.randrange(size.bad_weather_ms)
            self.schedule.after(at, lambda client=client, nonce=nonce: self._client(client, nonce))  # type: ignore[misc]
        for _ in range(size.faults):
            fault = random.choice(
                (
                    *(self._partition, self._crash, self._crash, self._blow),
                    *(self._cut, self._muffle, self._muffle, self._set_clock),
                )
            )
            self.schedule.after(random.randrange(size.bad_weather_ms), fault)
        self.schedule.after(size.bad_weather_ms, self._heal)

    def _partition(self) -> None:
        nodes = list(range(self.n))
        self.random.shuffle(nodes)
        middle = self.random.randint(1, self.n - 1)
        self.note(f"partition {nodes[:middle]} {nodes[middle:]}")
        self.network.partition([set(nodes[:middle]), set(nodes[middle:])])
        self.schedule.after(self.random.randint(500, 9_000), self.network.heal)

    def _set_clock(self) -> None:
        """Somebody's wall clock is set, forward or back; two correct ones stay within the tolerance of each other."""
        node = self.random.choice(self.nodes)
        node.skew_ms = self.random.randint(-2_000, 2_000)
        self.note(f"clock of {node.index}")

    def _muffle(self) -> None:
        """An adversary in the network loses one kind of message: replicas stop in the middle of an agreement."""
        kind = self.random.choice(("PRE_PREPARE", "PREPARE", "COMMIT", "COMMIT", "HEADER", "NEW-VIEW"))
        deaf = set(self.random.sample(range(self.n), self.random.randint(1, self.n)))
        self.note(f"{kind} does not reach {sorted(deaf)}")
        self.muffled[kind] = deaf
        self.schedule.after(self.random.randint(500, 6_000), lambda: self.muffled.pop(kind, None))

    def passes(self, to: int, frame: Frame) -> bool:
        """Whether the network carries this kind of message to ``to`` at present."""
        if not self.muffled or not isinstance(frame, ConsensusFrame):
            return True
        match frame.message:
            case PrePrepare():
                kind = "PRE_PREPARE"
            case SignedVote(vote=vote):
                kind = vote.phase.name
            case HeaderVote():
                kind = "HEADER"
            case SignedNewView():
                kind = "NEW-VIEW"
            case _:
                return True
        return to not in self.muffled.get(kind, ())

    def _cut(self) -> None:
        sender, receiver = self.random.sample(range(self.n), 2)
        self.note(f"cut {sender}>{receiver}")
        self.network.cut(sender, receiver)

    def _crash(self) -> None:
        up = [node for node in self.nodes if node.up and node.correct]
        if not up or not self._in_bad_weather:
            return
        node, point = self.random.choice(up), self.random.choice(CRASH_POINTS)
        self.note(f"{node.index} is to crash {point}")
        node.crash_at = point
        self.schedule.after(2_500, lambda: self._crash_now(node))

    def _crash_now(self, node: SimNode) -> None:
        """Nothing was written or sent at which the node could have failed: it fails now."""
        if node.up and node.crash_at and self._in_bad_weather:
            node.crash()
            self.reboot_later(node)

    def _blow(self) -> None:
        r = self.random
        self.network.weather = Weather(
            r.choice((0.0, 0.05, 0.2, 0.5)), r.choice((0.0, 0.3)), 1, r.choice((10, 300, 1_500, 4_000))
        )
        self.note("weather")
        self.schedule.after(r.randint(1_000, 8_000), self._calm)

    def _calm(self) -> None:
        self.network.weather = CALM

    def _tick(self) -> None:
        for node in self.nodes:
            if node.up:
                for strategy in node.strategies:
                    strategy.tick(node)
        self.schedule.after(TICK_MS, self._tick)

    def _heal(self) -> None:
        self.note("heal")
        self._in_bad_weather = False
        self.network.heal()
        self._calm()
        self.muffled.clear()
        for node in self.nodes:
            node.crash_at = ""
            self._reboot(node)

    # -- the run

    @property
    def liveness_ms(self) -> int:
        """How long after healing the last promised transaction may become final."""
        censored = any(isinstance(s, Censor) for node in self.nodes for s in node.strategies)
        return CENSORED_LIVENESS_MS if censored else LIVENESS_MS

    def missing(self) -> dict[int, int]:
        """Correct nodes that lack promised transactions, and how many."""
        lacking = {
            node.index: len(self.promised - self.checker.past[node.index].envelopes)
            for node in self.nodes
            if node.correct
        }
        return {index: count for index, count in lacking.items() if count}

    def begin(self) -> None:
        """Boot all nodes, let their signers ask each other; then Byzantine ones begin to act."""
        for node in self.nodes:
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
        self._plan()
        self.advance(self.size.bad_weather_ms)
        healed_at_ms = self.schedule.now_ms
        self.until(lambda: not self.missing(), self.liveness_ms, "the last promised transaction")
        healed_ms = self.schedule.now_ms - healed_at_ms
        self.advance(3_000)
        self.checker.the_end()
        correct = next(node for node in self.nodes if node.correct and node.up)
        assert correct.replica is not None
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
        for node in self.nodes:
            if node.up:
                node.store.close()
