"""A template's example on a market in memory, exported, and the exporter's objects against the kernel's books."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_map, decode_value
from chain_core.types.transaction import Envelope, Receipt
from contracts.data_model.json_text import scaled
from contracts.kernel.records import (
    CASH,
    HOLDING,
    KERNEL,
    LABEL,
    SECURITY,
    Security,
    Status,
    decode_cash,
    decode_holding,
    decode_security,
)
from contracts.sandbox.market import STAFF, Market, account_of
from local_chain.exporter.attributes import Attributes
from local_chain.exporter.core import Exporter
from local_chain.exporter.database import Database
from local_chain.exporter.registers import CLOSED, DELISTED, FROZEN, LIVE, REGISTERING, SUSPENDED
from local_chain.exporter.working import Label
from local_chain.exporter.working import Market as House
from tests.unit.local_chain.exporter.exchange import PRODUCT, SEAL, Block, company, person

DAY, WORDS = "2026-10-12", "公告"
SHOWN = {
    Status.REGISTERING: REGISTERING,
    Status.LIVE: LIVE,
    Status.SUSPENDED: SUSPENDED,
    Status.DELISTED: DELISTED,
    Status.CLOSED: CLOSED,
}
Holdings = dict[tuple[bytes, bytes], list[int]]


class RecordedMarket(Market):
    """Keeps what a follower of the chain would have verified, and the holdings after each block."""

    blocks: list[Block]
    holdings: dict[int, Holdings]

    def block(self, *envelopes: Envelope) -> list[Receipt]:
        receipts = super().block(*envelopes)
        assert self.last is not None
        found = [
            (receipt.transaction_id.hex(), cast(list[Any], decode_value(events)))
            for receipt, events in zip(receipts, self.last.events, strict=True)
            if receipt.code == 0
        ]
        self.blocks = [*getattr(self, "blocks", []), (self.height, self.time_ms, found)]
        self.holdings = {**getattr(self, "holdings", {}), self.height: self.holdings_now()}
        return receipts

    def rows(self, tag: bytes) -> list[tuple[bytes, bytes]]:
        prefix = state_key(KERNEL, tag)
        return [(key[len(prefix) :], raw) for key, raw in sorted(self.state.items()) if key.startswith(prefix)]

    def holdings_now(self) -> Holdings:
        found = {}
        for key, raw in self.rows(HOLDING):
            one = decode_holding(raw)
            found[key[:16], key[16:]] = [one.available, one.pledged, one.frozen]
        return found

    def label(self, security: bytes) -> Label:
        row = decode_map(self.state[state_key(KERNEL, LABEL + security)], "label")
        return Label(
            cast(str, row["name"]), decode_security(self.state[state_key(KERNEL, SECURITY + security)]).unit_decimals
        )


def _item(prefix: str, *names: str, **more: Any) -> dict[str, Any]:
    rows: dict[str, Any] = {f"{prefix}{name}": WORDS for name in names}
    return rows | {f"{prefix}{name}": value for name, value in more.items()}


OPERATOR = f"subject-{account_of('operator').hex()}/0"
_DISPLAY = ("name", "description", "content")
_REPORT = ("report_name", "measures", "report_description")
_BUSINESS = ("business_overview", "business_report_name", "business_report_description")
DISCLOSURES: Mapping[int, tuple[str, dict[str, Any]]] = {
    1: ("enterprise_display_information", _item("disclosure_display_", *_DISPLAY, platform_ref=OPERATOR)),
    3: ("regulatory_information", _item("disclosure_regulatory_", *_REPORT, report_date=DAY, type=1)),
    4: ("enterprise_report", _item("disclosure_enterprise_report_", "name", "description", type=1, date=DAY)),
    5: ("disclosure_notice", _item("disclosure_announcement_", "name", "description", type=1, date=DAY)),
    6: (
        "major_event_information",
        _item("disclosure_major_event_", "name", "document_description", type=1, reporting_date=DAY),
    ),
    7: ("integrity_archives", _item("disclosure_event_", "name", "description", type=1, status=1)),
    8: ("financial_information", _item("disclosure_financial_", type=1)),
    9: ("business_information", _item("disclosure_", *_BUSINESS, business_report_date=DAY)),
    10: ("expand_information", _item("disclosure_expand_", "name")),
}


def attributes_for(blocks: list[Block], people: list[str]) -> list[tuple[str, dict[str, Any]]]:
    """What a market's office knows beside the chain: who everybody is, what securities and disclosures say."""
    told = [row for _, _, transactions in blocks for _, events in transactions for row in events]
    issuers = {fields["issuer"] for _, name, fields in told if name == "security_registered"}
    houses = ("issuer", *STAFF, *(name for name in people if account_of(name) in issuers))
    rows: list[tuple[str, dict[str, Any]]] = [
        (f"subject-{account_of(name).hex()}", company(name) if name in houses else person(name))
        for name in dict.fromkeys([*people, *houses])
    ]
    for _, _, transactions in blocks:
        for _, events in transactions:
            for _, name, fields in events:
                if name == "registered":
                    rows.append((f"subject-{fields['account'].hex()}", person(fields["account"].hex())))
                elif name == "security_registered":
                    rows.append((f"product-{fields['security'].hex()}", PRODUCT))
                elif name == "disclosed":
                    listed, item = DISCLOSURES.get(fields["type"], ("", {}))
                    root: dict[str, Any] = {"disclosure_basic_information": {"disclosure_submit_type": 1}}
                    if listed:
                        root[listed] = [item]
                    name = f"disclosure-{fields['issuer'].hex()}-{fields['number']}"
                    rows.append((name, {"disclosure_approval_information": root}))
    return rows


