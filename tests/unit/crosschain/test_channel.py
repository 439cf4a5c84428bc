"""The channel's transitions alone: whatever couriers do, a request is answered or refunded, once (channels.md §5)."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from crosschain import channel
from crosschain.channel import AckCode, ChannelRefused, Ending, Source, Units

START_MS = 1_000_000
UNITS = 3


def digest(sequence: int) -> bytes:
    return sequence.to_bytes(32, "big")


@dataclass
class Header:
    """A final block of the destination, as far as a proof under it says something."""

    time_ms: int
    received: int
    sent: int


@dataclass
class Destination:
    """Takes requests in order, in blocks whose time grows; each ack stands in the block that took its request."""

    now_ms: int = START_MS
    received: int = 0
    executed: set[int] = field(default_factory=set)
    acks: list[tuple[int, int, int]] = field(default_factory=list)
    """(sequence of the request, code, time of the block)."""
    headers: list[Header] = field(default_factory=list)

    def block(self, after_ms: int, requests: list[tuple[int, int]]) -> None:
        """``requests``: (sequence, deadline), as couriers bring them: what is not next is refused."""
        self.now_ms += after_ms
        for sequence, timeout_ms in requests:
            if sequence != self.received:
                continue
            self.received += 1
            skipped = channel.late(timeout_ms, self.now_ms)
            if not skipped:
                self.executed.add(sequence)
            self.acks.append((sequence, AckCode.SKIPPED if skipped else AckCode.ANSWERED, self.now_ms))
        self.headers.append(Header(self.now_ms, self.received, len(self.acks)))


class Exchange(RuleBasedStateMachine):
    """One direction of a channel. Requests alone have sequences 0, 1, 2 ...; couriers bring anything in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.source, self.units = Source(), Units().grant(1_000)
        self.there = Destination()
        self.asked: list[int] = []
        """Deadlines by sequence."""
        self.taken = 0
        self.ended: dict[int, str] = {}
        self.skew_ms = 0

    @initialize(skew_ms=st.integers(-5_000, 5_000))
    def clocks(self, skew_ms: int) -> None:
        self.skew_ms = skew_ms
        self.there.block(1, [])

    @property
    def now_ms(self) -> int:
        return self.there.now_ms + self.skew_ms

    @rule(wait_ms=st.integers(1, 40), count=st.integers(1, 9))
    def ask(self, wait_ms: int, count: int) -> None:
        for _ in range(count):
            sequence, timeout_ms = len(self.asked), self.now_ms + wait_ms
            if len(self.source.waiting) == channel.WINDOW:
                with pytest.raises(ChannelRefused, match="window_full"):
                    channel.check_window(self.source, timeout_ms, self.now_ms)
                return
            channel.check_window(self.source, timeout_ms, self.now_ms)
            self.source = channel.ask(self.source, sequence, digest(sequence), timeout_ms, UNITS)
            self.units = self.units.hold(UNITS)
            self.asked.append(timeout_ms)

    @rule(after_ms=st.integers(1, 25), picks=st.lists(st.integers(0, 80), max_size=12), honest=st.booleans())
    def block_there(self, after_ms: int, picks: list[int], honest: bool) -> None:
        """Duplicated, reordered, early ones are refused; an honest courier brings what is next."""
        following = list(range(self.there.received, len(self.asked)))
        brought = [pick for pick in picks if pick < len(self.asked)] + (following[: len(picks)] if honest else [])
        self.there.block(after_ms, [(sequence, self.asked[sequence]) for sequence in brought])

    @rule(picks=st.lists(st.integers(0, 80), max_size=8), honest=st.booleans())
    def acks_here(self, picks: list[int], honest: bool) -> None:
        """The channel back is ordered too: another one than the next is refused before it is read."""
        following = list(range(self.taken, len(self.there.acks)))
        for number in picks + (following[: 1 + len(picks)] if honest else []):
            if number != self.taken or number >= len(self.there.acks):
                continue
            self.taken += 1
            sequence, code, emitted_ms = self.there.acks[number]
            ended = channel.acknowledged(self.source, sequence, digest(sequence), code, emitted_ms)
            assert ended is not None
            self.source, endings = ended
            assert not any(ending.broken for ending in endings), "an honest destination breaks no rule"
            self.settle(endings)

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def refund_here(self, data: st.DataObject) -> None:
        """A courier shows any header there ever was, for any request, by either counter."""
        header = data.draw(st.sampled_from(self.there.headers[-40:]))
        sequence = data.draw(st.integers(0, len(self.asked)))
        by_silence = data.draw(st.booleans())
        try:
            if by_silence:
                made = channel.refund_unanswered(
                    self.source, sequence, header.time_ms, header.received, header.sent, self.taken
                )
            else:
                made = channel.refund_unreceived(self.source, sequence, header.time_ms, header.received)
        except ChannelRefused:
            return
        self.source, ending = made
        assert sequence not in self.there.executed, "executed, and refunded"
        self.settle([ending])

    def settle(self, endings: list[Ending]) -> None:
        for ending in endings:
            sequence = ending.request.sequence
            if not ending.paid and not ending.given_back:
                assert self.ended[sequence] == "refunded"
                continue
            assert sequence not in self.ended, "ended twice"
            self.ended[sequence] = "answered" if ending.paid else "refunded"
            self.units = self.units.pay(UNITS) if ending.paid else self.units.give_back(UNITS)

    @invariant()
    def nothing_is_made_or_lost(self) -> None:
        units, source = self.units, self.source
        assert units.granted == units.available + units.escrow + units.paid
        assert min(units.available, units.escrow, units.paid) >= 0
        assert units.escrow == UNITS * sum(1 for one in source.waiting if not one.refunded)
        assert units.paid == UNITS * source.answered
        assert source.asked == source.answered + source.refunded + sum(1 for one in source.waiting if not one.refunded)
        assert len(source.waiting) <= channel.WINDOW
        assert len(self.asked) - self.there.received <= channel.WINDOW, "what is under way stays within the window"

    def teardown(self) -> None:
        """Deadlines pass, everything is delivered: every request has ended, as what became of it there says."""
        self.there.block(10_000, [])
        for one in self.source.waiting[::2]:
            if not one.refunded and one.sequence >= self.there.received:
                header = self.there.headers[-1]
                self.source, ending = channel.refund_unreceived(
                    self.source, one.sequence, header.time_ms, header.received
                )
                self.settle([ending])
        self.there.block(1, list(enumerate(self.asked))[self.there.received :])
        self.acks_here(list(range(self.taken, len(self.there.acks))), honest=False)
        assert not self.source.waiting
        assert set(self.ended) == set(range(len(self.asked)))
        assert {sequence for sequence, how in self.ended.items() if how == "answered"} == self.there.executed


