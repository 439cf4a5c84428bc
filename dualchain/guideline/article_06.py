"""Article 6: one chain a market; admitted after assessment, penetration test and an independent joint test."""

from __future__ import annotations

from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_map
from chain_core.types.validator_set import same_entity
from crosschain.packets import CHAINS, FOLLOWED, read_chain
from dualchain.guideline.examination import Examination, Text
from dualchain.guideline.papers import accepted
from dualchain.guideline.registered import Market, followed, registered

REQUIREMENT = Text(
    "一个市场一条地方业务链；接入前完成安全评估与跨链对接测试",
    "one chain a market; security assessment and cross-chain joint test before it is connected",
)


async def check(exam: Examination) -> None:
    """No second followed chain of a market; what each admission rests on."""
    own = {market.code: market.chain for market in await registered(exam.network.upper)}
    prefix = state_key(CHAINS, b"r")
    for key, (raw, _) in (await exam.network.upper.listed(CHAINS, b"r")).items():
        record, chain = read_chain(raw), key[len(prefix) :]
        code = str(record["market"])
        exam.require(
            record["status"] not in FOLLOWED or own.get(code) == chain,
            f"{code} 另有一条已接入的链（{chain.hex()[:16]}…）",
            f"{code} has another followed chain ({chain.hex()[:16]}…)",
        )
    for market in await followed(exam):
        with exam.about(market.code):
            exam.show(f"{market.code} 只有一条链", f"{market.code} has one chain", market.place)
            await accepted(exam, market, ("security_assessment", "penetration_test"))
            await _tested(exam, market)


async def _tested(exam: Examination, market: Market) -> None:
    upper, code = exam.network.upper, market.code
    raw, place = await upper.value(state_key(CHAINS, b"j" + market.chain))
    if raw is None:
        if not market.record["predecessor"]:  # a successor's market was tested
            exam.require(False, f"{code} 准入前没有联调测试报告", f"{code} was admitted without a joint-test report")
        return
    row = decode_map(raw, "joint test")
    tester = str(row["tester_entity"])
    exam.require(
        same_entity(tester) != same_entity(str(market.record["registrar_entity"])),
        f"{code} 由登记人自己测试",
        f"{code} was tested by its registrant",
    )
    exam.require(
        int(str(row["height"])) <= market.record["admitted_height"] or not market.record["admitted_height"],
        f"{code} 的联调测试晚于准入",
        f"{code} was tested after its admission",
    )
    exam.show(f"{code} 的联调测试报告，测试机构“{tester}”", f"{code}'s joint-test report by {tester}", place)
