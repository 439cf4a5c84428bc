"""Article 3: the supervisory chain follows every market's chain, and each market's chain follows it (双层链架构)."""

from __future__ import annotations

from chain_core.codec.genesis import genesis_hash
from chain_core.codec.seen import state_key
from crosschain.following import decode_position
from crosschain.packets import SUPERVISION
from dualchain.guideline.asking import AskedChain, hash_of
from dualchain.guideline.examination import Examination, Text
from dualchain.guideline.registered import Market, followed

REQUIREMENT = Text(
    "监管链与地方业务链双层架构，监管链跟随并验证各地方业务链",
    "two layers: the supervisory chain follows and verifies each market's chain",
)


async def check(exam: Examination) -> None:
    """Kinds of chain; the header followed is the market's own; the supervisory header seen below is the upper one's."""
    upper = exam.network.upper
    kind = upper.view.genesis.kind
    exam.require(kind == "supervisory", f"上层链类型为 {kind}，不是监管链", f"the upper chain is a {kind} chain")
    for market in await followed(exam):
        lower = exam.network.markets[market.code]
        with exam.about(market.code):
            embedded = genesis_hash(lower.view.genesis.supervisory_genesis)
            exam.require(
                embedded == upper.hash,
                f"{market.code} 的创世文件内嵌的是另一条监管链",
                f"{market.code}'s genesis document is under another supervisory chain",
            )
            await _followed(exam, market, lower)
            await _following(exam, market.code, lower)


async def _followed(exam: Examination, market: Market, lower: AskedChain) -> None:
    code, position = market.code, market.position
    if not exam.require(
        position.frozen < 0, f"{code} 的轻客户端已冻结（分叉）", f"{code}'s light client is frozen: a fork"
    ):
        return
    if not exam.require(
        position.height, f"监管链尚未跟随 {code}", f"the supervisory chain has not followed {code} yet"
    ):
        return
    header = await lower.header(position.height)
    if exam.require(
        hash_of(header) == position.header_hash,
        f"监管链跟随的 {code} 区块头（高度 {position.height}）不是该链自己的",
        f"the header of {code} that is followed at {position.height} is not the chain's own",
    ):
        zh = f"监管链已验证 {code} 至高度 {position.height}"
        exam.show(zh, f"the supervisory chain verified {code} up to height {position.height}", market.followed)
        exam.show(f"{code} 同一高度的区块头", f"{code}'s own header of that height", lower.place(header))


async def _following(exam: Examination, code: str, lower: AskedChain) -> None:
    """Downward it moves with directives: a market that never had one has seen none of the upper headers."""
    raw, place = await lower.value(state_key(SUPERVISION, b"s"))
    seen = decode_position(raw)
    exam.require(
        seen.frozen < 0, f"{code} 对监管链的跟随已冻结", f"{code}'s follower of the supervisory chain is frozen"
    )
    if seen.height:
        above = await exam.network.upper.header(seen.height)
        if exam.require(
            hash_of(above) == seen.header_hash,
            f"{code} 所见监管链区块头（高度 {seen.height}）不是监管链自己的",
            f"the supervisory header that {code} saw at {seen.height} is not that chain's own",
        ):
            zh = f"{code} 已执行至监管链高度 {seen.height} 的全部指令"
            exam.show(zh, f"{code} executed all directives up to supervisory height {seen.height}", place)
