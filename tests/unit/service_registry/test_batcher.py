"""Recording by batch: an answer leaves with a promise, the record is on disk before, a kill loses none of them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from chain_core._pb.dualchain.registry.v1 import registry_pb2 as pb
from chain_core.codec.values import decode_value
from chain_core.crypto.merkle import verify_inclusion
from chain_core.crypto.providers import provider
from chain_core.network.refusals import NotFound, Overloaded
from chain_core.types.values import Value
from service_registry import batcher as batching_module
from service_registry import gateway as gateway_module
from service_registry import replay
from service_registry.batch_records import rows_hash
from service_registry.batcher import PROMISE_MS, NotOurBatches
from service_registry.bodies import (
    CODES,
    AccessCode,
    promise_message,
    read_call,
    read_promise,
    read_record,
    record_hash,
)
from service_registry.calls import BadRequest, ReplayedCall
from service_registry.gateway import MAX_READERS
from tests.unit.execution.world import GENESIS_HASH, account
from tests.unit.service_registry.batching import batch, gateway_log, hand_in, judged, usage
from tests.unit.service_registry.house import SERVICE, assertion_key
from tests.unit.service_registry.stage import SOMEBODY, Stage, play


async def records(stage: Stage, **asked: Any) -> pb.RecordsResponse:
    request = pb.RecordsRequest(**asked).SerializeToString()
    return pb.RecordsResponse.FromString(await stage.gateway.records(SOMEBODY, request))


def of_call(call_id: int) -> dict[str, Any]:
    return {"service": SERVICE, "consumer": account("consumer"), "call_id": call_id}


async def kill(stage: Stage) -> None:
    """The gateway's process ends without a word; another begins on the same store."""
    assert stage.batcher is not None
    for task in stage.batcher._tasks:
        task.cancel()
    await asyncio.gather(*stage.batcher._tasks, return_exceptions=True)
    stage.batcher.store.close()
    stage.begin()


