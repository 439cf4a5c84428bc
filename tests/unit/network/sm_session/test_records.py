"""Records: what an attacker on the wire can do to them, and that each ends by its reason."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain_core.network.sm_session.records import (
    HEADER_SIZE,
    RECORD_OVERHEAD,
    Kind,
    Limits,
    Sealer,
    associated_tail,
    read_header,
)
from chain_core.network.sm_session.refused import Reason, SessionRefused
from chain_core.network.sm_session.replay_window import ReplayWindow
from chain_core.network.sm_session.session import Call
from chain_core.network.sm_session.suite import Direction
from tests.unit.network.sm_session.support import sessions

METHOD, OTHER = "/test.Service/One", "/test.Service/Other"


def reason(act: Callable[[], object]) -> Reason:
    with pytest.raises(SessionRefused) as found:
        act()
    return found.value.reason


def test_a_unary_call() -> None:
    ours, theirs = sessions()
    call = ours.begin(METHOD)
    request = call.seal(b"question", last=True)
    assert len(request) == len(b"question") + RECORD_OVERHEAD and b"question" not in request
    answering, payload = theirs.accept(METHOD, request)
    assert payload == b"question" and answering.finished is Kind.DATA
    assert call.open(answering.seal(b"answer", last=True)) == b"answer"
    assert call.finished is Kind.DATA and call.complete and answering.complete


def test_a_sealed_error_and_a_sealed_end() -> None:
    ours, theirs = sessions()
    call = ours.begin(METHOD)
    answering, _ = theirs.accept(METHOD, call.seal(b""))
    assert answering.open(call.end()) == b"" and answering.finished is Kind.END
    assert call.open(answering.seal(b"refusal", Kind.ERROR)) == b"refusal"
    assert call.finished is Kind.ERROR


def stream() -> tuple[Call, list[bytes]]:
    """The server's end of a stream that has begun, and four more records of the client's, the last one its end."""
    ours, theirs = sessions()
    call = ours.begin(METHOD)
    answering, _ = theirs.accept(METHOD, call.seal(b"first"))
    return answering, [call.seal(b"a"), call.seal(b"b"), call.seal(b"c"), call.end()]


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ([1], Reason.OUT_OF_ORDER),  # the first dropped, or overtaken
        ([0, 2], Reason.OUT_OF_ORDER),  # dropped
        ([0, 0], Reason.OUT_OF_ORDER),  # doubled
        ([0, 1, 2, 3, 3], Reason.AFTER_LAST),
        ([3], Reason.OUT_OF_ORDER),  # cut short by moving the end forward
    ],
)
def test_streams_are_strict(places: list[int], expected: Reason) -> None:
    call, records = stream()
    for place in places[:-1]:
        call.open(records[place])
    assert reason(lambda: call.open(records[places[-1]])) is expected


def test_truncated() -> None:
    call, records = stream()
    call.open(records[0])
    assert reason(call.check_finished) is Reason.TRUNCATED
    for record in records[1:]:
        call.open(record)
    call.check_finished()


def test_replayed() -> None:
    ours, theirs = sessions()
    record = ours.begin(METHOD).seal(b"pay", last=True)
    theirs.accept(METHOD, record)
    assert reason(lambda: theirs.accept(METHOD, record)) is Reason.REPLAYED
    theirs.accept(METHOD, ours.begin(METHOD).seal(b"more", last=True))  # the session goes on


def test_calls_overtake_one_another() -> None:
    ours, theirs = sessions()
    records = [ours.begin(METHOD).seal(bytes([n]), last=True) for n in range(50)]
    for record in reversed(records):
        theirs.accept(METHOD, record)
    assert reason(lambda: theirs.accept(METHOD, records[7])) is Reason.REPLAYED


def test_too_old() -> None:
    ours, theirs = sessions()
    late = ours.begin(METHOD).seal(b"late", last=True)
    for _ in range(4_095):
        ours.begin(METHOD)
    theirs.accept(METHOD, ours.begin(METHOD).seal(b"", last=True))
    assert reason(lambda: theirs.accept(METHOD, late)) is Reason.TOO_OLD


def test_a_forged_number_does_not_move_the_window() -> None:
    ours, theirs = sessions()
    record = bytearray(ours.begin(METHOD).seal(b"", last=True))
    record[29:37] = (1 << 40).to_bytes(8, "big")
    assert reason(lambda: theirs.accept(METHOD, bytes(record))) is Reason.BAD_RECORD
    ours, theirs = sessions()
    theirs._window.check(0)


def test_reflected() -> None:
    """A client's own record, sent back to it as the answer."""
    ours, _ = sessions()
    call = ours.begin(METHOD)
    record = call.seal(b"question", last=True)
    assert reason(lambda: call.open(record)) is Reason.BAD_RECORD


