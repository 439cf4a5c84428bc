"""Services of this market that a directive halted: on record in ``supervision`` (docs/spec/directives.md §4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

from chain_core.codec.values import decode_value, encode_value
from chain_core.execution.context import CallContext
from chain_core.execution.contract import RuleText
from chain_core.types.values import Value
from crosschain.packets import ALL_SERVICES

MAX_HALTS = 64

RULES: Mapping[str, RuleText] = {
    "supervision.halted_already": RuleText("服务 {0} 的停用指令过多", "too many directives halt the service {0}"),
    "supervision.no_such_halt": RuleText("服务 {0} 未依该指令停用", "no such directive halts the service {0}"),
}


def halt(ctx: CallContext, service: bytes, directive: str) -> None:
    """Under ``directive`` the service answers nobody; for ``supervision`` itself."""
    halts = _read(ctx.get(_place(service)))
    if len(halts) >= MAX_HALTS:
        ctx.refuse("supervision.halted_already", service)
    ctx.put(_place(service), encode_value(cast(list[Value], [*halts, directive])))


def resume(ctx: CallContext, service: bytes, lifts: str | None) -> None:
    """Lifts the halt that ``lifts`` ordered, all of them without it."""
    halts = _read(ctx.get(_place(service)))
    if not halts or (lifts is not None and lifts not in halts):
        ctx.refuse("supervision.no_such_halt", service)
    left = [halt for halt in halts if lifts is not None and halt != lifts]
    if left:
        ctx.put(_place(service), encode_value(cast(list[Value], left)))
    else:
        ctx.delete(_place(service))


def halted_by(read: Callable[[bytes], bytes | None], service: bytes = ALL_SERVICES) -> str | None:
    """The directive under which a service of this market answers nobody, None when it may. ``read`` reads the keys of
    ``supervision``; without ``service``: whether all of them are halted.
    """
    halts = [*_read(read(_place(ALL_SERVICES))), *(_read(read(_place(service))) if service != ALL_SERVICES else [])]
    return halts[0] if halts else None


def _place(service: bytes) -> bytes:
    return b"h" + service


def _read(raw: bytes | None) -> list[str]:
    return [] if raw is None else cast(list[str], decode_value(raw, "halts"))
