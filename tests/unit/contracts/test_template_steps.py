"""A dividend on a register that takes several transactions (contracts/templates/sources/csrc.dividend.star)."""

from __future__ import annotations

from typing import Any

from contracts.sandbox.cases import begin
from contracts.templates.catalogue import catalogue

HOLDERS = [f"holder-{number}" for number in range(130)]
BATCHES = [HOLDERS[start : start + 64] for start in range(0, len(HOLDERS), 64)]
LISTING = {
    "reference": "BJ000001F.ESVUFR2401",
    "name": "示例股份",
    "issuer": "issuer",
    "province": "BJ",
    "unit_decimals": 0,
    "declared": 10 * len(HOLDERS),
    "legacy": False,
}
TERMS = {
    "issuer": "issuer",
    "security": "security",
    "base": 10,
    "cash_fen": 7,
    "bonus": 1,
    "capitalised": 0,
    "largest_remainder": False,
    "record_day": "+1d",
    "evidence": "resolution",
}


def _rows(batch: list[str]) -> list[dict[str, Any]]:
    return [{"account": name, "quantity": 10, "acquired_day": 0} for name in batch]


def test_a_register_of_two_transactions() -> None:
    dividend = next(one for one in catalogue() if one.compiled.template.id == "csrc.dividend")
    setup: list[Any] = [
        {"who": "operator", "do": "kernel.register_security", "args": LISTING},
        *(
            {"who": "operator", "do": "kernel.register_holding", "args": {"security": "security", "rows": _rows(batch)}}
            for batch in BATCHES
        ),
        {"who": "operator", "do": "kernel.activate_security", "args": {"security": "security"}},
        "operator create with issuer",
        "issuer fund amount_fen=910",
        "day 2",
    ]
    file = {
        "people": HOLDERS,
        "params": TERMS,
        "setup": {"unqualified": HOLDERS, "cash": {"issuer": 1_000}},
    }
    story = begin(file, {"setup": setup}, dividend.compiled, dividend.tree)
    assert story.step("holder-0 step") == ""
    # The end of the roll has its share, its beginning waits, and the register stays closed between the two.
    assert story.check({"state": "paying", "holdings": {"holder-129": 11, "holder-0": 10}}) == ""
    assert story.step("holder-129 kernel.transfer security=security to=holder-0 quantity=1") == "kernel.register_closed"
    assert story.step("issuer withdraw") == "templates.wrong_state"
    assert story.step("holder-0 step") == ""
    everybody = dict.fromkeys(HOLDERS, 11)
    assert story.check({"state": "done", "holdings": everybody, "cash": {"holder-0": 7, "issuer": 90}}) == ""
