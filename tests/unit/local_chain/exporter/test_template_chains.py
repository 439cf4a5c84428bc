"""The examples of all templates, exported: every snapshot is valid, and what they say in the end is what the kernel
holds: each holding in its parts, rolls, scales and status of products, money.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from chain_core.codec.transaction import decode_envelope
from contracts.data_model.emission import check_emission
from contracts.data_model.snapshot import read_snapshot
from contracts.sandbox import cases
from contracts.templates.catalogue import CASES, catalogue
from local_chain.exporter import core
from local_chain.exporter.database import Status
from tests.unit.contracts.random_market import CAP, PEOPLE
from tests.unit.contracts.test_market_machine import run_seed
from tests.unit.local_chain.exporter.template_books import Books, RecordedMarket

FILES = {path.stem: cases.read_cases(path.read_bytes()) for path in sorted(CASES.glob("*.toml"))}
SHIPPED = {one.compiled.template.id: one for one in catalogue()}


@pytest.fixture(autouse=True)
def recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Markets that keep their blocks; seals, which other tests check, are zeros."""
    monkeypatch.setattr(cases, "Market", RecordedMarket)
    monkeypatch.setattr(core, "sign_on_all_cores", lambda items: [bytes(64)] * len(items))


def stories(name: str) -> Iterator[tuple[str, RecordedMarket, list[str]]]:
    """The chain of each example of a template that is accepted."""
    file, shipped = FILES[name], SHIPPED[name]
    for case in file["case"]:
        if case.get("refused"):
            continue
        story = cases.begin(file, case, shipped.compiled, shipped.tree)
        refused = [said for line in case["steps"] if (said := story.step(line))]
        assert not refused, case["name"]
        market = story.market
        assert isinstance(market, RecordedMarket)
        yield case["name"], market, file.get("people", [])


def check(folder: Path, market: RecordedMarket, people: list[str]) -> None:
    books = Books(folder, market, people)
    rolls: dict[bytes, int] = {}

    def rolls_are_those_of_the_block(height: int) -> None:
        held = market.holdings[height]
        for name in books.database.object_ids("roll-"):
            security = bytes.fromhex(name.removeprefix("roll-"))
            found = books.roll(security)
            assert found is not None
            if rolls.get(security) != found[0]:
                rolls[security] = found[0]
                assert found[1] == {account: sum(parts) for (one, account), parts in held.items() if one == security}

    books.take(rolls_are_those_of_the_block)
    assert not books.exporter._noted, "an event that the table does not know"
    stuck = books.database.rows(Status.HELD) + books.database.rows(Status.WAITING)
    assert [(row.object, row.faults) for row in stuck] == []
    for row in books.database.rows(Status.READY, limit=10_000):
        check_emission(read_snapshot(row.raw).with_seals())
    assert books.registrations() == market.holdings_now()
    books.check_products()
    books.check_money()
    books.close()


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_templates_examples_end_in_the_kernels_books(name: str, tmp_path: Path) -> None:
    count = 0
    for number, (case, market, people) in enumerate(stories(name)):
        folder = tmp_path / str(number)
        folder.mkdir()
        try:
            check(folder, market, people)
        except Exception as error:
            raise AssertionError(f"{name}: {case}: {error}") from error
        count += 1
    assert count


@pytest.mark.parametrize("seed", range(3))
def test_random_business_ends_in_the_kernels_books(seed: int, tmp_path: Path) -> None:
    """Orders that wait and take effect in the midst of a corporate action, fruits of what is pledged, freezes beside
    each other: what no example brings together.
    """
    people = (*PEOPLE, "issuer")
    market = RecordedMarket(people, parameters={"holder_cap": CAP})
    for time_ms, raws in run_seed(seed, 200).market.blocks[1:]:
        market.time_ms = time_ms - 1_000
        market.block(*(decode_envelope(raw) for raw in raws))
    check(tmp_path, market, list(people))
