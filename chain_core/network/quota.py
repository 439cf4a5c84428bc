"""How much a caller may ask for: token buckets in exact integers, in a bounded table (docs/spec/access.md §4).

Time comes in as nanoseconds of a clock that never goes back; nothing here reads one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from chain_core.network.link_quality import SignatureQuality
from chain_core.network.refusals import QuotaExceeded

SECOND_NS: Final = 1_000_000_000
MAX_CALLERS = 4_096
MAX_BLOCKED = 1_024
SIGNATURES_AT_ONCE = 4_096
"""Half of the clients' line of verification: no caller fills it alone."""
FIRST_BLOCK_S, LAST_BLOCK_S, FORGIVEN_S = 30, 480, 600
_TICKS: Final = SECOND_NS  # a token is so many ticks; ``per_s`` ticks come in each nanosecond


class Quota(StrEnum):
    """What is counted; the values are the names in the configuration."""

    READ = "read"
    BULK = "bulk"
    SUBMIT = "submit"
    SUBSCRIBE = "subscribe"
    LINK = "link"
    BYTES = "bytes"
    SIGNATURES = "signatures"


@dataclass(frozen=True, slots=True)
class Limit:
    """``per_s`` tokens come a second, at most ``burst`` are kept; both at least 1."""

    per_s: int
    burst: int


DEFAULT_LIMITS: Final[Mapping[Quota, Limit]] = {
    Quota.READ: Limit(1_000, 4_000),
    Quota.BULK: Limit(200, 1_000),
    Quota.SUBMIT: Limit(1_000, 4_000),
    Quota.SUBSCRIBE: Limit(2, 32),
    Quota.LINK: Limit(2, 32),
    Quota.BYTES: Limit(32_000_000, 68_000_000),
    Quota.SIGNATURES: Limit(20_000, 40_000),
}


