"""How many connections the HTTPS port holds, and how long one may be silent (docs/spec/node-interface.md §5)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

MAX_CONNECTIONS: Final = 512
SILENT_S: Final = 30.0


class _Refused(asyncio.Protocol):
    """There is no room: the connection ends before anything is read."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.abort()


class Door:
    """A factory of connections around aiohttp's: bounded, and without those that never ask.

    What has asked once is aiohttp's to end, when it has been idle for its keep-alive time.
    """

    def __init__(self, most: int = MAX_CONNECTIONS, silent_s: float = SILENT_S) -> None:
        self._most, self._silent_s = most, silent_s
        self._silent: dict[object, asyncio.TimerHandle] = {}

    @web.middleware
    async def asked(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """The application's outermost middleware: this connection is used."""
        if (timer := self._silent.pop(request.protocol, None)) is not None:
            timer.cancel()
        return await handler(request)

    def factory(self, server: web.Server) -> Callable[[], asyncio.BaseProtocol]:
        """For ``loop.create_server``."""

        def made() -> asyncio.BaseProtocol:
            if len(server.connections) >= self._most:
                return _Refused()
            connection = server()
            timer = asyncio.get_running_loop().call_later(self._silent_s, self._end, connection)
            self._silent[connection] = timer
            return connection

        return made

    def _end(self, connection: web.RequestHandler) -> None:
        """It has not asked; or it is gone, and forgotten now."""
        self._silent.pop(connection, None)
        if connection.transport is not None:
            connection.transport.abort()
