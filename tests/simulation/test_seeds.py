"""The regular seeds: agreement, validity, durability, no double vote, liveness (see checker.py and world.py).

A failing seed names itself; ``python -m tests.simulation --seeds N --trace`` shows what happened, and
``pytest tests/simulation -k seeds --seed N`` runs it here.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from chain_core.crypto.providers import provider
from tests.simulation.runs import run_seed, size_of

ROOT = Path(__file__).parents[2]
SEEDS = 24
PORTABLE_SEEDS = 10
"""Short runs for the pure Python provider, whose SM2 is a hundred times slower."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" in metafunc.fixturenames:
        asked = metafunc.config.getoption("--seed", None)
        count = PORTABLE_SEEDS if provider().name == "gmssl" else SEEDS
        metafunc.parametrize("seed", range(count) if asked is None else [asked])


def test_seeds(seed: int) -> None:
    run_seed(seed, size_of(seed, small=provider().name == "gmssl"))


def test_the_same_seed_is_the_same_run() -> None:
    """Whatever the signatures' nonces and the hash seed of the process."""

    def run(hash_seed: str) -> str:
        command = [sys.executable, "-m", "tests.simulation", "--seeds", "1", "--small"]
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
        return done.stdout.split()[-1]

    assert run("1") == run("2")
