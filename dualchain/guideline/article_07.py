"""Article 7: Byzantine fault tolerance with at least four consensus nodes whose data is compared."""

from __future__ import annotations

from chain_core.codec.block import decode_certificate, decode_header
from chain_core.codec.certificates import check_certificate
from chain_core.node.answers import CertifiedHeader
from chain_core.node.client import NodeClient
from chain_core.types.errors import DualchainError
from chain_core.types.validator_set import MIN_VALIDATORS
from dualchain.guideline.asking import AskedChain
from dualchain.guideline.examination import Examination, Text

REQUIREMENT = Text(
    "拜占庭容错共识，共识节点不少于四个，链上数据一致",
    "Byzantine fault tolerant consensus, at least four consensus nodes, equal data on them",
)


async def check(exam: Examination) -> None:
    """Validators, the latest header's votes, and one header asked of every node."""
    for chain in exam.network.chains:
        with exam.about(chain.label):
            await _check(exam, chain)


async def _check(exam: Examination, chain: AskedChain) -> None:
    latest = await chain.each(lambda node: node.header())
    serving = {address: answer for address, answer in latest.items() if not isinstance(answer, DualchainError)}
    members, label = chain.view.validators, chain.label
    exam.require(
        members.n >= MIN_VALIDATORS,
        f"{label} 只有 {members.n} 个共识节点",
        f"{label} has {members.n} consensus nodes, fewer than {MIN_VALIDATORS}",
    )
    exam.require(
        len(serving) >= members.q,
        f"{label} 可询问的节点 {len(serving)} 个，低于法定数 {members.q}",
        f"{len(serving)} nodes of {label} answer, fewer than the quorum of {members.q}",
    )
    heights = sorted([(await chain.view_of(answer)).height for answer in serving.values()], reverse=True)
    if len(heights) < members.q:
        return
    await _compare(exam, chain, heights[members.q - 1])


async def _compare(exam: Examination, chain: AskedChain, height: int) -> None:
    """The highest height that a quorum has: each node's votes for itself, and whether the headers are one."""
    members, label = chain.view.validators, chain.label

    async def ask(node: NodeClient) -> CertifiedHeader:
        return await node.header(height)

    answers = {a: c for a, c in (await chain.each(ask)).items() if not isinstance(c, DualchainError)}
    for address, answer in answers.items():
        with exam.about(f"{label} {address}"):
            voters = chain.view.validators_of(decode_header(answer.header).epoch)
            check_certificate(answer.header, decode_certificate(answer.certificate), voters, chain.hash)
    same = len({answer.header for answer in answers.values()}) == 1
    if exam.require(same, f"{label} 各节点高度 {height} 的数据不一致", f"nodes of {label} differ at height {height}"):
        one = next(iter(answers.values()))
        votes = len(decode_certificate(one.certificate).signatures)
        zh = f"{label}：{members.n} 个共识节点，{votes} 个签名证明高度 {height}，{len(answers)} 个节点数据一致"
        en = f"{label}: {members.n} consensus nodes, {votes} votes over height {height}, {len(answers)} nodes equal"
        exam.show(zh, en, chain.place(await chain.view_of(one)))
