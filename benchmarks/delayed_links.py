"""TCP proxies between nodes that hold every byte back for a set time, each way: long lines on one machine."""

from __future__ import annotations

import asyncio
import contextlib
import re
from pathlib import Path

from chain_core.node.provision import NodePlan

CHUNK = 1 << 16
HELD_CHUNKS = 4_096
"""So much of one direction is on its way at most; then the sender waits."""


class DelayedLinks:
    """One proxy for each ordered pair of nodes; ``prepare`` puts them into the nodes' configurations."""

    def __init__(self, delay_s: float) -> None:
        self._delay_s = delay_s
        self._servers: list[asyncio.Server] = []
        self._lines: set[asyncio.Task[None]] = set()

    async def prepare(self, directory: Path, plans: tuple[NodePlan, ...]) -> None:
        """Rewrites ``peers`` of every node's configuration to go through proxies of its own."""
        for plan in plans:
            file = directory / plan.name / "node.toml"
            text = file.read_text(encoding="utf-8")
            for peer in plans:
                if peer is not plan:
                    port = await self._listen(peer.host, peer.peer_port)
                    pattern = rf'^("?{re.escape(peer.name)}"? *= *)"[^"]*"'
                    text, count = re.subn(pattern, rf'\1"{peer.host}:{port}"', text, flags=re.MULTILINE)
                    if count != 1:
                        raise RuntimeError(f"{file} does not name {peer.name} once among its peers")
            file.write_text(text, encoding="utf-8")

    async def close(self) -> None:
        """End all proxies."""
        for server in self._servers:
            server.close()
        for line in list(self._lines):
            line.cancel()
        await asyncio.gather(*self._lines, return_exceptions=True)

    async def _listen(self, host: str, port: int) -> int:
        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                far_reader, far_writer = await asyncio.open_connection(host, port)
            except OSError:
                writer.close()  # that node is not up: its peer will try again
                return
            self._carry(reader, far_writer)
            self._carry(far_reader, writer)

        server = await asyncio.start_server(accept, host, 0)
        self._servers.append(server)
        bound: int = server.sockets[0].getsockname()[1]
        return bound

    def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(HELD_CHUNKS)
        for work in (self._take(reader, queue), self._give(queue, writer)):
            task = asyncio.create_task(work)
            self._lines.add(task)
            task.add_done_callback(self._lines.discard)

    async def _take(self, reader: asyncio.StreamReader, queue: asyncio.Queue[tuple[float, bytes]]) -> None:
        loop = asyncio.get_running_loop()
        data = b"x"
        while data:
            with contextlib.suppress(ConnectionError):
                data = b""
                data = await reader.read(CHUNK)
            await queue.put((loop.time() + self._delay_s, data))

    async def _give(self, queue: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(ConnectionError):
            while True:
                due, data = await queue.get()
                if (left := due - loop.time()) > 0:
                    await asyncio.sleep(left)
                if not data:
                    break
                writer.write(data)
                await writer.drain()
        writer.close()