Exchange.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestExchange = Exchange.TestCase


# ---- destinations that break the rules: nothing is paid or given back twice, and the breach has a name


def waiting(count: int = 3, refunded: tuple[int, ...] = ()) -> Source:
    made = Source()
    for sequence in range(count):
        made = channel.ask(made, sequence, digest(sequence), START_MS, UNITS)
    for sequence in refunded:
        made, _ = channel.refund_unreceived(made, sequence, START_MS, 0)
    return made


def story(endings: list[Ending]) -> list[tuple[int, bool, bool, str]]:
    return [(one.request.sequence, one.paid, one.given_back, one.broken) for one in endings]


BREACHES = {
    "answered at the deadline": (waiting(1), 0, 0, AckCode.ANSWERED, START_MS, [(0, False, True, channel.LATE)]),
    "answered after the refund": (
        waiting(1, (0,)),
        0,
        0,
        AckCode.ANSWERED,
        START_MS - 1,
        [(0, False, False, channel.AFTER_REFUND)],
    ),
    "skipped before the deadline": (waiting(1), 0, 0, AckCode.SKIPPED, START_MS - 1, [(0, False, True, channel.EARLY)]),
    "another packet taken": (waiting(1), 0, 9, AckCode.ANSWERED, START_MS - 1, [(0, False, True, channel.CONFLICTING)]),
    "acknowledgements left out": (
        waiting(3, (1,)),
        2,
        2,
        AckCode.ANSWERED,
        START_MS - 1,
        [(0, False, True, channel.PASSED_OVER), (1, False, False, channel.PASSED_OVER), (2, True, False, "")],
    ),
}


