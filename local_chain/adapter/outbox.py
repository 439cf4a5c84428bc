"""The outbox table of a business system: rows in, results back (docs/spec/adapter.md §5).

The business system inserts rows in its own transactions and never talks to a chain; the adapter reads what is new,
hands it in under its business id, and writes the result beside it. A row taken twice takes effect once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, Column, Engine, Integer, MetaData, String, Table, Text, create_engine, select, update
from sqlalchemy.exc import SQLAlchemyError

from chain_core.types.errors import DualchainError
from chain_core.types.transaction import MAX_BUSINESS_ID_BYTES, Operation
from chain_core.types.values import Value
from contracts.data_model.faults import SnapshotRefused
from contracts.data_model.json_text import parse
from contracts.kernel.records import KERNEL
from local_chain.adapter.errors import BusinessIdReused, OutboxFault
from local_chain.adapter.submitter import Job, Submitter

NEW, DONE, REFUSED, WRONG = "new", "done", "refused", "wrong"
METHODS = frozenset(
    ("register_security", "register_holding", "activate_security", "set_suitability", "transfer_non_trade")
)
"""Operations of the operator that a business system hands in: all of the contract ``kernel``."""
_HEX = "hex:"
_MAX_TEXT = 500


@dataclass(frozen=True, slots=True)
class Row:
    """One row that is new."""

    id: int
    business_id: str
    business_time_ms: int
    method: str
    arguments: str


class Outbox:
    """One table, by SQLAlchemy: SQLite, PostgreSQL, or what else has a driver. Raises OutboxFault."""

    def __init__(self, url: str, table: str) -> None:
        try:
            self._engine: Engine = create_engine(url, future=True)
            self.table = Table(
                table,
                MetaData(),
                Column("id", Integer, primary_key=True, autoincrement=True),
                Column("business_id", String(MAX_BUSINESS_ID_BYTES), nullable=False, unique=True),
                Column("business_time_ms", BigInteger, nullable=False, default=0),
                Column("method", String(64), nullable=False),
                Column("arguments", Text, nullable=False),
                Column("state", String(16), nullable=False, default=NEW, index=True),
                Column("transaction_id", String(64), nullable=False, default=""),
                Column("height", BigInteger, nullable=False, default=0),
                Column("message", String(_MAX_TEXT), nullable=False, default=""),
            )
        except (SQLAlchemyError, ImportError) as error:
            raise _fault(error) from error

    def create(self) -> None:
        """Makes the table where it is missing."""
        try:
            self.table.metadata.create_all(self._engine)
        except SQLAlchemyError as error:
            raise _fault(error) from error

    def new_rows(self, limit: int) -> list[Row]:
        """The oldest rows that are new."""
        columns = self.table.c
        query = (
            select(columns.id, columns.business_id, columns.business_time_ms, columns.method, columns.arguments)
            .where(columns.state == NEW)
            .order_by(columns.id)
            .limit(limit)
        )
        try:
            with self._engine.connect() as connection:
                return [Row(*found) for found in connection.execute(query)]
        except SQLAlchemyError as error:
            raise _fault(error) from error

    def write_back(self, results: Sequence[tuple[int, Mapping[str, Any]]]) -> None:
        """Results by row id, in one transaction; a row that is not new any more is left as it is."""
        columns = self.table.c
        try:
            with self._engine.begin() as connection:
                for identity, values in results:
                    where = (columns.id == identity) & (columns.state == NEW)
                    connection.execute(update(self.table).where(where).values(**values))
        except SQLAlchemyError as error:
            raise _fault(error) from error

    def close(self) -> None:
        """End all connections."""
        self._engine.dispose()


def job_of(row: Row) -> Job:
    """Raises SnapshotRefused or OutboxFault for a row that says nothing the adapter may hand in."""
    if row.method not in METHODS:
        raise OutboxFault(
            f"{row.method!r} is not handed in for business systems",
            where=f"row {row.id}",
            next_step=f"use one of {', '.join(sorted(METHODS))}",
        )
    if not 0 < len(row.business_id.encode()) <= MAX_BUSINESS_ID_BYTES:
        raise OutboxFault("a business id has 1 to 64 bytes", where=f"row {row.id}", next_step="mend the row")
    arguments = _values(parse(row.arguments.encode()), row.id)
    assert isinstance(arguments, dict), "parse gives an object"
    return Job(row.business_id, (Operation(KERNEL, row.method, arguments),), row.business_time_ms)


def _values(found: Any, row: int) -> Any:
    """JSON as values of the chain: text that begins with ``hex:`` is bytes."""
    if isinstance(found, dict):
        return {name: _values(value, row) for name, value in found.items()}
    if isinstance(found, list):
        return [_values(value, row) for value in found]
    if isinstance(found, str) and found.startswith(_HEX):
        try:
            value: Value = bytes.fromhex(found.removeprefix(_HEX))
        except ValueError as error:
            raise OutboxFault("not hexadecimal behind hex:", where=f"row {row}", next_step="mend the row") from error
        return value
    if isinstance(found, float):
        raise OutboxFault("the chain knows no fractions", where=f"row {row}", next_step="write whole units")
    return found


async def carry(outbox: Outbox, submitter: Submitter, limit: int) -> tuple[int, int]:
    """Hands in what is new, at most ``limit`` rows; (done, refused or wrong).

    Between hand-in and writing back anything may break: the rows stay new, and get their first results next time.
    Raises OutboxFault, and what handing in raises.
    """
    rows, results = outbox.new_rows(limit), list[tuple[int, Mapping[str, Any]]]()
    for row in rows:  # one by one: the order of rows is the order of business
        try:
            (entry,) = await submitter.submit([job_of(row)])
        except (SnapshotRefused, OutboxFault, BusinessIdReused) as wrong:
            results.append((row.id, {"state": WRONG, "message": _text(wrong)}))
            outbox.write_back(results[-1:])
            continue
        values = {
            "state": DONE if entry.done else REFUSED,
            "transaction_id": entry.transaction_id.hex(),
            "height": entry.height,
            "message": (entry.text or entry.rule)[:_MAX_TEXT],
        }
        results.append((row.id, values))
        outbox.write_back(results[-1:])
    done = sum(values["state"] == DONE for _, values in results)
    return done, len(results) - done


def _text(refusal: DualchainError) -> str:
    return str(refusal)[:_MAX_TEXT]


def _fault(error: Exception) -> OutboxFault:
    what = " ".join(str(error).split())[:300]
    return OutboxFault(what, where="outbox", next_step="check [outbox] url and table, then run again")
