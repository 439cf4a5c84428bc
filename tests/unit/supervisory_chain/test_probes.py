"""Endpoints answer, or fail, or answer for another chain (docs/spec/drift.md §2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest

from chain_core.codec.genesis import encode_genesis
from chain_core.crypto.hashing import sm3
from chain_core.execution.codes import Code
from chain_core.types.transaction import Operation, Receipt
from chain_core.types.values import Value
from contracts.kernel.calendar import day_of
from crosschain.packets import count_in
from supervisory_chain.assembly import supervisory_assembly
from supervisory_chain.cases import case_key, count_key
from supervisory_chain.probes import FAILURES, KEPT_VERSIONS, MAX_BEHIND, failing, judged, probed_key
from tests.unit.crosschain.chains import SUPERVISORY_PEOPLE, Chain, account, accounts, local_genesis, op, registration
from tests.unit.crosschain.chains import supervisory_genesis as plain_genesis

CHAIN = sm3(b"chain")


@dataclass
class Watch:
    """A registered market and its inspector."""

    chain: Chain
    market: bytes

    def report(self, *changes: Mapping[str, Value], who: str = "courier") -> Receipt:
        good = {"node": "beijing-0", "fault": "", "chain_id": "beijing-test", "height": 7, "version": "1.0"}
        rows: list[Value] = [{**good, "genesis_hash": self.market, **change} for change in changes]
        return self.chain.one(who, Operation("probes", "report", {"chain": self.market, "observations": rows}))

    def endpoint(self, number: int = 0) -> dict[str, Any]:
        known = cast(dict[str, Any], self.chain.value(probed_key(self.market)))
        return cast(dict[str, Any], known["endpoints"][number])

    def cases(self) -> list[dict[str, Any]]:
        numbers = range(count_in(self.chain.store.get(count_key(self.market))))
        return [cast(dict[str, Any], self.chain.value(case_key(self.market, number))) for number in numbers]


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Watch]:
    genesis = replace(plain_genesis(), accounts=accounts({**SUPERVISORY_PEOPLE, "courier": ("inspector",)}))
    chain = Chain.begin(tmp_path, genesis, supervisory_assembly)
    market = encode_genesis(local_genesis(supervisory=encode_genesis(genesis)))
    assert chain.one("operator", registration(market)).code == 0
    yield Watch(chain, sm3(market))
    chain.store.close()


@pytest.mark.parametrize(
    ("change", "followed", "fault"),
    [
        ({}, 0, ""),
        ({"fault": "refused"}, 0, "refused"),
        ({"genesis_hash": sm3(b"other")}, 0, "other_chain"),
        ({"genesis_hash": b""}, 0, ""),
        ({"chain_id": "other"}, 0, "other_chain"),
        ({"chain_id": ""}, 0, ""),
        ({"height": 0}, MAX_BEHIND, ""),
        ({"height": 0}, MAX_BEHIND + 1, "behind"),
        ({"height": 9_000}, 1, ""),
    ],
)
def test_an_answer_is_judged_by_what_the_chain_knows(change: dict[str, Value], followed: int, fault: str) -> None:
    seen: dict[str, Value] = {"fault": "", "genesis_hash": CHAIN, "chain_id": "id", "height": 5}
    assert judged({**seen, **change}, CHAIN, "id", followed) == fault


def test_the_third_failure_in_a_row_is_a_case_until_it_is_mended(watch: Watch) -> None:
    away: dict[str, Value] = {"fault": "unreachable"}
    watch.report({})
    for _ in range(FAILURES - 1):
        watch.report(away)
    watch.report({})
    assert (watch.cases(), watch.endpoint()["failures"]) == ([], 0), "not in a row"
    for _ in range(FAILURES + 2):
        watch.report(away)
    (case,) = watch.cases()
    facts = case["facts"]
    assert (case["kind"], facts["node"], facts["fault"], facts["failures"]) == (
        "endpoint_drift",
        "beijing-0",
        "unreachable",
        FAILURES,
    )
    assert failing(watch.chain.store.get(probed_key(watch.market))) == 1
    watch.report({"height": 9})
    assert ("probes", "mended") in watch.chain.events()
    assert watch.cases()[0]["facts"] == {**facts, "mended_ms": watch.chain.time_ms}
    row = watch.endpoint()
    assert (row["height"], row["version"], row["case"], row["by"]) == (9, "1.0", -1, account("courier"))
    assert failing(watch.chain.store.get(probed_key(watch.market))) == 0


def test_another_chain_at_a_registered_address_is_a_case_at_once(watch: Watch) -> None:
    watch.report({"genesis_hash": sm3(b"other")})
    watch.report({"genesis_hash": sm3(b"other")})
    assert [case["facts"]["fault"] for case in watch.cases()] == ["other_chain"]


def test_an_amended_endpoint_begins_anew(watch: Watch) -> None:
    for _ in range(FAILURES):
        watch.report({"fault": "refused"})
    rows: list[Value] = [
        {"node": "beijing-0", "address": "127.0.0.1:9"},
        {"node": "beijing-2", "address": "127.0.0.1:8"},
    ]
    amend = op("chains", "amend", chain=watch.market, technology="dualchain", consensus="PBFT", endpoints=rows)
    assert watch.chain.one("operator", amend).code == 0
    watch.report({"fault": "refused"})
    assert (watch.endpoint()["failures"], watch.endpoint()["address"], len(watch.cases())) == (1, "127.0.0.1:9", 1)
    assert watch.endpoint(1)["seen_ms"] == 0
    assert watch.report({"node": "beijing-1"}).rule == "probes.unknown_endpoint"


def test_a_version_is_announced_or_a_case_once(watch: Watch) -> None:
    watch.report({}, {"node": "beijing-1"})
    assert watch.cases() == [], "the first version is the beginning"
    watch.report({"version": "2.0"}, {"node": "beijing-1"})
    watch.report({"version": "2.0"}, {"node": "beijing-1", "version": "2.0"})
    watch.report({})
    (case,) = watch.cases()
    assert (case["kind"], case["facts"]["changed"], case["facts"]["now"]) == (
        "unannounced_change",
        ["version"],
        {"version": "2.0"},
    )
    notice: dict[str, Value] = {"chain": watch.market, "subject": "3.0", "kind": "upgrade", "compatible": True}
    notice |= {"plan": CHAIN, "effective_day": day_of(watch.chain.time_ms)}
    assert watch.chain.one("operator", Operation("desk", "give_notice", notice)).code == 0
    assert watch.chain.one("operator", op("desk", "begin", number=0, document=CHAIN)).code == 0
    watch.report({"version": "3.0"})
    assert len(watch.cases()) == 1
    for number in range(KEPT_VERSIONS):
        watch.report({"version": f"3.{number + 1}"})
    known = cast(dict[str, Any], watch.chain.value(probed_key(watch.market)))["versions"]
    assert [row["version"] for row in known] == [f"3.{number + 1}" for number in range(KEPT_VERSIONS)]
    assert {row["notice"] for row in known} == {0}


def test_what_is_no_report_is_refused(watch: Watch) -> None:
    assert watch.report({}, {}).rule == "probes.doubled"
    assert watch.report({}, who="csrc-1").code == Code.FORBIDDEN
    assert watch.report({"chain": CHAIN}).code == Code.BAD_ARGUMENTS
    watch.market = CHAIN
    assert watch.report({}).rule == "probes.no_chain"
