"""The flight recorder: every input of the core with its time, and a digest of what it asked for, in a ring on disk.

Nothing is synced: after a crash of the machine the end may be missing, of a process nothing that was flushed. A segment
begins with the core's whole state, so that the ring may lose its oldest one. A recorder that cannot write stops
recording; it never stops the node. Format: docs/spec/node-config.md, flight recorder.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from struct import Struct
from typing import BinaryIO

from chain_core.consensus.effects import Effect
from chain_core.consensus.inputs import Input
from chain_core.consensus.pbft import Pbft
from chain_core.node import recording_codec as codec

MAGIC = b"dualchain recording 1\n"
SEGMENTS = 8
"""A ring is made of so many full ones; the oldest are deleted when a new one begins."""
MAX_FILES = 64
"""Each start of a node begins a segment, so most may be small."""
DIGEST_SIZE = 16
STATE_EVERY = 1_024
"""After so many steps the state's digest is written, too."""

CHECKPOINT, STEP, DRIVEN, STATE = b"C", b"S", b"D", b"H"
HEAD = Struct(">cI")
STEP_HEAD = Struct(">Q16s")
RAISED = b"\xff" * DIGEST_SIZE
"""In place of the effects' digest: the core raised."""
_BUFFER = 262_144

Tell = Callable[[str, dict[str, str | int]], None]


def digest(value: object) -> bytes:
    """Of effects or state. Raises UnknownValue."""
    return sha256(codec.outline(value)).digest()[:DIGEST_SIZE]


def segments(directory: Path) -> list[Path]:
    """The segments of a recording, oldest first."""
    return sorted(directory.glob("*.rec"), key=lambda path: path.name)


class FlightRecorder:
    """Records the steps of one replica's core; ``limit_bytes`` is the size of the whole ring."""

    def __init__(self, directory: Path, limit_bytes: int, tell: Tell) -> None:
        self._directory, self._tell = directory, tell
        self._segment_bytes = limit_bytes // SEGMENTS
        self._file: BinaryIO | None = None
        self._core: Pbft | None = None
        self._driven: tuple[object, bool, bool] = (None, False, False)
        self._size = self._steps = 0
        self.off = False

    def before(self, core: Pbft) -> None:
        """The core is about to take an input: note what the driver changed in it since the last one."""
        if self.off:
            return
        state = core.state
        driven = (state.config, state.halted, state.silent)
        if core is not self._core or self._size >= self._segment_bytes:
            self._guard(lambda: self._begin(core))
        elif driven != self._driven:
            self._guard(lambda: self._write(DRIVEN, codec.encode(driven)))

    def after(self, core: Pbft, event: Input, now_ms: int, effects: Sequence[Effect] | None) -> None:
        """It took ``event`` and asks for ``effects``; None: it raised."""
        if not self.off:
            self._guard(lambda: self._step(core, event, now_ms, effects))

    def flush(self) -> None:
        """Hand what is buffered to the operating system."""
        if self._file is not None and not self.off:
            self._guard(self._file.flush)

    def close(self) -> None:
        """The node stops: write the state's digest."""
        if self._file is not None and self._core is not None and not self.off:
            core = self._core
            self._guard(lambda: self._write(STATE, digest(core.state)))
        if self._file is not None:
            self._guard(self._file.close)
            self._file = None

    # -- inside

    def _begin(self, core: Pbft) -> None:
        found = segments(self._directory)
        if self._file is not None:
            if core is self._core:
                self._write(STATE, digest(core.state))
            self._file.close()
        self._directory.mkdir(parents=True, exist_ok=True)
        self._make_room(found)
        number = int(found[-1].stem) + 1 if found else 0
        self._file = (self._directory / f"{number:010d}.rec").open("xb", buffering=_BUFFER)
        self._file.write(MAGIC + HEAD.pack(b"T", len(codec.TABLE)) + codec.TABLE.encode())
        self._size, self._steps = 0, 0
        self._core = core
        self._driven = (core.state.config, core.state.halted, core.state.silent)
        self._write(CHECKPOINT, codec.encode(core.state))

    def _make_room(self, found: list[Path]) -> None:
        """The ring holds its size and no endless number of files, whatever restarts there were."""
        room = self._segment_bytes * (SEGMENTS - 1)
        for place, path in enumerate(reversed(found), 1):
            room -= path.stat().st_size
            if room < 0 or place >= MAX_FILES:
                path.unlink()

    def _step(self, core: Pbft, event: Input, now_ms: int, effects: Sequence[Effect] | None) -> None:
        asked = RAISED if effects is None else digest(tuple(effects))
        self._write(STEP, STEP_HEAD.pack(now_ms, asked) + codec.encode(event))
        state = core.state
        self._driven = (state.config, state.halted, state.silent)
        self._steps += 1
        if self._steps % STATE_EVERY == 0:
            self._write(STATE, digest(state))

    def _write(self, kind: bytes, payload: bytes) -> None:
        assert self._file is not None
        self._file.write(HEAD.pack(kind, len(payload)) + payload)
        self._size += len(payload) + HEAD.size

    def _guard(self, act: Callable[[], object]) -> None:
        try:
            act()
        except (OSError, codec.UnknownValue, ValueError) as error:
            self.off = True
            self._tell("RECORDER_OFF", {"directory": str(self._directory), "reason": str(error)})
