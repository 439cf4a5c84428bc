"""A node: its store, replica, links and API put together, until it is asked to stop or something fails."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import Counter
from collections.abc import Coroutine, Sequence
from importlib import metadata
from pathlib import Path

from chain_core.consensus.inputs import Timer
from chain_core.crypto.provider import VerifyItem
from chain_core.crypto.providers import provider
from chain_core.execution.pool import PoolLimits, TransactionPool
from chain_core.execution.roots import build_genesis_header
from chain_core.ledger.store import NO_HEIGHT, LedgerStore
from chain_core.network.epoch_book import StateEpochs
from chain_core.network.frames import Frame
from chain_core.network.hello import Hello
from chain_core.network.ingress import Ingress
from chain_core.network.links import IncomingLink, PeerLinks
from chain_core.network.raw_rpc import RawServer
from chain_core.network.refusals import Overloaded, Unavailable
from chain_core.network.verification import VerificationQueue
from chain_core.node import api
from chain_core.node.assembly import Assembly
from chain_core.node.block_proofs import BlockProofs
from chain_core.node.config import Membership, NodeConfig
from chain_core.node.finality import FinalityWaits
from chain_core.node.inbound import Inbound
from chain_core.node.instruments import Instruments
from chain_core.node.log import event
from chain_core.node.loop_ports import LoopTimers, ShellObserver, SystemClock
from chain_core.node.metrics_page import NodeMetrics
from chain_core.node.place import LiveNames, Place
from chain_core.node.ports import FinalBlock, Ports
from chain_core.node.queries import Queries
from chain_core.node.recorder import FlightRecorder
from chain_core.node.replica import Replica
from chain_core.node.replication import Replication
from chain_core.node.scope import OwnScope
from chain_core.node.signer_questions import SignerQuestions
from chain_core.node.status import StatusReport
from chain_core.node.submit import MAX_ENVELOPES, Submissions
from chain_core.node.subscriptions import Subscriptions
from chain_core.types.errors import LocalFault
from chain_core.types.genesis import Genesis

log = logging.getLogger(__name__)

LEDGER_DIRECTORY = "ledger-0"
RECORDING_DIRECTORY = "recording"
_GRACE_S = 1.0
PRUNE_EVERY = 16
"""Blocks between two prunings of what ``storage.keep_blocks`` does not keep: a synced write less for all others."""


def open_ledger(data_dir: Path, assembly: Assembly, genesis: Genesis, genesis_hash: bytes) -> LedgerStore:
    """The ledger of this node, its genesis installed when it is new.

    Raises the store's own refusals, InvalidGenesis, and LocalFault when the directory cannot be made.
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LocalFault(
            f"the data directory cannot be made: {error.strerror}",
            where=str(data_dir),
            next_step="check node.data_dir, its owner and the space on its disk",
        ) from error
    buckets = genesis.parameters["state_buckets"]
    store = LedgerStore.open(data_dir / LEDGER_DIRECTORY, genesis_hash=genesis_hash, state_buckets=buckets)
    try:
        if store.final_height == NO_HEIGHT:
            writes = assembly.executor().genesis_writes(genesis, genesis_hash)
            staged = store.stage(dict(writes), {}, ())
            header = build_genesis_header(genesis, genesis_hash, staged.state_root, staged.seen_root)
            store.install_genesis(header, writes)
    except BaseException:
        store.close()
        raise
    return store


def announce(facts: dict[str, str | int]) -> None:
    """Say READY on standard output too, once: whoever started the process waits for that line, and for no other."""
    print("READY", *(f"{key}={value}" for key, value in facts.items()), flush=True)


