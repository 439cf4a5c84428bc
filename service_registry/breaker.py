"""A circuit breaker for one endpoint: a dead publisher's host is not asked at every call (service-registry.md §7).

Pure: the clock is an input. Nygard, Release It!, "Circuit Breaker".
"""

from __future__ import annotations

from dataclasses import dataclass, replace

CLOSED, OPEN, PROBING = "closed", "open", "probing"
FAILURES = 5
"""So many in a row open it."""
FIRST_REST_MS, LONGEST_REST_MS = 1_000, 30_000


@dataclass(frozen=True, slots=True)
class Breaker:
    """State of one endpoint; ``until_ms`` and ``rest_ms`` count while it is not closed."""

    state: str = CLOSED
    failures: int = 0
    until_ms: int = 0
    rest_ms: int = 0


def ask(breaker: Breaker, now_ms: int) -> tuple[Breaker, bool]:
    """(after, may it be asked): always when closed; when open, one call once it has rested."""
    if breaker.state == CLOSED:
        return breaker, True
    if now_ms < breaker.until_ms:
        return breaker, False
    # The probe has as long as a rest; a caller that never tells how it ended does not keep the endpoint shut.
    return replace(breaker, state=PROBING, until_ms=now_ms + breaker.rest_ms), True


def succeeded(breaker: Breaker) -> Breaker:
    """It answered, with whatever."""
    return Breaker()


def failed(breaker: Breaker, now_ms: int) -> Breaker:
    """No answer: opens after some in a row; after a failed probe it rests twice as long."""
    if breaker.state == OPEN:
        return breaker  # a call that was under way when it opened
    if breaker.state == PROBING:
        rest = min(2 * breaker.rest_ms, LONGEST_REST_MS)
        return Breaker(OPEN, breaker.failures + 1, now_ms + rest, rest)
    failures = breaker.failures + 1
    if failures < FAILURES:
        return replace(breaker, failures=failures)
    return Breaker(OPEN, failures, now_ms + FIRST_REST_MS, FIRST_REST_MS)
