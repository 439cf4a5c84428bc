"""The contract ``desk``: notices, inspections, advisories, filings (docs/spec/desk.md; art. 8, 13, 14, 24, 25)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import cast

from chain_core.codec.values import encode_value
from chain_core.execution.arguments import HASH, Boolean, Choice, Integer, Kind, Optional, Text
from chain_core.execution.context import CallContext
from chain_core.execution.contract import Arguments, Contract, Lane, Method, RuleText
from chain_core.types.values import Value
from contracts.kernel.calendar import MAX_DAY, day_of
from crosschain.packets import CHAINS, count_in, read_chain
from supervisory_chain.cases import open_case
from supervisory_chain.desk.advisories import ADVISORY_ARGUMENTS, ADVISORY_GUARDS, ADVISORY_RULES
from supervisory_chain.desk.filings import FILING_ARGUMENTS, FILING_GUARDS, FILING_RULES
from supervisory_chain.desk.in_force import IN_FORCE_RULES, MIGRATION, keep
from supervisory_chain.desk.machines import CSRC, MACHINES, NOTICE, Step, Whose
from supervisory_chain.desk.records import DESK, MAX_STEPS, Guard, Matter, Taken, decode_matter, encode_matter, place
from supervisory_chain.desk.service_notices import NAMED, SERVICE, SERVICE_RULES, check_service, keep_service
from supervisory_chain.desk.working_days import (
    CALENDAR_ARGUMENTS,
    CALENDAR_RULES,
    calendar,
    set_calendar,
    working_days,
)

NOTICE_DAYS = 20
"""Working days (art. 14)."""
DAYS = "notice_days"
"""On-chain parameter: more working days than those; above 0 a market moves to a successor under a notice only."""
OVERDUE = "overdue_rectification"

_DAY, _NUMBER, _SUBJECT = Integer(1, MAX_DAY), Integer(), Text(256)
_NOTICE: Mapping[str, Kind] = {
    "compatible": Boolean(),
    "plan": HASH,
    "data_plan": Optional(HASH),
    "effective_day": _DAY,
}
_KINDS = Choice(frozenset(("upgrade", MIGRATION, SERVICE)))
_DEADLINE: Mapping[str, Kind] = {"deadline_day": _DAY}
EXTRA: Mapping[str, Mapping[str, Kind]] = {
    "give_notice": {"chain": HASH, "subject": _SUBJECT, "kind": _KINDS, **_NOTICE, **NAMED},
    "revise": _NOTICE,
    "open_inspection": {"chain": HASH, "subject": _SUBJECT, "severity": Integer(1, 3), "document": HASH},
    "order_rectification": _DEADLINE,
    "return_report": _DEADLINE,
    **ADVISORY_ARGUMENTS,
    **FILING_ARGUMENTS,
}
"""Arguments of steps besides ``number`` and ``document``, which all but the first ones of a record have."""


def arguments_of(step: Step) -> Mapping[str, Kind]:
    """All arguments of a step, as the contract takes them."""
    named = EXTRA.get(step.name, {})
    return {"number": _NUMBER, "document": HASH, **named} if step.sources else named


RULES: Mapping[str, RuleText] = {
    **CALENDAR_RULES,
    **IN_FORCE_RULES,
    **SERVICE_RULES,
    **ADVISORY_RULES,
    **FILING_RULES,
    "desk.unknown": RuleText("没有编号为 {0} 的记录", "there is no such record with the number {0}"),
    "desk.wrong_state": RuleText(
        "记录 {0} 的状态为 {1}，不能办理 {2}", "record {0} is in the state {1}: {2} does not start from there"
    ),
    "desk.not_yours": RuleText(
        "只有提交人或该链的登记人可以办理 {0}", "{0} is for the filer, or the chain's registrant"
    ),
    "desk.four_eyes": RuleText(
        "不得自行确认（四眼原则）：{0}", "the same account took the step before (four eyes): {0}"
    ),
    "desk.no_chain": RuleText("没有登记过链 {0}", "no chain {0} is registered"),
    "desk.too_soon": RuleText(
        "今天为 {0}，生效日 {1} 须在 {2} 个工作日之后", "today is {0}: the day {1} is fewer than {2} working days away"
    ),
    "desk.no_data_plan": RuleText("迁移须附数据迁移方案", "a migration comes with a plan for its data"),
    "desk.not_overdue": RuleText("记录 {0} 没有到期未办的整改", "record {0} has no deadline that passed unescalated"),
    "desk.too_many_steps": RuleText("一条记录最多 {0} 步", "a record has at most {0} steps"),
}


class Desk(Contract):
    """Each method is a step of a machine; what besides the table decides stands in ``_GUARDS``."""

    name = DESK
    lane = Lane.BUSINESS
    rules = RULES
    parameters: Mapping[str, tuple[int, int]] = {DAYS: (0, 250)}

    def __init__(self) -> None:
        self.methods = {"set_calendar": Method(set_calendar, CALENDAR_ARGUMENTS, frozenset((CSRC,)))}
        for machine, steps in MACHINES.items():
            for name, step in steps.items():
                take = self._step if step.sources else self._first
                self.methods[name] = Method(partial(take, machine, step), arguments_of(step), step.roles)

    def _first(self, machine: str, step: Step, ctx: CallContext, args: Arguments) -> None:
        chain = cast(bytes, args.get("chain", b""))
        subject = cast(str, args["subject"])
        named = {name: args[name] for name in args if name not in ("chain", "subject", "document")}
        matter = Matter(machine, chain, "", ctx.account, subject, named)
        if chain:
            _registrant(ctx, chain)
        number = count_in(ctx.get(b"n"))
        ctx.put(b"n", encode_value(number + 1))
        document = cast(bytes, args.get("document", args.get("plan")))
        self._take(ctx, number, matter, step, document, {})

    def _step(self, machine: str, step: Step, ctx: CallContext, args: Arguments) -> None:
        number = cast(int, args["number"])
        raw = ctx.get(place(number))
        matter = None if raw is None else decode_matter(raw)
        if matter is None or matter.machine != machine:
            ctx.refuse("desk.unknown", number)
        if matter.state not in step.sources:
            ctx.refuse("desk.wrong_state", number, matter.state, step.name)
        changed = {name: args[name] for name in EXTRA.get(step.name, {}) if name in args}
        self._take(ctx, number, matter, step, cast(bytes, args["document"]), changed)

    @staticmethod
    def _take(
        ctx: CallContext, number: int, matter: Matter, step: Step, document: bytes, changed: Mapping[str, Value]
    ) -> None:
        """The account may, the guard agrees: the record has its next state."""
        _check_account(ctx, matter, step)
        moved = replace(matter, state=step.target, fields={**matter.fields, **changed})
        guard = _GUARDS.get(step.name)
        if guard is not None:
            moved = guard(ctx, number, matter, moved)
        if moved.machine == NOTICE:
            keep(ctx, number, moved)
            keep_service(ctx, number, moved)
        if len(moved.steps) >= MAX_STEPS:
            ctx.refuse("desk.too_many_steps", MAX_STEPS)
        here = ctx.block
        taken = Taken(step.name, ctx.account, ctx.entity, here.height, here.time_ms, document)
        ctx.put(place(number), encode_matter(replace(moved, steps=(*moved.steps, taken))))
        ctx.emit("moved", number=number, machine=moved.machine, step=step.name, state=moved.state, chain=moved.chain)


def _check_account(ctx: CallContext, matter: Matter, step: Step) -> None:
    if step.whose is Whose.FILER and ctx.account != matter.filer:
        ctx.refuse("desk.not_yours", step.name)
    if step.whose is Whose.REGISTRANT and ctx.account != _registrant(ctx, matter.chain):
        ctx.refuse("desk.not_yours", step.name)
    if step.whose is Whose.OTHER:
        before = matter.last(step.other_than)
        if before is None or before.by == ctx.account:
            ctx.refuse("desk.four_eyes", step.other_than)


def _registrant(ctx: CallContext, chain: bytes) -> bytes:
    raw = ctx.read(CHAINS, b"r" + chain)
    if raw is None:
        ctx.refuse("desk.no_chain", chain)
    return cast(bytes, read_chain(raw)["registrar"])


# ---- what the tables do not say


def _announced(ctx: CallContext, number: int, before: Matter, moved: Matter) -> Matter:
    """A migration has a plan for its data; what breaks is announced 20 working days ahead."""
    migration = moved.fields["kind"] == MIGRATION
    if migration and not moved.fields.get("data_plan"):
        ctx.refuse("desk.no_data_plan")
    check_service(ctx, moved)
    if migration or moved.fields["kind"] == SERVICE or not moved.fields["compatible"]:
        day, effective = day_of(ctx.block.time_ms), cast(int, moved.fields["effective_day"])
        needed = max(NOTICE_DAYS, ctx.parameters.get(DAYS, 0))
        if working_days(calendar(ctx.get(b"k")), day, effective) < needed:
            ctx.refuse("desk.too_soon", day, effective, needed)
    return moved


def _come(ctx: CallContext, number: int, before: Matter, moved: Matter) -> Matter:
    """Without a waiver nothing begins before its day."""
    day, effective = day_of(ctx.block.time_ms), cast(int, moved.fields["effective_day"])
    if before.state == "given" and day < effective:
        ctx.refuse("desk.too_soon", day, effective, 0)
    return moved


def _due(ctx: CallContext, number: int, before: Matter, moved: Matter) -> Matter:
    day, deadline = day_of(ctx.block.time_ms), cast(int, moved.fields["deadline_day"])
    if deadline <= day:
        ctx.refuse("desk.too_soon", day, deadline, 0)
    return replace(moved, fields={**moved.fields, "escalated": False})


def _overdue(ctx: CallContext, number: int, before: Matter, moved: Matter) -> Matter:
    day, deadline = day_of(ctx.block.time_ms), cast(int, moved.fields["deadline_day"])
    if day <= deadline or moved.fields["escalated"]:
        ctx.refuse("desk.not_overdue", number)
    open_case(ctx, moved.chain, OVERDUE, {"number": number, "deadline_day": deadline, "subject": moved.subject})
    return replace(moved, fields={**moved.fields, "escalated": True})


_GUARDS: Mapping[str, Guard] = {
    "give_notice": _announced,
    "revise": _announced,
    "begin": _come,
    "order_rectification": _due,
    "return_report": _due,
    "escalate": _overdue,
    **ADVISORY_GUARDS,
    **FILING_GUARDS,
}
