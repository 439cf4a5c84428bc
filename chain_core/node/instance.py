"""One ledger of a node: its store, replica, pool, links, verification and answers (docs/spec/sub-ledgers.md §4).

The node that hosts it has the ports, the tasks and the end; an instance knows no other ledger than its own.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import Counter
from collections.abc import Coroutine, Sequence
from importlib import metadata
from typing import Protocol

from chain_core.consensus.inputs import Timer
from chain_core.crypto.provider import VerifyItem
from chain_core.crypto.providers import provider
from chain_core.execution.pool import PoolLimits, TransactionPool
from chain_core.ledger.store import LedgerStore
from chain_core.network.epoch_book import StateEpochs
from chain_core.network.frames import Frame
from chain_core.network.hello import Hello
from chain_core.network.ingress import Ingress
from chain_core.network.links import IncomingLink, PeerLinks
from chain_core.network.quota import SignatureQuota
from chain_core.network.raw_rpc import Method
from chain_core.network.secured.security import SmClient
from chain_core.network.verification import VerificationQueue
from chain_core.node import api
from chain_core.node.assembly import Assembly
from chain_core.node.block_proofs import BlockProofs
from chain_core.node.config import Membership, NodeConfig
from chain_core.node.finality import FinalityWaits
from chain_core.node.inbound import Inbound
from chain_core.node.instruments import Instruments
from chain_core.node.interfaces import LedgerView
from chain_core.node.ledger_files import recording_directory
from chain_core.node.log import event
from chain_core.node.loop_ports import HELD_MS, LoopTimers, ShellObserver, SystemClock
from chain_core.node.metrics_page import NodeMetrics
from chain_core.node.place import LiveNames, Place
from chain_core.node.ports import FinalBlock, Ports
from chain_core.node.queries import Queries
from chain_core.node.recorder import FlightRecorder
from chain_core.node.reopening_desk import ReopeningDesk
from chain_core.node.replica import Replica
from chain_core.node.replication import Replication, pool_again
from chain_core.node.scope import OwnScope
from chain_core.node.signer.patience import PatientKeys
from chain_core.node.signer_questions import SignerQuestions
from chain_core.node.status import StatusReport
from chain_core.node.submit import Submissions
from chain_core.node.subscriptions import Subscriptions
from chain_core.node.vote_keys import PresentKeys

log = logging.getLogger(__name__)

PRUNE_EVERY = 16
"""Blocks between two prunings of what ``storage.keep_blocks`` does not keep: a synced write less for all others."""


class Host(Protocol):
    """The node around it."""

    @property
    def signatures(self) -> SignatureQuota:
        """Of each caller, over all ledgers."""

    @property
    def ending(self) -> bool:
        """Nothing is to be begun any more."""

    def run(self, work: Coroutine[None, None, None], name: str) -> None:
        """A task until the node stops; what it raises ends the node."""

    def fail(self, error: BaseException) -> None:
        """The first failure ends the node: it must not go on with half of a step done."""

    def peer_client(self, name: str) -> SmClient:
        """How a link to this validator is protected."""

    def members_changed(self, ledger: int) -> None:
        """The roster of this ledger is another one now."""

    def open_again(self, ledger: int, height: int) -> None:
        """A snapshot of this height waits to be built into the ledger."""


class Instance:
    """One ledger inside a running event loop: ``start`` it once; ``close`` it when its tasks have ended."""

    def __init__(
        self, config: NodeConfig, membership: Membership, assembly: Assembly, store: LedgerStore, host: Host
    ) -> None:
        """``assembly`` is this ledger's; ``store`` is taken over and closed with the instance, here too if it fails."""
        self.config, self.membership, self.assembly, self.store = config, membership, assembly, store
        self.ledger, self._host = store.ledger, host
        self.counters: Counter[str] = Counter()
        self._link_came_up = False
        self.observer = ShellObserver(self.counters, last_final_monotonic=time.monotonic())
        self._moved = asyncio.Event()
        self.timers = LoopTimers(self._on_timer, lambda: self.replica.parked)
        self.metrics = NodeMetrics()
        self.queue = VerificationQueue(_verify, self.counters, self.metrics.verified, self.turn)
        try:
            self._assemble()
            self.queue.share_votes(self.place.validators.n)
        except BaseException:
            self.store.close()
            raise

    def _assemble(self) -> None:
        member, genesis = self.membership, self.membership.genesis
        executor = self.assembly.executor()
        pool = TransactionPool(PoolLimits.from_parameters(executor.parameters(self.store)))
        self.place = Place(member, self.store)
        self.links = PeerLinks(
            Hello(member.genesis_hash, self.ledger, member.name),
            self.place.roster,
            receive=self._receive,
            alarm=self.observer.alarm,
            link_up=self._on_link_up,
            counters=self.counters,
            secure=self._host.peer_client,
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
            own_keys=PresentKeys(member.keys),
        )
        ingress = Ingress(
            member.genesis_hash,
            self.ledger,
            StateEpochs(self.store),
            self.store.header(0) or b"",
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
        heard, names = self.inbound.heard, LiveNames(self.place)
        self.instruments = Instruments(self.metrics, self.replica, self.observer, self.links, self.queue, heard, names)
        self.recorder: FlightRecorder | None = None
        if self.config.recorder.megabytes:
            directory = recording_directory(self.config.path(self.config.node.data_dir), self.ledger)
            size = self.config.recorder.megabytes * 1_000_000
            self.recorder = self.replica.watchers.recorder = FlightRecorder(directory, size, self.observer.alarm)
        self.replica.on_epoch.append(self._follow_members)
        self._serve_api(OwnScope(genesis.chain_id, member.genesis_hash, self.ledger))
        self._keep_house()

    def _others(self) -> tuple[int, ...]:
        return tuple(peer for peer in range(self.place.validators.n) if peer != self.place.index)

    def _follow_members(self, _: object) -> None:
        """After a block, and when an epoch begins: who is linked, and under which index."""
        if self.place.epoch.epoch != self.replica.core.state.config.epoch:
            return  # the replica is about to turn, and tells when indices count anew
        if self.place.refresh():
            self.inbound.heard.clear()
            self.queue.share_votes(self.place.validators.n)
            self.replication.members_changed()
            self.links.adopt(self.place.roster)
            self._host.members_changed(self.ledger)
            event(
                log,
                logging.INFO,
                "MEMBERS",
                {
                    "epoch": self.place.epoch.epoch,
                    "linked": ",".join(self.place.roster.names),
                    "ledger": self.ledger,
                },
            )

    def _keep_house(self) -> None:
        """Snapshots and pruning as the configuration says."""
        storage, snapshots = self.config.storage, self.replica.snapshots
        snapshots.distance, snapshots.server.every = storage.snapshot_distance, storage.snapshot_every
        snapshots.joiner.on_ready = lambda height: self._host.open_again(self.ledger, height)
        if storage.keep_blocks:

            def prune(block: FinalBlock) -> None:
                if block.height % PRUNE_EVERY == 0:
                    self.store.prune(block.height - storage.keep_blocks)

            self.observer.told.append(prune)

    def _serve_api(self, scope: OwnScope) -> None:
        proofs, waits = BlockProofs(self.store, self.assembly.messages()), FinalityWaits()
        self.subscriptions = Subscriptions(scope, self.store, proofs)
        told = (proofs, waits, self.subscriptions, self.replication)
        self.observer.told += [self._follow_members, *(part.finalised for part in told)]
        self.status = StatusReport(
            self.membership.genesis,
            self.membership.genesis_hash,
            self.place,
            metadata.version("dualchain"),
            self.assembly.name,
            provider().name,
            self.instruments.standing,
            self.links,
            self.inbound.heard,
            self.instruments.counters,
            time.monotonic(),
            self.ledger,
        )
        self.methods: dict[str, Method] = api.method_table(
            Submissions(
                scope,
                self.inbound,
                self.store,
                proofs,
                waits,
                self.counters,
                self.replication,
                self._host.signatures,
            ),
            Queries(scope, self.membership.genesis_bytes, self.store, proofs),
            self.status,
            self.subscriptions,
            ReopeningDesk(scope, self.replica, LiveNames(self.place), self._host.fail, self.turn),
        )
        """The client port's methods for this ledger."""
        self.view = LedgerView(
            self.membership.genesis,
            self.membership.genesis_hash,
            self.store,
            self.assembly,
            self.status.version,
            self._connected,
        )
        """What further interfaces read of it."""

    def _connected(self) -> list[str]:
        names, links = self.place.roster.names, self.links
        both = (peer for peer in links.addresses() if links.connected_out(peer) and links.connected_in(peer))
        return sorted(names[peer] for peer in both)

    # ---- life

    def start(self) -> None:
        """Links, verification, consensus; the ports are open already."""
        if isinstance(self.membership.keys, PatientKeys):
            self.membership.keys.told.append(self._go_on)
        self._host.run(self.queue.run(), f"verification {self.ledger}")
        self._host.run(self.links.run(), f"links {self.ledger}")
        self.replica.start()
        kept = self.store.kept.load(self.replica.ports.clock.now_ms())
        self._host.run(pool_again(kept, self.inbound.submit), f"kept bodies {self.ledger}")

    def close(self) -> None:
        """When its tasks have ended. Everything final is on disk already."""
        self.timers.cancel_all()
        if isinstance(self.membership.keys, PatientKeys) and self._go_on in self.membership.keys.told:
            self.membership.keys.told.remove(self._go_on)
        self.replica.snapshots.close()
        if self.recorder is not None:
            self.recorder.close()
        self.store.close()

    # ---- what the loop calls

    def _receive(self, link: IncomingLink, frame: Frame) -> None:
        self.inbound.receive(link, frame)

    def _on_timer(self, timer: Timer) -> None:
        if self._host.ending:
            return
        try:
            self.replica.on_timer(timer)
            if timer is Timer.RESEND:
                self.replication.ask_again()
                if self.recorder is not None:
                    self.recorder.flush()
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends the node and is reported by ``serve``
            self._host.fail(error)

    async def turn(self) -> None:
        """Returns when the replica may be given something: it waits for no signature."""
        while self.replica.parked:
            self._moved.clear()
            await self._moved.wait()

    def _go_on(self) -> None:
        """The signer has answered somebody of this node."""
        if self._host.ending:
            return
        try:
            self.replica.go_on()
        except Exception as error:  # noqa: BLE001 - as above
            self._host.fail(error)
        if not self.replica.parked:
            self._moved.set()

    def _on_link_up(self, peer: int) -> None:
        """Stored votes go out again when a link comes up; several links at once make one re-sending."""
        if not self._link_came_up:
            self._link_came_up = True
            asyncio.get_running_loop().call_soon(self._resend)

    def _resend(self) -> None:
        if self.replica.parked and not self._host.ending:
            asyncio.get_running_loop().call_later(HELD_MS / 1_000, self._resend)
            return
        self._link_came_up = False
        self._on_timer(Timer.RESEND)

    # ---- what others ask

    def _holds(self, envelope_id: bytes) -> bool:
        return envelope_id in self.replica.bodies


def _verify(items: Sequence[VerifyItem]) -> list[bool]:
    return provider().sm2_verify_many(items)
