"""Starting, watching and stopping the demonstration's processes.

Each process logs to a file of its own. It says READY on standard output once it serves; that is the only thing read
from it, so a network that is kept up does not depend on whoever started it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from chain_core.types.errors import LocalFault

READY = "READY"
TAIL_LINES = 5
WATCH_S = 0.2


class ProcessFailed(LocalFault):
    """A process of the network ended, or did not begin to serve in time."""

    code = "PROCESS_FAILED"


@dataclass(slots=True)
class Running:
    """One started process."""

    name: str
    process: asyncio.subprocess.Process
    log: Path
    ready_line: str = ""


def command(*arguments: str) -> list[str]:
    """The command line of one of our own processes."""
    return [sys.executable, "-m", "dualchain", *arguments]


def _signal(one: Running, number: signal.Signals) -> None:
    """To the process and what runs it: each was started in a session of its own."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(one.process.pid, number)


def tail(log: Path) -> str:
    """The last lines of a log, for a message."""
    with contextlib.suppress(FileNotFoundError):
        return " | ".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL_LINES:])
    return "(no log)"


@dataclass(slots=True)
class ProcessGroup:
    """The processes of one network; ``stop`` ends them all, whatever happened."""

    directory: Path
    environment: dict[str, str] = field(default_factory=dict)
    running: dict[str, Running] = field(default_factory=dict)

    async def start(self, name: str, arguments: Sequence[str], under: Sequence[str] = ()) -> Running:
        """Start one process; it is READY later (``ready``). ``under`` is a command that runs it, say a tracer."""
        self.directory.mkdir(parents=True, exist_ok=True)
        log = self.directory / f"{name}.log"
        with log.open("ab") as stream:
            process = await asyncio.create_subprocess_exec(
                *under,
                *command(*arguments),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=stream,
                start_new_session=True,
                env={**os.environ, **self.environment},
            )
        started = Running(name, process, log)
        self.running[name] = started
        return started

    async def ready(self, started: Running, timeout_s: float) -> str:
        """Wait for its READY line. ProcessFailed with the end of its log when it ends or takes too long."""
        stream = started.process.stdout
        assert stream is not None
        try:
            async with asyncio.timeout(timeout_s):
                while line := (await stream.readline()).decode("utf-8", "replace").strip():
                    if line.startswith(READY):
                        started.ready_line = line
                        return line
        except TimeoutError as error:
            raise self._failed(started, f"not serving after {timeout_s:.0f} s") from error
        code = await started.process.wait()
        raise self._failed(started, f"ended with exit code {code} before it served")

    def _failed(self, started: Running, what: str) -> ProcessFailed:
        return ProcessFailed(
            f"{started.name} {what}: {tail(started.log)}", where=str(started.log), next_step="read that log"
        )

    async def start_all(self, commands: Mapping[str, Sequence[str]], timeout_s: float) -> None:
        """Start several at once and wait until each serves."""
        started = [await self.start(name, arguments) for name, arguments in commands.items()]
        await asyncio.gather(*(self.ready(one, timeout_s) for one in started))

    def check(self) -> None:
        """ProcessFailed when one of them ended by itself."""
        for one in self.running.values():
            if one.process.returncode is not None:
                raise self._failed(one, f"ended with exit code {one.process.returncode}")

    async def watch(self) -> NoReturn:
        """Until one of them ends by itself: ProcessFailed with the end of its log."""
        while True:
            self.check()
            await asyncio.sleep(WATCH_S)

    async def kill(self, name: str) -> None:
        """kill -9, as a crash would."""
        one = self.running.pop(name)
        _signal(one, signal.SIGKILL)
        await one.process.wait()

    async def stop(self, grace_s: float = 10.0) -> list[str]:
        """SIGTERM to all, SIGKILL to those that do not end in time; the names of the latter."""
        ending = list(self.running.values())
        for one in ending:
            if one.process.returncode is None:
                _signal(one, signal.SIGTERM)
        forced = []
        for one in ending:
            try:
                async with asyncio.timeout(grace_s):
                    await one.process.wait()
            except TimeoutError:
                forced.append(one.name)
                _signal(one, signal.SIGKILL)
                await one.process.wait()
        self.running.clear()
        return forced
