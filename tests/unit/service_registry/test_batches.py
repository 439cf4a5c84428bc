"""Batches: what the contract believes of a gateway's sums, and what statements they make."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_map, encode_value
from chain_core.execution.codes import Code
from chain_core.types.values import Value
from contracts.kernel.calendar import day_of
from service_registry import replay
from service_registry.batch_records import KEEP_MS, batch_key, batch_root, decode_batch, rows_hash, sum_up
from service_registry.bodies import CODES, MAX_CALL_ID, NOT_CALLED, AccessCode, read_call
from service_registry.parties import MAX_FORMER
from service_registry.records import SERVICES
from service_registry.usage import KEEP_MONTHS, Usage, decode_usage, encode_usage, month_of, months_before, usage_key
from tests.unit.execution.world import account
from tests.unit.service_registry.batching import Made, batch, gateway_log, hand_in, judged, recorded, usage
from tests.unit.service_registry.house import SERVICE, House, assertion_key, prepared, refused

DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def confirmed() -> House:
    return prepared(House.confirmed)


@pytest.fixture
def house(confirmed: House) -> House:
    return confirmed.branch()


def two(house: House) -> Made:
    """A batch of two calls of one consumer."""
    return batch(house, [judged(house.record("consumer")) for _ in range(2)])


def test_a_batch_is_one_transaction_and_counts_every_call(house: House) -> None:
    rows = [house.record("consumer") for _ in range(40)]
    rows += [
        house.record("consumer", code=AccessCode.BAD_REQUEST),
        house.record("consumer", code=AccessCode.OVER_QUOTA),
    ]
    height = house.world.height
    made = recorded(house, *rows)
    assert house.world.height == height + 1
    kept = house.world.state[state_key(SERVICES, batch_key(account("gateway"), 1))]
    stored = decode_batch(kept)
    assert (stored.root, stored.count) == (batch_root(made.records), 42)
    assert stored.rows == rows_hash(cast(list[Value], made.rows)) and len(made.rows) == 1
    log = house.log("consumer")
    assert (log.calls, log.failures, log.highest) == (42, 2, 42)
    assert all(replay.used(log.highest, log.window, call_id) for call_id in range(1, 43))
    assert usage(house).amount_fen == 40 * 100
    assert gateway_log(house).next == 2 and gateway_log(house).keys == (assertion_key("gateway"),)


def test_only_a_gateway_hands_in(house: House) -> None:
    made = two(house)
    for who in ("publisher", "consumer", "tester", "nobody"):
        assert house.do(who, "record_batch", **made.args).code == Code.FORBIDDEN


def row_changed(**changes: Any) -> Callable[[Made], dict[str, Any]]:
    return lambda made: {"rows": [{**made.rows[0], **changes}]}


WRONG: dict[str, tuple[Callable[[Made], dict[str, Any]], str, Sequence[Value]]] = {
    "the number after the next": (lambda m: {"number": 2}, "services.batch_number", (1,)),
    "another account's key": (lambda m: {"key": assertion_key("consumer")}, "services.batch_key", ()),
    "more calls than the rows have": (lambda m: {"count": 3}, "services.batch_rows", (1,)),
    "a row twice": (lambda m: {"rows": m.rows * 2, "count": 4}, "services.batch_rows", (1,)),
    "more calls than ids": (
        row_changed(codes=[3, *([0] * (CODES - 1))]),
        "services.batch_rows",
        (0,),
    ),
    "no calls": (row_changed(codes=[0] * CODES, ids=b"\0"), "services.batch_rows", (0,)),
    "ids with a leading zero": (row_changed(ids=b"\0\x03"), "services.batch_rows", (0,)),
    "ids without the highest": (row_changed(ids=b"\x06"), "services.batch_rows", (0,)),
    "an id below one": (row_changed(highest=1), "services.batch_rows", (0,)),
    "no such service": (row_changed(service=bytes(16)), "services.batch_unknown", (0, "service or consumer")),
    "no such consumer": (row_changed(consumer=b"x" * 16), "services.batch_unknown", (0, "service or consumer")),
    "no such version": (row_changed(version=9), "services.batch_unknown", (0, "version")),
    "another consumer's key": (
        row_changed(consumer_key=assertion_key("tester")),
        "services.batch_unknown",
        (0, "consumer's key"),
    ),
    "another publisher's key": (
        row_changed(publisher_key=assertion_key("tester")),
        "services.batch_unknown",
        (0, "publisher's key"),
    ),
    "no publisher's key": (row_changed(publisher_key=b""), "services.batch_unknown", (0, "publisher's key")),
    "days ago": (lambda m: row_changed(day=cast(int, m.rows[0]["day"]) - 8)(m), "services.batch_day", (0,)),
    "tomorrow": (lambda m: row_changed(day=cast(int, m.rows[0]["day"]) + 1)(m), "services.batch_day", (0,)),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_does_not_add_up_is_refused_whole(house: House, case: str) -> None:
    change, rule, parameters = WRONG[case]
    made = two(house)
    made.args.update(change(made))
    told = refused(hand_in(house, made))
    assert (told[0], tuple(told[1][: len(parameters)])) == (rule, tuple(parameters))
    assert house.log("consumer").calls == 0 and gateway_log(house).next == 1


def test_an_id_counts_once_whichever_way_it_comes(house: House) -> None:
    single, again = house.record("consumer"), house.record("consumer")
    house.ok("gateway", "record_access", records=[single])
    assert refused(hand_in(house, batch(house, [judged(single)])))[0] == "services.batch_replayed"
    recorded(house, again)
    receipt = house.do("gateway", "record_access", records=[again])
    assert refused(receipt)[0] == "services.record_replayed"
    assert refused(hand_in(house, batch(house, [judged(again)])))[0] == "services.batch_replayed"
    assert house.log("consumer").calls == 2


@pytest.mark.parametrize("ahead", [replay.WINDOW_IDS, MAX_CALL_ID - 3])
def test_an_id_far_below_the_highest_is_too_old_and_halts_no_node(house: House, ahead: int) -> None:
    """A consumer chooses his ids: between a call and its batch another gateway may have recorded a far higher one."""
    waiting = batch(house, [judged(house.record("consumer"))])
    house.call_ids[account("consumer")] += ahead - 1
    house.ok("gateway", "record_access", records=[house.record("consumer")])
    assert refused(hand_in(house, waiting)) == ("services.batch_replayed", (0,))


def test_a_version_in_test_has_no_batches(house: House) -> None:
    raw = house.world.state[state_key(SERVICES, b"d" + SERVICE + b"\0\0\0\1")]
    house.ok("publisher", "change", service=SERVICE, definition=decode_map(raw))
    made = batch(house, [judged(house.record("tester", version=2))])
    assert refused(hand_in(house, made)) == ("services.batch_unknown", (0, "version"))
    recorded(house, house.record("consumer", code=AccessCode.NOT_AUTHORISED, version=2))


def test_keys_changed_after_the_call_spoil_nothing(house: House) -> None:
    made = two(house)
    house.world.time_ms += 1_000
    key = assertion_key("second consumer")  # attached to the consumer by hand: only its trusted key matters here
    record = house.world.state[state_key("accounts", b"a" + account("consumer"))]
    fields = decode_map(record)
    fields["keys"] = {**cast(dict[str, Value], fields["keys"]), "assertion": sorted([key, assertion_key("consumer")])}
    house.world.state[state_key("accounts", b"a" + account("consumer"))] = encode_value(fields)
    house.ok("consumer", "upload_certificate", key=key, certificate=bytes(32))
    late = house.branch()
    assert hand_in(house, made).code == Code.OK
    late.world.time_ms += 8 * DAY_MS
    made.args["rows"] = [{**made.rows[0], "day": cast(int, made.rows[0]["day"]) + 8}]
    assert refused(hand_in(late, made)) == ("services.batch_unknown", (0, "consumer's key"))


def test_nobody_voids_his_calls_by_changing_keys(house: House) -> None:
    """To and fro between two keys makes none unknown; a ninth one waits until nothing can wait for the first."""
    made = two(house)
    keys = sorted(assertion_key(f"key {number}") for number in range(MAX_FORMER + 1))
    place = state_key("accounts", b"a" + account("consumer"))
    fields = decode_map(house.world.state[place])
    own = assertion_key("consumer")
    fields["keys"] = {**cast(dict[str, Value], fields["keys"]), "assertion": cast(Value, sorted([own, *keys]))}
    house.world.state[place] = encode_value(fields)
    for key in [keys[0], own] * MAX_FORMER + keys[:-1]:
        house.ok("consumer", "upload_certificate", key=key, certificate=bytes(32))
    receipt = house.do("consumer", "upload_certificate", key=keys[-1], certificate=bytes(32))
    assert refused(receipt) == ("services.key_changes", (MAX_FORMER,))
    assert hand_in(house, made).code == Code.OK
    house.world.time_ms += 8 * DAY_MS
    house.ok("consumer", "upload_certificate", key=keys[-1], certificate=bytes(32))


def test_batches_leave_when_their_records_can_be_disputed_no_longer(house: House) -> None:
    recorded(house, house.record("consumer"))
    recorded(house, house.record("consumer"))
    house.world.time_ms += KEEP_MS + 1_000
    recorded(house, house.record("consumer"))
    log = gateway_log(house)
    assert (log.oldest, log.next) == (3, 4)
    kept = [n for n in (1, 2, 3) if house.world.state.get(state_key(SERVICES, batch_key(account("gateway"), n)))]
    assert kept == [3]


def test_statements_leave_after_two_years(house: House) -> None:
    old = months_before(month_of(day_of(house.world.time_ms)), KEEP_MONTHS)
    key = state_key(SERVICES, usage_key(SERVICE, account("consumer"), old))
    house.world.state[key] = encode_usage(Usage())
    recorded(house, house.record("consumer"))
    assert house.world.state.get(key) is None


@pytest.mark.parametrize(("month", "count", "before"), [(202601, 1, 202512), (202612, 24, 202412), (202603, 2, 202601)])
def test_months(month: int, count: int, before: int) -> None:
    assert months_before(month, count) == before


ENDINGS = st.lists(
    st.tuples(st.sampled_from(list(AccessCode)), st.booleans(), st.integers(0, 2)), min_size=1, max_size=24
)


@settings(max_examples=15, deadline=None)
@given(ENDINGS)
def test_records_and_statement_agree_to_the_call(confirmed: House, endings: list[tuple[AccessCode, bool, int]]) -> None:
    """Whichever way each was recorded, in whatever batches, over a month's end: recomputed from the records."""
    house, told, waiting = confirmed.branch(), [0] * CODES, list[Any]()
    expected: dict[int, list[int]] = {}
    for code, single, pause in endings:
        if waiting and pause:
            assert hand_in(house, batch(house, waiting)).code == Code.OK
            waiting = []
        house.world.time_ms += pause * 12 * DAY_MS
        row = house.record("consumer", code=code)
        month = month_of((read_call(cast(bytes, row["call"])).time_ms + 8 * 3_600_000) // DAY_MS)
        expected.setdefault(month, [0] * CODES)[code] += 1
        told[code] += 1
        if single:
            house.ok("gateway", "record_access", records=[row])
        else:
            waiting.append(judged(row))
    if waiting:
        assert hand_in(house, batch(house, waiting)).code == Code.OK
    for month, codes in expected.items():
        raw = house.world.state[state_key(SERVICES, usage_key(SERVICE, account("consumer"), month))]
        found = decode_usage(raw)
        assert found.codes == tuple(codes)
        assert found.amount_fen == 100 * codes[AccessCode.OK]
    assert house.log("consumer").calls == sum(told)


def test_rows_sum_up_by_version_day_and_keys(house: House) -> None:
    first, second = house.record("consumer"), house.record("consumer")
    later = house.record("consumer", time_ms=house.world.time_ms + DAY_MS)
    rows = sum_up([judged(second), judged(later), judged(first)])
    assert [(row["highest"], row["ids"]) for row in rows] == [(2, b"\3"), (3, b"\1")]
    assert rows == sorted(rows, key=lambda row: cast(int, row["day"]))


IDS = st.sets(st.integers(1, 3_000), min_size=1, max_size=40)


@given(st.lists(IDS, max_size=5))
def test_merging_a_set_of_ids_is_using_each(groups: list[set[int]]) -> None:
    highest, window = 0, b""
    seen: set[int] = set()
    for group in groups:
        if max(group) - min(group) >= replay.WINDOW_IDS:
            continue
        merged = replay.merge(highest, window, *_bits(group))
        fits = not any(replay.used(highest, window, one) for one in group)
        assert (merged is not None) == fits
        if merged is not None:
            highest, window = merged
            seen |= group
    assert all(replay.used(highest, window, one) for one in seen)
    for one in range(max(1, highest - replay.WINDOW_IDS + 1), highest + 2):
        assert replay.used(highest, window, one) == (one in seen)


def _bits(group: set[int]) -> tuple[int, int]:
    highest, raw = replay.bit_map(sorted(group))
    return highest, int.from_bytes(raw, "big")


def test_codes_that_are_no_calls() -> None:
    assert {AccessCode.NOT_AUTHORISED, AccessCode.OVER_QUOTA} == NOT_CALLED
