"""Article 14: what breaks, and every migration, is announced at least 20 working days ahead, with plans."""

from __future__ import annotations

from chain_core.codec.seen import state_key
from contracts.kernel.calendar import TradingCalendar, day_of
from dualchain.guideline.asking import Place
from dualchain.guideline.examination import Examination, Text
from dualchain.guideline.matters import matters, transaction_of
from supervisory_chain.desk.contract import NOTICE_DAYS
from supervisory_chain.desk.in_force import MIGRATION
from supervisory_chain.desk.machines import NOTICE
from supervisory_chain.desk.records import DESK, Matter
from supervisory_chain.desk.working_days import calendar, working_days

REQUIREMENT = Text(
    "非兼容升级和整体迁移提前告知方案，至少预留 20 个工作日",
    "incompatible upgrades and migrations are announced with their plans, at least 20 working days ahead",
)


async def check(exam: Examination) -> None:
    """Each notice's days counted anew by the calendar in force; what began before its day had a waiver of two."""
    upper = exam.network.upper
    days = calendar((await upper.value(state_key(DESK, b"k")))[0])
    found = await matters(upper, NOTICE)
    if not found:
        exam.lacks("尚无升级或迁移通知", "no upgrade or migration was announced yet")
    for number, matter, place in found:
        _announced(exam, number, matter, days)
        await _steps(exam, number, matter, days, place)


def _announced(exam: Examination, number: int, matter: Matter, days: TradingCalendar) -> None:
    given = matter.last("revise") or matter.last("give_notice")
    if not exam.require(given, f"通知 {number} 没有提交记录", f"notice {number} was never given") or given is None:
        return
    fields = matter.fields
    migration = fields["kind"] == MIGRATION
    effective = int(str(fields["effective_day"]))
    if migration or not fields.get("compatible"):
        ahead = working_days(days, day_of(given.time_ms), effective)
        exam.require(
            ahead >= NOTICE_DAYS,
            f"通知 {number} 只提前 {ahead} 个工作日",
            f"notice {number} came {ahead} working days ahead, {NOTICE_DAYS} are needed",
        )
    exam.require(fields["plan"], f"通知 {number} 没有方案", f"notice {number} has no plan")
    exam.require(
        not migration or fields.get("data_plan"),
        f"迁移通知 {number} 没有数据方案",
        f"migration {number} has no data plan",
    )


async def _steps(exam: Examination, number: int, matter: Matter, days: TradingCalendar, place: Place) -> None:
    begun, waived, proposed = (matter.last(step) for step in ("begin", "confirm_waiver", "propose_waiver"))
    early = begun is not None and day_of(begun.time_ms) < int(str(matter.fields["effective_day"]))
    exam.require(
        not early or (waived is not None and proposed is not None and waived.by != proposed.by),
        f"通知 {number} 的变更早于生效日且没有双人豁免",
        f"what notice {number} announced began before its day, without a waiver of two",
    )
    exam.show(f"通知 {number}“{matter.subject}”，状态 {matter.state}", f"notice {number} {matter.subject}", place)
    if matter.steps and (taken := await transaction_of(exam.network.upper, matter.steps[0])) is not None:
        exam.show(f"通知 {number} 的提交交易", f"the transaction that gave notice {number}", taken.place)
