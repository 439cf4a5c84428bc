"""Directives that halt or resume services: the register knows at once (docs/spec/directives.md §1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from chain_core.execution.context import CallContext
from chain_core.execution.contract import RuleText
from chain_core.types.values import Value
from crosschain.packets import (
    ALL_SERVICES,
    CHAINS,
    HALT_SERVICE,
    RESUME_SERVICE,
    Directive,
    directive_name,
    read_chain,
)
from service_registry import halts
from service_registry.authority import find_service
from service_registry.records import SERVICES

RULES: Mapping[str, RuleText] = {
    "directives.wrong_service": RuleText(
        "服务 {0} 不是该市场发布的", "the service {0} is not published by this market"
    ),
    "directives.too_many_halts": RuleText("服务 {0} 的停用指令过多", "too many directives halt the service {0}"),
}


def check(ctx: CallContext, chain: bytes, args: Mapping[str, Value]) -> None:
    """Refuses a service that the chain's market did not publish. ALL_SERVICES are its own in any case."""
    service = cast(bytes, args.get("service", ALL_SERVICES))
    if args["kind"] not in (HALT_SERVICE, RESUME_SERVICE) or service == ALL_SERVICES:
        return
    found = find_service(ctx.read, service)
    if found is None or found.market != _market(ctx, chain):
        ctx.refuse("directives.wrong_service", service)


def enter(ctx: CallContext, chain: bytes, sequence: int, kind: str, directive: Directive) -> None:
    """A directive is being confirmed: from here on nobody may call, or may again."""
    if kind not in (HALT_SERVICE, RESUME_SERVICE):
        return
    space, key = ctx.within(SERVICES), halts.halts_key(directive.service, _market(ctx, chain))
    if kind == RESUME_SERVICE:
        halts.lift(space, key, None if directive.lifts is None else directive_name(directive.lifts))
    elif not halts.add(space, key, directive_name(sequence)):
        ctx.refuse("directives.too_many_halts", directive.service)
    ctx.emit("services_halted" if kind == HALT_SERVICE else "services_resumed", chain=chain, service=directive.service)


def _market(ctx: CallContext, chain: bytes) -> str:
    return cast(str, read_chain(ctx.read(CHAINS, b"r" + chain) or b"")["market"])
