"""Article 20: business is recorded as it happens, step by step, and reported upward."""

from __future__ import annotations

from contracts.kernel.records import KERNEL
from contracts.templates.halts import TEMPLATES
from crosschain.packets import REPORT_CHANNEL, count_in, read_channel, received_key, sent_key
from dualchain.guideline.asking import AskedChain, Found
from dualchain.guideline.examination import Examination, Text
from dualchain.guideline.registered import Market, followed

REQUIREMENT = Text(
    "智能合约实时同步记录业务流程关键数据，对全过程操作记录存证",
    "contracts record each step of business as it happens; every step is evidence, and reported to the regulator",
)
STEPS = 50
MAX_BEHIND = 1_000
"""Reports that may be on their way."""


async def check(exam: Examination) -> None:
    """The newest steps name the business they belong to; what the chain reported has arrived above."""
    for market in await followed(exam):
        with exam.about(market.code):
            chain = exam.network.markets[market.code]
            await _steps(exam, market.code, chain)
            await _reports(exam, market, chain)


def _is_business(found: Found) -> bool:
    return not found.receipt.code and bool(found.operations(TEMPLATES) or found.operations(KERNEL))


async def _steps(exam: Examination, code: str, chain: AskedChain) -> None:
    count = 0
    async for found in chain.newest(_is_business):
        count += 1
        name = found.receipt.transaction_id.hex()[:16]
        exam.require(
            found.envelope.body.business_id,
            f"{code} 的业务交易 {name}… 没有业务编号",
            f"the transaction {name}… of {code} names no business",
        )
        if count == 1:
            zh = f"{code} 业务“{found.envelope.body.business_id}”的操作已存证"
            exam.show(zh, f"a step of {found.envelope.body.business_id} on {code}", found.place)
        if count == STEPS:
            break
    if not count:
        exam.lacks(f"{code} 近期没有业务", f"{code} has had no business lately")


async def _reports(exam: Examination, market: Market, chain: AskedChain) -> None:
    upper, code = exam.network.upper, market.code
    sent = count_in((await chain.value(sent_key(upper.hash, REPORT_CHANNEL)))[0])
    raw, place = await upper.value(received_key(chain.hash, REPORT_CHANNEL))
    taken = read_channel(raw)[0]
    if not sent:
        exam.lacks(f"{code} 尚未报送", f"{code} has reported nothing yet")
        return
    if exam.require(
        sent - taken <= MAX_BEHIND and taken,
        f"{code} 报送 {sent} 份，监管链只收到 {taken} 份",
        f"{code} sent {sent} reports, {taken} arrived at the supervisory chain",
    ):
        exam.show(f"监管链收到 {code} 的 {taken} 份报送", f"{taken} reports of {code} arrived", place)
