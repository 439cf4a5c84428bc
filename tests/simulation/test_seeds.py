"""The regular seeds: agreement, validity, durability, no double vote, liveness (see checker.py and world.py).

A failing seed names itself; ``python -m tests.simulation --seeds N --trace`` shows what happened, and
``pytest tests/simulation -k seeds --seed N`` runs it here.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path

import pytest

from chain_core.crypto.providers import provider
from tests.simulation.runs import Run

ROOT = Path(__file__).parents[2]
SEEDS = 200
REMEMBERED = (474, 1113, 1121, 1253, 1357, 1615)
"""Seeds that once showed a defect of the chain or of its checker."""
PORTABLE_SEEDS = 10
"""Short runs for the pure Python provider, whose SM2 is a hundred times slower."""


def _portable() -> bool:
    return provider().name == "gmssl"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" in metafunc.fixturenames:
        asked = metafunc.config.getoption("--seed", None)
        regular = range(PORTABLE_SEEDS) if _portable() else (*range(SEEDS), *REMEMBERED)
        metafunc.parametrize("seed", regular if asked is None else [asked])


def test_seeds(seed: int, runs: Mapping[int, "Future[Run]"]) -> None:
    run = runs[seed].result()
    assert not run.failure, f"seed {seed}: {run.failure}\n{run.details}"


def test_the_same_seed_is_the_same_run() -> None:
    """Whatever the signatures' nonces and the hash seed of the process."""

    def run(hash_seed: str) -> list[str]:
        command = [sys.executable, "-m", "tests.simulation", "--seeds", "1-2", "--small", "--real"]
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
        return [line.split()[-1] for line in done.stdout.splitlines() if line.startswith("seed ")]

    first = run("1")
    assert len(first) == 2 and first == run("2")
