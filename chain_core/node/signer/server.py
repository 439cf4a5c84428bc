"""The signer's Unix socket: who may connect, one connection at a time, bounded frames (docs/spec/keys.md §5)."""

from __future__ import annotations

import asyncio
import contextlib
import grp
import logging
import os
import socket
import stat
from collections.abc import Sequence
from pathlib import Path
from struct import Struct

from chain_core.node.log import event
from chain_core.node.signer import protocol as p
from chain_core.node.signer.service import Desk
from chain_core.types.errors import LocalFault, MalformedBytes

log = logging.getLogger(__name__)

FRAME_WITHIN_S = 5.0
"""From a frame's first byte to its last, and from connecting to the hello."""
_UCRED = Struct("3i")


class SocketRefused(LocalFault):
    """A path on which no signer can listen."""

    code = "SOCKET_REFUSED"


def listening_socket(path: Path, group: str) -> socket.socket:
    """A bound socket, mode 0600, or 0660 and of ``group``. Raises SocketRefused: another signer listens there, or no
    directory. What a killed signer left behind is removed.
    """
    where = str(path)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.exists():
            _remove_stale(path)
        before = os.umask(0o177)
        try:
            made.bind(where)
        finally:
            os.umask(before)
        if group:
            os.chown(path, -1, grp.getgrnam(group).gr_gid)
            path.chmod(0o660)
    except (OSError, KeyError) as error:
        made.close()
        step = "name a short path (at most 100 bytes) in a directory of the signer's own, and an existing group"
        raise SocketRefused(f"cannot listen: {error}", where=where, next_step=step) from error
    except SocketRefused:
        made.close()
        raise
    made.setblocking(False)
    return made


def _remove_stale(path: Path) -> None:
    if not stat.S_ISSOCK(path.lstat().st_mode):
        raise SocketRefused("something else has this name", where=str(path), next_step="name another path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise SocketRefused("a signer listens there", where=str(path), next_step="stop it first")


class SignerServer:
    """Serves a desk until it fails or ``stop``."""

    def __init__(self, desk: Desk, path: Path, uids: Sequence[int], group: str = "") -> None:
        """``uids``: users that may connect."""
        self._desk, self._path, self._uids = desk, path, frozenset(uids)
        self._socket = listening_socket(path, group)
        self._busy = False
        self._ended: asyncio.Future[None] | None = None
        self._server: asyncio.AbstractServer | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        """Takes connections from now on."""
        self._ended = asyncio.get_running_loop().create_future()
        self._server = await asyncio.start_unix_server(self._serve, sock=self._socket)

    async def serve(self) -> None:
        """Until ``stop``; raises what made the desk fail."""
        assert self._ended is not None
        await asyncio.shield(self._ended)

    def stop(self) -> None:
        """No further connections, and the end of the present one."""
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)

    async def close(self) -> None:
        """Removes the socket."""
        self.stop()
        if self._server is not None:
            self._server.close()
            for writer in tuple(self._writers):
                writer.close()
            await self._server.wait_closed()
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            await self._admit(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # the node went away; it connects again
        except (MalformedBytes, TimeoutError) as error:
            event(log, logging.WARNING, "BAD_FRAME", {"what": str(error) or "a frame that did not end in time"})
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _admit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pid, uid, _ = _UCRED.unpack(
            writer.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
        )
        refusal = None
        if uid not in self._uids:
            refusal = p.Refusal(p.FORBIDDEN, f"user {uid} may not ask this signer")
        elif self._busy:
            refusal = p.Refusal(p.BUSY, "another node is connected to this signer")
        if refusal is not None:
            event(log, logging.WARNING, refusal.code, {"uid": uid, "pid": pid})
            await _say(writer, refusal)
            return
        self._busy = True
        event(log, logging.INFO, "CONNECTED", {"uid": uid, "pid": pid})
        try:
            await self._converse(reader, writer)
        finally:
            self._busy = False
            event(log, logging.INFO, "DISCONNECTED", {"uid": uid, "pid": pid})

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(FRAME_WITHIN_S):
            first = await _read(reader, await reader.readexactly(1))
        greeted = isinstance(first, p.HelloRequest)
        answer = self._desk.answer(first) if greeted else p.Refusal(p.NOT_A_VOTE, "no hello before it")
        await _say(writer, answer)
        while not isinstance(answer, p.Refusal) or answer.code == "SIGNING_REFUSED":
            begin = await reader.readexactly(1)
            async with asyncio.timeout(FRAME_WITHIN_S):
                request = await _read(reader, begin)
            answer = self._desk.answer(request)
            await _say(writer, answer)
            if self._desk.failed is not None and self._ended is not None and not self._ended.done():
                self._ended.set_exception(self._desk.failed)


async def _read(reader: asyncio.StreamReader, begin: bytes) -> p.Request:
    head = begin + await reader.readexactly(p.LENGTH.size - 1)
    return p.decode_request(await reader.readexactly(p.frame_size(head)))


async def _say(writer: asyncio.StreamWriter, answer: p.Answer) -> None:
    writer.write(p.frame(p.encode_answer(answer)))
    async with asyncio.timeout(FRAME_WITHIN_S):
        await writer.drain()
