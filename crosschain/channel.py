"""Both ends of the channel ``service`` as transitions of values (docs/spec/channels.md); no state access, no IO.

The source asks, waits, and is answered or refunded; the destination takes each request in order, executes or skips it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum

from chain_core.types.values import Value

WINDOW = 64
"""Requests of one channel and direction that wait for their acknowledgement."""
KEPT_REQUESTS = 1_024
"""Records of requests kept a channel: the newest ones, so that one that waits is always among them."""
MAX_TIMEOUT_MS = 7 * 86_400_000
"""How far a deadline may lie after block time: units are not held for longer without anybody's fault."""
MAX_ARGUMENT_BYTES = 1_024
MAX_RESPONSE_BYTES = 1_024

RECEIVED, SENT = "received", "sent"
"""Counters of the destination's state that a refund proves."""

CONFLICTING, PASSED_OVER = "conflicting_request", "passed_over"
LATE, EARLY, AFTER_REFUND = "answered_late", "skipped_early", "answered_after_refund"
"""How a destination can break the channel's rules: kinds of cases."""


class AckCode(IntEnum):
    """Code of an acknowledgement: numbers are hashed and proven, they never change meaning."""

    ANSWERED = 0
    SKIPPED = 1
    UNKNOWN_SERVICE = 2
    UNREADABLE = 3
    REFUSED = 4
    HALTED = 5


class ChannelRefused(Exception):
    """A transition that the channel's rules exclude: the rule's name and its parameters."""

    def __init__(self, rule: str, *parameters: Value) -> None:
        super().__init__(rule, *parameters)
        self.rule = rule
        self.parameters = parameters


# ---- the source


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request without acknowledgement. ``packet``: SM3 of its packet; ``number`` counts the channel's requests."""

    sequence: int
    number: int
    timeout_ms: int
    units: int
    packet: bytes
    refunded: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """The asking end: what waits, ascending by sequence, and counters since genesis.

    Every request ended counts once, under ``answered`` or ``refunded``. ``unreadable``: acknowledgements without a use.
    """

    waiting: tuple[Waiting, ...] = ()
    asked: int = 0
    answered: int = 0
    refunded: int = 0
    broken: int = 0
    unreadable: int = 0


@dataclass(frozen=True, slots=True)
class Ending:
    """What became of a request: ``paid``, or ``given_back`` now; neither when it had been refunded before.

    ``closed``: it waits no more. ``broken``: the rule that the destination broke, "" as a rule.
    """

    request: Waiting
    paid: bool = False
    given_back: bool = False
    closed: bool = True
    broken: str = ""


def check_window(source: Source, timeout_ms: int, now_ms: int) -> None:
    """Refuses a request that the window or its deadline excludes."""
    if not now_ms < timeout_ms <= now_ms + MAX_TIMEOUT_MS:
        raise ChannelRefused("channel.timeout", timeout_ms, now_ms, MAX_TIMEOUT_MS)
    if len(source.waiting) >= WINDOW:
        raise ChannelRefused("channel.window_full", WINDOW)
    if source.waiting and source.asked - source.waiting[0].number >= KEPT_REQUESTS:
        # Its record would be overwritten. Only a destination that leaves out one acknowledgement alone gets us here.
        raise ChannelRefused("channel.window_full", KEPT_REQUESTS)


def ask(source: Source, sequence: int, packet: bytes, timeout_ms: int, units: int) -> Source:
    """The source after it sent the request; ``check_window`` came before."""
    waiting = (*source.waiting, Waiting(sequence, source.asked, timeout_ms, units, packet))
    return replace(source, waiting=waiting, asked=source.asked + 1)


def check_refund(source: Source, sequence: int, header_ms: int) -> Waiting:
    """The request to be refunded under a destination's header of that time; whatever the counter says."""
    found = next((one for one in source.waiting if one.sequence == sequence), None)
    if found is None:
        raise ChannelRefused("channel.unknown_request", sequence)
    if header_ms < found.timeout_ms:
        raise ChannelRefused("channel.not_due", sequence, found.timeout_ms, header_ms)
    return found


