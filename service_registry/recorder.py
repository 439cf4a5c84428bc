"""Access records on their way to the chain: those of concurrent calls share a transaction; each waits until it is final
(docs/spec/service-registry.md §6).
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from chain_core.network.refusals import Overloaded
from chain_core.node.chain_view import VerifiedReceipt
from chain_core.node.log import event
from chain_core.types.errors import DualchainError
from chain_core.types.transaction import Operation
from service_registry.access import MAX_RECORDS
from service_registry.bodies import AccessRecord, record_row
from service_registry.chain import Account, RefusedByChain, RegistryChain
from service_registry.records import SERVICES

log = logging.getLogger(__name__)

MAX_WAITING = 512
_WITHIN_S = 20.0


@dataclass(frozen=True, slots=True)
class _Waiting:
    record: AccessRecord
    done: asyncio.Future[VerifiedReceipt]


class Recorder:
    """One loop that records; ``record`` waits for the receipt of the transaction that holds the record."""

    def __init__(self, chain: RegistryChain, who: Account) -> None:
        self._chain = chain
        self._who = who
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue(MAX_WAITING)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> asyncio.Task[None]:
        """Begin recording. The task never ends by itself: whoever runs the gateway ends with it when it fails."""
        self._task = asyncio.create_task(self._loop())
        return self._task

    async def stop(self) -> None:
        """End; whoever still waits is told that nothing was recorded."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        while not self._queue.empty():
            self._queue.get_nowait().done.cancel()

    async def record(self, record: AccessRecord) -> VerifiedReceipt:
        """The verified receipt. Raises Overloaded, and what the submission raises."""
        waiting = _Waiting(record, asyncio.get_running_loop().create_future())
        try:
            self._queue.put_nowait(waiting)
        except asyncio.QueueFull:
            raise Overloaded(
                "too many calls wait to be recorded", where="gateway", next_step="try again", retry_after_ms=1_000
            ) from None
        return await waiting.done

    async def _loop(self) -> None:
        while True:
            batch = [await self._queue.get()]
            while len(batch) < MAX_RECORDS and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            try:
                await self._settle(batch)
            finally:
                for waiting in batch:
                    waiting.done.cancel()  # no effect on those that are done

    async def _settle(self, batch: list[_Waiting]) -> None:
        try:
            receipt = await self._submit(batch)
        except DualchainError as error:
            if isinstance(error, RefusedByChain) and len(batch) > 1:
                # One record in the batch may not be recorded: the others must not suffer from it.
                for waiting in batch:
                    await self._settle([waiting])
                return
            facts: dict[str, str | int] = {
                "records": len(batch),
                "code": error.code,
                "reason": error.what,
                "where": error.where,
            }
            event(log, logging.WARNING, "NOT_RECORDED", facts)
            for waiting in batch:
                _tell(waiting.done, error)
            return
        event(log, logging.INFO, "RECORDED", {"records": len(batch), "height": receipt.header.height})
        for waiting in batch:
            if not waiting.done.done():
                waiting.done.set_result(receipt)

    async def _submit(self, batch: list[_Waiting]) -> VerifiedReceipt:
        rows = [record_row(waiting.record) for waiting in batch]
        operation = Operation(SERVICES, "record_access", {"records": rows})
        return await self._chain.submit(self._who, [operation], within_s=_WITHIN_S)


def _tell(done: asyncio.Future[VerifiedReceipt], error: DualchainError) -> None:
    if not done.done():
        done.set_exception(error)
