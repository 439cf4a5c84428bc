"""Article 4: operating institutions build their chains under the regulator's guidance: registered by the one, admitted
by the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_value
from chain_core.types.validator_set import same_entity
from crosschain.packets import CHAINS
from dualchain.guideline.asking import Found
from dualchain.guideline.examination import Examination, Text
from dualchain.guideline.registered import Market, account_of, followed
from supervisory_chain.admission import trail_place

REQUIREMENT = Text(
    "运营机构自行建设地方业务链，经证监会或其派出机构审核准入",
    "the operating institution builds its chain; the regulator admits it, by other people than the applicant",
)


async def check(exam: Examination) -> None:
    """Registrant with role operator, two officers of another legal entity, and their transactions."""
    for market in await followed(exam):
        with exam.about(market.code):
            await _check(exam, market)


async def _check(exam: Examination, market: Market) -> None:
    upper, record, code = exam.network.upper, market.record, market.code
    status = record["status"]
    exam.require(market.admitted, f"{code} 的状态为 {status}", f"{code} is {status}, not admitted")
    applicant, admitting = record["registrar"], record["admitted_by"]
    operator, _ = await account_of(upper, applicant)
    officer, _ = await account_of(upper, admitting)
    exam.require(
        operator is not None and "operator" in operator.roles,
        f"{code} 的登记人不具有运营机构角色",
        f"{code}'s registrant does not have the role operator",
    )
    exam.require(
        officer is not None and "csrc" in officer.roles,
        f"{code} 的准入人不具有证监会角色",
        f"{code} was admitted by somebody without the role csrc",
    )
    exam.require(
        applicant != admitting
        and not (operator and officer and same_entity(operator.entity) == same_entity(officer.entity)),
        f"{code} 的登记与准入出自同一机构",
        f"{code} was registered and admitted by one institution",
    )
    await _two_officers(exam, market)
    entered = await upper.at(record["height"], lambda found: _by(found, applicant))
    admission = await upper.at(record["admitted_height"], lambda found: _by(found, admitting))
    if exam.require(entered, f"{code} 的登记交易不在其高度", f"{code}'s registration is not at its height") and entered:
        entity = record["registrar_entity"]
        exam.show(f"{code} 由“{entity}”登记", f"{code} was registered by {entity}", entered.place)
    if (
        exam.require(admission, f"{code} 的准入交易不在其高度", f"{code}'s admission is not at its height")
        and admission
    ):
        who = officer.entity if officer else ""
        exam.show(f"{code} 由“{who}”准入", f"{code} was admitted by {who}", admission.place)


def _by(found: Found, account: bytes) -> bool:
    return not found.receipt.code and found.envelope.body.account == account and bool(found.operations(CHAINS))


async def _two_officers(exam: Examination, market: Market) -> None:
    """By the trail, as long as it reaches back: the officer who approved is not the one who admitted."""
    raw, _ = await exam.network.upper.value(state_key(CHAINS, trail_place(market.chain)))
    rows = [] if raw is None else cast(Sequence[Mapping[str, Any]], decode_value(raw, "trail"))
    by = {row["step"]: row["by"] for row in rows if row["step"] in ("approve", "admit")}
    exam.require(
        len(by) < 2 or by["approve"] != by["admit"],
        f"{market.code} 的初审与准入为同一人",
        f"one officer both approved and admitted {market.code}",
    )
