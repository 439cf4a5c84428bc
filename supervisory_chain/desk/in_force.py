"""Which announced changes of a chain are in force, and when they were (docs/spec/desk.md §1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_value, encode_value
from chain_core.execution.context import CallContext
from chain_core.execution.contract import RuleText
from chain_core.types.values import Value
from supervisory_chain.desk.records import DESK, Matter, decode_matter, place

MAX_KEPT = 16
"""Notices kept of a chain here: those in force, and the last ones that were."""
CLOCK_MS = 60_000
"""A market's block time may differ that much from this chain's."""
BEGINS, ENDS = ("waived", "in_force"), ("done", "rolled_back", "withdrawn")
MIGRATION = "migration"
CHANGES = ("upgrade", MIGRATION)
"""Kinds of notice that announce a change of the chain itself."""

IN_FORCE_RULES = {
    "desk.too_many_in_force": RuleText("该链生效中的通知已达 {0} 个", "{0} notices of this chain are in force already"),
}


def in_force_key(chain: bytes) -> bytes:
    """Full state key of a chain's list."""
    return state_key(DESK, _place(chain))


def keep(ctx: CallContext, number: int, notice: Matter) -> None:
    """Enters a notice that has come into force, or marks its end, by the desk's own contract."""
    if notice.fields.get("kind") not in CHANGES or notice.state not in (*BEGINS, *ENDS):
        return
    rows = _rows(ctx.get(_place(notice.chain)))
    mine = next((row for row in rows if row[0] == number), None)
    if mine is None and notice.state in BEGINS:
        if len(rows) == MAX_KEPT:
            over = next((row for row in rows if row[2]), None)
            if over is None:
                ctx.refuse("desk.too_many_in_force", MAX_KEPT)
            rows.remove(over)
        rows.append([number, ctx.block.time_ms, 0])
    elif mine is not None and notice.state in ENDS:
        mine[2] = ctx.block.time_ms
    else:
        return
    ctx.put(_place(notice.chain), encode_value(cast(list[Value], rows)))


def announced(ctx: CallContext, chain: bytes, time_ms: int) -> int | None:
    """Number of a notice of the chain that was in force, or waived, at ``time_ms``; for other contracts."""
    return in_force_at(lambda key: ctx.read(DESK, key), chain, time_ms)


def migration(ctx: CallContext, chain: bytes) -> int | None:
    """Number of a notice of the chain's migration that is waived or in force now; for other contracts."""
    for number, _, until in reversed(_rows(ctx.read(DESK, _place(chain)))):
        if not until and decode_matter(ctx.read(DESK, place(number)) or b"").fields.get("kind") == MIGRATION:
            return number
    return None


def in_force_at(read: Callable[[bytes], bytes | None], chain: bytes, time_ms: int) -> int | None:
    """The same; ``read`` reads the desk's own keys."""
    for number, since, until in reversed(_rows(read(_place(chain)))):
        if since - CLOCK_MS <= time_ms and (not until or time_ms <= until + CLOCK_MS):
            return number
    return None


def _rows(raw: bytes | None) -> list[list[int]]:
    return [] if raw is None else [list(row) for row in cast(Sequence[Sequence[int]], decode_value(raw, "in force"))]


def _place(chain: bytes) -> bytes:
    return b"f" + chain
