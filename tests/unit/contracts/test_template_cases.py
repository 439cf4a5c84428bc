"""The examples beside each template (contracts/templates/cases): what its reviewer reads is what runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from contracts.sandbox.cases import CaseWrong, read_cases, run_cases
from contracts.sandbox.market import MONDAY
from contracts.templates.catalogue import CASES, Shipped, catalogue

FILES = {path.stem: read_cases(path.read_bytes()) for path in sorted(CASES.glob("*.toml"))}
TEMPLATES = {shipped.compiled.template.id: shipped for shipped in catalogue()}
ALL = [pytest.param(name, case, id=f"{name}: {case['name']}") for name, file in FILES.items() for case in file["case"]]


def test_every_template_has_examples_of_both_kinds() -> None:
    assert set(FILES) == set(TEMPLATES)
    for name, file in FILES.items():
        assert file["template"] == name
        refused = [case for case in file["case"] if "refused" in case]
        assert refused and len(refused) < len(file["case"])


@pytest.mark.parametrize(("name", "case"), ALL)
def test_case(name: str, case: Mapping[str, Any]) -> None:
    [outcome] = run_cases({**FILES[name], "case": [case]}, TEMPLATES[name].compiled, TEMPLATES[name].tree)
    assert outcome.wrong == ""


def _transfer() -> tuple[Mapping[str, Any], Shipped]:
    return FILES["csrc.negotiated-transfer"], TEMPLATES["csrc.negotiated-transfer"]


WRONG = {
    "another state": ({"state": "cancelled"}, "the instance is ordered"),
    "a refusal that does not come": ({"refused": "csrc.trade_gap"}, "the last step was accepted"),
    "a refusal where none is named": ({"steps": ["seller create", "seller accept"]}, "refused by FORBIDDEN"),
    "an earlier step is refused": ({"steps": ["seller accept", "seller create"]}, "was refused"),
    "another holding": ({"holdings": {"seller": 1}}, "seller holds"),
    "other parts of a holding": ({"holdings": {"seller": {"available": 100}}}, "seller holds"),
    "other money": ({"cash": {"buyer": 1}}, "buyer has 1000 fen"),
    "an event that is not told": ({"events": ["paid"]}, "not of ['paid']"),
    "no moment": ({"params": {"expires_ms": "soon"}}, "'soon' is no number"),
}


@pytest.mark.parametrize(("changes", "why"), WRONG.values(), ids=WRONG.keys())
def test_a_case_that_goes_otherwise_says_how(changes: Mapping[str, Any], why: str) -> None:
    file, shipped = _transfer()
    case = {"name": "probe", "steps": ["seller create"], **changes}
    [outcome] = run_cases({**file, "case": [case]}, shipped.compiled, shipped.tree)
    assert why in outcome.wrong


@pytest.mark.parametrize("raw", [b"\xff", b"a =", b"template = 1", b'template = "x"\n[[case]]\nname = "y"', b"x = 1"])
def test_a_file_that_is_no_case_file(raw: bytes) -> None:
    with pytest.raises(CaseWrong):
        read_cases(raw)


def test_the_first_day_of_the_cases() -> None:
    """ "wait 120" from Monday ends on a Saturday."""
    assert (MONDAY + 3) % 7 == 0 and (MONDAY + 5 + 3) % 7 == 5
