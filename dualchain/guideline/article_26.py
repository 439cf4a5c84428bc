"""Article 26: in force from a date: each rule of the market says from which day on it judges, and does so now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_map
from contracts.hooks.rules import RULE_IDS
from contracts.kernel.calendar import day_of
from contracts.kernel.records import KERNEL, RULES
from dualchain.guideline.examination import Examination, Text

REQUIREMENT = Text(
    "自发布之日起施行：规则均有生效日期并已生效", "in force from a date: every rule has its day, and it has come"
)


async def check(exam: Examination) -> None:
    """The governed rules of each market, against the time of the header that proves them."""
    if not exam.network.markets:
        exam.lacks("没有可询问的地方业务链", "there is no market's chain to ask")
    for code, chain in exam.network.markets.items():
        with exam.about(code):
            key = state_key(KERNEL, RULES)
            proven = await chain.state([key])
            rules = cast(Mapping[str, Mapping[str, Any]], decode_map(proven[key] or b"", "rules"))
            today = day_of(proven.header.time_ms)
            for name in RULE_IDS:
                row = rules.get(name)
                exam.require(
                    row is not None and row["effective_from"] <= today,
                    f"{code} 的规则 {name} 尚未生效",
                    f"{code}'s rule {name} is not in force",
                )
            zh = f"{code} 的 {len(rules)} 条规则均已生效"
            exam.show(zh, f"{len(rules)} rules of {code}, each with its day", proven.place(key))
