"""The way to the object store: bounded, in order where it matters, and quiet after a failure."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from local_chain.data.errors import StoreFault
from local_chain.exporter.database import Row, Status
from tests.unit.local_chain.exporter.exchange import Exchange, Office


class Slow:
    """A store that counts what is under way, and fails on a name."""

    def __init__(self, broken: str = "") -> None:
        self.broken, self.under_way, self.most = broken, 0, 0
        self.kept: dict[str, list[bytes]] = {}

    async def put_snapshot(self, name: str, raw: bytes) -> None:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            for _ in range(1 + len(self.kept) % 3):
                await asyncio.sleep(0)
            if name == self.broken:
                raise StoreFault("the store is away", where=name)
            self.kept.setdefault(name, []).append(raw)
        finally:
            self.under_way -= 1


def rows(names: Mapping[str, int]) -> list[Row]:
    """So many writings of each version, one after the other."""
    made: list[Row] = []
    for name, times in names.items():
        for turn in range(times):
            seq = len(made) + 1
            raw = f"{name} {turn}".encode()
            made.append(Row(seq, name, 0, "supervision", "create", 1, Status.READY, raw, bytes(32), "", 0))
    return made


def office(folder: Path, store: Slow, listed: list[Row]) -> Office:
    made = Office(folder, Exchange.begin())
    made.delivery._store = store
    with made.database.transaction():
        made.database.add(listed)
    return made


def test_puts_are_bounded_and_writings_of_one_version_keep_their_order(tmp_path: Path) -> None:
    store, listed = Slow(), rows({f"o{number}": 1 + number % 3 for number in range(300)})
    desk = office(tmp_path, store, listed)
    asyncio.run(desk.delivery._store_ready())
    assert store.most == 16 and desk.database.counts()[Status.STORED] == len(listed)
    for name, kept in store.kept.items():
        assert kept == [f"{name[:-2]} {turn}".encode() for turn in range(len(kept))]


def test_after_a_failure_nothing_goes_on_and_nothing_is_noted(tmp_path: Path) -> None:
    store, listed = Slow("o40/0"), rows({f"o{number}": 1 for number in range(100)})
    desk = office(tmp_path, store, listed)

    async def fail() -> int:
        with pytest.raises(StoreFault):
            await desk.delivery._store_ready()
        kept = len(store.kept)
        for _ in range(20):
            await asyncio.sleep(0)
        return len(store.kept) - kept

    assert asyncio.run(fail()) == 0 and store.under_way == 0
    assert desk.database.counts()[Status.READY] == 100
    store.broken = ""
    asyncio.run(desk.delivery._store_ready())
    assert desk.database.counts()[Status.STORED] == 100