def refund_unreceived(source: Source, sequence: int, header_ms: int, received: int) -> tuple[Source, Ending]:
    """By non-receipt: the destination expects a sequence of at most the request's, at or after its deadline.

    The request goes on waiting: it will be taken and skipped, and that be acknowledged.
    """
    found = check_refund(source, sequence, header_ms)
    if found.refunded:
        raise ChannelRefused("channel.refunded", sequence)
    if received > sequence:
        raise ChannelRefused("channel.received", sequence, received)
    waiting = tuple(replace(one, refunded=True) if one is found else one for one in source.waiting)
    after = replace(source, waiting=waiting, refunded=source.refunded + 1)
    return after, Ending(found, given_back=True, closed=False)


def refund_unanswered(
    source: Source, sequence: int, header_ms: int, received: int, sent: int, taken: int
) -> tuple[Source, Ending]:
    """By silence: the destination ``received`` it, and all its ``sent`` packets up to the header were ``taken`` here,
    no answer among them.

    The request is closed, since no acknowledgement can come; one refunded by non-receipt before gets nothing again. One
    that was not received is under way, and stays within the window.
    """
    found = check_refund(source, sequence, header_ms)
    if received <= sequence:
        raise ChannelRefused("channel.not_received", sequence, received)
    if sent > taken:
        raise ChannelRefused("channel.underway", sequence, sent, taken)
    return _closed(source, found), Ending(found, given_back=not found.refunded)


def refund_all(source: Source) -> tuple[Source, list[Ending]]:
    """Of a chain whose packets are taken no more: everything that waits is closed."""
    endings = []
    for one in source.waiting:
        endings.append(Ending(one, given_back=not one.refunded))
        source = _closed(source, one)
    return source, endings


def acknowledged(
    source: Source, sequence: int, packet: bytes, code: int, emitted_ms: int
) -> tuple[Source, list[Ending]] | None:
    """What a proven acknowledgement ends, in the order of sequences; None when it can be put to no use.

    ``emitted_ms``: time of the block that sent it, which is the one that took the request.
    """
    found = next((one for one in source.waiting if one.sequence == sequence), None)
    if found is None:
        return None if code == AckCode.ANSWERED else (source, [])
    endings = []
    for one in source.waiting:
        if one.sequence < sequence:
            endings.append(Ending(one, given_back=not one.refunded, broken=PASSED_OVER))
            source = _closed(source, one)
    broken = _broken(found, packet, code, emitted_ms)
    paid = code == AckCode.ANSWERED and not broken
    endings.append(Ending(found, paid, not paid and not found.refunded, True, broken))
    source = _closed(source, found, paid=paid)
    return replace(source, broken=source.broken + sum(1 for ending in endings if ending.broken)), endings


def _broken(found: Waiting, packet: bytes, code: int, emitted_ms: int) -> str:
    """Which rule an acknowledgement of ``found`` breaks."""
    if packet != found.packet:
        return CONFLICTING
    if code == AckCode.ANSWERED and found.refunded:
        return AFTER_REFUND
    if code == AckCode.ANSWERED and late(found.timeout_ms, emitted_ms):
        return LATE
    return EARLY if code == AckCode.SKIPPED and not late(found.timeout_ms, emitted_ms) else ""


def _closed(source: Source, request: Waiting, *, paid: bool = False) -> Source:
    """The source without ``request``, counted unless its refund counted it."""
    waiting = tuple(one for one in source.waiting if one is not request)
    counted = 0 if paid or request.refunded else 1
    return replace(source, waiting=waiting, answered=source.answered + int(paid), refunded=source.refunded + counted)


# ---- the destination


def late(timeout_ms: int, block_ms: int) -> bool:
    """Whether a block of that time skips the request. Both ends ask this, and nobody else decides it."""
    return block_ms >= timeout_ms


# ---- units


@dataclass(frozen=True, slots=True)
class Units:
    """Of all accounts of one chain: granted = available + escrow + paid."""

    granted: int = 0
    available: int = 0
    escrow: int = 0
    paid: int = 0

    def grant(self, units: int) -> Units:
        """More for somebody."""
        return replace(self, granted=self.granted + units, available=self.available + units)

    def hold(self, units: int) -> Units:
        """Into escrow, with a request."""
        return replace(self, available=self.available - units, escrow=self.escrow + units)

    def give_back(self, units: int) -> Units:
        """Out of escrow, to whom they came from."""
        return replace(self, available=self.available + units, escrow=self.escrow - units)

    def pay(self, units: int) -> Units:
        """Out of escrow, for an answer."""
        return replace(self, escrow=self.escrow - units, paid=self.paid + units)
