"""The seeded faults fit the code as it is, and the hunt finds one; all of them: ``make sim-mutants``."""

from pathlib import Path

import pytest

from tests.simulation.mutants import __main__ as mutants

PATCHES = mutants.patches()


def test_there_are_enough_of_them_and_each_says_what_it_breaks() -> None:
    assert len(PATCHES) >= 25
    faults = [mutants.fault_of(patch) for patch in PATCHES]
    assert all(fault.endswith(".") for fault in faults) and len(set(faults)) == len(faults)


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tree = tmp_path_factory.mktemp("code")
    mutants.copy_code(tree)
    return tree


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.stem)
def test_each_applies_to_the_code_as_it_is(patch: Path, code: Path) -> None:
    assert mutants.apply(patch, code, check=True) == ""


def test_a_vote_sent_before_it_is_durable_is_found_at_once() -> None:
    verdict = mutants.hunt(mutants.HERE / "vote-sent-before-fsync.patch", 3)
    assert verdict.caught and verdict.seeds == 1 and "durability" in verdict.what
