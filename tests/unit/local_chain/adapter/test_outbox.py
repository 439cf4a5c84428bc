"""Rows of a relational table take effect once, in their order, and learn what became of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from local_chain.adapter.errors import OutboxFault
from local_chain.adapter.outbox import Outbox, carry
from tests.unit.contracts.market import Market, account
from tests.unit.local_chain.adapter import postgresql
from tests.unit.local_chain.adapter.books import Desk


class Table:
    """The business system's side: plain SQL."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.outbox = Outbox(self.url, "dualchain_outbox")
        self.outbox.create()
        self.engine = create_engine(self.url)

    def insert(self, business_id: str, method: str, arguments: dict[str, Any] | str) -> None:
        row = {
            "id": business_id,
            "method": method,
            "arguments": arguments if isinstance(arguments, str) else json.dumps(arguments),
        }
        with self.engine.begin() as connection:
            connection.execute(
                text(
                    "INSERT INTO dualchain_outbox (business_id, business_time_ms, method, arguments, state, "
                    "transaction_id, height, message) VALUES (:id, 0, :method, :arguments, 'new', '', 0, '')"
                ),
                row,
            )

    def states(self) -> list[tuple[str, str]]:
        with self.engine.connect() as connection:
            found = connection.execute(text("SELECT state, message FROM dualchain_outbox ORDER BY id"))
            return [(str(state), str(message)) for state, message in found]


def listing(reference: str, province: str = "BJ") -> dict[str, Any]:
    return {
        "reference": reference,
        "name": "示例股份",
        "issuer": "hex:" + account("issuer").hex(),
        "province": province,
        "unit_decimals": 0,
        "declared": 10,
        "legacy": False,
    }


@pytest.fixture(scope="module")
def postgresql_url() -> Iterator[str]:
    if what := postgresql.missing():
        pytest.skip(what)
    with postgresql.server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def table(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Table]:
    if request.param == "sqlite":
        yield Table(f"sqlite:///{tmp_path / 'business.db'}")
        return
    found = Table(request.getfixturevalue("postgresql_url"))
    yield found
    found.outbox.table.drop(found.engine)
    found.outbox.close()
    found.engine.dispose()


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path, Market.open((), accepting=False))


def test_rows_are_carried_in_order_and_told(table: Table, desk: Desk) -> None:
    security = "hex:" + desk.naming.security("R1").hex()
    rows = [{"account": "hex:" + account("issuer").hex(), "quantity": 10, "acquired_day": 0}]
    table.insert("1", "register_security", listing("R1"))
    table.insert("2", "register_holding", {"security": security, "rows": rows})
    table.insert("3", "activate_security", {"security": security})
    table.insert("4", "register_security", listing("R2", "SH"))
    table.insert("5", "deposit", {})
    table.insert("6", "register_security", "{")
    table.insert("7", "register_security", listing("R3") | {"declared": 1.5})
    table.insert("8", "register_security", listing("R3") | {"issuer": "hex:zz"})
    assert asyncio.run(carry(table.outbox, desk.submitter(), 100)) == (3, 5)
    states = table.states()
    assert [state for state, _ in states] == ["done"] * 3 + ["refused"] + ["wrong"] * 4
    assert "csrc.province" in states[3][1] and "not handed in" in states[4][1]
    assert asyncio.run(carry(table.outbox, desk.submitter(), 100)) == (0, 0)
    book = asyncio.run(desk.chain.book(desk.naming.security("R1")))
    assert book is not None and book.live and book.units == {account("issuer"): 10}


@pytest.mark.parametrize("lost", [False, True])
def test_what_broke_between_hand_in_and_writing_back_gets_its_first_result(
    table: Table, desk: Desk, lost: bool
) -> None:
    table.insert("1", "register_security", listing("R1"))
    desk.chain.crash_after = 1
    with pytest.raises(ConnectionError):
        asyncio.run(carry(table.outbox, desk.submitter(), 100))
    assert table.states() == [("new", "")]
    height = desk.world.height
    desk.again(lost=lost)
    assert asyncio.run(carry(table.outbox, desk.submitter(), 100)) == (1, 0)
    assert table.states()[0][0] == "done" and desk.world.height == height, "no second block"


def test_a_table_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(OutboxFault):
        Outbox("no such dialect://", "t")
    with pytest.raises(OutboxFault):
        Outbox(f"sqlite:///{tmp_path / 'empty.db'}", "t").new_rows(1)
