"""Objects end when there is no more use for them: after their last version, for good, and in order (JR/T 0314 6.3)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from contracts.data_model.lifecycle import LifecycleRefused
from contracts.data_model.references import references
from contracts.data_model.snapshot import Operation, Snapshot, read_snapshot
from contracts.kernel.records import Status as Life
from local_chain.exporter.database import Status
from tests.unit.contracts.market import account
from tests.unit.local_chain.exporter.exchange import PEOPLE, Exchange, Office, subject
from tests.unit.local_chain.exporter.test_exporter import ALL

ONE, TWO = PEOPLE[:2]


class Register:
    """A security with two holders, and blocks of events that a chain could tell next."""

    def __init__(self, folder: Path, told: tuple[str, ...] = ALL) -> None:
        self.exchange = Exchange.begin()
        self.office = Office(folder, self.exchange)
        self.exchange.qualified(*PEOPLE)
        self.security = self.exchange.listed({ONE: 100, TWO: 50})
        self.office.tell(*told)
        self.office.tell_objects(self.security)
        self.office.take()
        self.number = 0

    def block(self, *events: tuple[str, dict[str, Any]], contract: str = "kernel") -> int:
        self.number += 1
        self.exchange.time_ms += 1_000
        listed = [[contract, name, fields] for name, fields in events]
        found = [(f"{self.number:064x}", listed)] if events else []
        return self.office.exporter.take(self.office.exporter.next_height, self.exchange.time_ms, found, {})

    def ended(self, name: str, quantity: int) -> tuple[str, dict[str, Any]]:
        fields = {"security": self.security, "account": account(name), "quantity": quantity, "kind": 5}
        return "shares_ended", fields

    def status(self, status: Life) -> tuple[str, dict[str, Any]]:
        return "status_set", {"security": self.security, "status": int(status), "evidence": bytes(32)}

    def deliver(self) -> None:
        asyncio.run(self.office.delivery.run_once())

    def last(self, object_id: str) -> Snapshot:
        stored = self.office.database.object(object_id)
        assert stored is not None
        return read_snapshot(self.office.store.versions[f"{object_id}/{stored.latest}"][-1])

    def is_deleted(self, object_id: str) -> bool:
        stored = self.office.database.object(object_id)
        return stored is not None and stored.deleted


@pytest.fixture
def register(tmp_path: Path) -> Register:
    return Register(tmp_path)


def test_a_register_that_ended_is_deleted_with_the_block_after(register: Register) -> None:
    holder = f"registration-{register.security.hex()}-{account(ONE).hex()}"
    product, roll = f"product-{register.security.hex()}", f"roll-{register.security.hex()}"
    register.block(register.ended(ONE, 100), register.ended(TWO, 50), register.status(Life.DELISTED))
    register.block(register.status(Life.CLOSED))
    assert not register.is_deleted(product), "the last version says why; it is not the delete"
    assert register.block() == 4, "two registrations, the roll, the product"
    register.deliver()
    for name in (holder, roll, product):
        last = register.last(name)
        assert last.operation is Operation.DELETE and not last.body and last.remark and last.seals
        anchors = register.exchange.anchored(name)
        assert [one.operation for one in anchors][-1] == "delete" and len(anchors) == last.version + 1
        assert f"{name}/0" in register.office.store.versions, "earlier snapshots stay"
    before = read_snapshot(register.office.store.versions[f"{product}/{register.last(product).version - 1}"][-1])
    information = before.body["product_information"]
    assert information["transaction_information"]["transaction_status"]["product_transaction_status"] == 5
    assert information["escrow_information"]["product_escrow_deregistration_date"]


def test_after_the_delete_nothing_is_written_any_more(register: Register) -> None:
    register.block(register.ended(ONE, 100), register.ended(TWO, 50), register.status(Life.DELISTED))
    register.block(register.status(Life.CLOSED))
    register.block()
    product = f"product-{register.security.hex()}"
    frozen = ("security_frozen", {"security": register.security, "directive": "late"})
    register.block(frozen)
    register.office.attributes.put([(product, {"product_information": {"x": 1}})])
    register.block()
    register.deliver()
    assert register.last(product).operation is Operation.DELETE
    assert [one.operation for one in register.exchange.anchored(product)].count("delete") == 1
    with pytest.raises(LifecycleRefused, match="deleted"):
        register.office.exporter.correct(product, 0)


def test_a_closed_account_is_deleted_once_it_has_neither_shares_nor_money(register: Register) -> None:
    name, fund = f"account-{account(ONE).hex()}", f"fund-{account(ONE).hex()}"
    money = {"account": account(ONE), "amount_fen": 70}
    register.block(("cash_deposited", money | {"reference": "in"}))
    register.block(("closed", {"account": account(ONE)}), contract="accounts")
    register.block()
    assert not register.is_deleted(name), "it holds shares"
    register.block(register.ended(ONE, 100))
    register.block()
    assert not register.is_deleted(name) and not register.is_deleted(fund), "it has money"
    register.block(("cash_withdrawn", money | {"reference": "out"}))
    assert not register.is_deleted(fund), "this block spoke of it"
    register.block()
    assert register.is_deleted(name) and register.is_deleted(fund)
    assert not register.is_deleted(subject(ONE)), "who it belonged to goes on"
    register.block(("party_frozen", {"account": account(ONE), "directive": "late"}))
    register.deliver()
    assert register.last(name).operation is Operation.DELETE
    closing = read_snapshot(register.office.store.versions[f"{name}/{register.last(name).version - 1}"][-1])
    information = closing.body["account_information"]
    assert information["basic_account_information"]["account_status"] == 3
    assert information["account_cycle_information"]["account_cancellation_information"]["account_closing_date"]


def test_no_new_reference_leads_to_a_delete(register: Register) -> None:
    register.block(("closed", {"account": account("investor-3")}), contract="accounts")
    register.block(register.ended(ONE, 1))
    name = f"account-{account('investor-3').hex()}"
    assert register.is_deleted(name)
    paid = {"payer": account(ONE), "payee": account("investor-3"), "amount_fen": 5}
    register.block(("cash_deposited", {"account": account(ONE), "amount_fen": 5, "reference": "in"}), ("paid", paid))
    register.deliver()
    made = read_snapshot(register.office.store.versions[f"fund-{account('investor-3').hex()}/0"][-1])
    named = {str(reference) for _, reference in references(made.body)}
    assert f"{name}/{register.last(name).version - 1}" in named


def test_published_data_that_is_destroyed_is_deleted(register: Register) -> None:
    identity = b"o" * 16
    created = {"object": identity, "tier": "private", "kind": "financial", "owner": account("issuer")}
    register.block(("created", created), contract="data")
    register.block(("deleted", {"object": identity, "custodian": account("operator")}), contract="data")
    register.block()
    assert register.is_deleted(f"statement-{identity.hex()}")


def test_a_delete_waits_for_versions_that_are_held_and_lets_them_be_corrected(tmp_path: Path) -> None:
    register = Register(tmp_path)
    identity = b"h" * 16
    name = f"disclosure-{identity.hex()}"
    created = {"object": identity, "tier": "public", "kind": "disclosure", "owner": account("issuer")}
    register.block(("created", created), contract="data")  # nobody told what it says
    register.block(("deleted", {"object": identity, "custodian": account("operator")}), contract="data")
    register.block()
    states = [row.status for row in register.office.database.rows_of(name)]
    assert states == [Status.HELD, Status.WAITING]
    register.office.again()
    register.office.tell_objects(register.security, [identity])
    (row,) = register.office.exporter.correct(name)
    assert (row.version, row.operation) == (0, "overwrite")
    register.deliver()
    assert [one.operation for one in register.exchange.anchored(name)] == ["overwrite", "delete"]
    with pytest.raises(LifecycleRefused):
        register.office.exporter.correct(name)
