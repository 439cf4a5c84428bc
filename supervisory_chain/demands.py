"""Demands for rectification (整改) or a report: open until the market's proven answer (docs/spec/directives.md §5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from chain_core.codec.proofs import packet_hash
from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_map, decode_value, encode_value
from chain_core.execution.context import CallContext
from chain_core.execution.contract import RuleText
from chain_core.execution.overlay import Namespace
from chain_core.types.values import Value
from crosschain.packets import DEMANDS, DIRECTIVES, Answer
from supervisory_chain.directive_records import place, record_in_line

MAX_OPEN = 64
"""Demands to one market that wait for an answer."""

RULES: Mapping[str, RuleText] = {
    "directives.too_many_demands": RuleText(
        "该链已有 {0} 项整改或报告要求待答复", "{0} demands to this chain wait for an answer already"
    ),
}


def enter(ctx: CallContext, chain: bytes, sequence: int, kind: str) -> None:
    """A demand is being confirmed: it is open from here on."""
    if kind not in DEMANDS:
        return
    waiting = _waiting(ctx, chain)
    if len(waiting) >= MAX_OPEN:
        ctx.refuse("directives.too_many_demands", MAX_OPEN)
    _store(ctx, chain, [*waiting, sequence])


def answered(ctx: CallContext, chain: bytes, height: int, answer: Answer) -> bool:
    """Closes a demand by a proven answer from ``chain``; False when it answers nothing that is open.

    Called by the inbox, which is granted this contract's state.
    """
    space = ctx.within(DIRECTIVES)
    waiting = _waiting(space, chain)
    at, raw = record_in_line(space, chain, answer.sequence)
    packet = space.get(place(b"d", at, answer.sequence))
    if answer.sequence not in waiting or raw is None or packet is None or packet_hash(packet) != answer.packet:
        return False
    record = decode_map(raw, "directive record")
    now_ms = ctx.block.time_ms
    proven: dict[str, Value] = {
        "document": answer.document,
        "reference": answer.reference,
        "height": height,
        "time_ms": now_ms,
        "on_time": now_ms <= cast(int, record["deadline_ms"]),
    }
    space.put(place(b"s", at, answer.sequence), encode_value({**record, "answer": proven}))
    _store(space, chain, [number for number in waiting if number != answer.sequence])
    ctx.emit("answered", chain=chain, sequence=answer.sequence, document=answer.document)
    return True


def refused(space: Namespace, chain: bytes, sequence: int) -> None:
    """The market could not put the demand on record: nothing will answer it."""
    _store(space, chain, [number for number in _waiting(space, chain) if number != sequence])


def hand_over(space: Namespace, chain: bytes, successor: bytes) -> None:
    """The successor's state holds the same open demands: it answers them."""
    waiting = _waiting(space, chain)
    if waiting:
        _store(space, successor, waiting)
        _store(space, chain, [])


def is_open(space: Namespace, chain: bytes, sequence: int) -> bool:
    """Whether a demand waits for its answer, at ``chain``."""
    return sequence in _waiting(space, chain)


def open_key(chain: bytes) -> bytes:
    """Full state key of the sequences of a market's open demands, ascending; absent without."""
    return state_key(DIRECTIVES, b"r" + chain)


def _waiting(space: Namespace, chain: bytes) -> list[int]:
    raw = space.get(b"r" + chain)
    return [] if raw is None else cast(list[int], decode_value(raw, "open demands"))


def _store(space: Namespace, chain: bytes, waiting: list[int]) -> None:
    if waiting:
        space.put(b"r" + chain, encode_value(cast(list[Value], waiting)))
    else:
        space.delete(b"r" + chain)
