"""Article 16: authenticated links; several institutions confirm each block, and no lone one can."""

from __future__ import annotations

from collections import Counter

from chain_core.codec.block import decode_certificate
from dualchain.guideline.asking import AskedChain
from dualchain.guideline.examination import Examination, Text
from dualchain.guideline.links import strangers_refused

REQUIREMENT = Text(
    "跨链认证安全；多个单位的节点参与共识与确认，防止独立节点恶意操作",
    "authenticated links; nodes of several institutions confirm each block, none holds a third of the votes",
)


async def check(exam: Examination) -> None:
    """Votes by legal entity of the validators in force, the entities behind the latest header, refusal of strangers."""
    for chain in exam.network.chains:
        with exam.about(chain.label):
            await _entities(exam, chain)
            await strangers_refused(exam, chain)


async def _entities(exam: Examination, chain: AskedChain) -> None:
    certified = await chain.client.from_any(lambda node: node.header())
    header = await chain.view_of(certified)
    members = chain.view.validators_of(header.epoch)
    votes = Counter(one.entity for one in members.validators)
    for entity, held in votes.items():
        exam.require(
            3 * held < members.n,
            f"{chain.label}：“{entity}”持有 {members.n} 票中的 {held} 票",
            f"{chain.label}: {entity} holds {held} of {members.n} votes, a third or more",
        )
    signers = {members.validators[index].entity for index, _ in decode_certificate(certified.certificate).signatures}
    if exam.require(
        len(signers) > 1,
        f"{chain.label} 高度 {header.height} 只有一个单位确认",
        f"one institution alone confirmed height {header.height} of {chain.label}",
    ):
        zh = f"{chain.label} 高度 {header.height} 由 {len(signers)} 个单位确认"
        en = f"{len(signers)} institutions confirmed height {header.height} of {chain.label}"
        exam.show(zh, en, chain.place(header))
