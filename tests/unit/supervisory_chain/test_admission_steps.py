"""A market comes in by two officers, on evidence that counts; one stops it, two let it go on: as the table says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain_core.codec.genesis import encode_genesis, genesis_hash
from chain_core.codec.seen import state_key
from chain_core.codec.signed import derive_id
from chain_core.crypto.hashing import sm3
from chain_core.execution.codes import Code
from chain_core.types.genesis import Genesis
from chain_core.types.transaction import Receipt
from chain_core.types.values import Value
from contracts.kernel.calendar import day_of
from crosschain.packets import ADMITTED, ALL_SERVICES, FOLLOWED, SUSPENDED, read_followed
from service_registry.halts import SUSPENSION, halting, halts_key, left_key
from service_registry.records import SERVICES
from supervisory_chain.admission import GONE, MAX_TRAIL, REGISTERED, STEPS, trail_place
from supervisory_chain.assembly import supervisory_assembly
from supervisory_chain.evidence import EVIDENCE_KINDS, PARAMETER
from tests.unit.crosschain.chains import SUPERVISORY_PEOPLE, Chain, account, accounts, local_genesis, op, registration
from tests.unit.crosschain.chains import supervisory_genesis as plain_genesis
from tests.unit.service_registry.house import DEFINITION

SPEC = Path(__file__).parents[3] / "docs/spec/admission.md"
PEOPLE = {**SUPERVISORY_PEOPLE, "office-1": ("office",)}
ROLES = {name: frozenset(roles) for name, roles in PEOPLE.items()}
DOCUMENT = sm3(b"paper")


@dataclass(frozen=True)
class Row:
    """A row of the specification's table."""

    sources: frozenset[str]
    target: str
    roles: frozenset[str]
    besides: str


