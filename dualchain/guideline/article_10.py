"""Article 10: what is registered of a chain is what the chain is: protocol, identity, consensus keys and their legal
entities, at least two nodes' RPC links."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from dualchain.guideline.examination import Examination, Text
from dualchain.guideline.open_cases import cases_of, is_open
from dualchain.guideline.registered import Market, followed
from supervisory_chain.registration import MIN_ENDPOINTS

REQUIREMENT = Text(
    "向监管链注册基本信息并及时更新：技术选型、共识协议、链标识、共识节点公钥与实体、至少两个 RPC 链接",
    "registered and kept current: technology, protocol, chain id, consensus keys with entities, two RPC links",
)


DRIFT = frozenset(("unannounced_change", "endpoint_drift"))
"""Kinds of cases that say that registration and chain differ (docs/spec/drift.md)."""


async def check(exam: Examination) -> None:
    """The record against the chain: validators of the epoch followed, and every endpoint asked who it is."""
    for market in await followed(exam):
        with exam.about(market.code):
            _record(exam, market)
            await _endpoints(exam, market)
            await _drift(exam, market)


def _record(exam: Examination, market: Market) -> None:
    code, record, view = market.code, market.record, exam.network.markets[market.code].view
    for name in ("technology", "consensus", "chain_id"):
        exam.require(record[name], f"{code} 未登记 {name}", f"{code} registered no {name}")
    exam.require(
        record["chain_id"] == view.genesis.chain_id, f"{code} 登记的链标识不符", f"{code}'s registered chain id differs"
    )
    exam.require(
        record["validators_epoch"] == market.position.epoch,
        f"{code} 登记的是纪元 {record['validators_epoch']} 的验证者，链已到纪元 {market.position.epoch}",
        f"{code} registered validators of epoch {record['validators_epoch']}, its chain is in {market.position.epoch}",
    )
    listed = {(row["name"], row["entity"]) for row in cast(Sequence[Mapping[str, str]], record["validators"])}
    epoch = min(int(record["validators_epoch"]), view.epoch)
    own = {(one.name, one.entity) for one in view.validators_of(epoch).validators}
    if exam.require(
        listed == own, f"{code} 登记的共识节点与链上不符", f"{code}'s registered consensus nodes are not its chain's"
    ):
        zh = f"{code} 登记 {len(listed)} 个共识节点、{len(record['endpoints'])} 个端点，共识协议 {record['consensus']}"
        en = f"{code} registered {len(listed)} consensus nodes and {len(record['endpoints'])} endpoints"
        exam.show(zh, en, market.place)


async def _endpoints(exam: Examination, market: Market) -> None:
    code, chain = market.code, exam.network.markets[market.code]
    rows = cast(Sequence[Mapping[str, str]], market.record["endpoints"])
    exam.require(
        len({row["node"] for row in rows}) >= MIN_ENDPOINTS,
        f"{code} 登记的 RPC 链接不足两个节点",
        f"{code} registered RPC links of fewer than two nodes",
    )
    for row in rows:
        node, address = row["node"], row["address"]
        with exam.about(f"{code} {node} {address}"):
            status = await chain.at_address(address, lambda client: client.status())
            exam.require(
                (status.genesis_hash, status.node) == (chain.hash, node),
                f"{code} 的端点 {address} 不是节点 {node}",
                f"{code}'s endpoint {address} is not the node {node}",
            )


async def _drift(exam: Examination, market: Market) -> None:
    """What headers and probes showed to differ from what is registered, and nobody has decided yet."""
    for number, case, _ in await cases_of(exam.network.upper, market.chain):
        exam.require(
            not (case["kind"] in DRIFT and is_open(case)),
            f"{market.code} 的登记与实际不符（案件 {number}：{case['kind']}）",
            f"{market.code} is not what is registered (case {number}: {case['kind']})",
        )
