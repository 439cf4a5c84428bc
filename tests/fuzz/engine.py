"""Inside a fuzzing process: libFuzzer calls the judge, finds and memory go to a report.

libFuzzer ends the process without a word, so the report is written line by line.
"""

from __future__ import annotations

import gc
import io
import json
import os
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.fuzz import stored
from tests.fuzz.target import PACKAGES, Find

if TYPE_CHECKING:
    from tests.fuzz.targets import Harness

MAX_INPUT_S = 1.0
"""CPU time that one input may take; instrumented code runs several times slower than it is."""
ADDRESS_SPACE = 4 << 30
"""One huge allocation ends in a MemoryError, which is a find."""
RSS_LIMIT_MB = 1_024
_EVERY_S = 0.5
_PAGE = os.sysconf("SC_PAGE_SIZE")


def rss_bytes() -> int:
    """Resident memory of this process."""
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * _PAGE


@contextmanager
def instrumented() -> Iterator[None]:
    """The project's modules that are imported inside are instrumented. ImportError without atheris."""
    import atheris

    # It tells of every module it instruments, on standard error.
    with redirect_stderr(io.StringIO()), atheris.instrument_imports(include=list(PACKAGES)):
        yield


class Callback:
    """Every input is judged; no find ends the process, and one cause is reported once."""

    def __init__(self, harness: Harness, report: Path) -> None:
        from tests.fuzz.target import judge

        self._harness, self._judge, self._report = harness, judge, report
        self._known: set[tuple[str, str, str]] = set()
        self._next = self._began = time.monotonic()
        self.count = 0

    def __call__(self, data: bytes) -> None:
        chosen = self._harness.pick(data)
        if chosen is None:
            return
        target, rest = chosen
        began = time.thread_time()
        found = self._judge(target, rest)
        took = time.thread_time() - began
        if found is None and took > MAX_INPUT_S:
            found = Find(target.name, "slow", "", f"{took:.2f} s", rest)
        if found is not None and (found.target, *found.key) not in self._known:
            self._known.add((found.target, *found.key))
            row = {"target": found.target, "kind": found.kind, "place": found.place, "text": found.text}
            self._write(row | {"data": found.data.hex()})
        self.count += 1
        if not self.count % 64 and time.monotonic() >= self._next:
            self._tell()

    def _tell(self) -> None:
        now = time.monotonic()
        self._next = now + _EVERY_S
        self._write({"at": round(now - self._began, 1), "count": self.count, "rss": rss_bytes()})

    def _write(self, row: dict[str, Any]) -> None:
        with self._report.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


def fuzz(harness: Harness, report: Path, options: list[str]) -> None:
    """Fuzzes until libFuzzer ends the process. A folder at the end of the ``options`` is filled with seeds."""
    import atheris

    if not options[-1].startswith("-"):
        write_seeds(harness, Path(options[-1]))
    gc.collect()
    gc.freeze()
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    atheris.Setup([sys.argv[0], f"-rss_limit_mb={RSS_LIMIT_MB}", *options], Callback(harness, report))
    atheris.Fuzz()


def write_seeds(harness: Harness, folder: Path) -> None:
    """Golden samples, the kept corpus and former finds, as the files libFuzzer begins with."""
    names = {target.name: target for target in harness.targets}
    golden = [(target.name, raw) for target in harness.targets for raw in target.seeds()]
    files = [path.stem for path in sorted(stored.CORPUS.glob("*.txt"))]
    kept = [*(row for file in files for row in stored.corpus(file)), *stored.cases()]
    for prefix, rows in (("golden", golden), ("kept", kept)):
        for number, (name, raw) in enumerate(rows):
            if name in names:
                (folder / f"{prefix}-{number:05}").write_bytes(harness.wrap(names[name], raw))
