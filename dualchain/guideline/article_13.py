"""Article 13: nodes are operated: they make blocks, run one release, and raise no alarm."""

from __future__ import annotations

import asyncio

from chain_core._pb.dualchain.node.v1 import node_pb2 as pb
from chain_core.types.errors import DualchainError
from dualchain.guideline.asking import AskedChain
from dualchain.guideline.examination import Examination, Text

REQUIREMENT = Text(
    "完善的运维体系：持续稳定运行，关注并及时完成升级与漏洞修复",
    "operations: nodes run on, on one release, patched",
)


PAUSES_S = (1.0, 2.0, 4.0, 8.0, 15.0)
"""Between looks at a chain whose nodes say that a height does not become final."""


async def check(exam: Examination) -> None:
    """What every node says of itself: no proof, so it is named beside the header that the node proves."""
    for chain in exam.network.chains:
        with exam.about(chain.label):
            await _check(exam, chain)


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
