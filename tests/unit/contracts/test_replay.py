"""The same blocks give the same receipts and roots on an empty node, whatever its hash seed, locale and time zone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from chain_core.ledger.roots import SEEN_BUCKETS, STATE_BUCKETS, root_of
from tests.unit.contracts.replay import load, replay, save
from tests.unit.contracts.test_market_machine import run_seed

SEEDS, STEPS = (3, 4), 250
ENVIRONMENTS = {
    "another hash seed": {"PYTHONHASHSEED": "0", "LC_ALL": "C", "TZ": "UTC"},
    "another locale": {"PYTHONHASHSEED": "4294967295", "LC_ALL": "tr_TR.UTF-8", "TZ": "Asia/Shanghai"},
    "another time zone": {"PYTHONHASHSEED": "77", "LC_ALL": "zh_CN.GB18030", "TZ": "America/New_York"},
}


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], list[list[str]]]:
    """Files with the blocks of random markets with all templates, and what came of them where they were made."""
    files, results = [], []
    for seed in SEEDS:
        business = run_seed(seed, STEPS)
        market, path = business.market, tmp_path_factory.mktemp("blocks") / "blocks.json"
        save(market.blocks, path)
        files.append(path)
        found = replay(load(path))
        assert found[-2:] == [root_of(market.state, STATE_BUCKETS).hex(), root_of(market._seen, SEEN_BUCKETS).hex()]
        results.append(found)
    return files, results


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_replay(name: str, story: tuple[list[Path], list[list[str]]]) -> None:
    files, results = story
    for path, expected in zip(files, results, strict=True):
        done = subprocess.run(
            [sys.executable, "-m", "tests.unit.contracts.replay", str(path)],
            env={**os.environ, **ENVIRONMENTS[name]},
            capture_output=True,
            check=True,
        )
        assert json.loads(done.stdout) == expected


def test_a_block_left_out_gives_other_roots(story: tuple[list[Path], list[list[str]]]) -> None:
    blocks = load(story[0][0])
    assert replay([*blocks[:2], *blocks[3:]])[-2:] != story[1][0][-2:]
