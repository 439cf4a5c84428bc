"""What a fuzz target is, and the judge of one input: a value that is written back as it was, or a typed refusal."""

from __future__ import annotations

import tempfile
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from chain_core.types.errors import DualchainError

ROOT = Path(__file__).parents[2]
PACKAGES = (
    "chain_core",
    "contracts",
    "crosschain",
    "dualchain",
    "local_chain",
    "service_registry",
    "supervisory_chain",
)
"""Whose modules are instrumented."""


@dataclass(frozen=True)
class Target:
    """A decoder of bytes from outside.

    ``rewrite`` writes a decoded value again, where the encoding is canonical. ``refusals``: the family that may be
    raised. ``words``: a dictionary for the mutator. ``compare``: guide it by compared values, too.
    """

    name: str
    decode: Callable[[bytes], Any]
    seeds: Callable[[], Iterable[bytes]]
    rewrite: Callable[[Any], bytes] | None = None
    refusals: tuple[type[Exception], ...] = (DualchainError,)
    max_len: int = 4_096
    words: tuple[bytes, ...] = ()
    compare: bool = False


@dataclass(frozen=True)
class Find:
    """An input that a decoder did not take as it must. ``place``: the innermost frame of the project."""

    target: str
    kind: str
    place: str
    text: str
    data: bytes

    @property
    def key(self) -> tuple[str, str]:
        """Two finds with one key have one cause."""
        return self.kind, self.place

    @property
    def reproducer(self) -> str:
        """The command that shows it again."""
        return f"python -m tests.fuzz --target {self.target} --input {self.data.hex() or '-'}"


def judge(target: Target, data: bytes) -> Find | None:
    """None when the decoder does what it must with ``data``."""
    try:
        value = target.decode(data)
    except target.refusals as refusal:
        said = not isinstance(refusal, DualchainError) or bool(refusal.what)
        return None if said else Find(target.name, type(refusal).__name__, _place(refusal), "it says nothing", data)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001 - a panic of an extension module is no Exception
        return Find(target.name, type(error).__name__, _place(error), str(error)[:300], data)
    if target.rewrite is None:
        return None
    try:
        again = target.rewrite(value)
    except Exception as error:  # noqa: BLE001 - what was decoded must be writable
        return Find(target.name, f"rewrite: {type(error).__name__}", _place(error), str(error)[:300], data)
    if again != data:
        return Find(target.name, "second encoding", "", f"written again as {again[:200].hex()}", data)
    return None


def split(data: bytes, parts: int) -> list[bytes]:
    """``data`` as so many pieces, each but the last behind a u16 length: for what takes several."""
    found = []
    for _ in range(parts - 1):
        size = int.from_bytes(data[:2], "big")
        found.append(data[2 : 2 + size])
        data = data[2 + size :]
    return [*found, data]


def joined(*parts: bytes) -> bytes:
    """The reverse."""
    return b"".join([len(part).to_bytes(2, "big") + part for part in parts[:-1]]) + parts[-1]


def _place(error: BaseException) -> str:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _ours(frame.filename)]
    if not frames:
        return ""
    last = frames[-1]
    return f"{Path(last.filename).relative_to(ROOT)}:{last.lineno} {last.name}"


def _ours(file: str) -> bool:
    return file.startswith(tuple(f"{ROOT}/{package}/" for package in PACKAGES))


@cache
def scratch() -> Path:
    """A folder for decoders that read files; gone with the process."""
    folder = tempfile.TemporaryDirectory(prefix="dualchain-fuzz-")
    _kept.append(folder)
    return Path(folder.name)


_kept: list[tempfile.TemporaryDirectory[str]] = []


def from_file(read: Callable[[Path], Any], name: str = "input", mode: int = 0o600) -> Callable[[bytes], Any]:
    """A decoder of files as one of bytes."""

    def decode(data: bytes) -> Any:
        path = scratch() / name
        path.write_bytes(data)
        path.chmod(mode)
        return read(path)

    return decode
