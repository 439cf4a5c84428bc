"""The joint-test kit passes an honest chain, and of a faulty one names the clause that is not kept (and no other)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from chain_core.crypto.keys import write_private_key
from chain_core.crypto.providers import generate_private_key, signing_provider
from contracts.data_model.json_text import parse
from contracts.data_model.snapshot import Snapshot
from crosschain.conformance.checks import CASES
from crosschain.conformance.cli import app
from crosschain.conformance.kit import run
from crosschain.conformance.report import Report, ReportRefused, Result, read_signed, signed, unsigned
from crosschain.jrt0314.endpoint import Credentials, HttpEndpoint, Plain
from tests.unit.crosschain.jrt0314.market import TIME, Market, sealed, subject
from tests.unit.crosschain.jrt0314.serving import SECRET, in_thread, served
from tests.unit.crosschain.jrt0314.stand_in import FAULTS, stand_in

CHECKS = {case.name for case in CASES}
CONTENTS = ("envelope", "seal", "lifecycle", "schema")
"""Faults of what is anchored, not of the server."""
SERVERS = {*FAULTS, "off_chain_hash", "snapshot_query", "unknown_network", "above_tip", "authentication"}


def honest_market(path: Path) -> Market:
    market = Market.begin(path)
    market.anchor(subject("a"), subject("b"))
    market.anchor(*(subject(f"c{i}") for i in range(3)), together=False)
    market.anchor(subject("a", 1, "update"), subject("b", 1, "delete"))
    market.chain.block()
    return market


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Market:
    return honest_market(tmp_path_factory.mktemp("kit") / "ledger")


@pytest.fixture(scope="module")
def urls(market: Market) -> Iterator[list[str]]:
    with ExitStack() as stack:
        yield [stack.enter_context(served(market)).name for _ in range(2)]


def endpoints(urls: list[str]) -> list[HttpEndpoint]:
    return [HttpEndpoint(url, Credentials(token=SECRET)) for url in urls]


def failures(report: Report) -> list[str]:
    return [row.check for row in report.checks if row.result is Result.FAIL]


def test_an_honest_chain_passes(market: Market, urls: list[str]) -> None:
    report = run(endpoints(urls), market.network, 1)
    assert report.passed, [row for row in report.checks if row.result is not Result.PASS]
    assert {row.check for row in report.checks} == CHECKS
    assert report.genesis_hash == market.chain.hash.hex() and report.heights == (0, 1, 2, 3, 4)


@pytest.mark.parametrize("fault", sorted(SERVERS))
def test_a_faulty_server_fails_its_clause_alone(market: Market, urls: list[str], fault: str) -> None:
    with in_thread(lambda: stand_in(fault, urls[0])) as one, in_thread(lambda: stand_in(fault, urls[1])) as two:
        report = run(endpoints([one, two]), market.network, 1)
    assert failures(report) == [fault], [row for row in report.checks if row.result is not Result.PASS]
    (row,) = [row for row in report.checks if row.result is Result.FAIL]
    assert row.detail and row.next_step and not report.passed


def wrong(fault: str) -> tuple[Snapshot, bytes | None]:
    """A snapshot with one thing wrong, which the chain anchors all the same: it sees hashes only."""
    match fault:
        case "envelope":
            document = parse(sealed(subject("w")))
            document["header"]["content"]["operation"] = "add"
            return subject("w"), json.dumps(document).encode()
        case "seal":
            return subject("w"), replace(subject("w")).encode()
        case "schema":
            snapshot = replace(subject("w"), type="settlement")
            return snapshot, sealed(snapshot)
        case _:
            snapshot = replace(subject("a", 2, "update"), timestamp=TIME - 1)
            return snapshot, sealed(snapshot)


@pytest.mark.parametrize("fault", CONTENTS)
def test_wrong_contents_fail_their_clause_alone(tmp_path: Path, fault: str) -> None:
    market = honest_market(tmp_path / "ledger")
    snapshot, raw = wrong(fault)
    market.anchor(snapshot, raw=raw)
    with served(market) as one, served(market) as two:
        report = run([one, two], market.network, 1)
    assert failures(report) == [fault], [row for row in report.checks if row.result is not Result.PASS]


def test_one_endpoint_is_not_enough(market: Market, urls: list[str]) -> None:
    assert failures(run(endpoints(urls[:1] * 2), market.network, 1)) == ["endpoints"]


def test_plaintext_is_not_asked(market: Market, urls: list[str]) -> None:
    plain = Plain.of("http://10.0.0.1:8443")
    assert plain is not None and Plain.of(urls[0]) is None
    assert failures(run([*endpoints(urls), plain], market.network, 1)) == ["tls"]


def test_two_nodes_that_differ(market: Market, urls: list[str]) -> None:
    with in_thread(lambda: stand_in("object", urls[1])) as two:
        assert failures(run(endpoints([urls[0], two]), market.network, 1)) == ["endpoints_equal"]


def test_every_check_has_a_fault() -> None:
    assert SERVERS | {*CONTENTS, "endpoints", "tls", "endpoints_equal"} == CHECKS


def test_nobody_there_is_a_report_too(market: Market) -> None:
    report = run(endpoints(["http://127.0.0.1:9", "http://127.0.0.1:19"]), market.network, 1)
    assert failures(report) == ["endpoints"]


def test_the_report_is_signed_and_any_change_shows(market: Market, urls: list[str]) -> None:
    report, key = run(endpoints(urls), market.network, 1), generate_private_key()
    raw, public = signed(report, key), signing_provider().sm2_public_key(key)
    assert read_signed(raw, [public]).document == report.document()
    with pytest.raises(ReportRefused, match="another key"):
        read_signed(raw, [bytes(64)])
    with pytest.raises(ReportRefused, match="does not verify"):
        read_signed(raw.replace(b'"passed":true', b'"passed":false'))
    for bad in (unsigned(report), b"{}", b"[1]", b"\xff", raw[:-1]):
        with pytest.raises(ReportRefused):
            read_signed(bad)


def test_the_command_writes_a_report_that_verifies(market: Market, urls: list[str], tmp_path: Path) -> None:
    key, token, report = tmp_path / "tester.key", tmp_path / "token", tmp_path / "report.json"
    write_private_key(key, generate_private_key())
    token.write_text(SECRET)
    token.chmod(0o600)
    words = ["--endpoint", urls[0], "--endpoint", urls[1], "--network", market.network, "--report", str(report)]
    done = CliRunner().invoke(app, ["run", *words, "--key", str(key), "--token-file", str(token)])
    assert done.exit_code == 0 and f"{len(CASES)} of {len(CASES)}" in done.output
    shown = CliRunner().invoke(app, ["verify", str(report), "--json"])
    assert shown.exit_code == 0 and json.loads(shown.output)["passed"] is True
    # Without credentials the report says so, and the command fails.
    words[-1] = str(tmp_path / "other.json")
    refused = CliRunner().invoke(app, ["run", *words, "--key", str(key)])
    assert refused.exit_code == 1 and "FAIL" in refused.output
    shown = CliRunner().invoke(app, ["verify", words[-1], "--json"])
    assert shown.exit_code == 1 and "endpoints" in json.loads(shown.output)["failed"]
