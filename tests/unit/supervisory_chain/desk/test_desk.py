"""The desk's records move as the tables of docs/spec/desk.md say, and in no other way."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain_core.codec.genesis import encode_genesis
from chain_core.crypto.hashing import sm3
from chain_core.execution.codes import Code
from chain_core.types.transaction import Operation, Receipt
from chain_core.types.values import Value
from contracts.kernel.calendar import TradingCalendar, day_of
from crosschain.packets import count_in
from supervisory_chain.assembly import supervisory_assembly
from supervisory_chain.cases import case_key
from supervisory_chain.desk.contract import NOTICE_DAYS
from supervisory_chain.desk.machines import ADVISORY, FILING, INSPECTION, MACHINES, NOTICE, PATCH, Whose
from supervisory_chain.desk.records import MAX_STEPS, Matter, decode_matter, encode_matter, matter_key, next_key
from supervisory_chain.desk.working_days import working_days
from tests.unit.crosschain.chains import SUPERVISORY_PEOPLE, Chain, accounts, local_genesis, op, registration
from tests.unit.crosschain.chains import supervisory_genesis as plain_genesis

SPEC = Path(__file__).parents[4] / "docs/spec/desk.md"
DAY_MS = 86_400_000
DOCUMENT = sm3(b"document")
PEOPLE: dict[str, tuple[str, ...]] = {
    **SUPERVISORY_PEOPLE,
    "office-1": ("office",),
    "province-1": ("provincial",),
    "province-2": ("provincial",),
}
ROLES = {name: frozenset(roles) for name, roles in PEOPLE.items()}


@dataclass(frozen=True)
class Row:
    """A row of the specification's tables."""

    step: str
    sources: frozenset[str]
    target: str
    roles: frozenset[str]
    besides: str


