"""The HTTPS port holds so many connections, and none that never asks."""

from __future__ import annotations

import asyncio

from aiohttp import web

from local_chain.interface.door import Door

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def told(most: int, silent_s: float) -> list[object]:
    """What four connections get: two that ask, one that is silent, one that finds no room."""

    async def main() -> list[object]:
        door = Door(most, silent_s)

        async def hello(_: web.Request) -> web.Response:
            return web.Response(text="hello")

        app = web.Application(middlewares=[door.asked])
        app.router.add_get("/", hello)
        runner = web.AppRunner(app, handle_signals=False)
        await runner.setup()
        assert runner.server is not None
        server = await asyncio.get_running_loop().create_server(door.factory(runner.server), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        found: list[object] = []
        connections = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        try:
            for reader, writer in connections[:2]:
                writer.write(REQUEST)
                found.append((await reader.readuntil(b"\r\n")).split()[1])
            late_reader, late = await asyncio.open_connection("127.0.0.1", port)
            connections.append((late_reader, late))
            found += [await ended(late_reader), await ended(connections[2][0])]
            connections[0][1].write(REQUEST)
            found.append(await asyncio.wait_for(connections[0][0].readuntil(b"hello"), 20) != b"")
        finally:
            for _, writer in connections:
                writer.close()
            server.close()
            await runner.cleanup()
        return found

    return asyncio.run(main())


async def ended(reader: asyncio.StreamReader) -> str:
    """How a connection on which nothing was asked came to its end."""
    try:
        return "ended" if await asyncio.wait_for(reader.read(), 20) == b"" else "answered"
    except ConnectionError:
        return "ended"


def test_silent_ones_and_those_without_room_end() -> None:
    assert told(3, 3.0) == [b"200", b"200", "ended", "ended", True]
