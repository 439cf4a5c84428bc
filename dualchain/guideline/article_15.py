"""Article 15: the information service is filed, and protected at level 3 (等级保护三级)."""

from __future__ import annotations

from dualchain.guideline.examination import Examination, Text
from dualchain.guideline.papers import accepted
from dualchain.guideline.registered import followed

REQUIREMENT = Text(
    "完成区块链信息服务备案，以网络安全等级保护第三级为建设目标",
    "filed as a blockchain information service, classified protection level 3",
)


async def check(exam: Examination) -> None:
    """Both documents of each admitted chain: accepted by another institution, and still counting."""
    for market in await followed(exam):
        with exam.about(market.code):
            await accepted(exam, market, ("blockchain_filing", "classified_protection"))
