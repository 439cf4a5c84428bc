"""Services halted (停用): what forbids every call (docs/spec/service-registry.md §3).

For the contracts ``directives`` and ``chains``, which the assembly grants this state: no method of ``services`` halts
or resumes.
"""

from __future__ import annotations

from typing import cast

from chain_core.codec.values import decode_value, encode_value
from chain_core.execution.overlay import Namespace
from chain_core.types.values import Value
from crosschain.packets import ALL_SERVICES

MAX_HALTS = 64
SUSPENSION, WITHDRAWAL = "suspension", "withdrawal"
"""Reasons that are no directives: the market is suspended; the chain whose service it is has left for good."""


def halts_key(service: bytes, market: str) -> bytes:
    """Key inside ``services`` of the directives that halt a service, or ALL_SERVICES of ``market``. The latter's key
    holds the market and no chain, so that it outlives a succession.
    """
    return b"y" + market.encode("ascii") if service == ALL_SERVICES else b"z" + service


def left_key(who: bytes) -> bytes:
    """Key inside ``services`` of what halts all that was published for a chain which was withdrawn, and of the markets
    that an account's chains have left.
    """
    return b"e" + who


def leave(space: Namespace, chain: bytes, registrar: bytes, market: str) -> None:
    """Halts for good what was published for this chain, whichever chain its market has later; its registrar uses no
    service any more in the name of the market.
    """
    space.put(left_key(chain), encode_value([WITHDRAWAL]))
    markets = {*halting(space.get(left_key(registrar))), market}
    space.put(left_key(registrar), encode_value(cast(list[Value], sorted(markets))))


def come(space: Namespace, registrar: bytes, market: str) -> None:
    """The account registered a chain of the market that is admitted."""
    markets: list[Value] = [one for one in halting(space.get(left_key(registrar))) if one != market]
    if markets:
        space.put(left_key(registrar), encode_value(markets))
    else:
        space.delete(left_key(registrar))


def halting(raw: bytes | None) -> list[str]:
    """The directives that such a value names, the first one first."""
    return [] if raw is None else cast(list[str], decode_value(raw, "halts"))


def add(space: Namespace, key: bytes, directive: str) -> bool:
    """Halts under ``directive``; False when so many do that no further one is kept."""
    halts = halting(space.get(key))
    if len(halts) >= MAX_HALTS:
        return False
    space.put(key, encode_value(cast(list[Value], [*halts, directive])))
    return True


def add_first(space: Namespace, key: bytes, reason: str) -> None:
    """Halts for a reason that is no directive: named first, once, and kept however many directives there are."""
    halts = halting(space.get(key))
    if reason not in halts:
        space.put(key, encode_value(cast(list[Value], [reason, *halts])))


def lift(space: Namespace, key: bytes, lifts: str | None) -> bool:
    """Ends the halt under one name, without it those of all directives; False when there is none of that name."""
    halts = halting(space.get(key))
    if not halts or (lifts is not None and lifts not in halts):
        return False
    left = [halt for halt in halts if (halt == SUSPENSION if lifts is None else halt != lifts)]
    if left:
        space.put(key, encode_value(cast(list[Value], left)))
    else:
        space.delete(key)
    return True
