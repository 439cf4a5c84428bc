"""One simulated node: the production replica, ledger, executor, ingress and frame codec; its disk and links may fail.

A crash drops the replica object at a chosen point and what its disk had not synced; a reboot builds another one from
that disk.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from unittest.mock import patch

import plyvel

from chain_core.consensus.inputs import Timer
from chain_core.consensus.messages import PrePrepare
from chain_core.execution.overlay import Overlay
from chain_core.execution.pool import PoolLimits, TransactionPool
from chain_core.execution.roots import build_genesis_header
from chain_core.ledger import keys
from chain_core.ledger.store import NO_HEIGHT, LedgerStore
from chain_core.network.epoch_book import StateEpochs
from chain_core.network.frame_codec import decode_frame, encode_frame
from chain_core.network.frames import ConsensusFrame, Frame
from chain_core.network.ingress import Ingress
from chain_core.node.ports import Admission, FinalBlock, Origin, Ports
from chain_core.node.replica import Replica
from chain_core.node.signer_questions import SignerQuestions
from chain_core.node.vote_keys import signing_messages
from chain_core.types.block import HeaderVote, SignedNewView, SignedViewChange, SignedVote
from chain_core.types.errors import MalformedBytes
from tests.simulation import receiving
from tests.simulation.chain import START_MS, private_of, public_key
from tests.simulation.disk import Change, Content, Disk, WatchedLevelDb
from tests.simulation.snapshots import Progress, is_import

if TYPE_CHECKING:
    from tests.simulation.byzantine import Strategy
    from tests.simulation.world import World

OutcomeT = TypeVar("OutcomeT")

_decode = lru_cache(256)(decode_frame)
_encode = lru_cache(16)(encode_frame)
"""A broadcast is the same bytes for everybody, and frames are values."""

BEFORE_LOG, AFTER_LOG = "before a log write", "between sync and send"
BEFORE_COMMIT, AFTER_COMMIT = "before a commit", "after a commit"
COMMITS, LOGS = "commits", "logs"
IN_BROADCAST = "in a broadcast"
IN_JOINING = "after a part of a snapshot"
CRASH_POINTS = (BEFORE_LOG, AFTER_LOG, AFTER_LOG, AFTER_LOG, IN_BROADCAST, BEFORE_COMMIT, AFTER_COMMIT)


class Crashed(Exception):
    """The process ends here; not an Error that production code could know."""


class SimNode:
    """Clock, timers, transport, observer and the watch on the disk of one replica are this object, too.

    ``directory`` None: a simulated disk; else a LevelDB there.
    """

    def __init__(
        self, world: World, index: int, directory: Path | None, skew_ms: int, strategies: Sequence[Strategy]
    ) -> None:
        self.world, self.index, self.skew_ms = world, index, skew_ms
        self.directory = directory if directory is not None else Path("simulated")
        self.disk = Disk(world.random, self) if directory is None else WatchedLevelDb(self)
        self.strategies = tuple(strategies)
        self.keys = [f"v{index}"]
        self.crash_at = ""
        self.joining = Progress()
        self.parts_left = 0
        """Parts of a snapshot that are still stored before a crash at IN_JOINING."""
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
        self._guard(self._boot)

    def _boot(self) -> None:
        chain = self.world.chain
        with patch.object(plyvel, "DB", self.disk.open):
            store = self._store = LedgerStore.open(
                self.directory, genesis_hash=chain.genesis_hash, state_buckets=16, seen_buckets=16
            )
        executor = chain.executor()
        if store.final_height == NO_HEIGHT:
            writes = executor.genesis_writes(chain.genesis, chain.genesis_hash)
            staged = store.stage(dict(writes), {}, ())
            header = build_genesis_header(chain.genesis, chain.genesis_hash, staged.state_root, staged.seen_root)
            store.install_genesis(header, writes)
        epoch = executor.epoch_at(store, store.final_height + 1)
        others = [i for i in range(epoch.validators.n) if i != self.index]
        self.replica = replica = Replica(
            chain.genesis,
            chain.genesis_hash,
            self.index if self.index < chain.validators.n else None,
            signing_messages(chain.genesis_hash, self._sign),
            store,
            executor,
            TransactionPool(PoolLimits.from_parameters(executor.parameters(store))),
            Ports(self, self, self, self),
            SignerQuestions(others, epoch.validators.q - 1, self._draw),
            own_keys=[public_key(name) for name in self.keys],
        )
        self._keep_house(replica)
        self.ingress = Ingress(
            chain.genesis_hash,
            0,
            StateEpochs(store),
            store.header(0) or b"",
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
        replica.start()

    def _keep_house(self, replica: Replica) -> None:
        """Snapshots as a node's configuration says, and what follows one that is whole: the node is opened again."""
        size, snapshots = self.world.size, replica.snapshots
        snapshots.distance, snapshots.server.every = size.snapshot_distance, size.snapshot_every
        snapshots.joiner.verify = self.world.verify
        snapshots.joiner.on_ready = lambda _: self.world.schedule.after(0, lambda: self._open_again(replica))
        self.joining.booted()

    def lose_disk(self) -> None:
        """A new disk with nothing on it. Only for who never voted: all others would have forgotten their votes."""
        self.crash()
        self.world.note(f"{self.index} has an empty disk")
        self.world.counted["disks lost"] += 1
        self.world.checker.forget(self.index)
        if isinstance(self.disk, Disk):
            self.disk.restore(Content())
        else:
            shutil.rmtree(self.directory)

    def image(self) -> Content | None:
        """A backup of the disk; of simulated ones only."""
        return self.disk.image() if isinstance(self.disk, Disk) else None

    def restore(self, image: Content) -> None:
        """The node is stopped, and a backup put back: later votes and blocks are forgotten."""
        self.crash()
        assert isinstance(self.disk, Disk)
        self.disk.restore(image)
        self.joining = Progress()
        height = int.from_bytes(image.values[keys.META_FINAL], "big")
        self.world.note(f"{self.index} is set back to height {height}")
        self.world.counted["disks restored"] += 1
        self.world.checker.restored(self.index, image, height)

    def _open_again(self, replica: Replica) -> None:
        if self.replica is replica:
            self.world.note(f"{self.index} opens its ledger again")
            self._down()
            self.boot()

    def _down(self) -> None:
        if self.replica is not None:
            self.replica.snapshots.close()
        self.replica = self.ingress = None
        self._timers.clear()
        if self._store is not None:
            self._store.close()
        self._store = None

    def crash(self) -> None:
        """Everything in memory is gone, and what was not synced; what was written and synced stays."""
        self.world.note(f"{self.index} crashes")
        self.world.counted["crashes"] += 1
        self.crash_at = ""
        self._down()
        self.world.counted["unsynced writes lost"] += self.disk.crash()

    def maybe_crash(self, point: str) -> None:
        if self.crash_at == point:
            self.world.counted[f"crashes {point}"] += 1
            raise Crashed(point)

    def _guard(self, act: Callable[[], OutcomeT]) -> OutcomeT | None:
        try:
            return act()
        except Crashed:
            self.crash()
            self.world.reboot_later(self)
            return None

    # -- keys

    def new_key(self) -> bytes:
        """A consensus key more, in case governance makes it this member's."""
        self.keys.append(f"v{self.index}/{len(self.keys)}")
        if self.replica is not None:
            self.replica.own_keys = tuple(public_key(name) for name in self.keys)
        return public_key(self.keys[-1])

    def _sign(self, message: bytes) -> bytes:
        """With the key that this member has in the present epoch."""
        assert self.replica is not None
        config = self.replica.core.state.config
        assert config.me is not None
        private = private_of(config.validators.key(config.me))
        assert private is not None
        return self.world.chain.signatures.sign(private, message)

    @property
    def epoch(self) -> int:
        """The epoch this node is in."""
        return self.replica.core.state.config.epoch if self.replica is not None else 0

    @property
    def state(self) -> Overlay:
        """The final state, to be read only."""
        return Overlay(self.store)

    # -- the disk

    def writing(self, changes: Sequence[Change]) -> None:
        if self.crash_at in (BEFORE_LOG, BEFORE_COMMIT):
            self.maybe_crash({COMMITS: BEFORE_COMMIT, LOGS: BEFORE_LOG}.get(_kind(changes), ""))

    def durable(self, changes: Sequence[Change]) -> None:
        if self.correct:
            for told in self.joining.written(changes):
                self.world.counted[told] += 1
            self.world.checker.durable(self.index, changes)

    def written(self, changes: Sequence[Change]) -> None:
        if self.crash_at in (AFTER_LOG, AFTER_COMMIT):
            self.maybe_crash({COMMITS: AFTER_COMMIT, LOGS: AFTER_LOG}.get(_kind(changes), ""))
        if self.crash_at == IN_JOINING and is_import(changes):
            self.parts_left -= 1
            if self.parts_left < 0:
                self.maybe_crash(IN_JOINING)

    # -- in

    def decode(self, data: bytes) -> Frame:
        """The frame; what nobody altered is decoded once for all. Raises MalformedBytes."""
        return _decode(data)

    def deliver(self, sender: int, data: bytes) -> None:
        """A frame's bytes arrive; garbage is refused, typed."""
        if self.replica is None:
            return
        for strategy in self.strategies:
            strategy.hear(self, sender, data)
        try:
            frame = _decode(data)
        except MalformedBytes:
            self.world.counted["frames refused"] += 1
            return
        self._guard(lambda: receiving.take(self, sender, frame))

    def submit(self, raw: bytes) -> Admission | None:
        """A client hands in an envelope; None when the node is down or refuses it at the door."""
        replica, ingress = self.replica, self.ingress
        if replica is None or ingress is None:
            return None
        good = receiving.verified(self.world, ingress.check_envelopes((raw,)))
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
                self.world.checker.duties.sent(self.index, to, one)
            else:
                self._count_equivocation(one)
            if self.world.passes(to, one):
                self.world.network.send(self.index, to, _encode(one))

    def _count_equivocation(self, frame: Frame) -> None:
        """Two contradicting votes left this Byzantine member."""
        if not isinstance(frame, ConsensusFrame):
            return
        match frame.message:
            case PrePrepare(vote=vote) | (SignedVote() as vote) if vote.vote.signer == self.index:
                v, told = vote.vote, vote.body
                place: tuple[object, ...] = (v.phase, v.epoch, v.height, v.view, v.attempt)
            case HeaderVote() as header if header.signer == self.index:
                place, told = ("header", header.header.height, header.header.attempt), header.header_bytes
            case SignedViewChange() | SignedNewView() as change if change.message.signer == self.index:
                view = change.message.new_view if isinstance(change, SignedViewChange) else change.message.view
                place, told = (type(change).__name__, view), change.body
            case _:
                return
        said = self.world.said.setdefault((self.index, *place), told)
        if said != told and said:
            self.world.counted["equivocations"] += 1
            self.world.said[(self.index, *place)] = b""

    def broadcast(self, frame: Frame) -> None:
        peers = [peer for peer in range(len(self.world.nodes)) if peer != self.index]
        for place, peer in enumerate(peers):
            if place == len(peers) // 2:
                self.maybe_crash(IN_BROADCAST)
            self.send(peer, frame)

    # -- Clock, Timers

    def now_ms(self) -> int:
        return START_MS + self.world.schedule.now_ms + self.skew_ms

    def set(self, timer: Timer, after_ms: int) -> None:
        if self.correct and self.replica is not None:
            self.world.checker.timer(self.index, after_ms, self._longest_timer_ms)
        self._set += 1
        number = self._timers[timer] = self._set
        self.world.schedule.after(after_ms, lambda: self._fire(timer, number))

    @property
    def _longest_timer_ms(self) -> int:
        assert self.replica is not None
        return self.replica.core.state.config.parameters.order_timeout_max_ms

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
            self.world.counted[f"alarms {code}"] += 1
            self.world.checker.alarmed(self.index, code, facts)

    def halted(self, code: str, facts: dict[str, str | int]) -> None:
        self.world.note(f"{self.index} halts {code}")
        if self.correct:
            self.world.checker.halted(self.index, code, facts)

    def resumed(self) -> None:
        self.world.note(f"{self.index} votes again")


def _kind(changes: Sequence[Change]) -> str:
    """Whether a write makes a block final or logs what is about to be sent; empty: neither."""
    if any(key == keys.META_FINAL for key, _ in changes):
        return COMMITS
    return LOGS if any(key[:1] == keys.LOG_RECORD for key, _ in changes) else ""