def test_an_answer_leaves_with_a_promise_and_costs_no_transaction(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        height = stage.house.world.height
        response = await stage.call(stage.house.call("consumer")[1])
        assert stage.house.world.height == height and not response.HasField("record")
        promise = read_promise(response.promise.promise)
        row = read_record(response.promise.record)
        assert promise.record == record_hash(row) and promise.deadline_ms == stage.clock() + PROMISE_MS
        message = promise_message(GENESIS_HASH, response.promise.promise)
        assert provider().sm2_verify(assertion_key("gateway"), message, response.promise.signature)
        assert stage.batcher is not None
        await stage.batcher.hand_in()
        assert stage.house.world.height == height + 1
        assert stage.house.log("consumer").calls == 1 and usage(stage.house).amount_fen == 100

    play(story, tmp_path)


def test_a_record_is_served_with_its_path(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        for _ in range(5):
            await stage.call(stage.house.call("consumer")[1])
        early = await records(stage, **of_call(3))
        assert (early.batch, early.height) == (0, 0), "not in a batch yet"
        assert stage.batcher is not None
        await stage.batcher.hand_in()
        told = await records(stage, **of_call(3))
        (found,) = told.records
        row = read_record(found.record)
        assert read_call(cast(bytes, row["call"])).call_id == 3
        event = _last_batch(stage)
        assert event["rows"] == rows_hash(cast(Sequence[Value], decode_value(told.rows)))
        assert verify_inclusion(record_hash(row), found.index, told.count, list(found.path), cast(bytes, event["root"]))
        whole = await records(stage, batch=told.batch, first=1)
        assert [one.index for one in whole.records] == [1, 2, 3, 4] and whole.height == stage.house.world.height
        for missing in (of_call(9), {"batch": 2}):
            with pytest.raises(NotFound):
                await records(stage, **missing)

    play(story, tmp_path)


def _last_batch(stage: Stage) -> dict[str, Value]:
    assert stage.house.world.last is not None
    events = [row for raw in stage.house.world.last.events for row in cast(list[list[Value]], decode_value(raw))]
    return next(cast(dict[str, Value], row[2]) for row in events if row[1] == "batch")


def test_reading_records_holds_up_no_call_and_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, waited = threading.Event(), list[bool]()

    def slowly(*_: object) -> pb.RecordsResponse:
        waited.append(gate.wait(10))
        return pb.RecordsResponse(batch=1)

    async def story(stage: Stage) -> None:
        monkeypatch.setattr(gateway_module, "serve_records", slowly)
        readers = [asyncio.create_task(records(stage, batch=1)) for _ in range(MAX_READERS)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await records(stage, batch=1)
        await stage.call(stage.house.call("consumer")[1])
        assert not any(reader.done() for reader in readers)
        gate.set()
        assert [told.batch for told in await asyncio.gather(*readers)] == [1] * MAX_READERS
        assert waited == [True] * MAX_READERS

    play(story, tmp_path)


def test_a_gateway_without_a_store_serves_no_records() -> None:
    async def story(stage: Stage) -> None:
        with pytest.raises(NotFound):
            await records(stage, batch=1)

    play(story)


@pytest.mark.parametrize("when", ["before the batch", "batch cut", "batch final, not known here"])
def test_a_kill_loses_no_record_and_doubles_none(tmp_path: Path, when: str) -> None:
    async def story(stage: Stage) -> None:
        for _ in range(3):
            await stage.call(stage.house.call("consumer")[1])
        assert stage.batcher is not None
        if when == "batch cut":
            await stage.batcher._cut()
        elif when != "before the batch":
            sealed = await stage.batcher._cut()
            found = [record for _, record in stage.batcher.store.records(sealed.first, sealed.last)]
            await stage.batcher._submit(sealed.number, found)
        await kill(stage)
        await stage.call(stage.house.call("consumer")[1])
        await stage.batcher.hand_in()
        await stage.batcher.hand_in()
        assert stage.house.log("consumer").calls == 4
        assert gateway_log(stage.house).next == (2 if when == "before the batch" else 3)
        assert stage.batcher.store.unfinished == 0

    play(story, tmp_path)


def test_an_id_that_was_used_before_the_kill_is_used(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        _, signed = stage.house.call("consumer")
        await stage.call(signed)
        await kill(stage)
        with pytest.raises(ReplayedCall):
            await stage.call(signed)
        assert stage.asked == 1

    play(story, tmp_path)


def test_an_id_too_far_behind_is_refused_before_it_is_promised(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        await stage.call(stage.house.call("consumer", call_id=5_000)[1])
        with pytest.raises(ReplayedCall):
            await stage.call(stage.house.call("consumer", call_id=5_000 - replay.WINDOW_IDS)[1])
        await kill(stage)
        with pytest.raises(ReplayedCall):
            await stage.call(stage.house.call("consumer", call_id=3)[1])
        await stage.call(stage.house.call("consumer", call_id=5_001 - replay.WINDOW_IDS)[1])
        assert stage.batcher is not None
        await stage.batcher.hand_in()
        assert stage.house.log("consumer").calls == 2

    play(story, tmp_path)


def test_nothing_is_promised_to_a_call_that_a_later_one_left_behind(tmp_path: Path) -> None:
    """A consumer chooses his ids, and which of his calls takes long: he does not make an honest promise break."""

    async def story(stage: Stage) -> None:
        slow = judged(stage.house.record("consumer"))
        assert stage.batcher is not None
        stage.batcher.begin(slow.call)
        await stage.call(stage.house.call("consumer", call_id=1 + replay.WINDOW_IDS)[1])
        with pytest.raises(ReplayedCall):
            await asyncio.wait_for(stage.batcher.record(slow), 5)
        await stage.batcher.hand_in()
        assert stage.house.log("consumer").calls == 1 and stage.batcher.store.unfinished == 0

    play(story, tmp_path)


def test_ids_far_apart_go_into_batches_of_their_own(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        for call_id in (1, 2, 2_000, 2_001, 9_000):
            await stage.call(stage.house.call("consumer", call_id=call_id)[1])
        assert stage.batcher is not None
        await stage.batcher.hand_in()
        assert (gateway_log(stage.house).next, stage.house.log("consumer").calls) == (4, 5)

    play(story, tmp_path)


def test_what_another_gateway_recorded_is_set_aside_and_harms_no_other(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        for _ in range(3):
            await stage.call(stage.house.call("consumer")[1])
        stage.house.ok("gateway", "record_access", records=[stage.house.record("consumer", call_id=2)])
        assert stage.batcher is not None
        await stage.batcher.hand_in()
        assert stage.house.log("consumer").calls == 3
        assert (await records(stage, batch=1)).count == 2
        await kill(stage)
        stage.house.ok("gateway", "record_access", records=[stage.house.record("consumer", call_id=7)])
        await stage.call(stage.house.call("consumer", call_id=8)[1])
        await stage.batcher.hand_in()
        assert gateway_log(stage.house).next == 3

    play(story, tmp_path)


def test_a_batch_of_which_nothing_is_left_takes_no_number(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        await stage.call(stage.house.call("consumer", call_id=2)[1])
        stage.house.ok("gateway", "record_access", records=[stage.house.record("consumer", call_id=2)])
        assert stage.batcher is not None
        await stage.batcher.hand_in()
        assert gateway_log(stage.house).next == 1
        await stage.call(stage.house.call("consumer", call_id=3)[1])
        await stage.batcher.hand_in()
        assert gateway_log(stage.house).next == 2

    play(story, tmp_path)


def test_two_stores_of_one_account_are_noticed(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        await stage.call(stage.house.call("consumer")[1])
        assert stage.batcher is not None
        await stage.batcher.hand_in()
        foreign = batch(stage.house, [judged(stage.house.record("consumer"))])
        assert hand_in(stage.house, foreign).code == 0
        await stage.call(stage.house.call("consumer")[1])
        with pytest.raises(NotOurBatches):
            await stage.batcher.hand_in()

    play(story, tmp_path)


def test_a_deaf_chain_delays_batches_not_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching_module, "MAX_UNFINISHED", 4)

    async def story(stage: Stage) -> None:
        stage.chain.deaf = True
        assert stage.batcher is not None
        for number in range(4):
            await stage.call(stage.house.call("consumer")[1])
            if number < 2:
                with pytest.raises(NotFound):
                    await stage.batcher.hand_in()
        with pytest.raises(Overloaded):
            await stage.call(stage.house.call("consumer")[1])
        stage.chain.deaf = False
        await stage.batcher.hand_in()
        await stage.call(stage.house.call("consumer")[1])
        await stage.batcher.hand_in()
        assert stage.house.log("consumer").calls == 5

    play(story, tmp_path)


def test_refusals_are_recorded_by_batch_too(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        with pytest.raises(BadRequest) as told:
            await stage.call(stage.house.call("consumer", b"{")[1])
        assert "recorded as BAD_REQUEST in the gateway's next batch" in str(told.value)
        assert stage.batcher is not None
        await stage.batcher.hand_in()
        codes = [0] * CODES
        codes[AccessCode.BAD_REQUEST] = 1
        assert usage(stage.house).codes == tuple(codes)

    play(story, tmp_path)


def test_old_batches_leave_the_store(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        assert stage.batcher is not None
        await stage.call(stage.house.call("consumer")[1])
        await stage.batcher.hand_in()
        stage.house.world.time_ms += 32 * 86_400_000
        await stage.call(stage.house.call("consumer")[1])
        await stage.batcher.hand_in()
        with pytest.raises(NotFound):
            await records(stage, batch=1)
        with pytest.raises(NotFound):
            await records(stage, **of_call(1))
        assert (await records(stage, batch=2)).count == 1

    play(story, tmp_path)


def test_calls_at_once_become_durable_in_few_writes(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        assert stage.batcher is not None
        written: list[float] = []
        stage.batcher.store._database.measured = written.append
        calls = [stage.house.call("consumer")[1] for _ in range(8)]
        stage.house.world.time_ms += 1
        await asyncio.gather(*(stage.call(signed) for signed in calls))
        assert len(written) <= 8
        await stage.batcher.hand_in()
        assert stage.house.log("consumer").calls == 8

    play(story, tmp_path)
