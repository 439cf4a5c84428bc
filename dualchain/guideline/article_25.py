"""Article 25: risks of business, system and data are watched; what crosses its threshold is alarmed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_map
from contracts.kernel.calendar import day_of
from crosschain.packets import CHAINS, chain_record_key
from dualchain.guideline.asking import AskedChain
from dualchain.guideline.examination import Examination, Text
from dualchain.guideline.open_cases import cases_of
from dualchain.guideline.registered import Market, followed
from supervisory_chain.cases import RISK_ALARM
from supervisory_chain.risk.contract import alarms_place, threshold_of, threshold_place
from supervisory_chain.risk.indicators import RISK, decode_window, measure, window_place
from supervisory_chain.risk.thresholds import INDICATORS

REQUIREMENT = Text(
    "对业务合规、系统安全、数据安全风险持续监测，有效识别并防范",
    "risks of business, system and data are watched continuously; what crosses its threshold is alarmed",
)
ROUNDS = 8
"""Each reads what the one before showed to be needed."""


async def check(exam: Examination) -> None:
    """Every indicator computed anew from proven values: assessed today, and alarmed where it must be."""
    for market in await followed(exam):
        with exam.about(market.code):
            await _check(exam, market)


async def _check(exam: Examination, market: Market) -> None:
    upper, code, chain = exam.network.upper, market.code, market.chain
    keys = [state_key(RISK, window_place(chain)), state_key(RISK, alarms_place(chain))]
    proven = await upper.state([*keys, *(state_key(RISK, threshold_place(name)) for name in INDICATORS)])
    window, raw = decode_window(proven[keys[0]]), proven[keys[1]]
    now_ms = proven.header.time_ms
    if not exam.require(
        window is not None and window.day >= day_of(now_ms) - 1,
        f"{code} 的风险指标没有持续评估",
        f"the risk indicators of {code} are not assessed continuously",
    ):
        return
    alarms: Mapping[str, Any] = {} if raw is None else decode_map(raw, "alarms")
    found = await measured(upper, chain, now_ms)
    for name, value in found.items():
        threshold = threshold_of(proven[state_key(RISK, threshold_place(name))], name)
        exam.require(
            name in alarms or not threshold.raise_at or value < threshold.raise_at,
            f"{code} 的指标 {name} 为 {value}，未报警",
            f"the indicator {name} of {code} is {value}, and no alarm stands",
        )
    await _cases(exam, market, alarms)
    zh = f"{code} 的 {len(found)} 项风险指标持续评估，现有报警 {len(alarms)} 项"
    exam.show(
        zh, f"{len(found)} risk indicators of {code} are assessed, {len(alarms)} alarms stand", proven.place(keys[0])
    )


async def _cases(exam: Examination, market: Market, alarms: Mapping[str, Any]) -> None:
    """Each alarm that stands is a case; the newest alarm is shown."""
    cases = [row for row in await cases_of(exam.network.upper, market.chain) if row[1]["kind"] == RISK_ALARM]
    known = {number: case["facts"]["indicator"] for number, case, _ in cases}
    for name, alarm in alarms.items():
        exam.require(
            known.get(alarm["case"]) == name,
            f"{market.code} 的报警 {name} 没有案件",
            f"the alarm {name} of {market.code} is no case",
        )
    if cases:
        number, case, place = cases[-1]
        name = case["facts"]["indicator"]
        exam.show(
            f"{market.code} 的报警 {name}（案件 {number}）", f"{market.code}'s alarm {name}, case {number}", place
        )


async def measured(upper: AskedChain, chain: bytes, now_ms: int) -> dict[str, int]:
    """All indicators, from proven values alone."""
    record, _ = await upper.value(chain_record_key(chain))
    known: dict[tuple[str, bytes], bytes | None] = {(CHAINS, b"r" + chain): record}
    found: dict[str, int] = {}
    for _ in range(ROUNDS):
        missing: dict[tuple[str, bytes], None] = {}

        def read(contract: str, key: bytes, missing: dict[tuple[str, bytes], None] = missing) -> bytes | None:
            if (contract, key) not in known:
                missing[contract, key] = None
            return known.get((contract, key))

        found, _ = measure(read, chain, now_ms)
        if not missing:
            break
        proven = await upper.state([state_key(*place) for place in missing])
        known.update({place: proven[state_key(*place)] for place in missing})
    return found
