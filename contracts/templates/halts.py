"""Halts of a template (模板停用) by directives, beside the steps of its filing (docs/spec/templates.md §2).

For the border contract only, which the assembly grants this state: no method of ``templates`` halts or resumes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from chain_core.codec.values import decode_value, encode_value
from chain_core.execution.context import CallContext
from chain_core.execution.contract import RuleText
from chain_core.types.values import Value

TEMPLATES = "templates"
MAX_HALTS = 64
_HALT = b"z"

RULES: Mapping[str, RuleText] = {
    "templates.halted": RuleText("模板 {0} 已依监管指令 {1} 停用", "template {0} is halted by the directive {1}"),
    "templates.halted_already": RuleText("模板 {0} 停用指令过多", "too many directives halt the template {0}"),
    "templates.no_such_halt": RuleText("模板 {0} 未依该指令停用", "no such directive halts the template {0}"),
}


def check_running(ctx: CallContext, template: str) -> None:
    """Refuses ``templates.halted``; for the contract ``templates`` itself."""
    halts = _read(ctx.get(_HALT + template.encode()))
    if halts:
        ctx.refuse("templates.halted", template, halts[0])


def halt(ctx: CallContext, template: str, directive: str) -> None:
    """Under ``directive``, no instance of the template begins or goes on. Emits ``template_halted``."""
    space = ctx.within(TEMPLATES)
    halts = _read(space.get(_HALT + template.encode()))
    if directive in halts or len(halts) >= MAX_HALTS:
        ctx.refuse("templates.halted_already", template)
    space.put(_HALT + template.encode(), encode_value(cast(list[Value], [*halts, directive])))
    ctx.emit("template_halted", template=template, directive=directive)


def resume(ctx: CallContext, template: str, directive: str, lifts: str | None = None) -> None:
    """Lifts the halt that ``lifts`` ordered, all of them without it. Emits ``template_resumed``."""
    space, key = ctx.within(TEMPLATES), _HALT + template.encode()
    halts = _read(space.get(key))
    if not halts or (lifts is not None and lifts not in halts):
        ctx.refuse("templates.no_such_halt", template)
    left = [halt for halt in halts if lifts is not None and halt != lifts]
    if left:
        space.put(key, encode_value(cast(list[Value], left)))
    else:
        space.delete(key)
    ctx.emit("template_resumed", template=template, directive=directive)


def _read(raw: bytes | None) -> list[str]:
    return [] if raw is None else cast(list[str], decode_value(raw, "halts"))
