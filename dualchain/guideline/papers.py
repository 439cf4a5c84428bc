"""Evidence that an admission rests on, as it stands on the supervisory chain (docs/spec/admission.md §2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, cast

from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_map
from chain_core.types.validator_set import same_entity
from contracts.kernel.calendar import day_of
from crosschain.packets import CHAINS
from dualchain.guideline.asking import Found
from dualchain.guideline.examination import Examination
from dualchain.guideline.registered import Market, account_of
from supervisory_chain.evidence import EVIDENCE_KINDS, place


async def accepted(exam: Examination, market: Market, kinds: Sequence[str]) -> None:
    """Each kind: accepted by somebody of another institution than the registrant's, and it counts today."""
    upper, code = exam.network.upper, market.code
    key = state_key(CHAINS, place(market.chain))
    proven = await upper.state([key])
    raw = proven[key]
    kept = cast(Mapping[str, Mapping[str, Any]], {} if raw is None else decode_map(raw, "evidence"))
    today = day_of(proven.header.time_ms)
    for kind in kinds:
        zh, row = EVIDENCE_KINDS[kind], kept.get(kind, {}).get("accepted", {})
        if not exam.require(row, f"{code} 没有已认可的{zh}材料", f"{code} has no accepted {kind}"):
            continue
        exam.require(row["until_day"] >= today, f"{code} 的{zh}已过期", f"{code}'s {kind} has expired")
        judge, _ = await account_of(upper, row["by"])
        exam.require(
            judge is not None and same_entity(judge.entity) != same_entity(str(market.record["registrar_entity"])),
            f"{code} 的{zh}由自己认可",
            f"{code}'s {kind} was accepted by its own institution",
        )
        digest = row["document"].hex()[:16]
        exam.show(f"{code} {zh}（SM3 {digest}…）", f"{code}: {kind}, SM3 {digest}…", proven.place(key))
        judged = await upper.at(row["height"], partial(_is_about, kind=kind))
        if judged is not None:
            exam.show(f"其认可交易（{code}）", f"the transaction that accepted it ({code})", judged.place)


def _is_about(found: Found, kind: str) -> bool:
    return any(operation.args.get("kind") == kind for operation in found.operations(CHAINS, "accept_evidence"))
