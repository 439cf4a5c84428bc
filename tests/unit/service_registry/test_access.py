"""Access records: signed by both sides, each call once, counted and chained; everything else is refused by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_value
from chain_core.crypto.hashing import sm3
from chain_core.execution.codes import Code
from chain_core.types.ids import ZERO_HASH
from chain_core.types.values import Value
from crosschain.packets import ALL_SERVICES
from service_registry import replay
from service_registry.access import MAX_AGE_MS, MAX_RECORDS
from service_registry.authority import find_service
from service_registry.bodies import AccessCode, next_digest, record_hash
from service_registry.market_counts import AT_FAULT, Counted, counted_place, decode_counted
from service_registry.records import SERVICES
from tests.unit.execution.world import account
from tests.unit.service_registry.house import SERVICE, House, prepared, refused

Row = dict[str, Value]


@pytest.fixture(scope="module")
def confirmed() -> House:
    return prepared(House.confirmed)


@pytest.fixture
def house(confirmed: House) -> House:
    return confirmed.branch()


def record(house: House, *rows: Row) -> tuple[str, Sequence[Value]]:
    """The refusal of these records, ("", ()) when they are taken."""
    receipt = house.do("gateway", "record_access", records=list(rows))
    return ("", ()) if receipt.code == Code.OK else refused(receipt)


def test_a_call_is_counted_and_told(house: House) -> None:
    row = house.record("consumer")
    assert record(house, row) == ("", ())
    log = house.log("consumer")
    assert (log.calls, log.failures, log.digest) == (1, 0, next_digest(ZERO_HASH, record_hash(row)))
    assert house.world.last is not None
    (event,) = cast(list[list[Value]], decode_value(house.world.last.events[0]))
    assert event[:2] == ["services", "access"]
    fields = cast(dict[str, Value], event[2])
    assert (fields["service"], fields["consumer"], fields["code"]) == (SERVICE, account("consumer"), 0)
    assert fields["record"] == record_hash(row)


def test_digests_chain_all_records_of_a_caller(house: House) -> None:
    rows = [house.record("consumer"), house.record("consumer", code=AccessCode.BAD_REQUEST), house.record("consumer")]
    assert record(house, *rows) == ("", ())
    digest = ZERO_HASH
    for row in rows:
        digest = next_digest(digest, record_hash(row))
    assert house.log("consumer").digest == digest
    assert (house.log("consumer").calls, house.log("consumer").failures) == (3, 1)


def counted(house: House) -> Counted:
    """Calls of all services of the publisher's market."""
    found = find_service(lambda contract, key: house.world.state.get(state_key(contract, key)), SERVICE)
    assert found is not None
    return decode_counted(house.world.state.get(state_key(SERVICES, counted_place(found.market))))


@pytest.mark.parametrize("code", AccessCode)
def test_every_ending_has_its_record(house: House, code: AccessCode) -> None:
    before = counted(house)
    assert record(house, house.record("consumer", code=code)) == ("", ())
    assert house.log("consumer").failures == (code is not AccessCode.OK)
    after, at_fault = counted(house), code in AT_FAULT
    assert after.failures - before.failures == at_fault
    assert after.calls - before.calls == (at_fault or code is AccessCode.OK), "of all services of the market"


def test_only_a_gateway_records(house: House) -> None:
    for who in ("publisher", "consumer", "tester", "nobody"):
        assert house.do(who, "record_access", records=[house.record("consumer")]).code == Code.FORBIDDEN


def flip(row: Row, field: str) -> Row:
    raw = cast(bytes, row[field])
    return {**row, field: bytes([raw[0] ^ 1]) + raw[1:]}


