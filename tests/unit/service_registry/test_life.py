"""A service's life: from each state the steps of the specification, and no others; each step by whom it belongs to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain_core.codec.seen import state_key
from chain_core.codec.values import encode_value
from chain_core.crypto.hashing import sm3
from chain_core.execution.codes import Code
from chain_core.types.transaction import Receipt
from chain_core.types.values import Value
from service_registry.bodies import AccessCode
from service_registry.records import (
    SERVICES,
    Version,
    decode,
    definition_key,
    version_key,
)
from service_registry.rules import RULES
from tests.unit.execution.world import account, op
from tests.unit.service_registry.house import (
    DEFINITION,
    REFERENCE,
    SERVICE,
    House,
    assertion_key,
    chain_record,
    prepared,
    refused,
    wide,
)
from tests.unit.service_registry.states import CHANGED, OWN, STATES, STEPS

# Rows: state; columns: method -> (status, version in force, version in test) after it, or the rule that refuses it.
WRONG, NO_DRAFT, NOT_TESTED = "services.wrong_state", "services.no_draft", "services.not_tested"
TABLE: dict[str, dict[str, object]] = {
    "draft": {
        "change": ("draft", 0, 2),
        "register": NOT_TESTED,
        "online": WRONG,
        "offline": WRONG,
        "cancel": ("cancelled", 0, 1),
    },
    "tested": {
        "change": ("draft", 0, 2),
        "register": ("registered", 1, 0),
        "online": WRONG,
        "offline": WRONG,
        "cancel": ("cancelled", 0, 1),
    },
    "registered": {
        "change": ("registered", 1, 2),
        "register": NO_DRAFT,
        "online": ("online", 1, 0),
        "offline": WRONG,
        "cancel": ("cancelled", 1, 0),
    },
    "online": {
        "change": ("online", 1, 2),
        "register": NO_DRAFT,
        "online": WRONG,
        "offline": ("offline", 1, 0),
        "cancel": ("cancelled", 1, 0),
    },
    "offline": {
        "change": ("offline", 1, 2),
        "register": NO_DRAFT,
        "online": ("online", 1, 0),
        "offline": WRONG,
        "cancel": ("cancelled", 1, 0),
    },
    "online, changed": {
        "change": ("online", 1, 3),
        "register": NOT_TESTED,
        "online": WRONG,
        "offline": ("offline", 1, 2),
        "cancel": ("cancelled", 1, 2),
    },
    "online, changed, tested": {
        "change": ("online", 1, 3),
        "register": ("online", 2, 0),
        "online": WRONG,
        "offline": ("offline", 1, 2),
        "cancel": ("cancelled", 1, 2),
    },
    "cancelled": {"change": WRONG, "register": WRONG, "online": WRONG, "offline": WRONG, "cancel": WRONG},
}


@pytest.mark.parametrize(("state", "method"), [(state, method) for state in TABLE for method in OWN])
def test_the_table(states: dict[str, House], state: str, method: str) -> None:
    house, expected = states[state].branch(), TABLE[state][method]
    before = house.service
    receipt = house.do("publisher", method, **OWN[method])
    if isinstance(expected, tuple):
        assert receipt.code == Code.OK, receipt
        assert (house.service.status, house.service.version, house.service.draft) == expected
    else:
        assert refused(receipt)[0] == expected
        assert house.service == before


@pytest.mark.parametrize("state", TABLE)
@pytest.mark.parametrize("method", OWN)
def test_no_step_by_anybody_else(states: dict[str, House], state: str, method: str) -> None:
    house = states[state].branch()
    before = house.service
    for stranger in ("consumer", "branch", "unbound"):
        assert refused(house.do(stranger, method, **OWN[method])) == ("services.not_publisher", (account("publisher"),))
    for outsider in ("nobody", "tester", "gateway"):
        assert house.do(outsider, method, **OWN[method]).code == Code.FORBIDDEN
    assert house.service == before


def test_whoever_the_publisher_lets_act_for_it_acts_as_it(states: dict[str, House]) -> None:
    house = states["registered"].branch()
    online = {"service": SERVICE}
    world = house.world
    assert (
        world.one("branch", op(SERVICES, "online", **online), on_behalf_of=account("publisher")).code == Code.FORBIDDEN
    )
    assert world.one("publisher", op("accounts", "grant", account=account("branch"))).code == Code.OK
    assert world.one("branch", op(SERVICES, "online", **online), on_behalf_of=account("publisher")).code == Code.OK


def test_each_version_keeps_its_record_and_one_is_in_force(states: dict[str, House]) -> None:
    house = states["online, changed, tested"].branch()
    house.ok("publisher", "register", service=SERVICE)
    status = {n: decode(Version, _state(house, version_key(SERVICE, n))).status for n in (1, 2)}
    assert status == {1: "replaced", 2: "registered"}
    assert decode(Version, _state(house, version_key(SERVICE, 2))).definition_hash == sm3(encode_value(CHANGED))
    assert _state(house, definition_key(SERVICE, 2)) == encode_value(CHANGED)


def _state(house: House, key: bytes) -> bytes:
    return house.world.state[state_key(SERVICES, key)]


# ---- drafts


def _draft(house: House, who: str = "publisher", market: str = "BJ", **changes: Value) -> Receipt:
    return house.do(who, "draft", market=market, reference=REFERENCE, definition={**DEFINITION, **changes})


def test_a_draft_needs_an_admitted_market_of_the_callers_own() -> None:
    house = House.begin()
    assert refused(_draft(house, market="HB")) == ("services.not_admitted", ("HB",))
    house.world.state.update(chain_record("JS", status="registered"))
    assert refused(_draft(house, "consumer", "JS")) == ("services.not_admitted", ("JS",))
    assert refused(_draft(house, "publisher", "ZJ")) == ("services.not_your_market", ("ZJ",))
    assert refused(_draft(house, "unbound", "BJ")) == ("services.not_your_market", ("BJ",))
    assert _draft(house, "nobody").code == Code.FORBIDDEN
    assert _draft(house).code == Code.OK
    assert refused(_draft(house)) == ("services.exists", (SERVICE,))


JSON = cast(dict[str, Value], DEFINITION["interface"])
PROTO: dict[str, Value] = {"kind": "protobuf", "request": "a.Question", "response": "a.Answer", "descriptor": "AAAA"}
PROTO_EXAMPLES: dict[str, Value] = {"examples": [{"request": "CAE="}], "wrong_request": "/w=="}
CONTRADICTION = "services.bad_definition"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"endpoints": ["127.0.0.1"]}, "services.bad_endpoint"),
        ({"endpoints": ["127.0.0.1:70000"]}, "services.bad_endpoint"),
        ({"endpoints": []}, Code.BAD_ARGUMENTS),
        ({"endpoints": ["127.0.0.1:1", "127.0.0.1:1"]}, Code.BAD_ARGUMENTS),
        ({"price_fen": -1}, Code.BAD_ARGUMENTS),
        ({"proof": "trust me"}, Code.BAD_ARGUMENTS),
        ({"examples": []}, Code.BAD_ARGUMENTS),
        ({"surplus": 1}, Code.BAD_ARGUMENTS),
        ({"description": "x" * 4_097}, Code.BAD_ARGUMENTS),
        ({"interface": {**JSON, "request": "x" * 16_384, "response": "x" * 16_384}}, Code.OK),
        ({"interface": {**JSON, "kind": "xml"}}, Code.BAD_ARGUMENTS),
        ({"interface": {**JSON, "descriptor": "AAAA"}}, CONTRADICTION),
        ({"interface": PROTO, **PROTO_EXAMPLES}, Code.OK),
        ({"interface": {**PROTO, "descriptor": ""}, **PROTO_EXAMPLES}, CONTRADICTION),
        ({"interface": {**PROTO, "descriptor": "AAA"}, **PROTO_EXAMPLES}, CONTRADICTION),
        ({"interface": {**PROTO, "descriptor": "AB=="}, **PROTO_EXAMPLES}, CONTRADICTION),
        ({"interface": {**PROTO, "response": "a b"}, **PROTO_EXAMPLES}, CONTRADICTION),
        ({"interface": PROTO}, CONTRADICTION),
        ({"interface": PROTO, **PROTO_EXAMPLES, "wrong_request": "{}"}, CONTRADICTION),
        ({"interface": PROTO, **PROTO_EXAMPLES, "proof": "holder-roll/v1"}, CONTRADICTION),
        ({"permission": "anybody"}, Code.BAD_ARGUMENTS),
        ({"permission": "listed"}, CONTRADICTION),
        ({"permission": "open", "markets": ["JS"]}, CONTRADICTION),
        ({"permission": "listed", "markets": ["JS", "ZJ"]}, Code.OK),
        ({"permission": "listed", "markets": ["JS", "JS"]}, Code.BAD_ARGUMENTS),
        ({"quota": {"calls_a_day": 0, "at_once": 0}}, Code.BAD_ARGUMENTS),
        ({"quota": {"calls_a_day": 0, "at_once": 256}}, Code.OK),
        ({"sla": {"deadline_ms": 30_001, "available_permille": 0}}, Code.BAD_ARGUMENTS),
        ({"sla": {"deadline_ms": 1, "available_permille": 1_001}}, Code.BAD_ARGUMENTS),
        ({"recording": "never"}, Code.BAD_ARGUMENTS),
        ({"streaming": 1}, Code.BAD_ARGUMENTS),
    ],
)
def test_definitions(changes: dict[str, Value], expected: object) -> None:
    receipt = _draft(House.begin(), **cast(Any, changes))
    assert expected in (receipt.rule, receipt.code)


# ---- reports


REPORTS: dict[str, tuple[str, dict[str, object]]] = {
    "another version": ("services.report_differs", {"version": 2}),
    "another service": ("services.report_differs", {"service": bytes(16)}),
    "another definition": ("services.report_differs", {"definition_hash": bytes(32)}),
    "another tester": ("services.report_differs", {"tester": account("gateway")}),
    "findings": ("services.report_unfounded", {"findings": ("something",)}),
    "calls that never went through the gateway": ("services.report_log", {"access_digest": bytes(32)}),
}


@pytest.fixture(scope="module")
def tried() -> House:
    """A draft whose test calls are recorded; no report yet."""

    def steps(house: House) -> None:
        STATES["draft"](house)
        rows = [house.record("tester") for _ in range(2)]
        house.ok("gateway", "record_access", records=[*rows, house.record("tester", code=AccessCode.BAD_REQUEST)])

    return prepared(steps)


@pytest.mark.parametrize("case", REPORTS)
def test_reports_about_something_else(tried: House, case: str) -> None:
    house, (rule, changes) = tried.branch(), REPORTS[case]
    assert refused(house.do("tester", "file_report", **house.filing(house.report(**cast(Any, changes)))))[0] == rule


def test_reports_of_other_examples_or_other_endings(tried: House) -> None:
    house, report = tried.branch(), tried.report()
    one = report.examples[0]
    for changed, rule in (
        (replace(report, examples=(one,)), "services.report_differs"),
        (replace(report, examples=(one, one)), "services.report_differs"),
        (replace(report, wrong=one), "services.report_differs"),
        (replace(report, examples=(one, replace(report.examples[1], code=3))), "services.report_unfounded"),
        (replace(report, wrong=replace(report.wrong, code=0)), "services.report_unfounded"),
    ):
        assert refused(house.do("tester", "file_report", **house.filing(changed)))[0] == rule


def test_a_report_is_signed_by_an_assertion_key_of_the_tester(tried: House) -> None:
    house = tried.branch()
    good = house.filing(house.report())
    stranger = {**good, "key": assertion_key("gateway")}
    borrowed = {**house.filing(house.report(), "gateway")}
    flipped = bytes([cast(bytes, good["signature"])[0] ^ 1]) + cast(bytes, good["signature"])[1:]
    for filing in (stranger, borrowed, {**good, "signature": flipped}):
        assert refused(house.do("tester", "file_report", **filing))[0] == "services.report_signature"
    raw = cast(bytes, good["report"]) + b"\0"
    assert refused(house.do("tester", "file_report", **{**good, "report": raw}))[0] == "services.report_malformed"
    assert house.do("publisher", "file_report", **good).code == Code.FORBIDDEN
    assert house.do("tester", "file_report", **good).code == Code.OK


@pytest.mark.parametrize("spelling", [str, wide])
@pytest.mark.parametrize("who", ["own tester", "consumer's tester"])
def test_the_tester_is_of_neither_side(states: dict[str, House], who: str, spelling: Callable[[str], str]) -> None:
    house = states["online"].branch()
    house.spell(who, spelling)
    house.ok("consumer", "apply", service=SERVICE, market="JS")
    house.ok("publisher", "change", **OWN["change"])
    receipt = house.do(who, "file_report", **house.filing(house.report(who), who))
    assert refused(receipt) == ("services.not_independent", (account(who),))


def test_a_failing_report_takes_the_verdict_back(states: dict[str, House]) -> None:
    house = states["tested"].branch()
    house.ok("tester", "file_report", **house.filing(house.report(verdict="fail", findings=("it stopped answering",))))
    assert refused(house.do("publisher", "register", service=SERVICE)) == (NOT_TESTED, (1,))
    house.ok("tester", "file_report", **house.filing(house.report()))
    house.ok("publisher", "register", service=SERVICE)


@pytest.mark.parametrize(("state", "rule"), [("online", NO_DRAFT), ("cancelled", WRONG)])
def test_no_report_without_a_version_in_test(states: dict[str, House], state: str, rule: str) -> None:
    house = states[state].branch()
    filing = states["tested"].branch().filing(states["tested"].report())
    assert refused(house.do("tester", "file_report", **filing))[0] == rule


def test_unknown_services() -> None:
    house = House.begin()
    for method, args in {**OWN, **{name: args for name, (_, args) in STEPS.items()}}.items():
        who = STEPS[method][0] if method in STEPS else "publisher"
        assert refused(house.do(who, method, **args)) == ("services.unknown", (SERVICE,))


# ---- any order of steps

ACTORS = ("publisher", "consumer", "tester")


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(ACTORS), st.sampled_from([*OWN, *STEPS, "test"])), max_size=14))
def test_no_order_of_steps_breaks_the_rules(steps: list[tuple[str, str]]) -> None:
    """Whatever is tried by whomever: nothing is in force untested, nothing confirmed that was not applied for."""
    house = _begun.branch()
    for who, step in steps:
        before = house.service
        if step == "test":
            if before.draft and before.status != "cancelled":
                house.test()
            continue
        args = OWN[step] if step in OWN else STEPS[step][1]
        owner = STEPS[step][0] if step in STEPS else "publisher"
        receipt = house.do(who, step, **args)
        after = house.service
        if receipt.code == Code.OK:
            assert who == owner, f"{who} did {step}"
            assert before.status != "cancelled" or step in ("withdraw", "revoke")
        else:
            assert after == before
            assert receipt.rule == "" or receipt.rule in RULES
        if after.version != before.version:
            assert decode(Version, _state(house, version_key(SERVICE, after.version))).report_hash
        if after.status in ("registered", "online", "offline"):
            assert after.version
    numbers = range(1, house.service.versions + 1)
    found = [decode(Version, _state(house, version_key(SERVICE, n))).status for n in numbers]
    assert found.count("registered") == (1 if house.service.version else 0)


_begun = prepared(STATES["draft"])