class Bucket:
    """One token bucket, full at first."""

    __slots__ = ("_at", "_limit", "_ticks")

    def __init__(self, limit: Limit, now_ns: int) -> None:
        self._limit, self._at = limit, now_ns
        self._ticks = limit.burst * _TICKS

    def take(self, amount: int, now_ns: int) -> int:
        """0 when ``amount`` tokens were taken; else none was, and so many nanoseconds later they may be there.

        More than ``burst`` at once is never there: configurations keep bursts above what one request may ask for.
        """
        if now_ns > self._at:
            self._ticks = min(self._ticks + (now_ns - self._at) * self._limit.per_s, self._limit.burst * _TICKS)
            self._at = now_ns
        lacking = amount * _TICKS - self._ticks
        if lacking > 0:
            return -(-lacking // self._limit.per_s)
        self._ticks -= amount * _TICKS
        return 0


@dataclass(slots=True)
class _Caller:
    """What is known of one caller; ``at_once`` are its signatures in verification."""

    buckets: dict[Quota, Bucket] = field(default_factory=dict)
    at_once: int = 0
    quality: SignatureQuality = field(default_factory=SignatureQuality)


@dataclass(slots=True)
class _Blocked:
    """``strikes``: how often in a row. It is forgotten some time after ``until_ns``."""

    until_ns: int
    strikes: int


class Quotas:
    """All callers of one port; keys name them (``identity.caller_key``). Raises QuotaExceeded."""

    def __init__(
        self, limits: Mapping[Quota, Limit] = DEFAULT_LIMITS, *, callers: int = MAX_CALLERS, blocked: int = MAX_BLOCKED
    ) -> None:
        self._limits = {**DEFAULT_LIMITS, **limits}
        self._max_callers, self._max_blocked = callers, blocked
        self._callers: OrderedDict[str, _Caller] = OrderedDict()
        self._blocked: OrderedDict[str, _Blocked] = OrderedDict()

    def __len__(self) -> int:
        return len(self._callers)

    def call(self, key: str, quota: Quota, size_bytes: int, now_ns: int) -> None:
        """A call of this kind, with a request of so many bytes."""
        if quota is Quota.SUBMIT:
            self._check_blocked(key, now_ns)
        self._take(key, quota, 1, now_ns)
        self._take(key, Quota.BYTES, size_bytes, now_ns)

    def begin(self, key: str, signatures: int, now_ns: int) -> None:
        """So many signatures go into verification, until ``end``. One call may always, when none of the caller's is."""
        self._check_blocked(key, now_ns)
        caller = self._caller(key)
        if caller.at_once and caller.at_once + signatures > SIGNATURES_AT_ONCE:
            raise QuotaExceeded(
                f"{caller.at_once} signatures of this caller wait to be verified",
                where="quota signatures at once",
                next_step="hand in the next batch when an earlier one is answered",
                retry_after_ms=200,
            )
        self._take(key, Quota.SIGNATURES, signatures, now_ns)
        caller.at_once += signatures

    def end(self, key: str, signatures: int) -> None:
        """They were verified, or given up."""
        caller = self._callers.get(key)
        if caller is not None:
            caller.at_once = max(0, caller.at_once - signatures)

    def judge(self, key: str, checked: int, bad: int, now_ns: int) -> int:
        """Verdicts on a caller's signatures; the seconds for which it is blocked from now on, mostly 0."""
        if self.blocked_ms(key, now_ns) or not self._caller(key).quality.record(checked, bad):
            return 0
        self._caller(key).quality = SignatureQuality()
        before = self._blocked.pop(key, None)
        recent = before is not None and now_ns - before.until_ns < FORGIVEN_S * SECOND_NS
        strikes = before.strikes + 1 if before is not None and recent else 0
        seconds = min(FIRST_BLOCK_S << min(strikes, 8), LAST_BLOCK_S)
        if len(self._blocked) >= self._max_blocked:
            self._blocked.popitem(last=False)
        self._blocked[key] = _Blocked(now_ns + seconds * SECOND_NS, strikes)
        return seconds

    def blocked_ms(self, key: str, now_ns: int) -> int:
        """For how long this caller's signatures are not verified; 0: they are."""
        blocked = self._blocked.get(key)
        return _ms(blocked.until_ns - now_ns) if blocked is not None and blocked.until_ns > now_ns else 0

    def _check_blocked(self, key: str, now_ns: int) -> None:
        blocked_ms = self.blocked_ms(key, now_ns)
        if blocked_ms:
            raise QuotaExceeded(
                "more than 1 % of this caller's signatures were bad",
                where="quota bad signatures",
                next_step="mend the signing program; what else this caller asks for is answered",
                retry_after_ms=blocked_ms,
            )

    def _take(self, key: str, quota: Quota, amount: int, now_ns: int) -> None:
        buckets = self._caller(key).buckets
        bucket = buckets.get(quota)
        if bucket is None:
            bucket = buckets[quota] = Bucket(self._limits[quota], now_ns)
        wait_ns = bucket.take(amount, now_ns)
        if wait_ns:
            limit = self._limits[quota]
            raise QuotaExceeded(
                f"{amount} more of {quota} than this caller may have now",
                where=f"quota {quota}: {limit.per_s} a second, {limit.burst} at once",
                next_step="come back after retry_after_ms, or ask the node's operator for more",
                retry_after_ms=_ms(wait_ns),
            )

    def _caller(self, key: str) -> _Caller:
        """The one longest silent makes room."""
        caller = self._callers.get(key)
        if caller is None:
            caller = self._callers[key] = _Caller()
            if len(self._callers) > self._max_callers:
                self._callers.popitem(last=False)
        else:
            self._callers.move_to_end(key)
        return caller


@dataclass(frozen=True, slots=True)
class SignatureQuota:
    """What callers hand in to be verified at one node. ``blocked`` is told a caller's key and how many seconds."""

    quotas: Quotas
    clock_ns: Callable[[], int]
    blocked: Callable[[str, int], None]

    def of(self, key: str) -> CallerSignatures:
        """One caller's."""
        return CallerSignatures(self, key)


@dataclass(frozen=True, slots=True)
class CallerSignatures:
    """One caller's signatures in verification."""

    all: SignatureQuota
    key: str

    def begin(self, count: int) -> None:
        """So many are handed in. Raises QuotaExceeded."""
        self.all.quotas.begin(self.key, count, self.all.clock_ns())

    def end(self, count: int) -> None:
        """They were answered."""
        self.all.quotas.end(self.key, count)

    def blocked_ms(self) -> int:
        """For how long this caller's are not verified; 0: they are."""
        return self.all.quotas.blocked_ms(self.key, self.all.clock_ns())

    def judge(self, checked: int, bad: int) -> None:
        """So many were verified, so many of them in vain: what still waits may not be verified any more."""
        seconds = self.all.quotas.judge(self.key, checked, bad, self.all.clock_ns())
        if seconds:
            self.all.blocked(self.key, seconds)


def _ms(duration_ns: int) -> int:
    return -(-duration_ns // 1_000_000)
