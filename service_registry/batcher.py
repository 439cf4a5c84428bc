"""Recording by batch: records become durable, answers leave with promises, batches follow
(docs/spec/service-records.md §1, §3, §7).
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from chain_core.crypto.providers import signing_provider
from chain_core.network.refusals import Overloaded
from chain_core.node.log import event
from chain_core.types.errors import DualchainError, LocalFault
from chain_core.types.transaction import Operation
from chain_core.types.values import Value
from service_registry import replay
from service_registry.admission import replayed
from service_registry.batch_records import (
    KEEP_MS,
    MAX_COUNT,
    MAX_ROWS,
    Judged,
    batch_key,
    batch_root,
    decode_batch,
    decode_gateway,
    gateway_key,
    group_of,
    sum_up,
)
from service_registry.bodies import Call, Promise, encode_promise, promise_message, record_hash
from service_registry.calls import SignedPromise
from service_registry.chain import Account, RefusedByChain, RegistryChain
from service_registry.config import KeyPair
from service_registry.record_store import RecordStore, Sealed
from service_registry.records import SERVICES, AccessLog, decode, log_key

log = logging.getLogger(__name__)

BATCH_S = 10.0
PROMISE_MS = 60_000
MAX_UNFINISHED = 65_536
_WITHIN_S = 20.0
_PAUSE_S = 2.0
Pair = tuple[bytes, bytes]
P = ParamSpec("P")
T = TypeVar("T")


class NotOurBatches(LocalFault):
    """The chain's count of this gateway's batches is not the store's: another process or an old copy of the store."""

    code = "NOT_OUR_BATCHES"


@dataclass(slots=True)
class _Waiting:
    record: Judged
    done: asyncio.Future[SignedPromise]


