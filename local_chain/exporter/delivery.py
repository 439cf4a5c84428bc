"""From the database to the object store, then to the chain: in the order of business, exactly once
(docs/spec/exporter.md §6).
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from typing import Protocol

from chain_core.codec.transaction import decode_envelope
from chain_core.execution.codes import Code
from chain_core.network.signing import sign_transaction
from chain_core.node.verifying_client import Refused, Settled
from chain_core.types.transaction import Operation, TransactionBody
from chain_core.types.values import Value
from contracts.anchors.contract import ANCHORS, MAX_ROWS
from contracts.data_model.snapshot import VERSION
from local_chain.exporter.core import Failpoint
from local_chain.exporter.database import Batch, Database, Row, Status
from local_chain.exporter.errors import AnchorRefused
from service_registry.chain import Account

BATCH_ROWS = 256
"""Anchors a transaction: at the longest object ids their event stays below 65,536 bytes."""
WINDOW_MS = 60_000
_PUTS_AT_ONCE = 16
_EXPIRED = "EXPIRED"


class SnapshotStore(Protocol):
    """Where whole snapshots lie."""

    async def put_snapshot(self, name: str, raw: bytes) -> None:
        """Stores ``<object_id>/<version>``, durable when it returns; the same bytes again change nothing."""
        ...


class Chain(Protocol):
    """Where hashes are anchored."""

    @property
    def genesis_hash(self) -> bytes:
        """Which chain."""
        ...

    async def submit_raw(self, raw: bytes) -> Settled:
        """An envelope until it is final or refused for good."""
        ...


class Delivery:
    """Puts and anchors. Raises StoreFault, AnchorRefused, NotFinal and what the nodes refuse; all but AnchorRefused may
    be tried again.
    """

    def __init__(
        self,
        database: Database,
        store: SnapshotStore,
        chain: Chain,
        who: Account,
        now_ms: Callable[[], int],
        failpoint: Failpoint = lambda _: None,
    ) -> None:
        self._database, self._store, self._chain, self._who, self._now_ms = database, store, chain, who, now_ms
        self._failpoint = failpoint

    async def run_once(self) -> int:
        """Everything that is ready now; how many snapshots were anchored."""
        anchored = await self._finish_batch()
        while True:
            await self._store_ready()
            rows = self._database.rows(Status.STORED, BATCH_ROWS)
            if not rows:
                return anchored
            self._sign(rows)
            anchored += await self._finish_batch()

    async def _store_ready(self) -> None:
        """All that is ready goes to the store before the next batch is cut: so a batch has no gap."""
        while rows := self._database.rows(Status.READY, BATCH_ROWS):
            await self._put_all(rows)
            self._failpoint("stored")
            with self._database.transaction():
                self._database.set_status([row.seq for row in rows], Status.STORED)

    async def _put_all(self, rows: Sequence[Row]) -> None:
        """Puts at most ``_PUTS_AT_ONCE`` at a time; what has one name in turn, so that the last one stays. After a
        failure nothing goes on in the background.
        """
        named: dict[str, list[bytes]] = {}
        for row in rows:
            named.setdefault(f"{row.object}/{row.version}", []).append(row.raw)
        left = iter(named.items())

        async def put() -> None:
            for name, raws in left:
                for raw in raws:
                    await self._store.put_snapshot(name, raw)

        tasks = [asyncio.create_task(put()) for _ in range(min(_PUTS_AT_ONCE, len(named)))]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _sign(self, rows: Sequence[Row]) -> None:
        """The batch, signed and in the database before it is sent."""
        number = self._database.meta("batch") + 1
        nonce = secrets.randbits(63)
        batch = Batch(number, nonce, self._envelope(number, nonce, rows))
        with self._database.transaction():
            self._database.set_meta("batch", number)
            self._database.put_batch(batch, [row.seq for row in rows])
        self._failpoint("signed")

    def _envelope(self, number: int, nonce: int, rows: Sequence[Row]) -> bytes:
        listed: list[Value] = [
            {
                "object": row.object,
                "kind": row.kind,
                "version": row.version,
                "operation": row.operation,
                "hash": row.hash,
            }
            for row in rows
        ]
        operations = tuple(
            Operation(ANCHORS, "anchor", {"model": VERSION, "rows": listed[start : start + MAX_ROWS]})
            for start in range(0, len(listed), MAX_ROWS)
        )
        until = self._now_ms() + WINDOW_MS
        body = TransactionBody(0, self._who.account, nonce, until, operations, business_id=f"anchors-{number}")
        return sign_transaction(self._chain.genesis_hash, body, [(self._who.private, self._who.public)])

    async def _finish_batch(self) -> int:
        """The open batch until it is final: the same envelope, or, when that is proven never to count, the same rows
        and nonce under a new window.
        """
        while (batch := self._database.open_batch()) is not None:
            rows = self._database.batch_rows(batch.batch)
            outcome = await self._chain.submit_raw(batch.raw)
            self._failpoint("final")
            if isinstance(outcome, Refused):
                if outcome.refusal.code != _EXPIRED:
                    raise AnchorRefused(
                        str(outcome.refusal),
                        where=f"batch {batch.batch}",
                        next_step="mend account and key, start again",
                    )
                again = Batch(batch.batch, batch.nonce, self._envelope(batch.batch, batch.nonce, rows))
                with self._database.transaction():
                    self._database.put_batch(again, [row.seq for row in rows])
                continue
            receipt = outcome.receipt
            if receipt.transaction_id != decode_envelope(batch.raw).transaction_id or receipt.code != Code.OK:
                raise AnchorRefused(
                    f"code {receipt.code} {receipt.rule} {receipt.parameters}",
                    where=f"batch {batch.batch}, height {outcome.header.height}",
                    next_step="does another exporter anchor under this account? see docs/spec/exporter.md §2",
                )
            with self._database.transaction():
                self._database.close_batch(batch.batch, outcome.header.height)
            return len(rows)
        return 0
