"""Notices and inspections as tables of steps (docs/spec/desk.md §1-§2): who may take which step from which state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

CSRC, PROVINCIAL, OPERATOR = "csrc", "provincial", "operator"
NOTICE, INSPECTION = "notice", "inspection"


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
        _step("open_inspection", "", "found", f"{CSRC} {PROVINCIAL}"),
        _step("transfer", "found", "transferred", CSRC),
        _step("accept", "transferred", "accepted", PROVINCIAL),
        _step("order_rectification", "found accepted", "rectifying", f"{CSRC} {PROVINCIAL}"),
        _step("report_rectification", "rectifying", "reported", OPERATOR, Whose.REGISTRANT),
        _step("return_report", "reported", "rectifying", f"{CSRC} {PROVINCIAL}"),
        _step(
            "close_inspection",
            "reported found accepted",
            "closed",
            f"{CSRC} {PROVINCIAL}",
            Whose.OTHER,
            "open_inspection",
        ),
        _step("escalate", "rectifying", "rectifying", ""),
    )
)
MACHINES: Mapping[str, Mapping[str, Step]] = {NOTICE: NOTICES, INSPECTION: INSPECTIONS}
