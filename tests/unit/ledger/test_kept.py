"""Bodies that a node promised to keep: on disk before it says so, bounded, gone when they are final or expired."""

from __future__ import annotations

from pathlib import Path

import pytest

from chain_core.ledger import kept as module
from chain_core.ledger.database import Database
from chain_core.ledger.kept import KeptBodies

NOW = 1_000


def body(number: int, until: int = 2_000, size: int = 10) -> dict[bytes, tuple[int, bytes]]:
    return {bytes([number]) * 32: (until, bytes([number]) * size)}


def names(*numbers: int) -> set[bytes]:
    return {bytes([number]) * 32 for number in numbers}


def test_what_is_kept_is_there_after_a_restart_until_it_is_forgotten(tmp_path: Path) -> None:
    database = Database(tmp_path / "db")
    kept = KeptBodies(database)
    assert kept.keep(body(1) | body(2) | body(3, until=1_500), NOW) == names(1, 2, 3)
    kept.forget(names(2))
    assert kept.keep(body(1) | body(4), NOW) == names(1, 4)
    again = KeptBodies(database)
    assert sorted(again.load(NOW)) == [bytes([n]) * 10 for n in (1, 3, 4)]
    assert again.size_bytes == kept.size_bytes == 30 and len(again) == 3
    assert sorted(again.load(1_600)) == [bytes([n]) * 10 for n in (1, 4)] and again.size_bytes == 20
    database.close()


def test_one_write_a_question_and_none_for_what_is_kept(tmp_path: Path) -> None:
    database, writes = Database(tmp_path / "db"), list[float]()
    database.measured = writes.append
    kept = KeptBodies(database)
    kept.keep(body(1) | body(2), NOW)
    kept.keep(body(1), NOW)
    kept.forget(names(1, 2))
    assert len(writes) == 1
    database.close()


def test_no_promise_without_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BODIES", 3)
    monkeypatch.setattr(module, "MAX_BYTES", 100)
    monkeypatch.setattr(module, "_LAZY", 2)
    database = Database(tmp_path / "db")
    kept = KeptBodies(database)
    assert kept.keep(body(1, until=900) | body(2) | body(3) | body(4), NOW) == names(1, 2, 3)
    assert kept.keep(body(5, until=900) | body(6), NOW) == names(5), "what has expired makes room"
    kept.forget(names(2, 3))
    assert kept.keep(body(7, size=200), NOW) == set()
    kept.forget(names(5))
    assert KeptBodies(database).load(NOW) == []
    database.close()
