"""A market's indicators, from the supervisory chain's state alone (docs/spec/risk.md §1). Pure.

``Read`` gives a value by (contract, key): on chain the state under execution, at a terminal proven values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TypeAlias, cast

from chain_core.codec.values import decode_map, encode_value
from contracts.kernel.calendar import day_of
from crosschain.following import decode_position
from crosschain.packets import CASES, CHAINS, CLIENTS, DIRECTIVES, INBOX, count_in, read_chain
from service_registry.market_counts import Counted, counted_place, decode_counted
from service_registry.records import SERVICES
from supervisory_chain.cases import decode_open, open_place
from supervisory_chain.directive_records import place
from supervisory_chain.probes import PROBES, failing, probed_place

Read: TypeAlias = Callable[[str, bytes], bytes | None]

RISK = "risk"
MAX_DIRECTIVES = 64
"""Unacknowledged directives that are looked at, the oldest ones."""
MIN_TRANSACTIONS, MIN_CALLS = 100, 50
"""Below so many of a day a share says nothing."""


@dataclass(frozen=True, slots=True)
class Window:
    """The counters as the first assessment of ``day`` found them."""

    day: int
    alarms: int = 0
    transactions: int = 0
    refusals: int = 0
    rejected: int = 0
    calls: int = 0
    failures: int = 0


@dataclass(frozen=True, slots=True)
class Observation:
    """What the puller last reported of a chain."""

    height: int
    tip: int
    rejected: int
    alarm: str
    time_ms: int


def measure(read: Read, chain: bytes, now_ms: int) -> tuple[dict[str, int], Window]:
    """All indicators of a followed chain by name, and the window that they are of."""
    seen = read_observation(read(RISK, observation_place(chain)))
    now = _counters(read, chain, day_of(now_ms), seen)
    before = decode_window(read(RISK, window_place(chain)))
    window = before if before is not None and before.day == now.day else now
    today = {f.name: max(0, getattr(now, f.name) - getattr(window, f.name)) for f in fields(Window) if f.name != "day"}
    return _system(read, chain, now_ms) | _data(seen, now_ms, today) | _business(today), window


def _system(read: Read, chain: bytes, now_ms: int) -> dict[str, int]:
    position = decode_position(read(CLIENTS, b"c" + chain))
    since = position.time_ms
    if not position.height:
        since = cast(int, read_chain(read(CHAINS, b"r" + chain) or b"")["admitted_ms"])
    slight, middle, grave = decode_open(read(CASES, open_place(chain)))
    proven = read(CLIENTS, b"q" + chain)
    row = {"epoch": -1, "validators": []} if proven is None else decode_map(proven, "equivocators")
    of_epoch = row["epoch"] == position.epoch
    return {
        "lag_ms": max(0, now_ms - since),
        "open_cases": slight + middle + grave,
        "grave_cases": grave,
        "overdue_directives": _overdue(read, chain, now_ms),
        "failing_endpoints": failing(read(PROBES, probed_place(chain))),
        "equivocators": len(cast(Sequence[int], row["validators"])) if of_epoch else 0,
    }


def _overdue(read: Read, chain: bytes, now_ms: int) -> int:
    first = count_in(read(DIRECTIVES, b"a" + chain))
    last = min(count_in(read(DIRECTIVES, b"n" + chain)), first + MAX_DIRECTIVES)
    found = 0
    for sequence in range(first, last):
        raw = read(DIRECTIVES, place(b"s", chain, sequence))
        if raw is not None and cast(int, decode_map(raw, "directive record")["deadline_ms"]) < now_ms:
            found += 1
    return found


def _data(seen: Observation | None, now_ms: int, today: Mapping[str, int]) -> dict[str, int]:
    return {
        "rejected_snapshots": today["rejected"],
        "puller_alarm": int(seen is not None and bool(seen.alarm)),
        "unpulled_heights": 0 if seen is None else max(0, seen.tip - seen.height),
        "observation_age_ms": 0 if seen is None else max(0, now_ms - seen.time_ms),
    }


def _business(today: Mapping[str, int]) -> dict[str, int]:
    return {
        "business_alarms": today["alarms"],
        "refused_permille": permille(today["refusals"], today["transactions"], MIN_TRANSACTIONS),
        "failed_calls_permille": permille(today["failures"], today["calls"], MIN_CALLS),
    }


def permille(part: int, whole: int, least: int) -> int:
    """Thousandths, rounded down and at most 1,000; 0 of a whole below ``least``."""
    return min(1_000, part * 1_000 // whole) if whole >= least else 0


def _counters(read: Read, chain: bytes, day: int, seen: Observation | None) -> Window:
    raw = read(INBOX, b"r" + chain)
    tally = {} if raw is None else decode_map(raw, "reports")
    last = cast(Mapping[str, Mapping[str, int]], tally.get("last") or {})
    market = cast(str, read_chain(read(CHAINS, b"r" + chain) or b"")["market"])
    called: Counted = decode_counted(read(SERVICES, counted_place(market)))
    return Window(
        day,
        last["totals"]["alarms"] if last else 0,
        cast(int, tally.get("transactions", 0)),
        cast(int, tally.get("refusals", 0)),
        0 if seen is None else seen.rejected,
        called.calls,
        called.failures,
    )


# ---- what is kept


def window_place(chain: bytes) -> bytes:
    """Key inside ``risk`` of a chain's window."""
    return b"w" + chain


def observation_place(chain: bytes) -> bytes:
    """Key inside ``risk`` of what the puller last reported."""
    return b"o" + chain


def encode_window(window: Window) -> bytes:
    """Canonical map."""
    return encode_value(asdict(window))


def decode_window(raw: bytes | None) -> Window | None:
    """The reverse; None before the first assessment."""
    return None if raw is None else Window(**cast(Mapping[str, int], decode_map(raw, "window")))


def read_observation(raw: bytes | None) -> Observation | None:
    """The last observation, None before the first."""
    if raw is None:
        return None
    row = decode_map(raw, "observation")
    height, tip, rejected, time_ms = (cast(int, row[name]) for name in ("height", "tip", "rejected", "time_ms"))
    return Observation(height, tip, rejected, cast(str, row["alarm"]), time_ms)
