"""Article 8: business runs in contracts made from templates on file; the common ones are the regulator's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chain_core.codec.seen import state_key
from chain_core.codec.signed import derive_id
from chain_core.codec.values import decode_map
from contracts.templates.catalogue import catalogue
from contracts.templates.contract import state_of
from contracts.templates.filings import COMMON_PREFIX, LIVE
from contracts.templates.halts import TEMPLATES
from dualchain.guideline.asking import AskedChain, Place
from dualchain.guideline.examination import Examination, Text

REQUIREMENT = Text(
    "业务合约按模板开发运行：共性模板由证监会组织定义，自定模板报备案，执行过程可穿透",
    "contracts are made from templates: common ones defined by the regulator, own ones filed, execution seen through",
)
_VERSION_BYTES = 4
Record = Mapping[str, Any]


async def check(exam: Examination) -> None:
    """Each live template's record and approval; common ones equal on all chains; the newest instance's proven state."""
    released = {shipped.compiled.template.id: shipped.compiled.identity for shipped in catalogue()}
    if not exam.network.markets:
        exam.lacks("没有可询问的地方业务链", "there is no market's chain to ask")
    for code, chain in exam.network.markets.items():
        with exam.about(code):
            await _filed(exam, code, chain, released)
            await _used(exam, code, chain)


async def _filed(exam: Examination, code: str, chain: AskedChain, released: Mapping[str, bytes]) -> None:
    prefix = state_key(TEMPLATES, b"t")
    rows: list[tuple[str, Record, Place]] = []
    for key, (raw, place) in (await chain.listed(TEMPLATES, b"t")).items():
        name = key[len(prefix) : -_VERSION_BYTES].decode("ascii")
        row: Record = decode_map(raw, "filing record")
        if row["status"] == LIVE:
            rows.append((name, row, place))
    if not rows:
        exam.lacks(f"{code} 没有备案在用的模板", f"{code} has no live template on file")
    for name, row, _ in rows:
        if name.startswith(COMMON_PREFIX) and name in released:
            exam.require(
                row["tree_sm3"] == released[name],
                f"{code} 的共性模板 {name} 与证监会发布的不一致",
                f"{code}'s common template {name} is not the one released",
            )
        elif any(row["filer"]):
            exam.require(
                any(row["approver"]) and row["approver"] != row["filer"] and row["filing_number"],
                f"{code} 的自定模板 {name} 未经他人核准备案",
                f"{code}'s own template {name} was not approved by another under a filing number",
            )
    own = [row for row in rows if not row[0].startswith(COMMON_PREFIX)]
    for name, row, place in [*own[:1], *rows[:1]]:
        identity = row["tree_sm3"].hex()[:16]
        exam.show(
            f"{code} 在用模板 {name}（SM3 {identity}…）", f"{code}'s live template {name}, SM3 {identity}…", place
        )


async def _used(exam: Examination, code: str, chain: AskedChain) -> None:
    """The newest business contract that was made, and the state that it came to."""
    made = await chain.last(lambda found: not found.receipt.code and bool(found.operations(TEMPLATES, "create")))
    if made is None:
        exam.lacks(f"{code} 近期没有业务合约", f"no contract was made on {code} lately")
        return
    args: Mapping[str, Any] = made.operations(TEMPLATES, "create")[0].args
    principal = made.envelope.body.on_behalf_of
    owner = principal if any(principal) else made.envelope.body.account
    instance = derive_id(chain.hash, "instance", owner, args["reference"])
    raw, place = await chain.value(state_key(TEMPLATES, state_of(instance)))
    state = (raw or b"").decode("ascii", "replace")
    if exam.require(raw is not None, f"{code} 的合约 {args['reference']} 无状态", f"{args['reference']} has no state"):
        zh, en = f"{code} 由 {args['template']} 生成合约", f"a contract made from {args['template']} on {code}"
        exam.show(zh, en, made.place)
        exam.show(f"其执行状态为 {state}", f"its proven state is {state}", place)