@pytest.mark.parametrize("name", BREACHES)
def test_a_broken_rule_has_a_name_and_pays_nobody_twice(name: str) -> None:
    source, sequence, packet, code, emitted_ms, expected = BREACHES[name]
    ended = channel.acknowledged(source, sequence, digest(packet), code, emitted_ms)
    assert ended is not None
    after, endings = ended
    assert story(endings) == expected
    assert after.waiting == ()
    assert after.asked == after.answered + after.refunded
    assert after.broken == sum(1 for *_, broken in expected if broken)


@pytest.mark.parametrize("code", [AckCode.UNKNOWN_SERVICE, AckCode.UNREADABLE, AckCode.REFUSED, 99])
def test_what_is_no_answer_gives_units_back(code: int) -> None:
    ended = channel.acknowledged(waiting(1), 0, digest(0), code, START_MS - 1)
    assert ended is not None
    assert story(ended[1]) == [(0, False, True, "")]


def test_an_acknowledgement_of_nothing() -> None:
    assert channel.acknowledged(Source(), 0, digest(0), AckCode.ANSWERED, START_MS) is None
    assert channel.acknowledged(Source(), 0, digest(0), AckCode.SKIPPED, START_MS) == (Source(), [])


def test_a_chain_that_is_taken_no_more_gives_everything_back_once() -> None:
    after, endings = channel.refund_all(waiting(3, (1,)))
    assert story(endings) == [(0, False, True, ""), (1, False, False, ""), (2, False, True, "")]
    assert (after.waiting, after.refunded) == ((), 3)


def test_silence_closes_what_was_refunded_before_without_giving_again() -> None:
    after, ending = channel.refund_unanswered(waiting(1, (0,)), 0, START_MS, 1, 4, 4)
    assert (ending.given_back, ending.closed, after.waiting, after.refunded) == (False, True, (), 1)


REFUSED = {
    "channel.unknown_request": lambda s: channel.refund_unreceived(s, 7, START_MS, 0),
    "channel.not_due": lambda s: channel.refund_unreceived(s, 0, START_MS - 1, 0),
    "channel.received": lambda s: channel.refund_unreceived(s, 0, START_MS, 1),
    "channel.refunded": lambda s: channel.refund_unreceived(
        channel.refund_unreceived(s, 0, START_MS, 0)[0], 0, START_MS, 0
    ),
    "channel.underway": lambda s: channel.refund_unanswered(s, 0, START_MS, 1, 5, 4),
    "channel.not_received": lambda s: channel.refund_unanswered(s, 1, START_MS, 1, 4, 4),
    "channel.timeout": lambda s: channel.check_window(s, START_MS, START_MS),
    "channel.window_full": lambda s: channel.check_window(waiting(channel.WINDOW), START_MS + 1, START_MS),
}


@pytest.mark.parametrize("rule_name", REFUSED)
def test_refusals_by_name(rule_name: str) -> None:
    with pytest.raises(ChannelRefused) as refusal:
        REFUSED[rule_name](waiting(2))
    assert refusal.value.rule == rule_name


def test_a_deadline_lies_within_a_week() -> None:
    channel.check_window(Source(), START_MS + channel.MAX_TIMEOUT_MS, START_MS)
    with pytest.raises(ChannelRefused):
        channel.check_window(Source(), START_MS + channel.MAX_TIMEOUT_MS + 1, START_MS)


def test_the_record_of_a_waiting_request_is_never_overwritten() -> None:
    """Not by a destination either that leaves one acknowledgement out, so that all requests behind it are closed."""
    assert channel.WINDOW < channel.KEPT_REQUESTS
    source = channel.ask(Source(), 0, digest(0), START_MS + 1, UNITS)
    for sequence in range(1, channel.KEPT_REQUESTS):
        channel.check_window(source, START_MS, START_MS - 1)
        source = channel.ask(source, sequence, digest(sequence), START_MS, UNITS)
        source, _ = channel.refund_unanswered(source, sequence, START_MS, source.asked, 0, 0)
    with pytest.raises(ChannelRefused) as refusal:
        channel.check_window(source, START_MS, START_MS - 1)
    assert refusal.value.parameters == (channel.KEPT_REQUESTS,)
    assert source.waiting[0].number == 0
    source, ending = channel.refund_unreceived(source, 0, START_MS + 1, 0)
    assert ending.given_back
