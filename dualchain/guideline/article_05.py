"""Article 5: the provincial regulator leads, the operating institution keeps the chain under control: what the
regulator directs is carried out in time."""

from __future__ import annotations

from typing import Any, cast

from chain_core.codec.proofs import decode_packet
from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_map
from chain_core.execution.account_records import ACTIVE
from crosschain.packets import DIRECTIVES, count_in, directive_key, directive_next_key, read_directive
from dualchain.guideline.examination import Examination, Text
from dualchain.guideline.registered import Market, accounts_of, followed

REQUIREMENT = Text(
    "省级金融监管部门牵头，运营机构负责建设运营并保证地方业务链安全可控",
    "the provincial regulator leads; the operator keeps its chain under control: directives are carried out in time",
)
PROVINCIAL = "provincial"
NEWEST = 50
"""Directives of each market that are looked at."""


async def check(exam: Examination) -> None:
    """An account of a provincial regulator; no directive past its deadline without acknowledgement."""
    accounts = await accounts_of(exam.network.upper)
    leading = [row for row in accounts.values() if PROVINCIAL in row[0].roles and row[0].status == ACTIVE]
    if not leading:
        exam.lacks(
            "监管链上没有省级金融监管部门的账户", "no provincial regulator has an account on the supervisory chain"
        )
    for record, place in leading[:4]:
        exam.show(f"省级金融监管部门：{record.entity}", f"provincial regulator: {record.entity}", place)
    for market in await followed(exam):
        with exam.about(market.code):
            await _directives(exam, market)


async def _directives(exam: Examination, market: Market) -> None:
    upper, chain, code = exam.network.upper, market.chain, market.code
    issued = count_in((await upper.value(directive_next_key(chain)))[0])
    numbers = range(max(0, issued - NEWEST), issued)
    keys = [(directive_key(chain, n), state_key(DIRECTIVES, b"s" + chain + n.to_bytes(8, "big"))) for n in numbers]
    proven = await upper.state([key for pair in keys for key in pair])
    done = 0
    for number, (packet_key, record_key) in zip(numbers, keys, strict=True):
        packet, raw = proven[packet_key], proven[record_key]
        if not exam.require(packet and raw, f"{code} 的指令 {number} 缺失", f"directive {number} to {code} is missing"):
            continue
        row = cast(dict[str, Any], decode_map(cast(bytes, raw), "directive's record"))
        deadline = read_directive(decode_packet(cast(bytes, packet)).payload).deadline_ms
        late = proven.header.time_ms > deadline if row["ack"] is None else not row["ack"]["on_time"]
        exam.require(
            not late, f"{code} 未按期执行指令 {number}", f"{code} did not carry out directive {number} in time"
        )
        if row["ack"] is not None and not late:
            done += 1
            if done == 1:
                zh = f"{code} 按期执行指令“{row['reference']}”"
                exam.show(zh, f"{code} carried out the directive {row['reference']} in time", proven.place(record_key))