class Books:
    """The exporter's database after a chain, asked what a regulator would read in it."""

    def __init__(self, folder: Path, market: RecordedMarket, people: list[str]) -> None:
        self.market = market
        self.attributes = Attributes(folder / "attributes.sqlite")
        self.attributes.put(attributes_for(market.blocks, people))
        self.database = Database(folder / "exporter.sqlite")
        house = House(account_of("operator"), "示例股权交易中心")
        self.exporter = Exporter(self.database, self.attributes, house, SEAL)

    def close(self) -> None:
        self.database.close()
        self.attributes.close()

    def take(self, after_block: Callable[[int], None] = lambda _: None) -> None:
        for height, time_ms, transactions in self.market.blocks:
            names = [f["security"] for _, events in transactions for _, n, f in events if n == "security_registered"]
            labels = {one: self.market.label(one) for one in names}
            self.exporter.take(height, time_ms, transactions, labels)
            after_block(height)

    # ---- what the snapshots say

    def registrations(self) -> Holdings:
        """Of every living registration the balances, those of nothing left out."""
        found = {}
        for name in self.database.object_ids("registration-"):
            _, security, account = name.split("-")
            stored = self.database.object(name)
            assert stored is not None
            rights = stored.facts["registration_information"]["registration_rights"]["basic_information_rights"]
            parts = [
                rights["available_registration"]["register_asset_balance_after"],
                rights["pledge_registration"]["register_pledge_balance_after"],
                rights["freezing_registration"]["register_frozen_balance_after"],
            ]
            if any(parts):
                found[bytes.fromhex(security), bytes.fromhex(account)] = parts
        return found

    def roll(self, security: bytes) -> tuple[int, dict[bytes, int]] | None:
        """(version, units by holder) of the security's roll."""
        stored = self.database.object(f"roll-{security.hex()}")
        if stored is None or stored.deleted:
            return None
        rows = stored.facts["registration_information"]["roll_records"]["register_shareholders"]
        found = {
            bytes.fromhex(row["register_equity_subject_ref"].split("-")[1].split("/")[0]): row[
                "register_equity_shareholding"
            ]
            for row in rows
        }
        return stored.latest, found

    def check_products(self) -> int:
        """Scale, status and board of every product against the kernel; how many there are."""
        rows = [(key, decode_security(raw)) for key, raw in self.market.rows(SECURITY)]
        for security, record in rows:
            self._check_product(security, record)
        return len(rows)

    def _check_product(self, security: bytes, record: Security) -> None:
        stored = self.database.object(f"product-{security.hex()}")
        assert stored is not None
        if stored.deleted:
            assert record.status == Status.CLOSED
            return
        product = stored.facts["product_information"]
        basic = product["essential_information"]["basic_product_information"]
        shown = FROZEN if record.frozen else SHOWN[Status(record.status)]
        assert basic["product_scale"] == scaled(record.declared, record.unit_decimals)
        assert product["transaction_information"]["transaction_status"]["product_transaction_status"] == shown
        if record.status in (Status.LIVE, Status.SUSPENDED):
            assert basic["product_trading_market_category"] == record.layer

    def check_money(self) -> None:
        """All money of each account."""
        for account, raw in self.market.rows(CASH):
            cash = decode_cash(raw)
            assert self.database.book(f"c/{account.hex()}") == cash.available + cash.held
        known = {key.hex() for key, _ in self.market.rows(CASH)}
        assert {key.removeprefix("c/") for key in self.database.book_keys("c/")} == known