BAD: dict[str, tuple[Callable[[House], Row], str, Sequence[Value]]] = {
    "consumer's signature altered": (
        lambda h: flip(h.record("consumer"), "consumer_signature"),
        "services.record_signature",
        (0, "consumer"),
    ),
    "publisher's signature altered": (
        lambda h: flip(h.record("consumer"), "publisher_signature"),
        "services.record_signature",
        (0, "publisher"),
    ),
    "signed by somebody else than the publisher": (
        lambda h: h.record("consumer", signer="gateway"),
        "services.record_signature",
        (0, "publisher"),
    ),
    "one caller's signature under another's name": (
        lambda h: {**h.record("consumer"), "consumer_signature": h.record("tester")["consumer_signature"]},
        "services.record_signature",
        (0, "consumer"),
    ),
    "an old call": (
        lambda h: h.record("consumer", time_ms=h.world.time_ms - MAX_AGE_MS),
        "services.record_stale",
        (),
    ),
    "a call from the future": (
        lambda h: h.record("consumer", time_ms=h.world.time_ms + MAX_AGE_MS + 2_000),
        "services.record_stale",
        (),
    ),
    "no such service": (lambda h: h.record("consumer", service=bytes(16)), "services.record_unknown", (0,)),
    "a caller without certificate": (lambda h: h.record("second consumer"), "services.record_unknown", (0,)),
    "a caller that is no account": (
        lambda h: h.record("consumer", consumer=b"x" * 16),
        "services.record_unknown",
        (0,),
    ),
    "another version": (lambda h: h.record("consumer", version=2), "services.record_denied", (0, "WRONG_VERSION")),
    "not confirmed": (lambda h: h.record("tester"), "services.record_denied", (0, "NOT_CONFIRMED")),
    "a reply to another call": (
        lambda h: {**h.record("consumer"), "call": h.record("consumer")["call"]},
        "services.record_reply",
        (0, "it is about another call"),
    ),
    "a reply that says otherwise": (
        lambda h: {**h.record("consumer"), "code": int(AccessCode.SERVICE_ERROR)},
        "services.record_reply",
        (0, "it says code 0"),
    ),
    "a reply where there is none": (
        lambda h: {**h.record("consumer"), "code": int(AccessCode.UNREACHABLE)},
        "services.record_reply",
        (0, "UNREACHABLE has none"),
    ),
    "no reply where there is one": (
        lambda h: {**h.record("consumer"), "reply": b"", "publisher_signature": b""},
        "services.record_reply",
        (),
    ),
    "a call with a byte too many": (
        lambda h: {**h.record("consumer"), "call": cast(bytes, h.record("consumer")["call"]) + b"\0"},
        "services.record_malformed",
        (),
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_may_not_be_recorded(house: House, case: str) -> None:
    make, rule, params = BAD[case]
    found = record(house, make(house))
    assert found[0] == rule
    assert tuple(found[1])[: len(params)] == tuple(params)
    assert house.log("consumer").calls == 0


def test_a_bad_record_takes_its_batch_along_and_says_which_it_was(house: House) -> None:
    rows = [house.record("consumer"), flip(house.record("consumer"), "consumer_signature")]
    assert record(house, *rows) == ("services.record_signature", (1, "consumer"))
    assert house.log("consumer").calls == 0


STATES: dict[str, tuple[Callable[[House], object], str]] = {
    "offline": (lambda h: h.ok("publisher", "offline", service=SERVICE), "NOT_ONLINE"),
    "halted": (lambda h: h.halt(SERVICE), "SUSPENDED"),
    "all of the market halted": (lambda h: h.halt(ALL_SERVICES), "SUSPENDED"),
    "the consumer's market left": (lambda h: h.leave("consumer", "JS"), "MARKET_LEFT"),
    "another of its markets left": (lambda h: h.leave("consumer", "SH"), ""),
    "cancelled": (lambda h: h.ok("publisher", "cancel", service=SERVICE), "CANCELLED"),
    "withdrawn": (lambda h: h.ok("consumer", "withdraw", service=SERVICE), "NOT_CONFIRMED"),
    "revoked": (
        lambda h: h.ok("publisher", "revoke", service=SERVICE, consumer=account("consumer"), reason="over"),
        "NOT_CONFIRMED",
    ),
}


@pytest.mark.parametrize("state", STATES)
def test_when_the_right_to_call_ends_only_refusals_are_recorded(house: House, state: str) -> None:
    step, reason = STATES[state]
    step(house)
    expected = ("services.record_denied", (0, reason)) if reason else ("", ())
    assert record(house, house.record("consumer")) == expected
    assert record(house, house.record("consumer", code=AccessCode.NOT_AUTHORISED)) == ("", ())


def test_a_version_in_test_is_the_testers_only() -> None:
    house = prepared(lambda h: (h.certify("publisher", "consumer", "tester", "own tester"), h.draft()))
    for who in ("consumer", "own tester"):
        assert record(house, house.record(who)) == ("services.record_denied", (0, "NOT_A_TESTER"))
    assert record(house, house.record("tester")) == ("", ())


def test_a_tester_has_no_call_on_the_version_in_force(house: House) -> None:
    assert record(house, house.record("tester"))[1] == (0, "NOT_CONFIRMED")


# ---- each call once


def test_a_call_is_recorded_once(house: House) -> None:
    row = house.record("consumer")
    assert record(house, row, row) == ("services.record_replayed", (1, 1))
    assert record(house, row) == ("", ())
    assert record(house, row) == ("services.record_replayed", (0, 1))
    again = house.record("consumer", call_id=1)
    assert record(house, again) == ("services.record_replayed", (0, 1))
    refusal = {**again, "code": int(AccessCode.NOT_AUTHORISED), "reply": b"", "publisher_signature": b""}
    assert record(house, refusal) == ("services.record_replayed", (0, 1))


def test_calls_may_arrive_out_of_order_inside_the_window(house: House) -> None:
    for number in (2_000, 1_990, 2_001, 2_001 - replay.WINDOW_IDS + 1):
        assert record(house, house.record("consumer", call_id=number)) == ("", ())
    for number in (1_990, 2_001 - replay.WINDOW_IDS, 1):
        assert record(house, house.record("consumer", call_id=number))[0] == "services.record_replayed"


def test_a_batch_has_its_limit(house: House) -> None:
    rows = [house.record("consumer", code=AccessCode.UNREACHABLE) for _ in range(MAX_RECORDS + 1)]
    assert house.do("gateway", "record_access", records=rows).code == Code.BAD_ARGUMENTS
    assert house.do("gateway", "record_access", records=rows[:MAX_RECORDS]).code == Code.OK


@given(st.lists(st.integers(1, 5_000) | st.integers(1, (1 << 63) - 1), max_size=60))
def test_the_window_takes_no_id_twice_and_loses_none_that_is_new(ids: list[int]) -> None:
    highest, window, seen = 0, b"", set[int]()
    for number in ids:
        told = replay.used(highest, window, number)
        assert told == (number in seen or (bool(seen) and number <= max(seen) - replay.WINDOW_IDS))
        if not told:
            highest, window = replay.use(highest, window, number)
            seen.add(number)
            assert highest == max(seen) and len(window) == replay.WINDOW_BYTES


def test_other_peoples_ids_do_not_matter(house: House) -> None:
    house.certify("second consumer")
    house.ok("second consumer", "apply", service=SERVICE, market="ZJ")
    house.ok("publisher", "confirm", service=SERVICE, consumer=account("second consumer"))
    rows = [house.record(who, call_id=5) for who in ("consumer", "second consumer")]
    assert record(house, *rows) == ("", ())
    assert sm3(b"") != house.log("consumer").digest != house.log("second consumer").digest
