"""One block's work: which objects its events touch, what the chain says of them, the books of balances and holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from contracts.data_model.json_text import Json, merge_patch
from local_chain.exporter import bodies
from local_chain.exporter.attributes import Attributes
from local_chain.exporter.bodies import Balance
from local_chain.exporter.database import Database
from local_chain.exporter.errors import ExporterFault

ORDER = (
    "subject",
    "account",
    "product",
    "transactionreport",
    "registration",
    "settlement",
    "infodisclosure",
    "financial_statements",
    "supervision",
)
"""Kinds as they refer to each other: what is referred to comes first."""


@dataclass(frozen=True, slots=True)
class Label:
    """What a security is called, and its decimals: fixed when it was registered, read proven from state."""

    name: str
    decimals: int


@dataclass(frozen=True, slots=True)
class Market:
    """The operating institution: market and depository in every snapshot."""

    account: bytes
    name: str


@dataclass(slots=True)
class Touched:
    """An object with the facts it will have after the block; ``latest`` is its version before, -1 when it is new."""

    object_id: str
    kind: str
    latest: int
    facts: Json


@dataclass(slots=True)
class Working:
    """``serial`` names the running event: transaction id and place in the block."""

    database: Database
    attributes: Attributes
    market: Market
    labels: Mapping[bytes, Label]
    height: int
    time_ms: int
    transaction: str = ""
    place: int = 0
    touched: dict[str, Touched] = field(default_factory=dict)
    unmapped: set[str] = field(default_factory=set)
    last_transfer: str = ""
    """The transfer report of the running transaction; what is paid in it belongs to it."""
    paid_fen: int = 0
    _before: dict[tuple[bytes, bytes], Balance] = field(default_factory=dict)
    _known: dict[str, int | None] = field(default_factory=dict)
    _private: dict[str, Json] = field(default_factory=dict)
    _books: dict[str, Any] = field(default_factory=dict)
    _changed: dict[str, Any] = field(default_factory=dict)

    @property
    def serial(self) -> str:
        """Names the event on the chain."""
        return f"{self.transaction}-{self.place}"

    # ---- objects

    def touch(self, object_id: str, kind: str, facts: Mapping[str, Any]) -> None:
        """Adds facts to an object, which is made when it is new."""
        found = self.touched.get(object_id)
        if found is None:
            stored = self.database.object(object_id)
            old: Json = {} if stored is None else stored[2]
            found = self.touched[object_id] = Touched(object_id, kind, -1 if stored is None else stored[1], old)
        found.facts = merge_patch(found.facts, facts)

    def exists(self, object_id: str) -> bool:
        """Whether it is there, or will be with this block."""
        return object_id in self.touched or self._latest(object_id) is not None

    def reference(self, object_id: str) -> str:
        """The snapshot valid before this block; version 0 for what the block makes."""
        found = self.touched.get(object_id)
        if found is not None:
            return f"{object_id}/{max(found.latest, 0)}"
        latest = self._latest(object_id)
        if latest is None:
            raise ExporterFault(f"{object_id} is referred to and was never made", where=f"height {self.height}")
        return f"{object_id}/{latest}"

    def _latest(self, object_id: str) -> int | None:
        """The latest version before this block, asked of the database once."""
        if object_id not in self._known:
            self._known[object_id] = self.database.latest(object_id)
        return self._known[object_id]

    def private(self, object_id: str) -> Json:
        """The object's attributes, read once a block."""
        found = self._private.get(object_id)
        if found is None:
            found = self._private[object_id] = self.attributes.get(object_id)
        return found

    def subject(self, account: bytes) -> str:
        """The party's subject and securities account, made at its first mention; the subject's id."""
        object_id, name = f"subject-{account.hex()}", f"account-{account.hex()}"
        if not self.exists(object_id):
            self.touch(object_id, "subject", bodies.subject(self.time_ms))
            depository = object_id if account == self.market.account else self.subject(self.market.account)
            facts = bodies.account(
                bodies.EQUITY_ACCOUNT,
                account.hex(),
                self.reference(object_id),
                self.reference(depository),
                self.time_ms,
            )
            self.touch(name, "account", facts)
        return object_id

    def fund(self, account: bytes) -> str:
        """The party's fund account, made at its first money; its id."""
        object_id = f"fund-{account.hex()}"
        if not self.exists(object_id):
            owner, depository = self.subject(account), self.subject(self.market.account)
            facts = bodies.account(
                bodies.FUND_ACCOUNT,
                account.hex(),
                self.reference(owner),
                self.reference(depository),
                self.time_ms,
                self.reference(f"account-{account.hex()}"),
            )
            self.touch(object_id, "account", facts)
        return object_id

    def in_order(self) -> list[Touched]:
        """What was touched, what is referred to first."""
        return sorted(self.touched.values(), key=lambda one: ORDER.index(one.kind))

    # ---- books

    def book(self, key: str) -> Any:
        """An entry of the books; None when there is none."""
        if key not in self._books:
            self._books[key] = self.database.book(key)
        return self._books[key]

    def set_book(self, key: str, value: Any) -> None:
        """Changes an entry; ``flush`` writes it. None removes it."""
        self._books[key] = self._changed[key] = value

    def flush(self) -> None:
        """Writes what changed in the books."""
        self.database.set_books(self._changed)
        self._changed.clear()

    def balance(self, security: bytes, account: bytes) -> Balance:
        """What somebody holds now."""
        row = self.book(f"h/{security.hex()}/{account.hex()}")
        return Balance() if row is None else Balance(*row)

    def change(
        self, security: bytes, account: bytes, available: int = 0, pledged: int = 0, frozen: int = 0
    ) -> tuple[Balance, Balance]:
        """(before the block, now) after a change. Raises ExporterFault when the books say that it cannot be."""
        old = self.balance(security, account)
        new = Balance(old.available + available, old.pledged + pledged, old.frozen + frozen)
        if min(new.available, new.pledged, new.frozen) < 0:
            raise ExporterFault(
                f"holding {security.hex()} of {account.hex()} would be {new}",
                where=f"height {self.height}, {self.serial}",
                next_step="the books miss an event: start again from height 1 with an empty database",
            )
        before = self._before.setdefault((security, account), old)
        key = f"h/{security.hex()}/{account.hex()}"
        self.set_book(key, [new.available, new.pledged, new.frozen] if new.total else None)
        if (old.total == 0) != (new.total == 0):
            count_key = f"n/{security.hex()}"
            count = (self.book(count_key) or 0) + (1 if new.total else -1)
            self.set_book(count_key, count)
        return before, new

    def holders(self, security: bytes) -> list[bytes]:
        """All who hold some of it, ascending."""
        self.flush()
        prefix = f"h/{security.hex()}/"
        return [bytes.fromhex(key.removeprefix(prefix)) for key in self.database.book_keys(prefix)]

    def decimals(self, security: bytes) -> int:
        """Of the security's unit."""
        return int(self.security(security)["decimals"])

    def security(self, security: bytes) -> Json:
        """The books' entry of a security. Raises ExporterFault for one that was never registered."""
        found: Json | None = self.book(f"s/{security.hex()}")
        if found is None:
            raise ExporterFault(f"security {security.hex()} was never registered", where=f"height {self.height}")
        return found
