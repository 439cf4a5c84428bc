"""Allocation of investor codes, nationally unique (JR/T 0326-2024 §6; docs/spec/identity.md §1).

Only the supervisory chain makes one. A market asks by the channel service ``investor_code`` with the digest of the
identity document; whoever asks about the same investor again, in whichever market, gets the same code.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_map, encode_value
from chain_core.execution.context import CallContext
from chain_core.execution.contract import Contract, Lane
from chain_core.types.values import Value
from contracts.codes.investor import DIGITS
from crosschain.packets import count_in

CODES = "codes"
LAST = 10**DIGITS - 1
"""Of each category; ``000000000`` is never allocated."""


class Codes(Contract):
    """Has no methods: codes are asked for by packets alone."""

    name = CODES
    lane = Lane.BORDER

    def __init__(self) -> None:
        self.methods = {}


def allocate(ctx: CallContext, arguments: Mapping[str, Value]) -> dict[str, Value]:
    """The investor's code: the one allocated before, or the category's next number. No number is left out.

    An investor who changes category gets another code. ``code`` is empty once a category's numbers are used up.
    """
    category, identity = cast(str, arguments["category"]), cast(bytes, arguments["identity"])
    space = ctx.within(CODES)
    place = b"i" + category.encode("ascii") + identity
    known = space.get(place)
    if known is not None:
        return {"code": decode_map(known, "allocation")["code"], "fresh": False}
    number = count_in(space.get(b"n" + category.encode("ascii"))) + 1
    if number > LAST:
        return {"code": "", "fresh": False}
    code = f"{category}{number:0{DIGITS}d}"
    space.put(b"n" + category.encode("ascii"), encode_value(number))
    row: dict[str, Value] = {"code": code, "height": ctx.block.height, "time_ms": ctx.block.time_ms}
    space.put(place, encode_value(row))
    space.put(b"c" + code.encode("ascii"), identity)
    ctx.emit("allocated", code=code, identity=identity)
    return {"code": code, "fresh": True}


def allocated_key(category: str) -> bytes:
    """Full state key of how many codes of a category were allocated: they are 1 to that number."""
    return state_key(CODES, b"n" + category.encode("ascii"))


def holder_key(code: str) -> bytes:
    """Full state key of the identity digest that a code was allocated for."""
    return state_key(CODES, b"c" + code.encode("ascii"))
