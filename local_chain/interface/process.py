"""The node interface over HTTPS as a process, beside one node (docs/spec/node-interface.md §5)."""

from __future__ import annotations

import asyncio
import logging
import signal
import ssl
import time
from collections.abc import Callable, Mapping
from functools import partial

from aiohttp import web

from chain_core._pb.dualchain.jrt0314.v1 import jrt0314_pb2 as pb
from chain_core.network.access import CLIENT, Access, Rule, by_certificate
from chain_core.network.identity import split_address
from chain_core.network.quota import Quota, Quotas
from chain_core.network.raw_rpc import PortTaken, RawChannel, Unary
from chain_core.node.access_rules import READING_ROLES
from chain_core.node.audit import DIRECTORY, AuditLog, Clocks
from chain_core.node.audit_series import Origin
from chain_core.node.log import event
from chain_core.node.verifying_client import VerifyingClient
from chain_core.types.errors import DualchainError
from crosschain.jrt0314.service import RegionalChain, named
from local_chain.interface.app import Interface, node_methods
from local_chain.interface.callers import Callers
from local_chain.interface.config import Desk
from local_chain.interface.door import Door
from local_chain.interface.snapshots import METHOD, Snapshots
from service_registry.chain import wall_clock_ms
from service_registry.serving import set_up_log
from service_registry.tls import tls_context

log = logging.getLogger(__name__)

IDLE_S, GRACE_S = 30.0, 2.0
MAX_HEAD_BYTES = 8_190

RULES: Mapping[str, Rule] = {
    **RegionalChain().rules,
    METHOD: Rule(CLIENT, Quota.BULK, READING_ROLES, partial(named, pb.SnapshotRequest)),
}
"""The node's own, and the snapshot query's."""


class InterfacePort:
    """Inside a running event loop: ``start`` once, ``stop`` once. ``address`` is where it listens."""

    def __init__(self, desk: Desk) -> None:
        """Raises ConfigRefused, KeyFileRefused, CertificateFileRefused, StoreFault."""
        section = desk.config.interface
        self._listen, view = section.listen, desk.view()
        (node,) = desk.config.chain.nodes
        security = desk.security()
        self._tls = self._context(desk)
        tokens = desk.tokens()
        self._channel, self._client = RawChannel(node, security), VerifyingClient(view, [node], security)
        self.audit = AuditLog(
            desk.path(section.data_dir) / DIRECTORY,
            Origin(view.genesis_hash.hex(), f"interface {section.listen}"[:64]),
            Clocks(wall_clock_ms, time.monotonic_ns),
            _alarm,
        )
        access = Access(RULES, Quotas(), by_certificate, self.audit, time.monotonic_ns)
        snapshots = Snapshots(self._client, desk.store())
        methods = access.guard({**node_methods(self._channel), METHOD: Unary(snapshots.get)})
        callers = Callers(view.genesis.chain_id, tokens, everybody=self._tls is None and not tokens)
        self.interface = Interface(methods, callers, self._refused)
        self.address = ""
        self._door = Door()
        self._runner = web.AppRunner(
            self.interface.application(self._door.asked),
            handle_signals=False,
            access_log=None,
            keepalive_timeout=IDLE_S,
            shutdown_timeout=GRACE_S,
            max_line_size=MAX_HEAD_BYTES,
            max_field_size=MAX_HEAD_BYTES,
        )
        self._recording: asyncio.Task[None] | None = None
        self._server: asyncio.Server | None = None

    @staticmethod
    def _context(desk: Desk) -> ssl.SSLContext | None:
        section = desk.config.interface
        if section.security == "plaintext":
            return None
        ca = desk.path(section.client_ca) if section.client_ca else None
        unlock = desk.config.keys.unlock(desk.config.directory)
        return tls_context(desk.path(section.certificate), desk.path(section.key), ca, unlock)

    async def start(self) -> None:
        """Raises PortTaken."""
        self._recording = asyncio.create_task(self.audit.run())
        await self._runner.setup()
        host, port = split_address(self._listen)
        assert self._runner.server is not None, "it has been set up"
        factory = self._door.factory(self._runner.server)
        try:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(factory, host, int(port), ssl=self._tls, backlog=128)
        except OSError as error:
            raise PortTaken(
                f"cannot listen there: {error.strerror or error}",
                where=self._listen,
                next_step="choose another interface.listen",
            ) from error
        self.address = f"{host}:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        """Running answers have two seconds."""
        if self._server is not None:
            self._server.close()
        await self._runner.shutdown()
        await self._runner.cleanup()
        if self._recording is not None:
            self._recording.cancel()
            await asyncio.gather(self._recording, return_exceptions=True)
            await self.audit.close()
        await self._client.close()
        await self._channel.close()

    def _refused(self, refusal: DualchainError) -> None:
        self.audit.refused({"method": "https", "object": refusal.what[:200], "rule": refusal.code, "by": _NOBODY})


_NOBODY: Mapping[str, str] = {"kind": "address", "name": "", "at": ""}


def _alarm(code: str, facts: dict[str, str | int]) -> None:
    event(log, logging.ERROR, code, facts)


async def run(desk: Desk, ready: Callable[[str], None] = lambda _: None) -> None:
    """Until SIGTERM or Ctrl-C. Raises what ``InterfacePort`` raises."""
    set_up_log(desk.config.log, "local_chain")
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    port = InterfacePort(desk)
    try:
        await port.start()
        scheme = "http" if desk.config.interface.security == "plaintext" else "https"
        ready(f"READY listen={port.address} url={scheme}://{port.address}")
        await stop.wait()
    finally:
        await port.stop()
