"""Article 24: inspections: what was found is transferred, rectified and closed by other people, in time."""

from __future__ import annotations

from contracts.kernel.calendar import day_of
from dualchain.guideline.examination import Examination, Text
from dualchain.guideline.matters import matters, transaction_of
from supervisory_chain.desk.machines import INSPECTION

REQUIREMENT = Text(
    "派出机构与省级金融监管部门检查，发现问题及时移送并督促处理",
    "inspections by regional office and provincial regulator; findings are transferred and followed to their end",
)


async def check(exam: Examination) -> None:
    """Every inspection of the desk: no deadline that passed unnoticed, none closed by who opened it."""
    upper = exam.network.upper
    found = await matters(upper, INSPECTION)
    if not found:
        exam.lacks("尚无检查记录", "there was no inspection yet")
    today = day_of((await upper.header()).time_ms)
    for number, matter, place in found:
        fields = matter.fields
        overdue = matter.state == "rectifying" and int(str(fields["deadline_day"])) < today
        exam.require(
            not overdue or fields.get("escalated"),
            f"检查 {number} 整改逾期而未升级",
            f"the rectification of inspection {number} is overdue, and nobody was told",
        )
        opened, closed = matter.last("open_inspection"), matter.last("close_inspection")
        exam.require(
            opened is not None and (closed is None or closed.by != opened.by),
            f"检查 {number} 由发起人自行关闭",
            f"inspection {number} was closed by who opened it",
        )
        exam.show(
            f"检查 {number}“{matter.subject}”，状态 {matter.state}", f"inspection {number}: {matter.state}", place
        )
        if matter.steps and (taken := await transaction_of(upper, matter.steps[-1])) is not None:
            exam.show(f"检查 {number} 的最近一步", f"the last step of inspection {number}", taken.place)
