"""Calls of all services of a market, and those that ended by its publishers' fault (docs/spec/risk.md §1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import cast

from chain_core.codec.values import decode_map, encode_value
from chain_core.execution.context import CallContext
from service_registry.authority import find_service
from service_registry.bodies import AccessCode

AT_FAULT = (AccessCode.SERVICE_ERROR, AccessCode.UNREACHABLE, AccessCode.BAD_REPLY, AccessCode.BAD_RESPONSE)
"""Codes of calls that the publisher's side failed."""


@dataclass(frozen=True, slots=True)
class Counted:
    """Since genesis."""

    calls: int = 0
    failures: int = 0


def counted_place(market: str) -> bytes:
    """Key inside ``services`` of a market's counts; it holds no chain, so that it outlives a succession."""
    return b"#" + market.encode("ascii")


def decode_counted(raw: bytes | None) -> Counted:
    """The counts, zero of None."""
    return Counted() if raw is None else Counted(**cast(Mapping[str, int], decode_map(raw, "calls of a market")))


def count_market(ctx: CallContext, service: bytes, codes: Sequence[int]) -> None:
    """Adds calls, by access code, to the counts of the publisher's market.

    What the caller did wrong counts for neither: nobody betters a service's share by asking what may not be asked.
    """
    found = find_service(ctx.read, service)
    if found is None:
        return
    before = decode_counted(ctx.get(counted_place(found.market)))
    failures = sum(codes[code] for code in AT_FAULT)
    after = Counted(before.calls + codes[AccessCode.OK] + failures, before.failures + failures)
    ctx.put(counted_place(found.market), encode_value(asdict(after)))
