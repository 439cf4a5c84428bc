"""``python -m tests.simulation.mutants``: a simulator that finds nothing proves nothing, so it must find these.

Each ``*.patch`` beside this file is one fault in the production code, its first line says which. Each is applied to a
copy of the code, alone, and seeds run on the copy until one fails: short ones, then regular ones. Prints a table; exit
1 when a fault is not caught.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
SEEDS = 200
TOLD = 64
"""Short runs, mostly of stories, come first: they cost a third and show most faults."""
PATIENCE_S = 900
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", "mutants", "test_*")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a mutant: ``seeds`` it took, what failed; ``caught`` False when nothing did."""

    name: str
    fault: str
    caught: bool
    seeds: int
    cpu_s: float
    what: str


def patches(only: str = "") -> list[Path]:
    """The faults, by name."""
    return sorted(path for path in HERE.glob("*.patch") if only in path.stem)


def fault_of(patch: Path) -> str:
    """What a patch breaks: its first line."""
    return patch.read_text(encoding="utf-8").partition("\n")[0]


def apply(patch: Path, tree: Path, *, check: bool = False) -> str:
    """Applies the patch to a copy of the repository; why it does not fit, empty when it does."""
    command = ["git", "apply", "-C1", *(["--check"] if check else []), str(patch)]
    environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(tree.parent)}
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stderr.strip()


def copy_code(to: Path) -> None:
    """The production code and the simulator, without these mutants."""
    shutil.copytree(ROOT / "chain_core", to / "chain_core", ignore=_LEFT_OUT)
    shutil.copytree(ROOT / "tests" / "simulation", to / "tests" / "simulation", ignore=_LEFT_OUT)


def hunt(patch: Path, seeds: int) -> Verdict:
    """Runs seeds on a mutated copy until one fails."""
    began = time.monotonic()

    def verdict(caught: bool, count: int, what: str) -> Verdict:
        return Verdict(patch.stem, fault_of(patch), caught, count, time.monotonic() - began, what)

    with tempfile.TemporaryDirectory(prefix="mutant-") as directory:
        tree = Path(directory)
        copy_code(tree)
        if refusal := apply(patch, tree):
            return verdict(False, 0, f"the patch does not apply: {refusal}")
        count = 0
        for told, most in ((True, min(TOLD, seeds)), (False, seeds)):
            run = _run(tree, told, most)
            if run is None:
                return verdict(False, count + most, f"nothing failed within {PATIENCE_S} s")
            found = re.search(r"^seed (\d+): (.*)$", run.stdout, re.MULTILINE)
            if run.returncode == 1 and found is not None:
                return verdict(True, count + int(found[1]) + 1, found[2])
            if run.returncode:
                return verdict(False, count, run.stderr[-300:])
            count += most
    return verdict(False, count, "nothing failed")


def _run(tree: Path, told: bool, seeds: int) -> subprocess.CompletedProcess[str] | None:
    """Runs seeds on a mutated copy until one fails; None when they take too long, which is no finding."""
    command = [
        *(sys.executable, "-m", "tests.simulation", "--seeds", f"0-{seeds - 1}", "--n", "4"),
        "--no-real",
        "--hunt",
    ]
    command += ["--told"] if told else []
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        return subprocess.run(
            command, cwd=tree, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
    except subprocess.TimeoutExpired:
        return None


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.mutants", description=__doc__)
    parser.add_argument("--only", default="", help="mutants whose name holds this")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="how many to try at most")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args(arguments)
    chosen = patches(options.only)
    with ThreadPoolExecutor(options.workers) as executor:
        verdicts = []
        for done in as_completed(executor.submit(hunt, patch, options.seeds) for patch in chosen):
            verdicts.append(done.result())
            print(line_of(verdicts[-1]), flush=True)
    missed = [verdict for verdict in verdicts if not verdict.caught]
    print(f"{len(verdicts) - len(missed)} of {len(verdicts)} mutants caught")
    return 1 if missed or not verdicts else 0


def line_of(verdict: Verdict) -> str:
    """One row of the table."""
    seeds = f"{verdict.seeds:>4} seeds" if verdict.caught else "MISSED   "
    return f"{verdict.name:<34} {seeds} {verdict.cpu_s:>6.1f} s  {verdict.what[:110]}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
