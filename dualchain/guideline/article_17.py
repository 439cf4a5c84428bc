"""Article 17: public data in plain on the chain, limited data sealed on it, all else kept off it."""

from __future__ import annotations

from chain_core.codec.seen import state_key
from chain_core.types.ids import ZERO_HASH
from contracts.data.records import (
    DATA,
    DELETED,
    LIMITED,
    PRIVATE,
    PUBLIC,
    Descriptor,
    body_key,
    class_of_sealed,
    decode,
)
from dualchain.guideline.asking import AskedChain
from dualchain.guideline.examination import Examination, Text

REQUIREMENT = Text(
    "公开数据上链，限定范围数据上链并授权访问，监管、政务及敏感数据链外存储、链上存证",
    "public data on chain, limited data on chain for those authorised, the rest off chain with a descriptor on it",
)
OFF_CHAIN = ("government", "supervision")
"""Kinds that must not lie on a chain, not even sealed."""
_TIERS = {PUBLIC: "公开", LIMITED: "限定范围", PRIVATE: "链外"}


async def check(exam: Examination) -> None:
    """Every data object that is found: its tier fits its kind, and its body lies where the tier says."""
    seen: set[str] = set()
    for code, chain in exam.network.markets.items():
        with exam.about(code):
            seen |= await _objects(exam, code, chain)
    for tier in (PUBLIC, LIMITED, PRIVATE):
        if tier not in seen:
            exam.lacks(f"尚无{_TIERS[tier]}数据", f"there is no {tier} data yet")


async def _objects(exam: Examination, code: str, chain: AskedChain) -> set[str]:
    prefix = state_key(DATA, b"d")
    listed = {key[len(prefix) :]: row for key, row in (await chain.listed(DATA, b"d")).items()}
    bodies = await chain.state([state_key(DATA, body_key(identity)) for identity in listed])
    seen: set[str] = set()
    for identity, (raw, place) in listed.items():
        found = decode(Descriptor, raw)
        if found.status == DELETED:
            continue
        name, body = f"{code} {identity.hex()[:8]}…", bodies[state_key(DATA, body_key(identity))]
        exam.require(
            found.tier == PRIVATE or found.kind not in OFF_CHAIN,
            f"{name}（{found.kind}）应链外存储",
            f"{name} is {found.kind} data and lies on the chain",
        )
        if _lies_where_it_must(exam, name, found, body) and found.tier not in seen:
            exam.show(f"{name}：{_TIERS[found.tier]}（{found.kind}）", f"{name}: {found.tier}, {found.kind}", place)
        seen.add(found.tier)
    return seen


def _lies_where_it_must(exam: Examination, name: str, found: Descriptor, body: bytes | None) -> bool:
    if found.tier == PUBLIC:
        return exam.require(body, f"{name} 的公开内容不在链上", f"the public body of {name} is not on the chain")
    sealed = exam.require(found.commitment != ZERO_HASH, f"{name} 没有存证", f"{name} has no commitment")
    if found.tier == PRIVATE:
        return sealed & exam.require(
            body is None and any(found.store),
            f"{name} 的非公开内容在链上",
            f"the private body of {name} is on the chain",
        )
    return sealed & exam.require(
        body is not None and class_of_sealed(len(body)) == found.size_class and found.custodians,
        f"{name} 未密封",
        f"the limited body of {name} is not sealed for a custodian",
    )
