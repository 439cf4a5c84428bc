"""Reading `strace -f -xx` of a node: what it wrote to its ledger's log, what it synced, what it sent, in order."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_CALL = re.compile(r"(?P<pid>\d+)\s+(?:\d+\.\d+\s+)?(?P<rest>.*)")
_START = re.compile(r"(?P<name>\w+)\((?P<args>.*)")
_RESUMED = re.compile(r"<\.\.\. (?P<name>\w+) resumed>(?P<args>.*)")
_HEX = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_RESULT = re.compile(r"=\s+(-?\d+)")
UNFINISHED = "<unfinished ...>"
SENDS = ("sendmsg", "sendto", "write", "writev")


@dataclass(frozen=True, slots=True)
class Call:
    """One completed system call: its data (all strings joined), its first argument as a descriptor, its result."""

    name: str
    descriptor: int
    data: bytes
    result: int


def calls(path: Path) -> Iterator[Call]:
    """Completed calls, each at the place where it *started*; an fdatasync at the place where it *returned*.

    So a send counts from its start and a sync only once it is done: the stricter reading of both.
    """
    waiting: dict[str, str] = {}
    for line in path.read_text(encoding="ascii", errors="replace").splitlines():
        match = _CALL.match(line)
        if match is None:
            continue
        pid, rest = match["pid"], match["rest"]
        resumed = _RESUMED.match(rest)
        if resumed:
            begun = waiting.pop(pid, "")
            if resumed["name"] in ("fdatasync", "openat"):
                yield from _call(begun + resumed["args"])
        elif rest.endswith(UNFINISHED):
            begun = rest.removesuffix(UNFINISHED)
            waiting[pid] = begun
            if not begun.startswith(("fdatasync", "openat")):
                yield from _call(begun + ") = 0")
        else:
            yield from _call(rest)


def _call(text: str) -> Iterator[Call]:
    match = _START.match(text)
    if match is None:
        return
    data = b"".join(bytes.fromhex(found.replace("\\x", "")) for found in _HEX.findall(match["args"]))

    number = re.match(r"-?\d+", match["args"])
    results = _RESULT.findall(match["args"])
    descriptor = int(number[0]) if number else -1
    yield Call(match["name"], descriptor, data, int(results[-1]) if results else 0)
