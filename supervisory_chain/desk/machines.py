"""The desk's machines as tables of steps (docs/spec/desk.md §1-§4): who may take which step from which state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

CSRC, OFFICE, PROVINCIAL, OPERATOR = "csrc", "office", "provincial", "operator"
INSPECTORS = f"{CSRC} {OFFICE} {PROVINCIAL}"
"""Who inspects: the regulator, its regional offices, provincial regulators (art. 4, 5, 24)."""
NOTICE, INSPECTION = "notice", "inspection"
ADVISORY, PATCH, FILING = "advisory", "patch", "filing"


class Whose(Enum):
    """Which account may take a step, beside its role."""

    ANY = ""
    FILER = "the filer"
    REGISTRANT = "the chain's registrant"
    OTHER = "another account"
    """Than the one that took the step named in ``Step.other_than``."""


@dataclass(frozen=True, slots=True)
class Step:
    """One row: ``sources`` are empty for the step that begins a record, ``roles`` for what anybody may do."""

    name: str
    sources: tuple[str, ...]
    target: str
    roles: frozenset[str]
    whose: Whose = Whose.ANY
    other_than: str = ""


def _step(
    name: str, sources: str, target: str, roles: str, whose: Whose = Whose.ANY, other_than: str = ""
) -> tuple[str, Step]:
    return name, Step(name, tuple(sources.split()), target, frozenset(roles.split()), whose, other_than)


NOTICES: Mapping[str, Step] = dict(
    (
        _step("give_notice", "", "given", OPERATOR, Whose.REGISTRANT),
        _step("object", "given", "objected", CSRC),
        _step("revise", "objected", "given", OPERATOR, Whose.FILER),
        _step("propose_waiver", "given", "waiving", CSRC),
        _step("refuse_waiver", "waiving", "given", CSRC),
        _step("confirm_waiver", "waiving", "waived", CSRC, Whose.OTHER, "propose_waiver"),
        _step("withdraw_notice", "given objected waiving waived", "withdrawn", OPERATOR, Whose.FILER),
        _step("begin", "given waived", "in_force", OPERATOR, Whose.FILER),
        _step("finish", "in_force", "done", OPERATOR, Whose.FILER),
        _step("roll_back", "in_force", "rolled_back", OPERATOR, Whose.FILER),
    )
)
INSPECTIONS: Mapping[str, Step] = dict(
    (
        _step("open_inspection", "", "found", INSPECTORS),
        _step("transfer", "found", "transferred", f"{CSRC} {OFFICE}"),
        _step("accept", "transferred", "accepted", PROVINCIAL),
        _step("order_rectification", "found accepted", "rectifying", INSPECTORS),
        _step("report_rectification", "rectifying", "reported", OPERATOR, Whose.REGISTRANT),
        _step("return_report", "reported", "rectifying", INSPECTORS),
        _step(
            "close_inspection",
            "reported found accepted",
            "closed",
            INSPECTORS,
            Whose.OTHER,
            "open_inspection",
        ),
        _step("escalate", "rectifying", "rectifying", ""),
    )
)
ADVISORIES: Mapping[str, Step] = dict(
    (
        _step("issue_advisory", "", "issued", CSRC),
        _step("escalate_advisory", "issued", "issued", ""),
        _step("close_advisory", "issued", "closed", CSRC, Whose.OTHER, "issue_advisory"),
    )
)
PATCHES: Mapping[str, Step] = dict(
    (
        _step("acknowledge", "", "acknowledged", OPERATOR, Whose.REGISTRANT),
        _step("record_patch", "acknowledged", "patched", OPERATOR, Whose.REGISTRANT),
        _step("declare_unaffected", "acknowledged", "unaffected", OPERATOR, Whose.REGISTRANT),
        _step("return_patch", "patched unaffected", "acknowledged", CSRC),
    )
)
FILINGS: Mapping[str, Step] = dict(
    (
        _step("file_template", "", "filed", OPERATOR, Whose.REGISTRANT),
        _step("return_filing", "filed approving", "returned", CSRC),
        _step("refile", "returned", "filed", OPERATOR, Whose.FILER),
        _step("propose_approval", "filed", "approving", CSRC),
        _step("approve_filing", "approving", "approved", CSRC, Whose.OTHER, "propose_approval"),
        _step("withdraw_filing", "filed returned approving", "withdrawn", OPERATOR, Whose.FILER),
        _step("revoke_filing", "approved", "revoked", CSRC),
    )
)
MACHINES: Mapping[str, Mapping[str, Step]] = {
    NOTICE: NOTICES,
    INSPECTION: INSPECTIONS,
    ADVISORY: ADVISORIES,
    PATCH: PATCHES,
    FILING: FILINGS,
}
