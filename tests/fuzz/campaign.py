"""Runs harnesses one after the other, each in a process of its own forked from one that is instrumented already.

What a run leaves: executions, coverage, memory, finds; and, when asked, the inputs worth keeping.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.fuzz import stored
from tests.fuzz.target import Find, Target, judge
from tests.fuzz.targets import TARGETS, Harness

MAX_GROWTH = 64 << 20
"""Of resident memory from a quarter of the run to its end: libFuzzer's own corpus, and bounded caches."""
WARM = 0.25
HANG_S = 20
"""libFuzzer's own limit of wall time for one input: it ends the process."""
_GRACE_S = 120
_STATUS = re.compile(r"#(\d+)\s+\w+\s+cov: (\d+) ft: (\d+) corp: (\d+)")


@dataclass(frozen=True)
class Row:
    """One harness's run. Memory in bytes; ``died``: how the process ended when it was not by itself."""

    harness: str
    targets: int
    seconds: float
    executions: int
    coverage: int
    features: int
    corpus: int
    rss_warm: int
    rss_end: int
    finds: tuple[Find, ...]
    died: str = ""

    @property
    def grew(self) -> bool:
        """Beyond the bound."""
        return self.rss_end - self.rss_warm > MAX_GROWTH

    @property
    def good(self) -> bool:
        """Nothing was found."""
        return not (self.finds or self.grew or self.died)

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        finds = [asdict(find) | {"data": find.data.hex(), "reproducer": find.reproducer} for find in self.finds]
        return asdict(self) | {"grew": self.grew, "good": self.good, "finds": finds}


def run(harness: Harness, seconds: int, *, keep: bool = False) -> Row:
    """Fuzzes one harness for so long; with ``keep`` its corpus is merged into the one kept here."""
    with tempfile.TemporaryDirectory(prefix="dualchain-fuzz-") as name:
        folder = Path(name)
        seeds, grown, report, log = (folder / part for part in ("seeds", "grown", "report", "log"))
        for made in (seeds, grown):
            made.mkdir()
        report.touch()
        began = time.monotonic()
        options = [*_options(harness, seconds, folder), str(grown), str(seeds)]
        code = _forked(harness, folder, options, 2 * seconds + _GRACE_S)
        took = time.monotonic() - began
        row = _row(harness, took, report, log.read_text("utf-8", "replace"), code, sorted(folder.glob("artifact-*")))
        if keep:
            _keep(harness, folder)
        return row


def _options(harness: Harness, seconds: int, folder: Path) -> list[str]:
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={harness.max_len}",
        f"-timeout={HANG_S}",
        f"-artifact_prefix={folder}/artifact-",
        f"-use_value_profile={int(harness.compare)}",
        "-print_final_stats=1",
        "-reload=0",
    ]
    words = [word for target in harness.targets for word in target.words if word]
    if words:
        escaped = ('"' + "".join(f"\\x{byte:02x}" for byte in word) + '"' for word in dict.fromkeys(words))
        (folder / "words").write_text("\n".join(escaped) + "\n", "ascii")
        options.append(f"-dict={folder}/words")
    return options


def _forked(harness: Harness, folder: Path, options: list[str], within_s: float) -> int:
    """The child's exit code; negative: the signal that ended it."""
    child = os.fork()
    if not child:
        _child(harness, folder, options)
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.2)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return -9


def _child(harness: Harness, folder: Path, options: list[str]) -> None:
    """Never returns; nothing of the parent's is run at its end."""
    from tests.fuzz.engine import fuzz

    try:
        output = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        fuzz(harness, folder / "report", options)
    except BaseException as error:  # noqa: BLE001 - it is a process's last word
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        os._exit(3)
    os._exit(0)


def _row(harness: Harness, took: float, report: Path, log: str, code: int, artifacts: list[Path]) -> Row:
    rows = [json.loads(line) for line in report.read_text("utf-8").splitlines()]
    told = [row for row in rows if "rss" in row] or [{"at": 0.0, "count": 0, "rss": 0}]
    warm = next((row for row in told if row["at"] >= WARM * told[-1]["at"]), told[-1])
    found = [
        Find(row["target"], row["kind"], row["place"], row["text"], bytes.fromhex(row["data"]))
        for row in rows
        if "kind" in row
    ]
    for path in artifacts:  # what libFuzzer wrote down when it ended the process: a hang, a death in C code
        chosen = harness.pick(path.read_bytes())
        if chosen is not None:
            found.append(Find(chosen[0].name, path.name.split("-")[1], "", "the process ended", chosen[1]))
    status = _STATUS.findall(log)
    count, coverage, features, corpus = map(int, status[-1]) if status else (told[-1]["count"], 0, 0, 0)
    died = "" if code == 0 else f"exit {code}: {' '.join(log.split())[-300:]}"
    finds = tuple(smaller(find) for find in found)
    return Row(
        harness.name,
        len(harness.targets),
        round(took, 1),
        max(count, told[-1]["count"]),
        coverage,
        features,
        corpus,
        warm["rss"],
        told[-1]["rss"],
        finds,
        died,
    )


def smaller(find: Find, tries: int = 300) -> Find:
    """The find with what is not needed for it cut away, as far as so many tries go."""
    if find.kind in ("slow", "timeout", "oom", "crash"):
        return find
    target, best = TARGETS[find.target], find
    size = len(best.data) // 2
    while size and tries:
        at = 0
        while at < len(best.data) and tries:
            tries -= 1
            shorter = _same(target, best, best.data[:at] + best.data[at + size :])
            if shorter is None:
                at += size
            else:
                best = shorter
        size //= 2
    return best


def _same(target: Target, find: Find, data: bytes) -> Find | None:
    other = judge(target, data)
    return other if other is not None and other.key == find.key else None


def _keep(harness: Harness, folder: Path) -> None:
    """libFuzzer's merge over golden samples, the kept corpus and what was learnt: what adds features is kept."""
    golden = sorted((folder / "seeds").glob("golden-*"))
    others = [*(folder / "seeds").glob("kept-*"), *(folder / "grown").iterdir()]
    files = golden + sorted(others, key=lambda path: (path.stat().st_size, path.name))
    control = folder / "merge"
    control.write_text("".join(f"{line}\n" for line in (len(files), len(golden), *files)), "ascii")
    options = ["-merge_inner=1", f"-merge_control_file={control}", f"-max_len={harness.max_len}"]
    if _forked(harness, folder, options, 300) != 0:
        print(f"merging {harness.name} failed", file=sys.stderr)
        return
    known: set[str] = set()
    found: list[tuple[str, bytes]] = []
    for line in control.read_text("ascii").splitlines():
        word, _, rest = line.partition(" ")
        if word != "FT":
            continue
        number, *features = rest.split()
        chosen = harness.pick(files[int(number)].read_bytes())
        if int(number) >= len(golden) and chosen is not None and not known.issuperset(features):
            found.append((chosen[0].name, chosen[1]))
        known.update(features)
    stored.write_corpus(harness.name, found)
