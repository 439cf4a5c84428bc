"""Usage statements (结算依据): calls of a service by a consumer in a month, by code and amount, counted on chain
(docs/spec/service-records.md §4).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date
from typing import cast

from chain_core.codec.values import decode_map, encode_value
from chain_core.codec.wire import U32, malformed
from chain_core.execution.context import CallContext
from chain_core.types.values import Value
from service_registry.authority import Read
from service_registry.bodies import CODES, REPLIED, AccessCode
from service_registry.market_counts import count_market
from service_registry.records import DRAFT, SERVICES, TESTED, Version, decode, definition_key, version_key

KEEP_MONTHS = 24
_EPOCH = date(1970, 1, 1).toordinal()
_NONE = (0,) * CODES


@dataclass(frozen=True, slots=True)
class Usage:
    """A month's calls by access code, what they cost, and what disputes took off again."""

    codes: tuple[int, ...] = _NONE
    amount_fen: int = 0
    struck: tuple[int, ...] = _NONE
    struck_fen: int = 0

    @property
    def due_fen(self) -> int:
        """What the consumer owes the publisher."""
        return self.amount_fen - self.struck_fen


@dataclass(frozen=True, slots=True)
class DayCount:
    """Calls of one UTC+8 day that the publisher answered: what a quota counts."""

    day: int = 0
    calls: int = 0


def usage_key(service: bytes, consumer: bytes, month: int) -> bytes:
    """Key of a month's statement; ``month`` is yyyymm."""
    return b"u" + service + consumer + U32.pack(month)


def day_count_key(service: bytes, consumer: bytes) -> bytes:
    """Key of a consumer's count of the day."""
    return b"q" + service + consumer


def month_of(day: int) -> int:
    """yyyymm of a UTC+8 day."""
    found = date.fromordinal(_EPOCH + day)
    return found.year * 100 + found.month


def months_before(month: int, count: int) -> int:
    """yyyymm of ``count`` months earlier; later ones when it is negative."""
    number = month // 100 * 12 + month % 100 - 1 - count
    return number // 12 * 100 + number % 12 + 1


def encode_usage(usage: Usage | DayCount) -> bytes:
    """Canonical map of its fields."""
    row = {field.name: getattr(usage, field.name) for field in fields(usage)}
    return encode_value({name: list(part) if isinstance(part, tuple) else part for name, part in row.items()})


def decode_usage(raw: bytes | None) -> Usage:
    """A statement, an empty one of None. Raises MalformedBytes."""
    if raw is None:
        return Usage()
    row = decode_map(raw, "usage")
    if row.keys() != {field.name for field in fields(Usage)}:
        malformed("usage", 0, "not exactly its fields")
    codes, struck = (tuple(cast(Sequence[int], row[name])) for name in ("codes", "struck"))
    return Usage(codes, cast(int, row["amount_fen"]), struck, cast(int, row["struck_fen"]))


def decode_day_count(raw: bytes | None) -> DayCount:
    """A day's count, an empty one of None. Raises MalformedBytes."""
    if raw is None:
        return DayCount()
    row = decode_map(raw, "day count")
    if row.keys() != {field.name for field in fields(DayCount)}:
        malformed("day count", 0, "not exactly its fields")
    return DayCount(**cast(Mapping[str, int], row))


def over_quota(read: Read, service: bytes, version: int, consumer: bytes, day: int) -> bool:
    """Whether the consumer's calls of the day are used up, by the definition of the version he calls."""
    raw = read(SERVICES, definition_key(service, version))
    quota = 0 if raw is None else cast(Mapping[str, int], decode_map(raw, "definition")["quota"])["calls_a_day"]
    counted = decode_day_count(read(SERVICES, day_count_key(service, consumer)))
    return 0 < quota <= (counted.calls if counted.day == day else 0)


def price_of(ctx: CallContext, service: bytes, version: int) -> int:
    """Fen a call: nothing while the version is in test."""
    raw, record = ctx.get(definition_key(service, version)), ctx.get(version_key(service, version))
    if raw is None or record is None or decode(Version, record).status in (DRAFT, TESTED):
        return 0
    return cast(int, decode_map(raw, "definition")["price_fen"])


def count_usage(
    ctx: CallContext, service: bytes, version: int, consumer: bytes, day: int, codes: Sequence[int]
) -> None:
    """Adds calls, by code, to the statement of their month and to the count of their day."""
    month = month_of(day)
    count_market(ctx, service, codes)
    key = usage_key(service, consumer, month)
    raw = ctx.get(key)
    usage = decode_usage(raw)
    summed = tuple(a + b for a, b in zip(usage.codes, codes, strict=True))
    amount = usage.amount_fen + codes[AccessCode.OK] * price_of(ctx, service, version)
    ctx.put(key, encode_usage(replace(usage, codes=summed, amount_fen=amount)))
    if raw is None:
        ctx.delete(usage_key(service, consumer, months_before(month, KEEP_MONTHS)))
    replied, day_key = sum(codes[code] for code in REPLIED), day_count_key(service, consumer)
    counted = decode_day_count(ctx.get(day_key))
    if replied and day >= counted.day:
        calls = replied + (counted.calls if day == counted.day else 0)
        ctx.put(day_key, encode_usage(DayCount(day, calls)))


def strike(ctx: CallContext, row: Mapping[str, Value], code: AccessCode) -> None:
    """Takes one call of a batch's row off the statement of its month again."""
    service, version = cast(bytes, row["service"]), cast(int, row["version"])
    key = usage_key(service, cast(bytes, row["consumer"]), month_of(cast(int, row["day"])))
    usage = decode_usage(ctx.get(key))
    struck = list(usage.struck)
    struck[code] += 1
    price = price_of(ctx, service, version) if code is AccessCode.OK else 0
    ctx.put(key, encode_usage(replace(usage, struck=tuple(struck), struck_fen=usage.struck_fen + price)))
