"""SM ports and channels for tests, and somebody on the wire between them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from chain_core.network.raw_rpc import Method, RawChannel, RawServer
from chain_core.network.secured.security import Bounds, SmClient, SmServer
from chain_core.network.sm_session.binding import Binding
from chain_core.network.sm_session.ports import Identity, Verify
from tests.unit.network.sm_session.support import BINDING, expecting, identity

NODE, ALICE = identity("node", "peer"), identity("alice", "client", "auditor")


def server_security(
    who: Identity = NODE,
    binding: Binding = BINDING,
    verify: Verify | None = None,
    bounds: Bounds | None = None,
    admit: Callable[[str], None] | None = None,
) -> SmServer:
    return SmServer(who, binding, verify or expecting("client"), admit=admit, bounds=bounds or Bounds())


def client_security(who: Identity = ALICE, binding: Binding = BINDING, verify: Verify | None = None) -> SmClient:
    return SmClient(who, binding, verify or expecting("peer"))


class Wire:
    """A TCP proxy: keeps what passes, and lets a test change it on the way to the server or back."""

    def __init__(self, target: str) -> None:
        self._target = target
        self.seen = bytearray()
        self.change: Callable[[bytes], bytes] = lambda data: data
        """Applied to what goes to the server."""
        self.change_back: Callable[[bytes], bytes] = lambda data: data
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()

    async def start(self) -> str:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = self._target.rpartition(":")
        try:
            far_reader, far_writer = await asyncio.open_connection(host, int(port))
        except OSError:
            writer.close()
            return
        self._writers |= {writer, far_writer}
        for source, sink, there in ((reader, far_writer, True), (far_reader, writer, False)):
            pump = asyncio.create_task(self._pump(source, sink, there))
            self._pumps.add(pump)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, there: bool) -> None:
        with suppress(ConnectionError):
            while data := await source.read(65_536):
                self.seen += data
                sink.write(self.change(data) if there else self.change_back(data))
                await sink.drain()
        sink.close()

    def cut(self) -> None:
        for writer in self._writers:
            writer.close()
        self._writers.clear()

    async def stop(self) -> None:
        self.cut()
        assert self._server is not None
        self._server.close()
        await asyncio.gather(*self._pumps, return_exceptions=True)


@asynccontextmanager
async def port(methods: dict[str, Method], security: SmServer | None = None) -> AsyncIterator[tuple[RawServer, str]]:
    server = RawServer(methods, security=security or server_security())
    address = server.bind("127.0.0.1:0")
    await server.start()
    try:
        yield server, address
    finally:
        await server.stop(0)


@asynccontextmanager
async def channel(address: str, security: SmClient | None = None) -> AsyncIterator[RawChannel]:
    opened = RawChannel(address, security or client_security())
    try:
        yield opened
    finally:
        await opened.close()


def told(story: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(60):
            await story()

    asyncio.run(main())
