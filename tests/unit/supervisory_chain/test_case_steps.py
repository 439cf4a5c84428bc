"""Contracts alone open a case, numbers have no gaps, and the regulator closes it once (registration.md §2)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain_core.codec.seen import state_key
from chain_core.execution.codes import Code
from chain_core.types.values import Value
from crosschain.packets import CASES, count_in
from supervisory_chain.admission import CSRC
from supervisory_chain.cases import CLOSED, OPEN, Cases, case_key, count_key, decode_open, open_place
from tests.unit.crosschain.chains import op
from tests.unit.supervisory_chain.desk.test_desk import Desk, begin

SPEC = Path(__file__).parents[3] / "docs/spec/registration.md"
WHO = ("csrc-1", "csrc-2", "operator", "province-1", "office-1", "courier")
INSPECTIONS = 3


def test_the_program_is_the_table() -> None:
    rows = [line for line in SPEC.read_text("utf-8").splitlines() if line.startswith("| `close` |")]
    assert [re.findall(r"`([a-z]+)`", row) for row in rows] == [["close", OPEN, CLOSED, CSRC]]
    assert {name: method.roles for name, method in Cases().methods.items()} == {"close": frozenset((CSRC,))}


def overdue(path: Path) -> Desk:
    """A market with inspections whose deadlines have passed: each can become one case, by anybody who says so."""
    desk = begin(path)
    for number in range(INSPECTIONS):
        assert desk.inspection().code == Code.OK
        desk.ok("csrc-1", "order_rectification", number, deadline_day=desk.today + 2)
    desk.go(3)
    return desk


STEPS = st.one_of(
    st.tuples(st.just("escalate"), st.sampled_from(WHO), st.integers(0, INSPECTIONS - 1)),
    st.tuples(st.just("close"), st.sampled_from(WHO), st.integers(0, INSPECTIONS)),
)


@settings(max_examples=25)
@given(walk=st.lists(STEPS, max_size=16))
def test_no_walk_opens_closes_or_reopens_a_case_otherwise(
    walk: list[tuple[str, str, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    desk = overdue(tmp_path_factory.mktemp("cases"))
    statuses: list[str] = []
    escalated: set[int] = set()
    try:
        for step, who, number in walk:
            if step == "escalate":
                allowed = number not in escalated
                receipt = desk.take(who, step, number)
                if allowed:
                    escalated.add(number)
                    statuses.append(OPEN)
            else:
                allowed = who.startswith("csrc") and number < len(statuses) and statuses[number] == OPEN
                args: dict[str, Value] = {"chain": desk.market, "number": number, "reference": "decision 1"}
                receipt = desk.chain.one(who, op("cases", "close", **args))
                if allowed:
                    statuses[number] = CLOSED
            assert (receipt.code == Code.OK) is allowed, (step, who, number, receipt)
            kept = [cast(dict[str, Value], desk.chain.value(case_key(desk.market, n))) for n in range(len(statuses))]
            assert [row["status"] for row in kept] == statuses
            assert count_in(desk.chain.store.get(count_key(desk.market))) == len(statuses)
            counted = decode_open(desk.chain.store.get(state_key(CASES, open_place(desk.market))))
            assert sum(counted) == statuses.count(OPEN)
    finally:
        desk.chain.store.close()
