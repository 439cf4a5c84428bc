"""A node: the ports, and behind them an instance a ledger, until it is asked to stop or something fails.

Which ledgers there are is the final state of ledger 0: those it names at the start, and each further one when the block
that creates it becomes final (docs/spec/sub-ledgers.md §4).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from dataclasses import replace

from chain_core.execution.sub_ledgers import sub_ledgers
from chain_core.ledger.store import LedgerStore
from chain_core.network.access import CLIENT, PEER
from chain_core.network.link_door import LinkDoor
from chain_core.network.quota import SignatureQuota
from chain_core.network.raw_rpc import RawServer
from chain_core.network.secured.security import PLAINTEXT, ServerSecurity, SmClient, SmServer, identity_of
from chain_core.network.sm_session.binding import Binding, Role
from chain_core.node import api
from chain_core.node.assembly import Assembly
from chain_core.node.config import ConfigRefused, Membership, NodeConfig
from chain_core.node.guards import Guards
from chain_core.node.instance import Instance
from chain_core.node.interfaces import LedgerView
from chain_core.node.ledger_files import open_ledger, open_sub_ledger
from chain_core.node.log import event
from chain_core.node.loop_ports import ShellObserver, SystemClock
from chain_core.node.metrics_port import MetricsPort
from chain_core.node.peer_security import PeerSecurity
from chain_core.node.ports import FinalBlock
from chain_core.node.replica import Replica
from chain_core.node.security import TICK_S, Security
from chain_core.node.shared_port import SharedTable, merged_metrics
from chain_core.node.tls import tls_revocation, tls_server
from chain_core.node.tls_revocation import TlsRevocation
from chain_core.types.ids import MAIN_LEDGER

log = logging.getLogger(__name__)

_GRACE_S = 1.0


def announce(facts: dict[str, str | int]) -> None:
    """Say READY on standard output too, once: whoever started the process waits for that line, and for no other."""
    print("READY", *(f"{key}={value}" for key, value in facts.items()), flush=True)


class Node:
    """A node inside a running event loop: ``start``, ``serve`` until ``stop`` is called or something fails."""

    def __init__(self, config: NodeConfig, membership: Membership, assembly: Assembly) -> None:
        self.config, self.membership, self.assembly = config, membership, assembly
        self.peer_address = self.client_address = self.metrics_address = ""
        self._end: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tasks: list[asyncio.Task[None]] = []
        self._started = False
        self.again = False
        """A snapshot waits to be built: whoever runs the node opens it once more."""
        self.instances: dict[int, Instance] = {}
        self.door = LinkDoor()
        genesis = membership.genesis
        self.security = Security(config, genesis.chain_id, genesis.kind, SystemClock().now_ms, membership.unlock)
        self.table = SharedTable(membership.genesis.chain_id)
        self.guards = Guards(config, membership, assembly, self._final, self._alarm)
        self._peers = self._peer_security()
        self.tls_lists: TlsRevocation | None = None
        client_security = self._client_security()
        try:
            data_dir = config.path(config.node.data_dir)
            self._add(open_ledger(data_dir, assembly, membership.genesis, membership.genesis_hash))
            self._add_named()
        except BaseException:
            self._close()
            raise
        main = self.instances[MAIN_LEDGER]
        main.observer.told.append(self._look_for_ledgers)
        main.observer.told.append(lambda _: self.security.keep_peers(main.place.roster.names))
        main.observer.on_halt = lambda: self._set_health(serving=False)
        main.observer.on_resume = lambda: self._set_health(serving=True)
        main.status.security = self.security
        main.metrics.read_security(self.security, SystemClock().now_ms, self.guards.refusals)
        main.status.others = lambda: [one.status for one in self.instances.values() if one is not main]
        self._health = api.Health()
        peer_security = replace(self._peers.server(), refused=self.guards.session_refused(PEER))
        self._peer_server = RawServer(self.guards.peer(self.door.methods()), security=peer_security)
        client_methods = self.table.methods()
        for interface in assembly.interfaces:
            client_methods |= interface.methods(self._views)
        if config.listen.client_security != "plaintext":
            client_methods |= self._health.methods()
        self._client_server = RawServer(self.guards.client(client_methods), security=client_security)
        self._health.add_to(self._client_server)
        self._metrics_port = MetricsPort(
            lambda: merged_metrics({ledger: one.metrics.text() for ledger, one in self.instances.items()})
        )

    def _peer_security(self) -> PeerSecurity:
        own = self.security.credentials
        if own is None:
            raise ConfigRefused(
                "links between nodes run in SM sessions, and this node has no certificate",
                where=f"{self.config.file}, key security.certificate",
                next_step="have the transport key certified: dualchain ca sign --for node (docs/spec/certificates.md)",
            )
        member = self.membership
        return PeerSecurity(
            member.genesis_hash,
            member.name,
            (own.certificates, own.transport_key),
            self.security,
            lambda: self.instances[MAIN_LEDGER].place.roster.transport_keys,
            lambda: self.instances[MAIN_LEDGER].place.index is not None,
            self.guards.gate(self._peer_hosts),
        )

    def _peer_hosts(self) -> set[str]:
        """Where validators dial from, as far as the roster knows."""
        addresses = self.instances[MAIN_LEDGER].place.roster.addresses.values()
        return {address.rpartition(":")[0] for address in addresses}

    def _client_security(self) -> ServerSecurity:
        own = self.security.credentials
        if self.config.listen.client_security == "plaintext":
            return PLAINTEXT
        if self.config.listen.client_security == "tls":
            now_ms = SystemClock().now_ms
            self.tls_lists = tls_revocation(self.config, now_ms)
            return tls_server(
                self.config, self.membership.genesis.chain_id, self.membership.unlock, now_ms, self.tls_lists
            )
        assert own is not None  # the peer port has asked for it
        return SmServer(
            identity_of(own.certificates, own.transport_key),
            Binding(self.membership.genesis_hash, Role.CLIENT),
            self.security.verify_client,
            admit=self.guards.gate(),
            refused=self.guards.session_refused(CLIENT),
        )

    def peer_client(self, name: str) -> SmClient:
        """How a link to this validator is protected."""
        return self._peers.client(name)

    # ---- the ledgers

    @property
    def store(self) -> LedgerStore:
        """Ledger 0."""
        return self.instances[MAIN_LEDGER].store

    @property
    def observer(self) -> ShellObserver:
        """Ledger 0's."""
        return self.instances[MAIN_LEDGER].observer

    @property
    def replica(self) -> Replica:
        """Ledger 0's."""
        return self.instances[MAIN_LEDGER].replica

    @property
    def signatures(self) -> SignatureQuota:
        """Of each caller, over all ledgers."""
        return self.guards.signatures

    def _views(self) -> dict[int, LedgerView]:
        return {ledger: one.view for ledger, one in self.instances.items()}

    def _final(self, key: bytes) -> bytes | None:
        return self.store.get(key)

    def _alarm(self, code: str, facts: dict[str, str | int]) -> None:
        self.observer.alarm(code, facts)

    def _add(self, store: LedgerStore) -> Instance:
        """An instance takes its place at the ports; it is not started yet."""
        ledger = store.ledger
        one = Instance(self.config, self.membership, self.assembly.of_ledger(ledger), store, self)
        self.instances[ledger] = one
        self.door.links[ledger] = one.links
        self.table.tables[ledger] = one.methods
        return one

    def _add_named(self) -> list[Instance]:
        """Instances of the ledgers that the final state of ledger 0 names and that do not run yet."""
        data_dir, member = self.config.path(self.config.node.data_dir), self.membership
        return [
            self._add(
                open_sub_ledger(data_dir, self.assembly, member.genesis, member.genesis_hash, self.store, sub_ledger)
            )
            for sub_ledger in sub_ledgers(self.store)
            if sub_ledger.ledger not in self.instances
        ]

    def _look_for_ledgers(self, _: FinalBlock) -> None:
        if len(sub_ledgers(self.store)) >= len(self.instances):
            asyncio.get_running_loop().call_soon(self._begin_ledgers)

    def _begin_ledgers(self) -> None:
        """The block that created them is final, and nothing of its finalisation is on the way any more."""
        if self.ending or not self._started:
            return
        try:
            for one in self._add_named():
                one.start()
                event(log, logging.INFO, "LEDGER", {"ledger": one.ledger, "height": one.store.final_height})
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends the node and is reported by ``serve``
            self.fail(error)

    # ---- life

    async def start(self, *, say: bool = True) -> None:
        """Takes the ports, resumes consensus, serves, and announces it. Raises PortTaken; the node is closed then."""
        try:
            self.peer_address = self._peer_server.bind(self.config.listen.peer)
            self.client_address = self._client_server.bind(self.config.listen.client)
            await self._peer_server.start()
            for one in tuple(self.instances.values()):
                one.start()
            self._started = True
            self._peers.look_at_own(self.observer.alarm)
            self.run(self._watch_security(), "security")
            self.run(self.guards.audit.run(), "audit")
            self._begin_ledgers()
            await self._client_server.start()
            await self._health.set(serving=True)
            if self.config.metrics.listen:
                self.metrics_address = await self._metrics_port.start(self.config.metrics.listen)
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
        """Answers no new calls, ends the running ones, closes the stores. Everything final is on disk already."""
        self.ask_to_stop()
        await self._health.set(serving=False)
        self._cancel_timers()
        await self._metrics_port.stop()
        await asyncio.gather(self._client_server.stop(_GRACE_S), self._peer_server.stop(0.0))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.guards.close()
        self._close()

    def _close(self) -> None:
        for one in self.instances.values():
            one.close()

    def _cancel_timers(self) -> None:
        for one in self.instances.values():
            one.timers.cancel_all()

    # ---- what the instances ask

    @property
    def ending(self) -> bool:
        """Nothing is to be begun any more."""
        return self._end.done()

    def run(self, work: Coroutine[None, None, None], name: str) -> None:
        """A task until the node stops; what it raises ends the node."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        task.add_done_callback(self._ended)
        self._tasks.append(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self.fail(error)

    def fail(self, error: BaseException) -> None:
        """The first failure ends the node: it must not go on with half of a step done."""
        self._cancel_timers()
        if not self._end.done():
            self._end.set_exception(error)

    def members_changed(self, ledger: int) -> None:
        """Keys that ledger 0 lists no more end their sessions now, in both directions and on all ledgers."""
        if ledger == MAIN_LEDGER:
            self._peer_server.judge_again()
            for one in self.instances.values():
                one.links.judge_again()
            self._peers.look_at_own(self.observer.alarm)

    def open_again(self, ledger: int, height: int) -> None:
        """The node ends, and is opened once more by whoever runs it: a snapshot waits to be built."""
        event(
            log, logging.INFO, "SNAPSHOT", {"height": height, "ledger": ledger, "next": "the ledger is built from it"}
        )
        self.again = True
        self.ask_to_stop()

    async def _watch_security(self) -> None:
        """Certificates and lists alarm; they never end anything here."""
        while True:
            try:
                await asyncio.to_thread(self.security.read_lists)
                self.security.tick(self.observer.alarm)
                if self.tls_lists is not None:
                    await asyncio.to_thread(self.tls_lists.read)
                    self.tls_lists.tick(self.observer.alarm)
            except Exception as error:  # noqa: BLE001 - whatever a list brings, consensus goes on, and it is told
                self.observer.alarm("SECURITY_WATCH_FAILED", {"reason": repr(error)})
            await asyncio.sleep(TICK_S)

    def _set_health(self, *, serving: bool) -> None:
        self.run(self._health.set(serving=serving), "health")