def test_moved() -> None:
    """A record under another method, in another call or another session."""
    ours, theirs = sessions()
    record = ours.begin(METHOD).seal(b"question", last=True)
    assert reason(lambda: theirs.accept(OTHER, record)) is Reason.BAD_RECORD
    ours, theirs = sessions()
    one, two = ours.begin(METHOD), ours.begin(METHOD)
    first, _ = theirs.accept(METHOD, one.seal(b""))
    theirs.accept(METHOD, two.seal(b""))
    assert reason(lambda: first.open(two.seal(b""))) is Reason.OUT_OF_ORDER
    foreign = bytearray(one.seal(b""))
    foreign[1:17] = bytes(16)
    assert reason(lambda: first.open(bytes(foreign))) is Reason.SESSION_UNKNOWN


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_altered(data: st.DataObject) -> None:
    ours, theirs = sessions()
    record = bytearray(ours.begin(METHOD).seal(b"twelve bytes", last=True))
    place = data.draw(st.integers(0, 8 * len(record) - 1))
    record[place // 8] ^= 1 << place % 8
    found = reason(lambda: theirs.accept(METHOD, bytes(record)))
    expected = {Reason.BAD_RECORD}
    if place < 8 * HEADER_SIZE:
        expected |= {
            Reason.MALFORMED_RECORD,
            Reason.SESSION_UNKNOWN,
            Reason.UNKNOWN_GENERATION,
            Reason.OUT_OF_ORDER,
        }
    assert found in expected


@settings(max_examples=150)
@given(st.binary(max_size=100))
def test_any_bytes(data: bytes) -> None:
    _, theirs = sessions()
    assert reason(lambda: theirs.accept(METHOD, data)) in set(Reason)


@pytest.mark.parametrize("flags", [0x83, 0x04, 0x40, 0x01, 0x02])
def test_flags_that_mean_nothing(flags: int) -> None:
    """Unknown kinds and bits, errors and ends that are not last."""
    ours, _ = sessions()
    record = bytearray(ours.begin(METHOD).seal(b""))
    record[45] = flags
    assert reason(lambda: read_header(bytes(record))) is Reason.MALFORMED_RECORD


def test_an_error_may_come_early() -> None:
    """What was sealed before it was never read: the call has failed either way. Data behind a gap is refused."""
    ours, theirs = sessions()
    call = ours.begin(METHOD)
    answering, _ = theirs.accept(METHOD, call.seal(b"", Kind.BEGIN))
    lost = answering.seal(b"lost")
    assert reason(lambda: call.open(answering.seal(b"late"))) is Reason.OUT_OF_ORDER
    assert call.open(answering.seal(b"why", Kind.ERROR)) == b"why" and call.finished is Kind.ERROR
    assert reason(lambda: call.open(lost)) is Reason.AFTER_LAST


def test_a_beginning_stands_first() -> None:
    ours, _ = sessions()
    call = ours.begin(METHOD)
    assert read_header(call.seal(b"", Kind.BEGIN)).kind is Kind.BEGIN
    assert reason(lambda: read_header(call.seal(b"", Kind.BEGIN))) is Reason.MALFORMED_RECORD


def test_a_record_that_does_not_open_ends_the_session() -> None:
    ours, theirs = sessions()
    call = ours.begin(METHOD)
    answering, _ = theirs.accept(METHOD, call.seal(b""))
    record = call.seal(b"x")
    assert reason(lambda: answering.open(record[:-1] + bytes([record[-1] ^ 1]))) is Reason.BAD_RECORD
    assert reason(lambda: answering.open(record)) is Reason.BAD_RECORD
    assert reason(lambda: answering.seal(b"")) is Reason.BAD_RECORD
    assert reason(lambda: theirs.accept(METHOD, ours.begin(METHOD).seal(b""))) is Reason.BAD_RECORD


def test_nothing_after_the_last() -> None:
    ours, _ = sessions()
    call = ours.begin(METHOD)
    call.end()
    assert reason(lambda: call.seal(b"")) is Reason.AFTER_LAST


def test_rekeying() -> None:
    """Records before and after a change of keys open, one generation late too, whatever call they belong to."""
    ours, theirs = sessions(Limits(rekey_records=3))
    slow, _ = theirs.accept(METHOD, (call := ours.begin(METHOD)).seal(b""))
    late = call.seal(b"late")
    for _ in range(4):
        theirs.accept(METHOD, ours.begin(METHOD).seal(b"x", last=True))
    assert (ours.sealer.generation, theirs.opener.generation) == (1, 1)
    assert slow.open(late) == b"late"
    later = call.seal(b"later")
    for _ in range(6):
        theirs.accept(METHOD, ours.begin(METHOD).seal(b"x", last=True))
    assert theirs.opener.generation == 4
    assert reason(lambda: slow.open(later)) is Reason.UNKNOWN_GENERATION
    assert theirs.ended is None


def test_rekeying_by_bytes() -> None:
    ours, theirs = sessions(Limits(rekey_bytes=100))
    for size in (60, 60, 150, 10):
        _, payload = theirs.accept(METHOD, ours.begin(METHOD).seal(bytes(size), last=True))
        assert len(payload) == size
    assert ours.sealer.generation == 3


def test_hard_limit() -> None:
    """Neither end goes past it: the sender says so, a sender that goes on is not followed."""
    ours, theirs = sessions(Limits(rekey_records=99, hard_records=2))
    unlimited, _ = sessions(Limits(rekey_records=99))
    for _ in range(2):
        theirs.accept(METHOD, unlimited.begin(METHOD).seal(b"", last=True))
        ours.begin(METHOD).seal(b"")
    assert reason(lambda: ours.begin(METHOD).seal(b"")) is Reason.KEY_EXHAUSTED
    assert reason(lambda: theirs.accept(METHOD, unlimited.begin(METHOD).seal(b"", last=True))) is Reason.KEY_EXHAUSTED
    ours, _ = sessions(Limits(rekey_bytes=1 << 40, hard_bytes=10))
    assert reason(lambda: ours.begin(METHOD).seal(bytes(11))) is Reason.KEY_EXHAUSTED


@pytest.mark.parametrize("generation", [1, 2, 0xFFFF_FFFF])
def test_false_generation(generation: int) -> None:
    """A generation that its sender never reached changes nothing but the fate of that record."""
    ours, theirs = sessions()
    record = bytearray(ours.begin(METHOD).seal(b"", last=True))
    record[17:21] = generation.to_bytes(4, "big")
    expected = Reason.BAD_RECORD if generation == 1 else Reason.UNKNOWN_GENERATION
    assert reason(lambda: theirs.accept(METHOD, bytes(record))) is expected
    assert theirs.opener.generation == 0


def test_numbers_never_repeat() -> None:
    sealer = Sealer(bytes(16), b"\1" * 32, Limits(rekey_records=5))
    tail = associated_tail(Direction.CLIENT, METHOD)
    headers = [read_header(sealer.seal(0, n, Kind.DATA, False, b"", tail)) for n in range(23)]
    assert len({(header.generation, header.number) for header in headers}) == 23
    assert [header.number for header in headers[:6]] == [0, 1, 2, 3, 4, 0]


@settings(max_examples=200)
@given(st.lists(st.integers(0, 40), max_size=80))
def test_the_window_is_a_set(numbers: list[int]) -> None:
    """Against the plain definition: taken once, and not older than the last eight."""
    window, seen = ReplayWindow(8), set[int]()
    for number in numbers:
        highest = max(seen, default=-1)
        allowed = number not in seen and number > highest - 8
        if allowed:
            window.check(number)
            window.take(number)
            seen.add(number)
        else:
            expected = Reason.TOO_OLD if number <= highest - 8 else Reason.REPLAYED
            assert reason(lambda number=number: window.check(number)) is expected  # type: ignore[misc]


def test_the_window_after_a_leap() -> None:
    window = ReplayWindow(8)
    for number in (0, 1 << 60, (1 << 60) - 3):
        window.check(number)
        window.take(number)
    assert reason(lambda: window.check(1 << 60)) is Reason.REPLAYED
    assert reason(lambda: window.check((1 << 60) - 3)) is Reason.REPLAYED
    assert reason(lambda: window.check(0)) is Reason.TOO_OLD
    window.check((1 << 60) - 7)
