"""Correction of a wrong entry (更正): what was moved moves back by a new movement, nothing is overwritten
(docs/spec/kernel.md §3.10).

The entry is named by its transaction and the place of its event there; state keeps how much of it was corrected, so
that none is taken back twice. Four eyes vouch that the entry is as stated, on the evidence. State: ``Y`` transaction
(32) place (u32) -> canonical [security, source, target, quantity, corrected].
"""

from __future__ import annotations

from typing import NamedTuple, cast

from chain_core.codec.values import decode_value, encode_value
from chain_core.codec.wire import U32
from chain_core.execution.context import CallContext
from chain_core.execution.overlay import Namespace
from chain_core.types.values import Value
from contracts.kernel.four_eyes import require_second_house
from contracts.kernel.movements import move
from contracts.kernel.moves import MoveKind
from contracts.kernel.records import CORRECTION


class Entry(NamedTuple):
    """The movement that was wrong, as its event says it."""

    transaction: bytes
    place: int
    security: bytes
    source: bytes
    target: bytes
    quantity: int


def correct(space: Namespace, ctx: CallContext, entry: Entry, quantity: int, evidence: bytes) -> None:
    """``quantity`` of the entry goes back from its target to its source, out of what is available there. Emits
    ``transferred``, ``corrected``.

    Refuses with kernel.entry_differs when an earlier correction stated it otherwise, kernel.above_entry for more than
    is left of it.
    """
    require_second_house(ctx)
    key = CORRECTION + entry.transaction + U32.pack(entry.place)
    stated: list[Value] = [entry.security, entry.source, entry.target, entry.quantity]
    corrected = 0
    raw = space.get(key)
    if raw is not None:
        *before, done = cast(list[object], decode_value(raw, "correction"))
        if before != stated:
            ctx.refuse("kernel.entry_differs", entry.transaction, entry.place)
        corrected = cast(int, done)
    if quantity > entry.quantity - corrected:
        ctx.refuse("kernel.above_entry", quantity, entry.quantity - corrected)
    space.put(key, encode_value([*stated, corrected + quantity]))
    move(space, ctx, MoveKind.NON_TRADE, entry.security, entry.target, entry.source, quantity)
    ctx.emit("corrected", transaction=entry.transaction, place=entry.place, quantity=quantity, evidence=evidence)
