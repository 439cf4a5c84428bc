"""The metrics page over HTTP on the loopback interface: ``GET /metrics``, nothing else (docs/spec/node-config.md)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from chain_core.network.identity import require_loopback, split_address
from chain_core.network.raw_rpc import PortTaken

MAX_REQUEST_BYTES = 8_192
MAX_CONNECTIONS = 16
PATIENCE_S = 5.0
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class MetricsPort:
    """One answer a connection; a slow or talkative asker is cut off."""

    def __init__(self, text: Callable[[], str]) -> None:
        self._text = text
        self._server: asyncio.Server | None = None
        self._open = 0

    async def start(self, address: str) -> str:
        """Listen on ``host:port``; the address with the real port. Raises BadAddress, NotLoopback, PortTaken."""
        require_loopback(address)
        host, port = split_address(address)
        try:
            self._server = await asyncio.start_server(
                self._serve, host.strip("[]"), int(port), limit=MAX_REQUEST_BYTES, reuse_port=False
            )
        except OSError as error:
            raise PortTaken(
                f"cannot listen there: {error.strerror or error}",
                where=address,
                next_step="choose another metrics.listen; port 0 draws a free one",
            ) from error
        return f"{host}:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        """Frees the port; running answers are cut off."""
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            async with asyncio.timeout(PATIENCE_S):
                writer.write(_response(503, "busy") if self._open > MAX_CONNECTIONS else await self._answer(reader))
                await writer.drain()
        except (TimeoutError, OSError):
            pass  # the asker is gone or too slow: nobody is left to be told
        finally:
            self._open -= 1
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader) -> bytes:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return _response(400, "no request")
        method, _, rest = head.partition(b" ")
        if method not in (b"GET", b"HEAD"):
            return _response(405, "GET only")
        if rest.split(b" ", 1)[0].split(b"?", 1)[0] != b"/metrics":
            return _response(404, "GET /metrics")
        return _response(200, self._text(), body=method == b"GET")


_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}


def _response(status: int, text: str, *, body: bool = True) -> bytes:
    content = text.encode()
    head = (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: {CONTENT_TYPE}\r\n"
        f"Content-Length: {len(content)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + (content if body else b"")
