"""Services, versions and applications move as the tables of docs/spec/service-registry.md say, and in no other way."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain_core.codec.seen import state_key
from chain_core.execution.codes import Code
from service_registry.contract import Services
from service_registry.machines import MACHINES, NONE, UNCHANGED, Step, Whose
from service_registry.records import (
    SERVICES,
    Application,
    Version,
    application_key,
    decode,
    service_key,
    version_key,
)
from service_registry.rules import RULES
from tests.unit.execution.world import account
from tests.unit.service_registry.house import PEOPLE, SERVICE, House, prepared
from tests.unit.service_registry.states import OWN, STEPS

SPEC = Path(__file__).parents[3] / "docs/spec/service-registry.md"
HEADINGS = {"service": "### Service", "version": "### Version", "application": "## 4. Applications"}


def rows_of(heading: str) -> dict[str, tuple[str, frozenset[str], str, str, str]]:
    """step -> (method, from, to, role, whose) as the specification has it."""
    text = SPEC.read_text("utf-8").split(heading + "\n", 1)[1].split("\n#", 1)[0]
    found = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `") and len(cells) == 5:
            step, method, sources, target, who = (re.findall(r"`([a-z_]+)", cell) for cell in cells)
            whose = cells[4].split(", ", 1)[1] if ", " in cells[4] else ""
            found[step[0]] = (method[0], frozenset(sources), target[0], who[0], whose)
    return found


@pytest.mark.parametrize("machine", MACHINES)
def test_the_program_is_the_table(machine: str) -> None:
    program = {
        name: (step.method, step.sources, step.target, step.role, step.whose.value)
        for name, step in MACHINES[machine].items()
    }
    told = rows_of(HEADINGS[machine])
    assert {name: (*row[:4], row[4].removeprefix("the ")) for name, row in told.items()} == {
        name: (*row[:4], row[4].removeprefix("the ")) for name, row in program.items()
    }


@pytest.mark.parametrize("machine", MACHINES)
def test_every_state_is_reached_and_every_method_is_one_of_the_contract(machine: str) -> None:
    steps, methods = MACHINES[machine].values(), Services().methods
    reached = {NONE} | {step.target for step in steps if step.target != UNCHANGED}
    for step in steps:
        assert step.sources <= reached, step
        assert step.role in methods[step.method].roles, step


# ---- a walk: whoever tries whatever in whatever order

TRIES = {**{name: args for name, (_, args) in STEPS.items()}, **OWN}
ACTORS = ("publisher", "consumer", "second consumer", "branch", "tester", "own tester", "consumer's tester")


def states_of(house: House) -> dict[tuple[str, object], str]:
    """(machine, which) -> state, of everything there is."""
    state = house.world.state
    found: dict[tuple[str, object], str] = {}
    if state_key(SERVICES, service_key(SERVICE)) in state:
        service = house.service
        found["service", 0] = service.status
        for number in range(1, service.versions + 1):
            found["version", number] = decode(Version, state[state_key(SERVICES, version_key(SERVICE, number))]).status
    for name in PEOPLE:
        raw = state.get(state_key(SERVICES, application_key(SERVICE, account(name))))
        if raw is not None:
            found["application", name] = decode(Application, raw).status
    return found


def allowed(machine: str, method: str, before: str, after: str) -> list[Step]:
    return [
        step
        for step in MACHINES[machine].values()
        if step.method == method and before in step.sources and step.end(before) == after
    ]


def entitled(step: Step, who: str, consumer: object) -> bool:
    """Whether ``who`` is whom the row names: the role, and whose step it is. Nobody takes both sides of a step."""
    entity, roles = PEOPLE[who]
    publisher = PEOPLE["publisher"][0]
    if step.role not in roles:
        return False
    match step.whose:
        case Whose.REGISTRANT | Whose.PUBLISHER:
            return who == "publisher"
        case Whose.INDEPENDENT | Whose.OTHER_SIDE:
            return entity != publisher and (step.whose is Whose.INDEPENDENT or who == consumer)
        case Whose.CONSUMER:
            return who == consumer
        case Whose.METHOD:
            return True


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["apply", "open"]),
    st.lists(st.tuples(st.sampled_from(ACTORS), st.sampled_from([*TRIES, "report"])), max_size=16),
)
def test_nothing_moves_but_along_a_row_and_by_whom_it_names(kind: str, tries: list[tuple[str, str]]) -> None:
    house = BEGUN[kind].branch()
    for who, name in tries:
        before = states_of(house)
        if name == "report":
            method = "file_report"
            receipt = house.do(who, method, **house.filing(house.report(who), who)) if house.service.draft else None
        else:
            method = name
            args = {**TRIES[name], **({"market": "ZJ"} if name == "apply" and who == "second consumer" else {})}
            receipt = house.do(who, method, **args)
        after = states_of(house)
        if receipt is None or receipt.code != Code.OK:
            assert after == before
            assert receipt is None or receipt.rule == "" or receipt.rule in RULES
            continue
        moved = {key for key in after if before.get(key, NONE) != after[key]}
        for machine, which in moved:
            steps = allowed(machine, method, before.get((machine, which), NONE), after[machine, which])
            assert steps, (who, method, machine, before.get((machine, which), NONE), after[machine, which])
            assert any(entitled(step, who, which) for step in steps), (who, method, machine, which)
        if ("service", 0) not in moved:
            assert method not in OWN or allowed("service", method, before["service", 0], after["service", 0])
    found = [state for (machine, _), state in states_of(house).items() if machine == "version"]
    assert found.count("registered") == (1 if house.service.version else 0)


def _begun(kind: str) -> House:
    """A tested draft; everybody has a certificate."""

    def steps(house: House) -> None:
        house.certify("publisher", "consumer", "second consumer", "tester", "own tester", "consumer's tester")
        house.draft(permission=kind)
        house.test()

    return prepared(steps)


BEGUN = {kind: _begun(kind) for kind in ("apply", "open")}
