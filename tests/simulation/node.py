"""One simulated node: the production replica, ledger, executor, ingress and frame codec; its disk and links may fail.

A crash drops the replica object at a chosen point and closes its ledger; a reboot builds another one from that ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from chain_core.consensus.inputs import Timer
from chain_core.crypto.providers import signing_provider
from chain_core.execution.executor import Executor
from chain_core.execution.pool import PoolLimits, TransactionPool
from chain_core.execution.roots import build_genesis_header
from chain_core.ledger.store import NO_HEIGHT, BlockRecord, LedgerStore
from chain_core.network.frame_codec import decode_frame, encode_frame
from chain_core.network.frames import (
    BlocksFrame,
    ConsensusFrame,
    EnvelopesFrame,
    Frame,
    HeldVotes,
    WantBlocks,
    WantEnvelopes,
    WantVotes,
)
from chain_core.network.ingress import Check, Ingress
from chain_core.node.ports import Admission, FinalBlock, Origin
from chain_core.node.replica import Ports, Replica
from chain_core.node.signer_questions import SignerQuestions
from chain_core.types.errors import MalformedBytes
from chain_core.types.verified import Verified
from tests.simulation.chain import START_MS, Tally, private_key

if TYPE_CHECKING:
    from tests.simulation.byzantine import Strategy
    from tests.simulation.world import World

OutcomeT = TypeVar("OutcomeT")

CRASH_POINTS = ("before a log write", "after a log write", "in a broadcast", "before a commit", "after a commit")


class Crashed(Exception):
    """The process ends here; not an Error that production code could know."""


class Disk:
    """The production ledger store, watched, and failing at the chosen point."""

    def __init__(self, store: LedgerStore, node: SimNode) -> None:
        self._store, self._node = store, node

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def log_write(
        self,
        records: Sequence[tuple[bytes, bytes]],
        bodies: Mapping[bytes, bytes] | None = None,
        deletes: Sequence[bytes] = (),
    ) -> None:
        self._node.maybe_crash("before a log write")
        self._store.log_write(records, bodies, deletes)
        if self._node.correct:
            self._node.world.checker.logged(self._node.index, records, self._store)
        self._node.maybe_crash("after a log write")

    def commit_block(self, block: BlockRecord) -> None:
        self._node.maybe_crash("before a commit")
        self._store.commit_block(block)
        self._node.maybe_crash("after a commit")


class SimNode:
    """Clock, timers, transport and observer of one replica are this object, too."""

    def __init__(self, world: World, index: int, directory: Path, skew_ms: int, strategies: Sequence[Strategy]) -> None:
        self.world, self.index, self.directory, self.skew_ms = world, index, directory, skew_ms
        self.strategies = tuple(strategies)
        self.crash_at = ""
        self.alarms: list[str] = []
        self.replica: Replica | None = None
        self.ingress: Ingress | None = None
        self._store: LedgerStore | None = None
        self._timers: dict[Timer, int] = {}
        self._set = self._boots = 0

    @property
    def correct(self) -> bool:
        return not self.strategies

    @property
    def up(self) -> bool:
        return self.replica is not None

    @property
    def store(self) -> LedgerStore:
        assert self._store is not None
        return self._store

    def _draw(self, count: int) -> bytes:
        self._boots += 1
        return sha256(f"{self.index} {self._boots}".encode()).digest()[:count]

    # -- life

    def boot(self) -> None:
        """Open the ledger (a new one gets its genesis) and resume."""
        chain = self.world.chain
        store = self._store = LedgerStore.open(
            self.directory, genesis_hash=chain.genesis_hash, state_buckets=16, seen_buckets=16
        )
        executor = Executor((Tally(),))
        if store.final_height == NO_HEIGHT:
            writes = executor.genesis_writes(chain.genesis, chain.genesis_hash)
            staged = store.stage(dict(writes), {}, ())
            header = build_genesis_header(chain.genesis, chain.genesis_hash, staged.state_root, staged.seen_root)
            store.install_genesis(header, writes)
        key = private_key(f"v{self.index}")
        self.replica = replica = Replica(
            chain.genesis,
            chain.genesis_hash,
            self.index,
            lambda message: signing_provider().sm2_sign(key, message),
            cast(LedgerStore, Disk(store, self)),
            executor,
            TransactionPool(PoolLimits.from_parameters(executor.parameters(store))),
            Ports(self, self, self, self),
            SignerQuestions([p for p in range(self.world.n) if p != self.index], chain.validators.q - 1, self._draw),
        )
        self.ingress = Ingress(
            chain.genesis_hash,
            0,
            chain.validators,
            self.now_ms,
            lambda: executor.parameters(store)["max_window_ms"],
            lambda account, key: executor.known_account(store, account, key),
            replica.wants,
        )
        for strategy in self.strategies:
            strategy.booted(replica)
        self.world.note(f"{self.index} boots at height {store.final_height}, view {replica.core.state.view}")
        if self.correct:
            self.world.checker.booted(self.index, store)
        self._guard(replica.start)

    def crash(self) -> None:
        """Everything in memory is gone; what was written stays."""
        self.world.note(f"{self.index} crashes")
        self.crash_at = ""
        self.replica = self.ingress = None
        self._timers.clear()
        self.store.close()
        self._store = None

    def maybe_crash(self, point: str) -> None:
        if self.crash_at == point:
            raise Crashed(point)

    def _guard(self, act: Callable[[], OutcomeT]) -> OutcomeT | None:
        try:
            return act()
        except Crashed:
            self.crash()
            self.world.reboot_later(self)
            return None

    # -- in

    def deliver(self, sender: int, data: bytes) -> None:
        """A frame's bytes arrive; garbage is refused, typed."""
        if self.replica is None:
            return
        for strategy in self.strategies:
            strategy.hear(self, sender, data)
        try:
            frame = decode_frame(data)
        except MalformedBytes:
            self.world.counted["frames refused"] += 1
            return
        self._guard(lambda: self._take(sender, frame))

    def _take(self, sender: int, frame: Frame) -> None:
        replica, ingress = self.replica, self.ingress
        assert replica is not None and ingress is not None
        match frame:
            case ConsensusFrame(message=message):
                for found in self._verified(ingress.check_messages((message,))):
                    replica.on_message(found)
            case EnvelopesFrame(envelopes=raws):
                replica.admit(self._verified(ingress.check_envelopes(raws, from_peer=True)), Origin.PEER)
            case BlocksFrame(blocks=blocks):
                replica.on_blocks(self._verified(ingress.check_blocks(blocks)))
            case WantEnvelopes(ids=ids):
                replica.on_want_envelopes(sender, ids)
            case WantBlocks(start=start, count=count):
                replica.on_want_blocks(sender, start, count)
            case WantVotes(nonce=nonce):
                replica.on_want_votes(sender, nonce)
            case HeldVotes(nonce=nonce):
                if replica.awaits(sender, nonce):
                    for found in self._verified(ingress.check_held(frame, self.index)):
                        replica.on_held_votes(sender, found)

    def _verified(self, check: Check[Any]) -> list[Any]:
        outcomes = check.conclude(self.world.verify(check.items))
        good = [outcome for outcome in outcomes if isinstance(outcome, Verified)]
        self.world.counted["messages refused"] += len(outcomes) - len(good)
        return good

    def submit(self, raw: bytes) -> Admission | None:
        """A client hands in an envelope; None when the node is down or refuses it at the door."""
        replica, ingress = self.replica, self.ingress
        if replica is None or ingress is None:
            return None
        good = self._verified(ingress.check_envelopes((raw,)))
        if not good:
            return None
        answers = self._guard(lambda: replica.admit(good, Origin.CLIENT))
        return answers[0] if answers else None

    # -- Transport

    def send(self, peer: int, frame: Frame) -> None:
        frames = [(peer, frame)]
        for strategy in self.strategies:
            frames = [out for to, one in frames for out in strategy.alter(self, to, one)]
        for to, one in frames:
            if self.correct:
                self.world.checker.sent(self.index, one)
            if self.world.passes(to, one):
                self.world.network.send(self.index, to, encode_frame(one))

    def broadcast(self, frame: Frame) -> None:
        peers = [peer for peer in range(self.world.n) if peer != self.index]
        for place, peer in enumerate(peers):
            if place == len(peers) // 2:
                self.maybe_crash("in a broadcast")
            self.send(peer, frame)

    # -- Clock, Timers

    def now_ms(self) -> int:
        return START_MS + self.world.schedule.now_ms + self.skew_ms

    def set(self, timer: Timer, after_ms: int) -> None:
        self._set += 1
        number = self._timers[timer] = self._set
        self.world.schedule.after(after_ms, lambda: self._fire(timer, number))

    def cancel(self, timer: Timer) -> None:
        self._timers.pop(timer, None)

    def _fire(self, timer: Timer, number: int) -> None:
        replica = self.replica
        if replica is not None and self._timers.get(timer) == number:
            del self._timers[timer]
            self.world.note(f"{self.index} timer {timer.value}")
            self._guard(lambda: replica.on_timer(timer))

    # -- Observer

    def finalised(self, block: FinalBlock) -> None:
        self.world.note(f"{self.index} final {block.height} with {len(block.receipts)}")
        if self.correct:
            self.world.checker.finalised(self.index, block, self.store)

    def alarm(self, code: str, facts: dict[str, str | int]) -> None:
        self.alarms.append(code)
        self.world.note(f"{self.index} alarm {code}")
        if self.correct:
            self.world.checker.alarmed(self.index, code, facts)

    def halted(self, code: str, facts: dict[str, str | int]) -> None:
        self.world.note(f"{self.index} halts {code}")
        if self.correct:
            self.world.checker.halted(self.index, code, facts)