def rows_of(heading: str, begins: str = "") -> dict[str, Row]:
    """The rows of a chapter; of the table that begins with ``begins`` alone, where there are two."""
    text = SPEC.read_text("utf-8").split(heading, 1)[1].split("\n## ", 1)[0]
    if begins:
        text = next(part for part in text.split("\n\n") if f"\n| `{begins}` |" in part)
    found = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `") and len(cells) == 5:
            names = [re.findall(r"`([a-z_]+)`", cell) for cell in cells]
            step = names[0][0]
            found[step] = Row(step, frozenset(names[1]), names[2][0], frozenset(names[3]), cells[4])
    return found


TABLES = {
    NOTICE: rows_of("## 1. Notices"),
    INSPECTION: rows_of("## 2. Inspections"),
    ADVISORY: rows_of("## 3. Advisories", "issue_advisory"),
    PATCH: rows_of("## 3. Advisories", "acknowledge"),
    FILING: rows_of("## 4. Filing"),
}


@pytest.mark.parametrize("machine", MACHINES)
def test_the_program_is_the_table(machine: str) -> None:
    assert MACHINES[machine].keys() == TABLES[machine].keys()
    for name, step in MACHINES[machine].items():
        row = TABLES[machine][name]
        assert (frozenset(step.sources), step.target, step.roles) == (row.sources, row.target, row.roles), name
        said = {Whose.FILER: "filer", Whose.REGISTRANT: "registrant", Whose.OTHER: "another account"}
        for whose, word in said.items():
            assert (word in row.besides) is (step.whose is whose), (name, word)


def test_every_state_is_reached_and_every_four_eyes_step_can_be_two_people() -> None:
    for steps in MACHINES.values():
        reached = {step.target for step in steps.values()}
        assert all(set(step.sources) <= reached for step in steps.values())
        for step in steps.values():
            if step.whose is Whose.OTHER:
                assert step.other_than in steps


# ---- a market and its regulators


@dataclass
class Desk:
    """A supervisory chain with one registered market."""

    chain: Chain
    market: bytes
    known: dict[int, str] = field(default_factory=dict)

    @property
    def today(self) -> int:
        """Of the next block."""
        return day_of(self.chain.time_ms + 1_000)

    def go(self, days: int) -> None:
        self.chain.block(after_ms=days * DAY_MS)

    def take(self, who: str, step: str, number: int = 0, **args: Value) -> Receipt:
        named: dict[str, Value] = {"number": number, "document": DOCUMENT, **args}
        return self.chain.one(who, Operation("desk", step, named))

    def ok(self, who: str, step: str, number: int = 0, **args: Value) -> None:
        receipt = self.take(who, step, number, **args)
        assert receipt.code == Code.OK, receipt

    def notice(self, who: str = "operator", **changes: Value) -> Receipt:
        args: dict[str, Value] = {
            "chain": self.market,
            "kind": "upgrade",
            "subject": "version 2",
            "compatible": False,
            "plan": DOCUMENT,
            "effective_day": self.today + 28,
        }
        return self.chain.one(who, Operation("desk", "give_notice", {**args, **changes}))

    def inspection(self, who: str = "csrc-1") -> Receipt:
        args: dict[str, Value] = {"chain": self.market, "subject": "s", "severity": 2, "document": DOCUMENT}
        return self.chain.one(who, Operation("desk", "open_inspection", args))

    def advisory(self, days: int = 10) -> Receipt:
        args: dict[str, Value] = {"subject": "s", "component": "node", "versions": ["1.0"], "severity": 3}
        args |= {"deadline_day": self.today + days, "document": DOCUMENT}
        return self.chain.one("csrc-1", Operation("desk", "issue_advisory", args))

    def acknowledge(self, advisory: int, who: str = "operator") -> Receipt:
        args: dict[str, Value] = {"chain": self.market, "subject": "s", "advisory": advisory, "document": DOCUMENT}
        return self.chain.one(who, Operation("desk", "acknowledge", args))

    def filing(self, name: str = "bj.block-transfer", version: int = 1, who: str = "operator") -> Receipt:
        args: dict[str, Value] = {"chain": self.market, "subject": "s", "name": name, "version": version}
        args |= {"tree": sm3(b"tree"), "source": sm3(b"source"), "document": DOCUMENT}
        return self.chain.one(who, Operation("desk", "file_template", args))

    def matter(self, number: int = 0) -> Matter:
        raw = self.chain.store.get(matter_key(number))
        assert raw is not None
        return decode_matter(raw)


def begin(path: Path) -> Desk:
    genesis = replace(plain_genesis(), accounts=accounts(PEOPLE))
    chain = Chain.begin(path, genesis, supervisory_assembly)
    market = encode_genesis(local_genesis(supervisory=encode_genesis(genesis)))
    assert chain.one("operator", registration(market)).code == Code.OK
    return Desk(chain, sm3(market))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = begin(tmp_path)
    yield made
    made.chain.store.close()


# ---- notices


def test_what_breaks_is_announced_twenty_working_days_ahead(desk: Desk) -> None:
    days = TradingCalendar()
    last = next(day for day in range(desk.today, desk.today + 60) if working_days(days, desk.today, day) == NOTICE_DAYS)
    assert desk.notice(effective_day=last - 1).rule == "desk.too_soon"
    assert desk.notice(effective_day=last).code == Code.OK
    assert desk.notice(effective_day=desk.today + 1, compatible=True).code == Code.OK
    migration: dict[str, Value] = {"kind": "migration", "compatible": True, "effective_day": last}
    assert desk.notice(**migration).rule == "desk.no_data_plan"
    assert desk.notice(**{**migration, "effective_day": last - 1}, data_plan=DOCUMENT).rule == "desk.too_soon"
    assert desk.notice(**migration, data_plan=DOCUMENT).code == Code.OK
    assert count_in(desk.chain.store.get(next_key())) == 3


def test_nothing_begins_before_its_day_but_by_a_waiver_of_two(desk: Desk) -> None:
    desk.notice()
    assert desk.take("operator", "begin").rule == "desk.too_soon"
    desk.ok("csrc-1", "propose_waiver")
    assert desk.take("csrc-1", "confirm_waiver").rule == "desk.four_eyes"
    desk.ok("csrc-2", "confirm_waiver")
    desk.ok("operator", "begin")
    desk.notice()
    desk.go(30)
    desk.ok("operator", "begin", 1)
    desk.ok("operator", "finish", 1)
    assert [taken.step for taken in desk.matter(1).steps] == ["give_notice", "begin", "finish"]
    assert desk.take("operator", "roll_back", 1).rule == "desk.wrong_state"


def test_a_plan_that_was_objected_to_is_revised_and_its_days_count_anew(desk: Desk) -> None:
    desk.notice()
    desk.ok("csrc-1", "object")
    desk.go(20)
    revised: dict[str, Value] = {"compatible": False, "plan": sm3(b"2"), "effective_day": desk.today + 9}
    assert desk.take("operator", "revise", **revised).rule == "desk.too_soon"
    desk.ok("operator", "revise", **{**revised, "effective_day": desk.today + 28})
    assert (desk.matter().state, desk.matter().fields["plan"]) == ("given", sm3(b"2"))


def test_only_the_chains_registrant_announces_and_only_the_filer_goes_on(desk: Desk) -> None:
    assert desk.notice("second operator").rule == "desk.not_yours"
    assert desk.notice(chain=bytes(32)).rule == "desk.no_chain"
    assert desk.notice("csrc-1").code == Code.FORBIDDEN
    desk.notice(compatible=True, effective_day=desk.today)
    assert desk.take("second operator", "begin").rule == "desk.not_yours"
    assert desk.take("csrc-1", "begin").code == Code.FORBIDDEN
    assert desk.take("operator", "begin", 7).rule == "desk.unknown"
    assert desk.take("csrc-1", "transfer").rule == "desk.unknown"


def set_days(desk: Desk, who: str, holidays: list[int], workdays: list[int]) -> Receipt:
    return desk.chain.one(who, op("desk", "set_calendar", holidays=list(holidays), workdays=list(workdays)))


def test_the_state_councils_days_count_once_two_officers_named_them(desk: Desk) -> None:
    today = desk.today
    weekdays = [day for day in range(today + 1, today + 60) if (day + 3) % 7 < 5]
    weekends = [day for day in range(today + 1, today + 60) if (day + 3) % 7 >= 5]
    last = weekdays[NOTICE_DAYS - 1]
    assert set_days(desk, "csrc-1", weekdays[:2], weekends[:1]).code == Code.OK
    assert set_days(desk, "csrc-1", weekdays[:2], weekends[:1]).code == Code.OK
    assert desk.notice(effective_day=last).code == Code.OK, "one officer alone sets nothing"
    assert set_days(desk, "csrc-2", weekdays[:2], weekends[:1]).code == Code.OK
    assert desk.notice(effective_day=last).rule == "desk.too_soon"
    assert desk.notice(effective_day=weekdays[NOTICE_DAYS]).code == Code.OK, "two holidays, one make-up weekend"
    for holidays, workdays in (([5, 4], []), ([], [weekdays[3]]), ([weekends[0]], [weekends[0]]), ([today - 7], [])):
        assert set_days(desk, "csrc-1", holidays, workdays).rule == "desk.bad_days"


# ---- inspections


def test_a_finding_is_put_right_reported_and_closed_by_somebody_else(desk: Desk) -> None:
    desk.inspection()
    desk.ok("csrc-1", "transfer")
    desk.ok("province-1", "accept")
    assert desk.take("province-1", "order_rectification", deadline_day=desk.today).rule == "desk.too_soon"
    desk.ok("province-1", "order_rectification", deadline_day=desk.today + 10)
    assert desk.take("second operator", "report_rectification").rule == "desk.not_yours"
    desk.ok("operator", "report_rectification")
    desk.ok("province-2", "return_report", deadline_day=desk.today + 5)
    desk.ok("operator", "report_rectification")
    assert desk.take("csrc-1", "close_inspection").rule == "desk.four_eyes"
    desk.ok("province-2", "close_inspection")
    assert desk.matter().state == "closed"


def test_what_is_overdue_escalates_once_for_each_deadline(desk: Desk) -> None:
    desk.inspection()
    desk.ok("csrc-1", "order_rectification", deadline_day=desk.today + 2)
    assert desk.take("courier", "escalate").rule == "desk.not_overdue"
    desk.go(3)
    desk.ok("courier", "escalate")
    assert desk.take("courier", "escalate").rule == "desk.not_overdue"
    case = cast(dict[str, Value], desk.chain.value(case_key(desk.market, 0)))
    assert (case["kind"], cast(dict[str, Value], case["facts"])["number"]) == ("overdue_rectification", 0)
    desk.ok("operator", "report_rectification")
    desk.ok("csrc-2", "return_report", deadline_day=desk.today + 1)
    desk.go(2)
    desk.ok("courier", "escalate")


def test_a_record_has_so_many_steps(desk: Desk) -> None:
    desk.inspection()
    desk.ok("csrc-1", "order_rectification", deadline_day=desk.today + 9_000)
    while len(desk.matter().steps) < MAX_STEPS:
        desk.ok("operator", "report_rectification")
        desk.ok("csrc-1", "return_report", deadline_day=desk.today + 9_000)
    assert desk.take("operator", "report_rectification").rule == "desk.too_many_steps"


def test_records_are_written_in_one_form(desk: Desk) -> None:
    desk.inspection()
    raw = desk.chain.store.get(matter_key(0))
    assert raw is not None and encode_matter(desk.matter()) == raw


# ---- any walk at all


WHO = ("csrc-1", "csrc-2", "operator", "second operator", "province-1", "office-1", "courier", "both")
KINDS = (NOTICE, INSPECTION, ADVISORY, PATCH, FILING)
"""Records 0 to 4 of the walked desk."""
MACHINE_OF = {step: machine for machine, rows in TABLES.items() for step in rows}
WALKS = st.lists(
    st.tuples(st.sampled_from(WHO), st.sampled_from(sorted(MACHINE_OF)), st.integers(0, len(KINDS))), max_size=40
)


def extra(desk: Desk, step: str) -> dict[str, Value]:
    """Arguments that the step has besides."""
    found: dict[str, dict[str, Value]] = {
        "revise": {"compatible": True, "plan": DOCUMENT, "effective_day": desk.today},
        "order_rectification": {"deadline_day": desk.today + 1},
        "return_report": {"deadline_day": desk.today + 1},
        "escalate_advisory": {"late": desk.market},
        "record_patch": {"version": "2"},
        "refile": {"tree": DOCUMENT, "source": DOCUMENT},
    }
    return found.get(step, {})


@settings(max_examples=25)
@given(walk=WALKS)
def test_no_walk_takes_a_step_that_the_table_does_not_have(
    walk: list[tuple[str, str, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The model is the specification's text: a step is taken exactly when a row, a role and a pair of eyes allow it."""
    desk = begin(tmp_path_factory.mktemp("desk"))
    try:
        assert desk.notice(compatible=True, effective_day=desk.today - 1).code == Code.OK
        assert desk.inspection().code == Code.OK
        assert desk.advisory().code == desk.acknowledge(2).code == desk.filing().code == Code.OK
        for who, step, number in walk:
            machine = MACHINE_OF[step]
            row = TABLES[machine][step]
            if not row.sources:
                continue
            before = desk.matter(number) if number < len(KINDS) else None
            receipt = desk.take(who, step, number, **extra(desk, step))
            allowed = before is not None and before.machine == machine and before.state in row.sources
            allowed = allowed and (not row.roles or bool(row.roles & ROLES[who]))
            if before is not None:
                named = {"filer": "operator", "registrant": "operator"}
                for word, person in named.items():
                    allowed = allowed and (word not in row.besides or who == person)
                confirmed = MACHINES[machine][step].other_than
                last = before.last(confirmed) if confirmed else None
                allowed = allowed and (last is None or last.by != _account(who))
            allowed = allowed and not step.startswith("escalate")
            assert (receipt.code == Code.OK) is allowed, (who, step, number, receipt)
            if before is not None:
                assert desk.matter(number).state == (row.target if allowed else before.state)
    finally:
        desk.chain.store.close()


def _account(name: str) -> bytes:
    return sm3(b"account " + name.encode())[:16]
