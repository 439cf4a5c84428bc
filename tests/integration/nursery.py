"""A process that has imported what nodes and signers import, and forks one each time: an import costs a second.

What it forks goes on as ``python -m MODULE ARGUMENTS`` would: a process of its own, with its own pipes, signals, exit
code and the environment of the moment, in which nothing but imports has happened. It is killed when the test that asked
for it lets go of it; all of them end with the process of the tests, whatever ends that.
"""

from __future__ import annotations

import array
import asyncio
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
from asyncio import StreamReader, StreamReaderProtocol
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

from tests.meta.sources import ROOT

PRELOADED = (
    "chain_core.node.cli",
    "chain_core.node.lifetime",
    "chain_core.node.signer.cli",
    "dualchain.cli",
    "dualchain.demo.cli",
    "dualchain.nodes",
    "local_chain.cli",
    "supervisory_chain.cli",
    "tests.integration.network",
)
"""Modules that do nothing but define, and choose the crypto provider of the tests, when they are imported."""
ORDER_BYTES = 65_536
PATIENCE_S = 60


class Forked:
    """A process, with what tests use of ``asyncio.subprocess.Process``."""

    def __init__(self, line: socket.socket, stdout: StreamReader, stderr: StreamReader) -> None:
        self._line, self.stdout, self.stderr = line, stdout, stderr
        self.pid = int(line.recv(20))
        self.returncode: int | None = None
        line.setblocking(False)
        self._end = asyncio.create_task(self._ended())
        self._end.add_done_callback(lambda _: line.close())

    async def _ended(self) -> int:
        self.returncode = int(await asyncio.get_running_loop().sock_recv(self._line, 20))
        return self.returncode

    async def wait(self) -> int:
        return await asyncio.shield(self._end)

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


async def forked(module: str, arguments: Sequence[str]) -> Forked:
    """``python -m MODULE ARGUMENTS`` without its imports."""
    readers, writings = [], []
    for _ in ("stdout", "stderr"):
        reading, writing = os.pipe()
        writings.append(writing)
        readers.append(StreamReader())
        await asyncio.get_running_loop().connect_read_pipe(
            lambda reader=readers[-1]: StreamReaderProtocol(reader), os.fdopen(reading, "rb", 0)
        )
    line = _order(module, arguments, *writings)
    for writing in writings:
        os.close(writing)
    return Forked(line, *readers)


def finished(module: str, *arguments: str | Path, within_s: float) -> subprocess.CompletedProcess[str]:
    """The same, awaited: as ``subprocess.run`` with text captured."""
    words = [module, *map(str, arguments)]
    with tempfile.TemporaryFile("w+") as stdout, tempfile.TemporaryFile("w+") as stderr:
        with _order(module, words[1:], stdout.fileno(), stderr.fileno()) as line:
            line.recv(20)
            line.settimeout(within_s)
            code = int(line.recv(20))
        stdout.seek(0)
        stderr.seek(0)
        return subprocess.CompletedProcess(words, code, stdout.read(), stderr.read())


def _order(module: str, arguments: Sequence[str], stdout: int, stderr: int) -> socket.socket:
    """The line on which the process id comes, and later the exit code; closing it kills the process."""
    line, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with far:
        given = array.array("i", [far.fileno(), stdout, stderr])
        order = json.dumps([dict(os.environ), [module, *arguments]]).encode()
        _nursery().sendmsg([order], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, given)])
    line.settimeout(PATIENCE_S)
    return line


@cache
def _nursery() -> socket.socket:
    """One for all tests. Closing this end, which the end of this process does, ends it."""
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with there:
        subprocess.Popen([sys.executable, "-m", "tests.integration.nursery"], cwd=ROOT, stdin=there)
    return here


# -- the other process


class Nursery:
    """Forks as ordered; tells each line the process id and, in the end, the exit code."""

    def __init__(self, orders: socket.socket) -> None:
        self._orders = orders
        self._lines: dict[int, socket.socket] = {}
        self._woken, self._waking = socket.socketpair()
        for one in (self._woken, self._waking):
            one.setblocking(False)

    def serve(self) -> list[str] | None:
        """Returns in a fork with what it is to run; in the nursery, with None, when the tests are over."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the tests, which then let go of all
        signal.set_wakeup_fd(self._waking.fileno())
        while True:
            for one in select.select([self._orders, self._woken, *self._lines.values()], [], [])[0]:
                if one is self._woken:
                    self._woken.recv(4_096)
                elif one is not self._orders:  # nothing is said on a line: who asked for the process let go of it
                    self._end(next(pid for pid, line in self._lines.items() if line is one))
                elif (words := self._order()) is not None:
                    if not words:
                        for pid in tuple(self._lines):
                            self._end(pid)
                        return None
                    return words
            self._reap()

    def _order(self) -> list[str] | None:
        """Takes an order. In the fork: what to run, or nothing at the end of the tests; in the nursery: None."""
        order, given, _, _ = socket.recv_fds(self._orders, ORDER_BYTES, 3)
        if not order:
            return []
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            for one in (self._orders, self._woken, self._waking, *self._lines.values()):
                one.close()
            silence = os.open(os.devnull, os.O_RDONLY)
            for place, descriptor in enumerate((silence, given[1], given[2])):
                os.dup2(descriptor, place)
            for descriptor in (silence, *given):
                os.close(descriptor)
            environment, words = json.loads(order)
            os.environ.clear()
            os.environ.update(environment)
            assert isinstance(words, list)
            return words
        for descriptor in given[1:]:
            os.close(descriptor)
        line = self._lines[pid] = socket.socket(fileno=given[0])
        line.send(str(pid).encode())
        return None

    def _end(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        self._lines.pop(pid).close()

    def _reap(self) -> None:
        for pid, line in tuple(self._lines.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                with suppress(BrokenPipeError):  # nobody waits any more
                    line.send(str(os.waitstatus_to_exitcode(status)).encode())
                self._lines.pop(pid).close()


if __name__ == "__main__":
    for name in PRELOADED:
        importlib.import_module(name)
    gc.freeze()
    ordered = Nursery(socket.socket(fileno=os.dup(0))).serve()
    if ordered is not None:
        sys.argv[1:] = ordered[1:]
        runpy.run_module(ordered[0], run_name="__main__", alter_sys=True)
