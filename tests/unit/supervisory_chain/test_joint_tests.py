"""No chain is admitted without a joint test: about it, passed, recent, signed by an independent tester."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from chain_core.codec.genesis import encode_genesis, genesis_hash
from chain_core.codec.seen import state_key
from chain_core.crypto.hashing import sm3
from chain_core.execution.codes import Code
from chain_core.types.genesis import Genesis, GenesisAccount
from chain_core.types.transaction import Receipt
from crosschain.conformance.checks import CASES
from crosschain.conformance.report import CHECKS, Report, Result, Row, unsigned
from supervisory_chain.assembly import supervisory_assembly
from supervisory_chain.joint_tests import AHEAD_MS, DAYS, DEFAULT_DAYS, place
from tests.unit.crosschain.chains import (
    Chain,
    account,
    key_of,
    local_genesis,
    op,
    private_key,
    public_key,
    registration,
    supervisory_genesis,
)
from tests.unit.crosschain.joint_tests import failing, file_of, passing

DAY_MS = 86_400_000
TESTERS = {
    "tester": "Test laboratory",
    "operator's tester": "entity of operator",
    "validator's tester": "entity  1 of beijing",
}
ASSERTION = "assertion of "
"""A tester's assertion key is that of this name and his."""


def genesis() -> Genesis:
    made = supervisory_genesis()
    rows = tuple(
        GenesisAccount(
            account(name),
            entity,
            ("tester",),
            {"transaction": (key_of(name),), "assertion": (public_key(ASSERTION + name),)},
        )
        for name, entity in TESTERS.items()
    )
    accounts = tuple(sorted((*made.accounts, *rows), key=lambda row: row.account))
    return replace(made, accounts=accounts, parameters={**made.parameters, DAYS: DEFAULT_DAYS})


LOCAL = encode_genesis(local_genesis(supervisory=encode_genesis(genesis())))
CHAIN = genesis_hash(LOCAL)


@pytest.fixture
def above(tmp_path: Path) -> Iterator[Chain]:
    chain = Chain.begin(tmp_path, genesis(), supervisory_assembly)
    assert chain.one("operator", registration(LOCAL)).code == Code.OK
    yield chain
    chain.store.close()


def file(above: Chain, raw: bytes, who: str = "tester") -> Receipt:
    return above.one(who, op("chains", "file_report", chain=CHAIN, report=raw))


def hand_in(above: Chain, who: str = "tester", key: str = "", **changes: object) -> Receipt:
    report = replace(passing(CHAIN, above.time_ms), **changes)  # type: ignore[arg-type]
    return file(above, file_of(report, private_key(ASSERTION + (key or who))), who)


def admit(above: Chain) -> Receipt:
    """By two officers; the receipt of the first refusal, or of the admission."""
    approved = above.one("csrc-2", op("chains", "approve", chain=CHAIN))
    return above.one("csrc-1", op("chains", "admit", chain=CHAIN)) if approved.code == Code.OK else approved


def test_admission_demands_a_report(above: Chain) -> None:
    assert admit(above).rule == "chains.not_tested"
    began_ms = above.time_ms
    report = file_of(passing(CHAIN, began_ms), private_key(ASSERTION + "tester"))
    assert file(above, report).code == Code.OK
    kept = above.value(state_key("chains", place(CHAIN)))
    assert isinstance(kept, dict)
    assert (kept["report"], kept["tester"], kept["started_ms"]) == (sm3(report), account("tester"), began_ms)
    assert kept["tester_entity"] == TESTERS["tester"]
    assert admit(above).code == Code.OK
    assert hand_in(above).rule == "chains.admitted"


def test_a_report_counts_for_so_many_days(above: Chain) -> None:
    assert hand_in(above).code == Code.OK
    above.time_ms += DEFAULT_DAYS * DAY_MS
    refused = admit(above)
    assert (refused.rule, refused.parameters[-1]) == ("chains.report_old", DEFAULT_DAYS)
    assert hand_in(above, started_ms=above.time_ms).code == Code.OK
    assert admit(above).code == Code.OK