class Node:
    """A node inside a running event loop: ``start``, ``serve`` until ``stop`` is called or something fails."""

    def __init__(self, config: NodeConfig, membership: Membership, assembly: Assembly) -> None:
        self.config, self.membership, self.assembly = config, membership, assembly
        self.counters: Counter[str] = Counter()
        self.peer_address = self.client_address = self.metrics_address = ""
        self._end: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tasks: list[asyncio.Task[None]] = []
        self._link_came_up = False
        self.again = False
        """A snapshot waits to be built: whoever runs the node opens it once more."""
        self.observer = ShellObserver(self.counters, last_final_monotonic=time.monotonic())
        self.timers = LoopTimers(self._on_timer)
        self.metrics = NodeMetrics()
        self.queue = VerificationQueue(_verify, self.counters, self.metrics.verified)
        self.store = open_ledger(
            config.path(config.node.data_dir), assembly, membership.genesis, membership.genesis_hash
        )
        try:
            self._assemble()
        except BaseException:
            self.store.close()
            raise

    def _assemble(self) -> None:
        member, genesis = self.membership, self.membership.genesis
        executor = self.assembly.executor()
        pool = TransactionPool(PoolLimits.from_parameters(executor.parameters(self.store)))
        self.place = Place(member, self.store)
        names = LiveNames(self.place)
        self.links = PeerLinks(
            Hello(member.genesis_hash, self.config.chain.ledger, member.name),
            self.place.roster,
            receive=self._receive,
            alarm=self.observer.alarm,
            link_up=self._on_link_up,
            counters=self.counters,
        )
        clock = SystemClock()
        ports = Ports(self.links, clock, self.timers, self.observer)
        self.replica = Replica(
            genesis,
            member.genesis_hash,
            self.place.index,
            self.place.sign,
            self.store,
            executor,
            pool,
            ports,
            SignerQuestions(self._others(), self.place.validators.q - 1, secrets.token_bytes),
            own_keys=tuple(member.private_keys),
        )
        ingress = Ingress(
            member.genesis_hash,
            self.config.chain.ledger,
            StateEpochs(self.store),
            clock.now_ms,
            lambda: executor.parameters(self.store)["max_window_ms"],
            lambda account, key: executor.known_account(self.store, account, key),
            self.replica.wants,
        )
        self.replication = Replication(
            self.store.kept,
            self.links,
            clock,
            lambda: self.replica.peers,
            lambda: self.replica.core.state.config.validators.f,
            self.replica.bodies.get,
            secrets.token_bytes,
        )
        self.inbound = Inbound(
            ingress, self.queue, self.replica, self.replication, self._holds, lambda: self.place.index
        )
        heard = self.inbound.heard
        self.instruments = Instruments(self.metrics, self.replica, self.observer, self.links, self.queue, heard, names)
        self.recorder: FlightRecorder | None = None
        if self.config.recorder.megabytes:
            directory = self.config.path(self.config.node.data_dir) / RECORDING_DIRECTORY
            size = self.config.recorder.megabytes * 1_000_000
            self.recorder = self.replica.watchers.recorder = FlightRecorder(directory, size, self.observer.alarm)
        self.replica.on_epoch.append(self._follow_members)
        self._serve_api(OwnScope(genesis.chain_id, member.genesis_hash, self.config.chain.ledger))

        self._keep_house()

    def _others(self) -> tuple[int, ...]:
        return tuple(peer for peer in range(self.place.validators.n) if peer != self.place.index)

    def _follow_members(self, _: object) -> None:
        """After a block, and when an epoch begins: who is linked, and under which index."""
        if self.place.epoch.epoch != self.replica.core.state.config.epoch:
            return  # the replica is about to turn, and tells when indices count anew
        if self.place.refresh():
            self.inbound.heard.clear()
            self.replication.members_changed()
            self.links.adopt(self.place.roster)
            event(
                log,
                logging.INFO,
                "MEMBERS",
                {"epoch": self.place.epoch.epoch, "linked": ",".join(self.place.roster.names)},
            )

    def _keep_house(self) -> None:
        """Snapshots and pruning as the configuration says."""
        storage, snapshots = self.config.storage, self.replica.snapshots
        snapshots.distance, snapshots.server.every = storage.snapshot_distance, storage.snapshot_every
        snapshots.joiner.on_ready = self._open_again
        if storage.keep_blocks:

            def prune(block: FinalBlock) -> None:
                if block.height % PRUNE_EVERY == 0:
                    self.store.prune(block.height - storage.keep_blocks)

            self.observer.told.append(prune)

    def _open_again(self, height: int) -> None:
        event(log, logging.INFO, "SNAPSHOT", {"height": height, "next": "the ledger is built from it"})
        self.again = True
        self.ask_to_stop()

    def _serve_api(self, scope: OwnScope) -> None:
        proofs, waits = BlockProofs(self.store, self.assembly.messages()), FinalityWaits()
        self.subscriptions = Subscriptions(scope, self.store, proofs)
        told = (proofs, waits, self.subscriptions, self.replication)
        self.observer.told += [self._follow_members, *(part.finalised for part in told)]
        self.status = StatusReport(
            self.membership.genesis,
            self.membership.genesis_hash,
            self.place,
            _version(),
            self.assembly.name,
            provider().name,
            self.instruments.standing,
            self.links,
            self.inbound.heard,
            self.instruments.counters,
            time.monotonic(),
        )
        self._peer_server = RawServer(self.links.methods())
        self._client_server = RawServer(
            api.method_table(
                Submissions(scope, self.inbound, self.store, proofs, waits, self.counters, self.replication),
                Queries(scope, self.membership.genesis_bytes, self.store, proofs),
                self.status,
                self.subscriptions,
            )
        )
        self._health = api.Health(self._client_server)
        self.observer.on_halt = self._on_halt

    # ---- life

    async def start(self, *, say: bool = True) -> None:
        """Takes the ports, resumes consensus, serves, and announces it. Raises PortTaken; the node is closed then."""
        try:
            self.peer_address = self._peer_server.bind(self.config.listen.peer)
            self.client_address = self._client_server.bind(self.config.listen.client)
            self._run(self.queue.run(), "verification")
            self._run(self.links.run(), "links")
            await self._peer_server.start()
            self.replica.start()
            self._run(self._pool_kept(), "kept bodies")
            await self._client_server.start()
            await self._health.set(serving=True)
            if self.config.metrics.listen:
                self.metrics_address = await self.instruments.port.start(self.config.metrics.listen)
        except BaseException:
            await self.stop()
            raise
        facts: dict[str, str | int] = {
            "chain": self.membership.genesis.chain_id,
            "node": self.config.node.name,
            "height": self.store.final_height,
            "peer": self.peer_address,
            "client": self.client_address,
        }
        event(log, logging.INFO, "READY", facts)
        if say:
            announce(facts)

    async def serve(self) -> None:
        """Returns after ``ask_to_stop``; raises what made the node fail."""
        await asyncio.shield(self._end)

    def ask_to_stop(self) -> None:
        """End ``serve``."""
        if not self._end.done():
            self._end.set_result(None)

    async def stop(self) -> None:
        """Answers no new calls, ends the running ones, closes the store. Everything final is on disk already."""
        await self._health.set(serving=False)
        self.timers.cancel_all()
        await self.instruments.port.stop()
        await asyncio.gather(self._client_server.stop(_GRACE_S), self._peer_server.stop(0.0))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.timers.cancel_all()
        self.replica.snapshots.close()
        if self.recorder is not None:
            self.recorder.close()
        self.store.close()

    def _run(self, work: Coroutine[None, None, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=name)
        task.add_done_callback(self._ended)
        self._tasks.append(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        """The first failure ends the node: it must not go on with half of a step done."""
        self.timers.cancel_all()
        if not self._end.done():
            self._end.set_exception(error)

    async def _pool_kept(self) -> None:
        """What this node keeps for clients is pooled again, verified anew, and pushed to the others."""
        raws = self.store.kept.load(self.replica.ports.clock.now_ms())
        while raws:
            try:
                await self.inbound.submit(raws[:MAX_ENVELOPES])
                del raws[:MAX_ENVELOPES]
            except Overloaded:
                await asyncio.sleep(_GRACE_S)
            except Unavailable:
                return  # the node stops; they stay on disk

    # ---- what the loop calls

    def _receive(self, link: IncomingLink, frame: Frame) -> None:
        self.inbound.receive(link, frame)

    def _on_timer(self, timer: Timer) -> None:
        if self._end.done():
            return
        try:
            self.replica.on_timer(timer)
            if timer is Timer.RESEND:
                self.replication.ask_again()
                if self.recorder is not None:
                    self.recorder.flush()
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends the node and is reported by ``serve``
            self._fail(error)

    def _on_halt(self) -> None:
        self._run(self._health.set(serving=False), "health")

    def _on_link_up(self, peer: int) -> None:
        """Stored votes go out again when a link comes up; several links at once make one re-sending."""
        if not self._link_came_up:
            self._link_came_up = True
            asyncio.get_running_loop().call_soon(self._resend)

    def _resend(self) -> None:
        self._link_came_up = False
        self._on_timer(Timer.RESEND)

    # ---- what others ask

    def _holds(self, envelope_id: bytes) -> bool:
        return envelope_id in self.replica.bodies


def _verify(items: Sequence[VerifyItem]) -> list[bool]:
    return provider().sm2_verify_many(items)


def _version() -> str:
    return metadata.version("dualchain")