class Batcher:
    """One gateway's records by batch. ``clock``: milliseconds since the epoch; ``key`` signs promises."""

    def __init__(
        self, chain: RegistryChain, who: Account, key: KeyPair, store: RecordStore, clock: Callable[[], int]
    ) -> None:
        self.store = store
        self._chain, self._who, self._key, self._now_ms = chain, who, key, clock
        self._written: deque[tuple[int, Judged]] = deque()
        """Durable, in no batch yet."""
        self._waiting: deque[_Waiting] = deque()
        self._wake, self._full = asyncio.Event(), asyncio.Event()
        self._highest: OrderedDict[Pair, int] = OrderedDict()
        self._tasks: list[asyncio.Task[None]] = []
        self._handing_in = asyncio.Lock()
        self._writing = asyncio.Lock()
        last = store.newest.last if store.newest is not None else 0
        for number, record in store.records(last + 1, store.next - 1):
            self._written.append((number, record))
        first = store.next - store.unfinished
        for _, record in store.records(first, store.next - 1):
            self._note(record.call)

    @property
    def gateway(self) -> bytes:
        """The account whose batches these are."""
        return self._who.account

    def start(self) -> list[asyncio.Task[None]]:
        """Begins; the tasks never end by themselves: whoever runs the gateway ends with them when they fail."""
        self.start_writing()
        self._tasks.append(asyncio.create_task(self._batch_loop()))
        return self._tasks

    def start_writing(self) -> None:
        """Records become durable; batches are handed in by who calls ``hand_in``."""
        self._tasks.append(asyncio.create_task(self._write_loop()))

    async def stop(self) -> None:
        """Ends; what is durable is handed in after the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for waiting in self._waiting:
            waiting.done.cancel()
        async with self._writing:
            self.store.close()

    async def _on_disk(self, work: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
        """In a thread, one at a time; a cancelled caller waits for it: the store is not closed under a write."""
        async with self._writing:
            task = asyncio.ensure_future(asyncio.to_thread(work, *args, **named))
            try:
                return await asyncio.shield(task)
            except asyncio.CancelledError:
                await asyncio.wait([task])
                raise

    # ---- one call

    def used(self, call: Call) -> bool:
        """Whether the call's id was recorded here, or is too old for a batch to come."""
        if self.store.number_of(call.service, call.consumer, call.call_id) is not None:
            return True
        return self._too_late(call)

    def _too_late(self, call: Call) -> bool:
        return self._highest.get((call.service, call.consumer), 0) - call.call_id >= replay.WINDOW_IDS

    def require_room(self) -> None:
        """Raises Overloaded when so many records wait for the chain that no further call is taken."""
        if self.store.unfinished + len(self._waiting) >= MAX_UNFINISHED:
            raise Overloaded(
                "too many records wait for the chain", where="gateway", next_step="try again", retry_after_ms=5_000
            )

    def begin(self, call: Call) -> None:
        """A call's id is taken from here on: no later one is so far behind it that no batch could hold it."""
        self._note(call)

    async def record(self, record: Judged) -> SignedPromise:
        """The promise, once the record is on disk. Raises what the store raises.

        And ReplayedCall, when a later call of the pair went so far ahead meanwhile that no batch can hold this one:
        nothing is promised then.
        """
        if self._too_late(record.call):
            raise replayed(record.call)
        waiting = _Waiting(record, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._wake.set()
        return await waiting.done

    def _note(self, call: Call) -> None:
        pair = (call.service, call.consumer)
        self._highest[pair] = max(self._highest.pop(pair, 0), call.call_id)
        if len(self._highest) > 2 * MAX_UNFINISHED:
            self._highest.popitem(last=False)

    async def _write_loop(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            group = list(self._waiting)
            self._waiting.clear()
            if not group:
                continue
            records = [one.record for one in group]
            try:
                signing = asyncio.to_thread(self._promises, records)  # beside the disk: it takes as long
                numbers, promises = await asyncio.gather(self._on_disk(self.store.append, records), signing)
            except BaseException as error:
                for one in group:
                    _tell(one.done, error)
                raise
            for number, one, promise in zip(numbers, group, promises, strict=True):
                self._written.append((number, one.record))
                if not one.done.done():
                    one.done.set_result(promise)
            if len(self._written) >= MAX_COUNT:
                self._full.set()

    def _promises(self, records: Sequence[Judged]) -> list[SignedPromise]:
        deadline_ms, genesis = self._now_ms() + PROMISE_MS, self._chain.genesis_hash
        raws = []
        for record in records:
            call = record.call
            named = (call.service, call.consumer, call.call_id)
            raws.append(encode_promise(Promise(self._who.account, record_hash(record.row), *named, deadline_ms)))
        signer, key = signing_provider(), self._key.private
        return [SignedPromise(raw, signer.sm2_sign(key, promise_message(genesis, raw))) for raw in raws]

    # ---- batches

    async def _batch_loop(self) -> None:
        while True:
            try:
                await self.hand_in()
            except NotOurBatches:
                raise
            except DualchainError as error:
                facts: dict[str, str | int] = {"code": error.code, "reason": error.what, "where": error.where}
                event(log, logging.WARNING, "NOT_HANDED_IN", {**facts, "records": self.store.unfinished})
                await asyncio.sleep(_PAUSE_S)
                continue
            self._full.clear()
            try:
                async with asyncio.timeout(BATCH_S):
                    await self._full.wait()
            except TimeoutError:
                pass

    async def hand_in(self) -> None:
        """Everything durable so far becomes final, in as many batches as it takes. Raises what a submission raises."""
        async with self._handing_in:
            last = self.store.next - 1
            newest = self.store.newest
            if newest is not None and not newest.height:
                await self._finish(newest)
            while self._written and self._written[0][0] <= last:
                await self._finish(await self._cut())

    async def _cut(self) -> Sealed:
        """The next batch, on disk, before anybody sees it."""
        newest = self.store.newest
        number = newest.number + 1 if newest is not None else (await self._gateway_next())
        taken = _fitting(self._written)
        sealed = Sealed(number, taken[0][0], taken[-1][0], self._now_ms())
        await self._on_disk(self.store.seal, sealed)
        for _ in taken:
            self._written.popleft()
        return sealed

    async def _finish(self, sealed: Sealed) -> None:
        """Hands a cut batch in until it is final; what the chain takes no more is set aside."""
        height, records = 0, await asyncio.to_thread(self._contents, sealed)
        while records and not height:
            height = await self._settle(sealed.number, records)
            if not height:
                records = await asyncio.to_thread(self._contents, sealed)
        if not records:
            await self._on_disk(self.store.drop)
            return
        await self._on_disk(self.store.finish, height)
        await self._on_disk(self.store.forget, self._now_ms() - KEEP_MS)
        facts = {"number": sealed.number, "records": len(records), "height": height}
        event(log, logging.INFO, "BATCHED", facts)

    def _contents(self, sealed: Sealed) -> list[tuple[int, Judged]]:
        return list(self.store.records(sealed.first, sealed.last))

    async def _settle(self, number: int, numbered: list[tuple[int, Judged]]) -> int:
        """The height at which the batch is final; 0 when some of it was set aside instead."""
        records = [record for _, record in numbered]
        try:
            return await self._submit(number, records)
        except RefusedByChain as refusal:
            height = await self._known(number, records)
            if not height:
                await self._set_aside(refusal, numbered)
            return height

    async def _submit(self, number: int, records: list[Judged]) -> int:
        args = await asyncio.to_thread(self._arguments, number, records)
        operation = Operation(SERVICES, "record_batch", args)
        receipt = await self._chain.submit(self._who, [operation], within_s=_WITHIN_S)
        return receipt.header.height

    def _arguments(self, number: int, records: list[Judged]) -> dict[str, Value]:
        args: dict[str, Value] = {"number": number, "root": batch_root(records), "count": len(records)}
        return args | {"key": self._key.public, "rows": list(sum_up(records))}

    async def _known(self, number: int, records: list[Judged]) -> int:
        """The height at which exactly this batch became final earlier, 0 when its number is still free.

        Raises NotOurBatches when the number stands for another batch, or the chain counts fewer.
        """
        if await self._gateway_next() == number:
            return 0
        key = (SERVICES, batch_key(self._who.account, number))
        raw = (await self._chain.values([key]))[key]
        if raw is None or decode_batch(raw).root != batch_root(records):
            raise NotOurBatches(
                f"batch {number} on chain is another one",
                where=str(number),
                next_step="run one process a gateway account; after the loss of a store give the gateway a new account",
            )
        return decode_batch(raw).height

    async def _gateway_next(self) -> int:
        key = (SERVICES, gateway_key(self._who.account))
        return decode_gateway((await self._chain.values([key]))[key]).next

    async def _set_aside(self, refusal: RefusedByChain, records: list[tuple[int, Judged]]) -> None:
        """Takes out what a refused batch's row says cannot be recorded. Raises the refusal when that is nothing."""
        rows = sum_up([record for _, record in records])
        index = refusal.parameters[0] if refusal.parameters else None
        by_row = refusal.rule in ("services.batch_replayed", "services.batch_unknown", "services.batch_day")
        if not by_row or not isinstance(index, int) or index >= len(rows):
            raise refusal
        row = rows[index]
        pair = (row["service"], row["consumer"])
        mine = [(n, r) for n, r in records if (r.call.service, r.call.consumer) == pair]
        if refusal.rule == "services.batch_replayed":
            key = (SERVICES, log_key(mine[0][1].call.service, mine[0][1].call.consumer))
            raw = (await self._chain.values([key]))[key]
            known = AccessLog() if raw is None else decode(AccessLog, raw)
            spoiled = [n for n, r in mine if replay.used(known.highest, known.window, r.call.call_id)]
        else:
            spoiled = [n for n, r in mine if sum_up([r])[0]["day"] == row["day"]]
        if not spoiled:
            raise refusal
        facts: dict[str, str | int] = {"records": len(spoiled), "rule": refusal.rule, "reason": refusal.what}
        event(log, logging.ERROR, "SET_ASIDE", facts)
        await self._on_disk(self.store.set_aside, spoiled)


def _fitting(written: deque[tuple[int, Judged]]) -> list[tuple[int, Judged]]:
    """As many of the first ones as one batch holds: count, rows, and ids of a pair within one window."""
    taken: list[tuple[int, Judged]] = []
    groups: set[tuple[bytes | int, ...]] = set()
    spans: dict[Pair, tuple[int, int]] = {}
    for number, record in written:
        call = record.call
        pair, group = (call.service, call.consumer), group_of(call, record)
        low, high = spans.get(pair, (call.call_id, call.call_id))
        low, high = min(low, call.call_id), max(high, call.call_id)
        crowded = len(taken) >= MAX_COUNT or (group not in groups and len(groups) >= MAX_ROWS)
        if crowded or high - low >= replay.WINDOW_IDS:
            break
        groups.add(group)
        spans[pair] = (low, high)
        taken.append((number, record))
    return taken


def _tell(done: asyncio.Future[SignedPromise], error: BaseException) -> None:
    if done.done():
        return
    if isinstance(error, DualchainError):
        done.set_exception(error)
    else:
        done.cancel()