def test_a_chain_whose_parameters_demand_none_admits_without(tmp_path: Path) -> None:
    made = genesis()
    lenient = replace(made, parameters={**made.parameters, DAYS: 0})
    chain = Chain.begin(tmp_path, lenient, supervisory_assembly)
    local = encode_genesis(local_genesis(supervisory=encode_genesis(lenient)))
    assert chain.one("operator", registration(local)).code == Code.OK
    assert chain.one("csrc-2", op("chains", "approve", chain=genesis_hash(local))).code == Code.OK
    assert chain.one("csrc-1", op("chains", "admit", chain=genesis_hash(local))).code == Code.OK
    chain.store.close()


REFUSED: dict[str, tuple[Callable[[Report], Report], str]] = {
    "of another chain": (lambda r: replace(r, genesis_hash="00" * 32), "chains.report_differs"),
    "of a chain that says nothing of itself": (lambda r: replace(r, genesis_hash=""), "chains.report_differs"),
    "of tomorrow": (lambda r: replace(r, started_ms=r.started_ms + AHEAD_MS + 5_000), "chains.report_time"),
    "one check failed": (lambda r: failing(CHAIN, r.started_ms), "chains.report_failed"),
    "one check skipped": (lambda r: failing(CHAIN, r.started_ms, Result.SKIPPED), "chains.report_failed"),
    "one check left out": (lambda r: replace(r, checks=r.checks[1:]), "chains.report_failed"),
    "no checks": (lambda r: replace(r, checks=()), "chains.report_failed"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_report_that_does_not_count(above: Chain, name: str) -> None:
    change, rule = REFUSED[name]
    report = change(passing(CHAIN, above.time_ms))
    assert file(above, file_of(report, private_key(ASSERTION + "tester"))).rule == rule
    assert admit(above).rule == "chains.not_tested"


@pytest.mark.parametrize(
    "name", ["blank", "member", "cut", "unsigned", "no JSON", "nested", "deep", "heights", "endpoints"]
)
def test_a_file_that_is_no_report(above: Chain, name: str) -> None:
    good = file_of(passing(CHAIN, above.time_ms), private_key(ASSERTION + "tester"))
    files = {
        "blank": good + b" ",
        "member": good.replace(b'"heights":', b'"heighten":'),
        "cut": good[:-1],
        "unsigned": unsigned(passing(CHAIN, above.time_ms)),
        "no JSON": b"\xff\xfe",
        "nested": b"[" * 50_000,
        # Depths at which one Python reads and another does not: nodes must not differ.
        "deep": good.replace(b'"heights":[1,2]', b'"heights":' + b"[" * 900 + b"]" * 900),
        "heights": good.replace(b'"heights":[1,2]', b'"heights":["1"]'),
        "endpoints": good.replace(b'"endpoints":["', b'"endpoints":[1,"'),
    }
    assert files[name] != good
    assert file(above, files[name]).rule == "chains.report_malformed"


def test_a_refusal_names_a_check_in_short(above: Chain) -> None:
    row = Row("§7", "[{" * 1_000, Result.FAIL, "", "")
    refused = hand_in(above, checks=(row,))
    assert (refused.rule, len(str(refused.parameters[-1]))) == ("chains.report_failed", 64)


def test_the_tester_signs_by_an_assertion_key_of_his_own(above: Chain) -> None:
    assert hand_in(above, key="operator's tester").rule == "chains.report_signature"
    good = file_of(passing(CHAIN, above.time_ms), private_key(ASSERTION + "tester"))
    altered = good.replace(b"two.example", b"too.example")
    assert file(above, altered).rule == "chains.report_signature"
    assert file(above, good, "csrc-1").code == Code.FORBIDDEN


@pytest.mark.parametrize("who", ["operator's tester", "validator's tester"])
def test_nobody_tests_his_own_chain(above: Chain, who: str) -> None:
    assert hand_in(above, who).rule == "chains.not_independent"


def test_a_rejected_registration_takes_its_report_along(above: Chain) -> None:
    assert hand_in(above).code == Code.OK
    assert above.one("csrc-1", op("chains", "reject", chain=CHAIN)).code == Code.OK
    assert above.one("operator", registration(LOCAL)).code == Code.OK
    assert admit(above).rule == "chains.not_tested"


def test_the_kit_tests_all_that_an_admission_asks_for() -> None:
    assert set(CHECKS) <= {case.name for case in CASES}
