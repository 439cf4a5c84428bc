"""Overdue directives become cases, without anybody having to look (docs/spec/directives.md §5).

Deadlines are kept in slots of ten seconds of block time; the end of a block works off those that have passed, so many
entries at most.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from chain_core.codec.values import decode_map, decode_value, encode_value
from chain_core.execution.context import CallContext
from chain_core.execution.contract import RuleText
from chain_core.execution.overlay import Namespace
from chain_core.types.values import Value
from crosschain.packets import CASES, DEMANDS, count_in
from supervisory_chain.cases import enter_case
from supervisory_chain.demands import is_open
from supervisory_chain.directive_records import place

SLOT_MS = 10_000
MAX_SLOTS = 2_000
MAX_IN_SLOT = 1_000
MAX_A_BLOCK = 128
"""Entries looked at by the end of one block."""
OVERDUE = "overdue_directive"

RULES: Mapping[str, RuleText] = {
    "directives.too_many_due": RuleText(
        "该期限附近的指令过多，请换一个期限", "too many directives are due at that time: choose another deadline"
    ),
}


def schedule(ctx: CallContext, chain: bytes, sequence: int, deadline_ms: int, within: Namespace | None = None) -> None:
    """Has the directive looked at after its deadline; at once when that has passed."""
    space = ctx if within is None else within
    slot = max(deadline_ms, ctx.block.time_ms) // SLOT_MS
    slots, entries = _slots(space), _entries(space, slot)
    if slot not in slots:
        slots = sorted([*slots, slot])
    if len(slots) > MAX_SLOTS or len(entries) >= MAX_IN_SLOT:
        ctx.refuse("directives.too_many_due")
    space.put(b"f", encode_value(cast(list[Value], slots)))
    space.put(_slot_key(slot), encode_value([*entries, [chain, sequence]]))


def escalate(ctx: CallContext) -> None:
    """Cases for what is overdue and still open, by the end of a block; the rest waits for the next one."""
    slots, left = _slots(ctx), MAX_A_BLOCK
    while slots and (slots[0] + 1) * SLOT_MS <= ctx.block.time_ms and left > 0:
        slot = slots[0]
        entries = _entries(ctx, slot)
        for entry in entries[:left]:
            chain, sequence = cast(tuple[bytes, int], entry)
            _look(ctx, chain, sequence)
        rest = entries[left:]
        left -= len(entries) - len(rest)
        if rest:
            ctx.put(_slot_key(slot), encode_value(rest))
        else:
            ctx.delete(_slot_key(slot))
            slots = slots[1:]
            ctx.put(b"f", encode_value(cast(list[Value], slots)))


def _look(ctx: CallContext, chain: bytes, sequence: int) -> None:
    raw = ctx.get(place(b"s", chain, sequence))
    if raw is None:
        return  # it went to a successor, which has an entry of its own
    record = decode_map(raw, "directive record")
    unanswered = record["kind"] in DEMANDS and _waits(ctx, chain, sequence)
    if sequence < count_in(ctx.get(b"a" + chain)) and not unanswered:
        return
    facts: dict[str, Value] = {name: record[name] for name in ("kind", "deadline_ms", "reference", "status")}
    number = enter_case(ctx.within(CASES), ctx, chain, OVERDUE, {**facts, "sequence": sequence})
    ctx.put(place(b"s", chain, sequence), encode_value({**record, "case": number}))


def _waits(ctx: CallContext, chain: bytes, sequence: int) -> bool:
    """Whether a demand is open, at its chain or at the last of those that succeeded it."""
    successor = ctx.get(b"m" + chain)
    while successor is not None:
        chain, successor = successor, ctx.get(b"m" + successor)
    return is_open(ctx, chain, sequence)


def _slot_key(slot: int) -> bytes:
    return b"g" + slot.to_bytes(8, "big")


def _slots(space: Namespace) -> list[int]:
    raw = space.get(b"f")
    return [] if raw is None else cast(list[int], decode_value(raw, "slots"))


def _entries(space: Namespace, slot: int) -> list[Value]:
    raw = space.get(_slot_key(slot))
    return [] if raw is None else cast(list[Value], decode_value(raw, "slot"))