def table() -> dict[str, Row]:
    text = SPEC.read_text("utf-8").split("## 1. Steps", 1)[1].split("\n## ", 1)[0]
    found = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `") and len(cells) == 5 and cells[0] != "`register`":
            names = [re.findall(r"`([a-z_]+)`", cell) for cell in cells]
            target = names[2][0] if names[2] else GONE
            found[names[0][0]] = Row(frozenset(names[1]), target, frozenset(names[3]), cells[4])
    return found


TABLE = table()


def test_the_program_is_the_table() -> None:
    assert STEPS.keys() == TABLE.keys()
    for name, step in STEPS.items():
        row = TABLE[name]
        assert (frozenset(step.sources), step.target, step.roles) == (row.sources, row.target, row.roles), name
        assert re.findall("than took `([a-z_]+)`", row.besides) == ([step.confirms] if step.confirms else []), name
        assert step.judges is ("registrant's" in row.besides), name


@dataclass
class House:
    """A supervisory chain and the application of one market."""

    chain: Chain
    market: bytes
    document: bytes
    trail: list[str] = field(default_factory=list)

    def take(self, who: str, step: str) -> Receipt:
        return self.chain.one(who, op("chains", step, chain=self.market, document=DOCUMENT))

    def ok(self, who: str, step: str) -> None:
        receipt = self.take(who, step)
        assert receipt.code == Code.OK, receipt

    def file(self, kind: str, who: str = "operator", days: int = 30, paper: bytes = DOCUMENT) -> Receipt:
        until_day = day_of(self.chain.time_ms + 1_000) + days
        args: dict[str, Value] = {"kind": kind, "document": paper, "reference": "archive 1", "until_day": until_day}
        return self.chain.one(who, op("chains", "file_evidence", chain=self.market, **args))

    def judge(self, kind: str, who: str = "csrc-1", paper: bytes = DOCUMENT, reason: str = "") -> Receipt:
        args: dict[str, Value] = {"chain": self.market, "kind": kind, "document": paper}
        if reason:
            return self.chain.one(who, op("chains", "return_evidence", **args, reason=reason))
        return self.chain.one(who, op("chains", "accept_evidence", **args))

    @property
    def raw(self) -> bytes | None:
        return self.chain.store.get(state_key("chains", b"r" + self.market))

    @property
    def status(self) -> str:
        record = self.chain.value(state_key("chains", b"r" + self.market)) if self.raw is not None else None
        return GONE if record is None else cast(str, cast(dict[str, Value], record)["status"])

    @property
    def steps(self) -> list[str]:
        rows = cast(list[dict[str, Value]], self.chain.value(state_key("chains", trail_place(self.market))))
        return [cast(str, row["step"]) for row in rows]

    @property
    def halted(self) -> list[str]:
        return halting(self.chain.store.get(state_key(SERVICES, halts_key(ALL_SERVICES, "BJ"))))


def genesis(demanding: int = 0) -> Genesis:
    made = plain_genesis()
    return replace(made, accounts=accounts(PEOPLE), parameters={**made.parameters, PARAMETER: demanding})


def begin(path: Path, demanding: int = 0, registrant: str = "operator") -> House:
    above = genesis(demanding)
    chain = Chain.begin(path, above, supervisory_assembly)
    document = encode_genesis(local_genesis(supervisory=encode_genesis(above)))
    assert chain.one(registrant, registration(document)).code == Code.OK
    return House(chain, genesis_hash(document), document)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = begin(tmp_path)
    yield made
    made.chain.store.close()


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[House]:
    made = begin(tmp_path, demanding=1)
    yield made
    made.chain.store.close()


def test_two_officers_admit_and_neither_is_the_registrant(house: House) -> None:
    assert house.take("csrc-1", "admit").rule == "chains.wrong_state"
    house.ok("csrc-1", "approve")
    assert house.take("csrc-1", "admit").rule == "chains.four_eyes"
    assert house.take("operator", "admit").code == Code.FORBIDDEN
    house.ok("csrc-2", "take_back")
    assert house.take("csrc-2", "admit").rule == "chains.wrong_state"
    house.ok("csrc-2", "approve")
    house.ok("csrc-1", "admit")
    assert house.take("csrc-2", "admit").rule == "chains.admitted"
    assert house.steps == ["register", "approve", "take_back", "approve", "admit"]


def test_an_institution_with_both_roles_does_not_judge_its_own(tmp_path: Path) -> None:
    house = begin(tmp_path, registrant="both")
    for step in ("approve", "reject"):
        assert house.take("both", step).rule == "chains.own_registration"
    house.ok("csrc-1", "approve")
    assert house.take("both", "admit").rule == "chains.own_registration"
    house.ok("csrc-2", "admit")
    house.chain.store.close()


@pytest.mark.parametrize("step", ["reject", "retract"])
@pytest.mark.parametrize("first", [(), ("approve",)])
def test_what_is_not_admitted_can_go_and_leaves_nothing(house: House, step: str, first: tuple[str, ...]) -> None:
    for each in first:
        house.ok("csrc-1", each)
    house.file("penetration_test")
    assert house.take("second operator", "retract").rule == "chains.not_yours"
    house.ok("operator" if step == "retract" else "csrc-2", step)
    assert house.chain.store.scan(state_key("chains", b"")) == []
    assert house.chain.one("second operator", registration(house.document)).code == Code.OK


# ---- evidence


def test_an_admission_rests_on_evidence_of_every_kind_that_counts_today(strict: House) -> None:
    for kind in EVIDENCE_KINDS:
        assert strict.take("csrc-1", "approve").rule == "chains.no_evidence"
        assert strict.file(kind).code == Code.OK
        assert strict.take("csrc-1", "approve").parameters[1:] == (kind,), "filed is not accepted"
        assert strict.judge(kind, "office-1").code == Code.OK
    strict.ok("csrc-1", "approve")
    strict.chain.block(after_ms=31 * 86_400_000)
    assert strict.take("csrc-2", "admit").rule == "chains.evidence_expired", "the second pair of eyes looks again"
    assert strict.file("penetration_test", days=-1).rule == "chains.evidence_expired"
    for kind in EVIDENCE_KINDS:
        assert (strict.file(kind).code, strict.judge(kind).code) == (Code.OK, Code.OK)
    strict.ok("csrc-2", "admit")


def test_what_was_read_is_what_counts(strict: House) -> None:
    kind, other = "security_assessment", sm3(b"another paper")
    assert strict.file(kind, "second operator").rule == "chains.not_yours"
    assert strict.file(kind).code == Code.OK
    assert strict.judge(kind, paper=other).rule == "chains.evidence_differs"
    assert strict.file(kind, paper=other).code == Code.OK
    assert strict.judge(kind).rule == "chains.evidence_differs", "it was swapped while the officer read"
    assert strict.judge(kind, "operator", other).code == Code.FORBIDDEN
    assert strict.judge(kind, paper=other, reason="page 3 is missing").code == Code.OK
    assert strict.judge(kind, paper=other).rule == "chains.evidence_differs", "what went back is filed again first"
    assert strict.steps == ["register", "file_evidence", "file_evidence", "return_evidence"]


def test_evidence_counts_until_the_day_that_was_read(strict: House) -> None:
    kind = "security_assessment"
    assert strict.file(kind).code == Code.OK
    read = day_of(strict.chain.time_ms) + 30
    assert strict.file(kind, days=4_000).code == Code.OK, "the same paper with another day, while the officer reads"
    args: dict[str, Value] = {"chain": strict.market, "kind": kind, "document": DOCUMENT}
    refused = strict.chain.one("csrc-1", op("chains", "accept_evidence", **args, until_day=read))
    assert (refused.rule, refused.parameters[1:]) == ("chains.evidence_day", (kind, read + 3_970))
    assert strict.file(kind).code == Code.OK
    assert strict.chain.one("csrc-1", op("chains", "accept_evidence", **args, until_day=read)).code == Code.OK


def test_nobody_judges_the_evidence_of_the_own_house(tmp_path: Path) -> None:
    house = begin(tmp_path, demanding=1, registrant="both")
    assert house.file("blockchain_filing", "both").code == Code.OK
    assert house.judge("blockchain_filing", "both").rule == "chains.own_evidence"
    house.chain.store.close()


def test_evidence_is_renewed_while_a_market_runs_and_the_old_counts_until_then(strict: House) -> None:
    for kind in EVIDENCE_KINDS:
        strict.file(kind)
        strict.judge(kind)
    strict.ok("csrc-1", "approve")
    strict.ok("csrc-2", "admit")
    strict.file("classified_protection", days=400, paper=sm3(b"renewed"))
    strict.ok("operator", "suspend")
    strict.ok("csrc-1", "propose_resumption")
    strict.ok("csrc-2", "resume")
    strict.chain.block(after_ms=31 * 86_400_000)
    strict.ok("csrc-1", "suspend")
    strict.ok("csrc-1", "propose_resumption")
    assert strict.take("csrc-2", "resume").rule == "chains.evidence_expired"


# ---- suspension and withdrawal


def test_one_officer_stops_a_market_and_two_let_it_go_on(house: House) -> None:
    house.ok("csrc-1", "approve")
    house.ok("csrc-2", "admit")
    assert house.take("second operator", "suspend").rule == "chains.not_yours"
    house.ok("csrc-1", "suspend")
    assert (house.status, house.halted, read_followed(house.raw)) == (SUSPENDED, [SUSPENSION], True)
    house.ok("csrc-1", "propose_resumption")
    assert house.take("csrc-1", "resume").rule == "chains.four_eyes"
    house.ok("csrc-2", "refuse_resumption")
    house.ok("csrc-2", "propose_resumption")
    house.ok("csrc-1", "resume")
    assert (house.status, house.halted) == (ADMITTED, [])


def test_a_market_that_leaves_is_followed_no_more_and_frees_its_place(house: House) -> None:
    house.ok("csrc-1", "approve")
    house.ok("csrc-2", "admit")
    assert house.take("operator", "propose_withdrawal").rule == "chains.wrong_state"
    house.ok("operator", "suspend")
    house.ok("operator", "propose_withdrawal")
    house.ok("csrc-1", "keep")
    house.ok("csrc-1", "propose_withdrawal")
    assert house.take("csrc-1", "withdraw").rule == "chains.four_eyes"
    house.ok("csrc-2", "withdraw")
    assert not read_followed(house.raw)
    assert house.halted == [SUSPENSION], "its services do not come back by themselves"
    amend = {"technology": "x", "consensus": "PBFT", "endpoints": []}
    assert house.chain.one("operator", op("chains", "amend", chain=house.market, **amend)).rule == "chains.closed"
    assert house.file("penetration_test").rule == "chains.closed"
    header: Value = [{"header": b"h", "certificate": b"c"}]
    refused = house.chain.one("courier", op("clients", "submit_headers", chain=house.market, headers=header))
    assert refused.rule == "clients.not_admitted"
    other = encode_genesis(replace(local_genesis("pinggu", "BJ", supervisory=encode_genesis(genesis()))))
    assert house.chain.one("second operator", registration(other)).code == Code.OK


def left(house: House, who: str) -> list[str]:
    """Markets in whose name the account uses no service any more."""
    return halting(house.chain.store.get(state_key(SERVICES, left_key(account(who)))))


def test_who_comes_back_may_use_services_again(house: House) -> None:
    for who, step in (
        ("csrc-1", "approve"),
        ("csrc-2", "admit"),
        ("csrc-1", "suspend"),
        ("csrc-1", "propose_withdrawal"),
        ("csrc-2", "withdraw"),
    ):
        house.ok(who, step)
    other = encode_genesis(local_genesis("pinggu", "BJ", supervisory=encode_genesis(genesis())))
    assert house.chain.one("operator", registration(other)).code == Code.OK
    house.market = genesis_hash(other)
    house.ok("csrc-1", "approve")
    assert left(house, "operator") == ["BJ"]
    house.ok("csrc-2", "admit")
    assert left(house, "operator") == []


def test_services_of_a_chain_that_left_do_not_come_back_with_the_next_chain_of_its_market(house: House) -> None:
    house.ok("csrc-1", "approve")
    house.ok("csrc-2", "admit")
    args: dict[str, Value] = {"market": "BJ", "reference": "roll", "definition": DEFINITION}
    assert house.chain.one("operator", op("services", "draft", **args)).code == Code.OK
    service = derive_id(house.chain.hash, "service", account("operator"), "roll")
    for who, step in (("operator", "suspend"), ("csrc-1", "propose_withdrawal"), ("csrc-2", "withdraw")):
        house.ok(who, step)
    other = encode_genesis(local_genesis("pinggu", "BJ", supervisory=encode_genesis(genesis())))
    assert house.chain.one("second operator", registration(other)).code == Code.OK
    house.market = genesis_hash(other)
    house.ok("csrc-1", "approve")
    house.ok("csrc-2", "admit")
    refused = house.chain.one("operator", op("services", "online", service=service))
    assert (refused.rule, refused.parameters[-1]) == ("services.suspended", "withdrawal")
    assert left(house, "operator") == ["BJ"] and left(house, "second operator") == []
    own: dict[str, Value] = {**args, "reference": "own"}
    assert house.chain.one("second operator", op("services", "draft", **own)).code == Code.OK
    service = derive_id(house.chain.hash, "service", account("second operator"), "own")
    assert house.chain.one("second operator", op("services", "online", service=service)).rule == "services.wrong_state"


def test_the_trail_keeps_the_newest(house: House) -> None:
    for _ in range(MAX_TRAIL):
        house.ok("csrc-1", "approve")
        house.ok("csrc-2", "take_back")
    assert len(house.steps) == MAX_TRAIL and "register" not in house.steps
    house.ok("csrc-1", "approve")
    house.ok("csrc-2", "admit")


def test_a_flood_of_filings_takes_no_step_from_under_the_second_officer(house: House) -> None:
    house.ok("csrc-1", "approve")
    house.ok("csrc-2", "admit")
    house.ok("csrc-1", "suspend")
    house.ok("csrc-1", "propose_withdrawal")
    for number in range(MAX_TRAIL + 1):
        assert house.file("penetration_test", paper=sm3(b"%d" % number)).code == Code.OK
    assert len(house.steps) == MAX_TRAIL
    assert house.take("csrc-1", "withdraw").rule == "chains.four_eyes"
    house.ok("csrc-2", "withdraw")


# ---- any walk at all

WHO = ("csrc-1", "csrc-2", "operator", "second operator", "office-1", "courier")


@settings(max_examples=40)
@given(walk=st.lists(st.tuples(st.sampled_from(WHO), st.sampled_from([*TABLE])), max_size=30))
def test_no_walk_takes_a_step_that_the_table_does_not_have(
    walk: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The model is the specification's text: a step is taken exactly when a row, a role and a pair of eyes allow it."""
    house, took = begin(tmp_path_factory.mktemp("walk")), dict[str, str]()
    try:
        for who, step in walk:
            row, before = TABLE[step], house.status
            operators_only = ROLES[who] & row.roles <= {"operator"}
            allowed = before in row.sources and bool(row.roles & ROLES[who])
            allowed = allowed and (not operators_only or who == "operator")
            confirmed = re.findall("than took `([a-z_]+)`", row.besides)
            allowed = allowed and all(took[name] != who for name in confirmed if name in took)
            receipt = house.take(who, step)
            assert (receipt.code == Code.OK) is allowed, (who, step, before, receipt)
            assert house.status == (row.target if allowed else before)
            if allowed:
                took[step] = who
            assert read_followed(house.raw) is (house.status in FOLLOWED)
            assert (house.halted == []) is (house.status in (GONE, REGISTERED, "approved", ADMITTED))
            if house.status == GONE:
                return
    finally:
        house.chain.store.close()
