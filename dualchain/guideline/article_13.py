"""Article 13: nodes are operated: they make blocks, run one release, and raise no alarm."""

from __future__ import annotations

import asyncio

from chain_core._pb.dualchain.node.v1 import node_pb2 as pb
from chain_core.types.errors import DualchainError
from dualchain.guideline.asking import AskedChain
from dualchain.guideline.examination import Examination, Text
from dualchain.guideline.matters import matters
from dualchain.guideline.open_cases import cases_of, is_open
from dualchain.guideline.registered import followed
from supervisory_chain.desk.machines import ADVISORY, PATCH

REQUIREMENT = Text(
    "完善的运维体系：持续稳定运行，关注并及时完成升级与漏洞修复",
    "operations: nodes run on, on one release, patched",
)


OVERDUE = "overdue_patch"
"""Kind of case that a deadline of an advisory opens."""
PAUSES_S = (1.0, 2.0, 4.0, 8.0, 15.0)
"""Between looks at a chain whose nodes say that a height does not become final."""


async def check(exam: Examination) -> None:
    """What every node says of itself, which is no proof, beside the header that it proves; advisories and patches."""
    for chain in exam.network.chains:
        with exam.about(chain.label):
            await _check(exam, chain)
    with exam.about("advisories"):
        await _advisories(exam)


async def _advisories(exam: Examination) -> None:
    """No market is late with a patch; the newest advisory and patch are shown."""
    upper = exam.network.upper
    for market in await followed(exam):
        for number, case, _ in await cases_of(upper, market.chain):
            exam.require(
                not (case["kind"] == OVERDUE and is_open(case)),
                f"{market.code} 逾期未修复漏洞（案件 {number}）",
                f"{market.code} has not patched in time (case {number})",
            )
    for machine, zh, en in ((ADVISORY, "安全公告", "advisory"), (PATCH, "补丁记录", "patch record")):
        found = await matters(upper, machine)
        if not found:
            exam.lacks(f"尚无{zh}", f"there is no {en} yet")
            continue
        number, matter, place = found[-1]
        exam.show(f"{zh} {number}，状态 {matter.state}", f"{en} {number}: {matter.state}", place)


async def _settled(chain: AskedChain) -> dict[str, pb.GetStatusResponse | DualchainError]:
    """What the nodes say once a height that was on its way is final: only what goes on is a standstill."""
    answers: dict[str, pb.GetStatusResponse | DualchainError] = {}
    for pause in PAUSES_S:
        answers = await chain.each(lambda node: node.status())
        if not any(not isinstance(one, DualchainError) and one.not_progressing for one in answers.values()):
            break
        await asyncio.sleep(pause)
    return answers


async def _check(exam: Examination, chain: AskedChain) -> None:
    answers = await _settled(chain)
    versions = set()
    for address, status in answers.items():
        if isinstance(status, DualchainError):
            exam.require(
                False,
                f"{chain.label} 的节点 {address} 无应答（{status.code}）",
                f"{chain.label}'s node {address} is down",
            )
            continue
        versions.add(status.version)
        wrong = status.halted or status.not_progressing
        exam.require(not wrong, f"节点 {status.node} 停滞：{wrong}", f"the node {status.node} does not go on: {wrong}")
        exam.require(
            not status.security_alarms,
            f"节点 {status.node} 有安全告警",
            f"the node {status.node} raises security alarms",
        )
    exam.require(
        len(versions) <= 1,
        f"{chain.label} 的节点版本不一：{'、'.join(sorted(versions))}",
        f"nodes of {chain.label} run several releases: {', '.join(sorted(versions))}",
    )
    if versions:
        zh = f"{chain.label} 的 {len(answers)} 个节点运行版本 {min(versions)}"
        exam.show(zh, f"{len(answers)} nodes of {chain.label} run {min(versions)}", chain.place(await chain.header()))
