"""How often each caller of a resolver may ask (JR/T 0325-2024 §11; docs/spec/identity.md §4). Pure: time is given.

Bounded: when the table is full, whoever asked longest ago leaves it. Somebody with very many addresses is bounded by
how many answers run at once, as everybody together.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict

from chain_core.network.quota import Bucket, Limit

MAX_CALLERS = 4_096
_V6_PREFIX = 64
"""Of an IPv6 address: what one subscriber is given."""


def caller_of(address: str | None) -> str:
    """Whom an address counts as: itself, of IPv6 its /64; unreadable ones are one caller together."""
    try:
        found = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return ""
    if isinstance(found, ipaddress.IPv6Address):
        mapped = found.ipv4_mapped
        if mapped is not None:
            return str(mapped)
        return str(ipaddress.ip_network((found, _V6_PREFIX), strict=False))
    return str(found)


class Callers:
    """One token bucket a caller."""

    def __init__(self, limit: Limit, most: int = MAX_CALLERS) -> None:
        self._limit, self._most = limit, most
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def __len__(self) -> int:
        """How many callers are known."""
        return len(self._buckets)

    def wait_ns(self, caller: str, now_ns: int) -> int:
        """0 when the caller may ask now, which is counted; else in so many nanoseconds, which is not."""
        bucket = self._buckets.get(caller)
        if bucket is None:
            while len(self._buckets) >= self._most:
                self._buckets.popitem(last=False)
            bucket = self._buckets[caller] = Bucket(self._limit, now_ns)
        self._buckets.move_to_end(caller)
        return bucket.take(1, now_ns)
