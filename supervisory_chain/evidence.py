"""Evidence (证明材料) that an admission rests on, filed and judged (docs/spec/admission.md §2; art. 6, 15)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from chain_core.codec.values import decode_map, encode_value
from chain_core.execution.arguments import HASH, Choice, Integer, Kind, Optional, Text
from chain_core.execution.context import CallContext
from chain_core.execution.contract import Arguments, RuleText
from chain_core.execution.overlay import Namespace
from chain_core.types.validator_set import same_entity
from chain_core.types.values import Value
from contracts.kernel.calendar import MAX_DAY, day_of
from crosschain.packets import MAX_REFERENCE_BYTES
from supervisory_chain import admission

PARAMETER = "admission_evidence"
"""On-chain parameter: 1 when an admission demands evidence; 0, or not in the genesis document: none."""
PARAMETERS: Mapping[str, tuple[int, int]] = {PARAMETER: (0, 1)}

EVIDENCE_KINDS: Mapping[str, str] = {
    "security_assessment": "安全评估",
    "penetration_test": "渗透测试",
    "classified_protection": "等级保护三级测评",
    "blockchain_filing": "区块链信息服务备案",
}

_KIND = Choice(frozenset(EVIDENCE_KINDS))
_NAMED: Mapping[str, Kind] = {"chain": HASH, "kind": _KIND, "document": HASH}
_DAY = Integer(1, MAX_DAY)
FILE: Mapping[str, Kind] = {**_NAMED, "reference": Text(MAX_REFERENCE_BYTES), "until_day": _DAY}
ACCEPT: Mapping[str, Kind] = {**_NAMED, "until_day": Optional(_DAY)}
RETURN: Mapping[str, Kind] = {**_NAMED, "reason": Text(256)}

RULES: Mapping[str, RuleText] = {
    "chains.no_evidence": RuleText("缺少已认可的材料：{0}", "there is no accepted evidence of the kind {0}"),
    "chains.evidence_expired": RuleText(
        "材料 {0} 的有效期至第 {1} 日，已过期", "the evidence {0} counted until day {1}: file a newer one"
    ),
    "chains.evidence_differs": RuleText(
        "没有 SM3 为 {0} 的材料待审", "no document with the SM3 {0} waits for judgement"
    ),
    "chains.evidence_day": RuleText(
        "待审材料 {0} 申报的有效期至第 {1} 日，与认可的不同", "the waiting evidence {0} is said to count until day {1}"
    ),
    "chains.own_evidence": RuleText(
        "登记机构“{0}”不得审核自己的材料", "the registrant's own entity {0} does not judge its evidence"
    ),
    "chains.closed": RuleText("链 {0} 已退出或已由后继链接替", "the chain {0} was withdrawn or succeeded"),
}


def file(ctx: CallContext, chain: bytes, record: Mapping[str, Value], args: Arguments) -> None:
    """The registrant's document waits for judgement; what counts goes on counting until it is accepted."""
    if record["registrar"] != ctx.account:
        ctx.refuse("chains.not_yours", chain)
    kind, until_day = cast(str, args["kind"]), cast(int, args["until_day"])
    if until_day < day_of(ctx.block.time_ms):
        ctx.refuse("chains.evidence_expired", kind, until_day)
    waiting: dict[str, Value] = {
        "document": args["document"],
        "reference": args["reference"],
        "until_day": until_day,
        "height": ctx.block.height,
        "by": ctx.account,
        "reason": "",
    }
    kept = _read(ctx, chain)
    _store(ctx, chain, {**kept, kind: {"waiting": waiting, "accepted": _of(kept, kind, "accepted")}})
    admission.note(ctx, chain, "file_evidence", cast(bytes, args["document"]))
    ctx.emit("evidence_filed", chain=chain, kind=kind, document=args["document"])


def judge(ctx: CallContext, chain: bytes, record: Mapping[str, Value], args: Arguments) -> None:
    """The waiting document counts, or goes back with a ``reason``."""
    if same_entity(ctx.entity) == same_entity(cast(str, record["registrar_entity"])):
        ctx.refuse("chains.own_evidence", ctx.entity)
    kind, document = cast(str, args["kind"]), cast(bytes, args["document"])
    kept = _read(ctx, chain)
    waiting = _of(kept, kind, "waiting")
    if waiting.get("document") != document or waiting["reason"]:
        ctx.refuse("chains.evidence_differs", document)
    if args.get("until_day", waiting["until_day"]) != waiting["until_day"]:
        ctx.refuse("chains.evidence_day", kind, waiting["until_day"])
    judged: dict[str, Value] = {**waiting, "height": ctx.block.height, "by": ctx.account}
    reason = args.get("reason")
    entry: dict[str, Value] = {"waiting": {}, "accepted": judged}
    if reason is not None:
        entry = {"waiting": {**judged, "reason": reason}, "accepted": _of(kept, kind, "accepted")}
    _store(ctx, chain, {**kept, kind: entry})
    step = "accept_evidence" if reason is None else "return_evidence"
    admission.note(ctx, chain, step, document)
    ctx.emit("evidence_judged", chain=chain, kind=kind, document=document, accepted=reason is None)


def demand(ctx: CallContext, chain: bytes) -> None:
    """Refuses when not every kind has accepted evidence that counts today, where the parameters demand it."""
    if not ctx.parameters.get(PARAMETER, 0):
        return
    kept, today = _read(ctx, chain), day_of(ctx.block.time_ms)
    for kind in EVIDENCE_KINDS:
        accepted = _of(kept, kind, "accepted")
        if not accepted:
            ctx.refuse("chains.no_evidence", kind)
        if cast(int, accepted["until_day"]) < today:
            ctx.refuse("chains.evidence_expired", kind, accepted["until_day"])


def place(chain: bytes) -> bytes:
    """Key inside ``chains`` of a chain's evidence."""
    return b"e" + chain


def _read(space: Namespace, chain: bytes) -> dict[str, Value]:
    raw = space.get(place(chain))
    return {} if raw is None else decode_map(raw, "evidence")


def _of(kept: Mapping[str, Value], kind: str, part: str) -> Mapping[str, Value]:
    entry = cast(Mapping[str, Mapping[str, Value]], kept.get(kind, {}))
    return entry.get(part, {})


def _store(space: Namespace, chain: bytes, kept: Mapping[str, Value]) -> None:
    space.put(place(chain), encode_value(kept))
