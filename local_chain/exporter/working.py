"""One block's work: which objects its events touch, what the chain says of them, the books of balances and holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
    new: bool = False
    """Whether its body is one that it never had: nothing is compared."""
    deleted: str = ""
    """Why this block deletes it; empty: it does not."""


@dataclass(slots=True)
class Movement:
    """What a block does to one holding; its registration is written once, at the end of the block."""

    before: Balance
    event: int = bodies.NON_TRADE
    report: str = ""
    notes: list[str] = field(default_factory=list)


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
    gone: set[str] = field(default_factory=set)
    """Deleted objects of which an event of this block spoke: it is refused."""
    referred: set[str] = field(default_factory=set)
    """Objects to which something of this block refers."""
    moved: dict[tuple[bytes, bytes], Movement] = field(default_factory=dict)
    counts: dict[bytes, None] = field(default_factory=dict)
    """Securities whose number of holders changed."""
    scales: dict[bytes, None] = field(default_factory=dict)
    """Securities of which there is more or less."""
    rolls: dict[bytes, None] = field(default_factory=dict)
    """Securities whose roll is written anew."""
    parts: Mapping[int, str] = field(default_factory=dict)
    """Places of the running transaction's transfers that take what is pledged or frozen."""
    last_transfer: str = ""
    """The transfer report of the running transaction that came last: what is told of a transfer is told after it."""
    settling: bool = False
    paid_fen: int = 0
    """Paid for the delivery that is being settled."""
    _below: set[tuple[bytes, bytes]] = field(default_factory=set)
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
            if stored is not None and stored.deleted:
                self.gone.add(object_id)
                return
            latest, old = (-1, Json()) if stored is None else (stored.latest, stored.facts)
            found = self.touched[object_id] = Touched(object_id, kind, latest, old)
        found.facts = merge_patch(found.facts, facts)

    def create(self, object_id: str, kind: str, facts: Json) -> None:
        """An object named after the running event: new for certain, so nobody is asked."""
        self.touched[object_id] = Touched(object_id, kind, -1, facts, new=True)

    def replace(self, object_id: str, kind: str, facts: Json) -> None:
        """All facts of an object at once, those of a new time: what it was is not asked."""
        latest = self._latest(object_id)
        self.touched[object_id] = Touched(object_id, kind, -1 if latest is None else latest, facts, new=True)

    def delete(self, object_id: str, kind: str, latest: int, reason: str) -> None:
        """The object ends with this block, whose events say nothing of it."""
        self.touched[object_id] = Touched(object_id, kind, latest, {}, deleted=reason)

    def exists(self, object_id: str) -> bool:
        """Whether it is there, or will be with this block."""
        return object_id in self.touched or self._latest(object_id) is not None

    def reference(self, object_id: str) -> str:
        """The snapshot valid before this block; version 0 for what the block makes; of what is deleted the last
        version that said something.
        """
        self.referred.add(object_id)
        found = self.touched.get(object_id)
        if found is not None:
            return f"{object_id}/{max(found.latest, 0)}"
        latest = self._latest(object_id)
        if latest is None:
            raise ExporterFault(f"{object_id} is referred to and was never made", where=f"height {self.height}")
        return f"{object_id}/{latest}"

    def _latest(self, object_id: str) -> int | None:
        """The latest version with a body before this block."""
        return self.database.latest(object_id)

    def know(self, object_ids: Iterable[str]) -> None:
        """Reads attributes of many at once."""
        self._private |= self.attributes.get_many([one for one in object_ids if one not in self._private])

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

    def pending_deletions(self) -> list[tuple[str, str]]:
        """Objects that end, from earlier blocks, with their reasons, ascending."""
        keys = [key for key in self.database.book_keys("x/") if self.book(key) is not None]
        return [(key.removeprefix("x/"), str(self.book(key))) for key in keys]

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
    ) -> Movement:
        """What the block does to the holding, with this change in it. The events of a transaction tell of what follows
        before they tell of what it follows from: only its end shows whether the books hold (``end_transaction``).
        """
        old = self.balance(security, account)
        new = Balance(old.available + available, old.pledged + pledged, old.frozen + frozen)
        if min(new.available, new.pledged, new.frozen) < 0:
            self._below.add((security, account))
        there, was_there = any((new.available, new.pledged, new.frozen)), old != Balance()
        key = f"h/{security.hex()}/{account.hex()}"
        self.set_book(key, [new.available, new.pledged, new.frozen] if there else None)
        if there != was_there:
            by = 1 if there else -1
            self._count(f"n/{security.hex()}", by)
            self._count(f"a/{account.hex()}", by)
            self.counts[security] = None
        return self.movement(security, account, old)

    def movement(self, security: bytes, account: bytes, old: Balance | None = None) -> Movement:
        """The block's movement of a holding, which gets a registration by being asked for."""
        found = self.moved.get((security, account))
        if found is None:
            before = self.balance(security, account) if old is None else old
            found = self.moved[security, account] = Movement(before)
        return found

    def _count(self, key: str, by: int) -> None:
        self.set_book(key, ((self.book(key) or 0) + by) or None)

    def begin_transaction(self, transaction: str, parts: Mapping[int, str]) -> None:
        """The events that follow are its."""
        self.transaction, self.place, self.parts = transaction, 0, parts
        self.last_transfer, self.settling, self.paid_fen = "", False, 0

    def end_transaction(self) -> None:
        """Raises ExporterFault when the books say that what happened cannot be."""
        for security, account in self._below:
            found = self.balance(security, account)
            if min(found.available, found.pledged, found.frozen) < 0:
                raise ExporterFault(
                    f"holding {security.hex()} of {account.hex()} would be {found}",
                    where=f"height {self.height}, {self.serial}",
                    next_step="the books miss an event: start again from height 1 with an empty database",
                )
        self._below.clear()

    def money(self, account: bytes, by: int) -> None:
        """All money of an account, available or held."""
        self._count(f"c/{account.hex()}", by)

    def ever_holders(self, security: bytes) -> list[bytes]:
        """All who have a registration, or get one with this block."""
        prefix = f"registration-{security.hex()}-"
        stored = [bytes.fromhex(name.removeprefix(prefix)) for name in self.database.object_ids(prefix)]
        return [*dict.fromkeys([*stored, *(account for one, account in self.moved if one == security)])]

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
