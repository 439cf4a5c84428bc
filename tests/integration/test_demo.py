"""The demonstration end to end, on the example's files: what it proves, what its evidence refuses, how it ends."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

import local_chain.cli
import supervisory_chain.cli
from chain_core.codec.block import decode_certificate
from chain_core.codec.genesis import decode_genesis
from chain_core.codec.signed import derive_id
from chain_core.node.chain_view import ChainView
from chain_core.node.key_protection import NETWORK_FILE
from chain_core.node.provision import genesis_account_id
from chain_core.types.errors import DualchainError
from dualchain.cli import build
from dualchain.demo.evidence import load, write_manifest, write_summary
from dualchain.demo.summary import summarise
from dualchain.demo.verify import verify
from dualchain.evidence.cli import app as evidence_app
from dualchain.guideline.articles import ARTICLES
from tests.integration.demo_forgeries import FORGERIES
from tests.integration.demo_runs import (
    CHAINS,
    EXAMPLE,
    ROOT,
    Told,
    alive,
    dualchain,
    left,
    pids,
    run_demo,
)

VERIFY_VOTE = ROOT / "tests" / "integration" / "verify_vote.sh"
GUIDE = ROOT / "docs" / "guides" / "verify-with-openssl.md"


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """One run on the example, its network kept up for the questions of these tests."""
    work = tmp_path_factory.mktemp("demo") / "work"
    try:
        yield run_demo(work, "--keep")
    finally:
        if (work / "processes.json").exists():
            dualchain("demo", "stop", work)


@pytest.fixture
def copied(told: Told, tmp_path: Path) -> Path:
    """A copy of the evidence that a test may spoil."""
    return shutil.copytree(told.evidence, tmp_path / "evidence")


# ---- what was shown


def test_the_summary_says_for_each_step_what_was_verified(told: Told) -> None:
    steps = told.summary["steps"]
    names = [row["step"] for row in steps if row["step"] != "services"]
    assert names == [
        "genesis",
        "chains",
        "registration",
        "custody",
        "admission",
        "forgeries",
        "directives",
        "filing",
        "transfers",
        "identity",
        "data",
        "supervision",
        "government data",
        "desk",
        "risk",
        "reconciliation",
        "articles",
    ]
    assert all(len(row["verified"]) > 20 and len(row) > 2 for row in steps)
    with (EXAMPLE / "orders.csv").open(encoding="utf-8") as stream:
        orders = list(csv.DictReader(stream))
    transfers = told.step("transfers")
    refused = transfers["refused_by_rule"]
    assert transfers["orders"] == len(orders) == transfers["settled"] + sum(refused.values())
    assert {"csrc.frozen_party", "csrc.holder_cap", "csrc.qualified_investor", "csrc.trade_gap"} <= set(refused)
    custody = told.step("custody")
    for number, file in (("holdings", "roll.csv"), ("investors", "investors.csv")):
        assert custody[number] == len((EXAMPLE / file).read_text("utf-8").splitlines()) - 1
    assert told.step("registration") | {"verified": ""} == {
        "step": "registration",
        "verified": "",
        "admitted": 2,
        "refused": 5,
    }
    assert told.step("directives")["acknowledged"] == 1 and told.step("forgeries")["refused"] == 3
    assert told.step("admission")["documents_accepted"] == 8
    assert set(told.step("data")["tiers"].values()) == {"public", "limited", "private"}
    assert told.step("articles")["shown"] == [*range(3, 18), *range(19, 23), 24, 25]
    assert told.step("supervision")["reports"] > 0 and told.step("chains")["validators"] == 12


def test_both_copies_of_the_summary_are_one(told: Told) -> None:
    assert (told.work / "summary.json").read_bytes() == (told.evidence / "summary.json").read_bytes()


def test_no_line_is_wrapped_and_refusals_name_the_parties(told: Told) -> None:
    """Each refusal stands in one line: order, holders as in the input, the rule's words in both languages."""
    (line,) = [line for line in told.output.splitlines() if "JS-ORD-0048 " in line]
    assert "JS-00011 → JS-00014" in line and "主体 JS-00011 已被冻结" in line
    assert "party JS-00011 is frozen by directive" in line
    refusals = [line for line in told.output.splitlines() if "-ORD-" in line and " → " in line]
    assert refusals and not any(re.search(r"[0-9a-f]{32}|第 [0-9]{5} 日|day [0-9]{5}", line) for line in refusals)


def test_another_process_verifies_it(told: Told) -> None:
    found = dualchain(*told.verify(), "--json")
    assert found.returncode == 0, found.stderr
    answer = json.loads(found.stdout)
    assert answer["verified"] is True and answer["summary"] == told.summary
    assert answer["receipts"] == told.step("chains")["receipts_proven"] > 100


# ---- what is refused


def refused(check: Callable[[], object]) -> DualchainError:
    with pytest.raises(DualchainError) as caught:
        check()
    return caught.value


def test_any_changed_byte_is_refused(told: Told, copied: Path) -> None:
    for path in sorted(p for p in copied.rglob("*") if p.is_file()):
        raw = path.read_bytes()
        for offset in {0, 1, len(raw) // 3, len(raw) // 2, len(raw) - 2, len(raw) - 1}:
            path.write_bytes(raw[:offset] + bytes([raw[offset] ^ 1]) + raw[offset + 1 :])
            refusal = refused(lambda: verify(copied, told.genesis, told.manifest))
            assert refusal.where == path.relative_to(copied).as_posix()
        path.write_bytes(raw)
    verify(copied, told.genesis, told.manifest)


def test_files_added_or_removed_are_refused(told: Told, copied: Path) -> None:
    for path in sorted(p for p in copied.rglob("*") if p.is_file()):
        raw = path.read_bytes()
        path.unlink()
        refused(lambda: verify(copied, told.genesis, told.manifest))
        path.write_bytes(raw)
        extra = path.with_name("added.json")
        extra.write_bytes(b"")
        assert refused(lambda: verify(copied, told.genesis, told.manifest)).what == "a file was added"
        extra.unlink()


@pytest.mark.parametrize(("file", "forge"), FORGERIES, ids=[f"{n}-{file}" for n, (file, _) in enumerate(FORGERIES)])
def test_a_forger_who_makes_the_manifest_again_is_refused(
    told: Told, copied: Path, file: str, forge: Callable[[str], str]
) -> None:
    """By the manifest's hash; and even with the forger's own hash and summary, by signatures, proofs and the books."""
    text = (copied / file).read_text("utf-8")
    (copied / file).write_text(forge(text), "utf-8")
    assert (copied / file).read_text("utf-8") != text
    if file != "summary.json":
        with suppress(Exception):  # he makes the summary again, too, where the rest lets him
            write_summary(copied, summarise(load(copied)))
    manifest = write_manifest(copied).hex()
    assert refused(lambda: verify(copied, told.genesis, told.manifest)).where == "manifest.json"
    refused(lambda: verify(copied, told.genesis, manifest))


@pytest.mark.parametrize("which", ["genesis", "manifest"])
def test_a_wrong_hash_on_the_command_line_is_refused(told: Told, which: str) -> None:
    other = "00" * 32
    found = dualchain(*told.verify(**{which: other}))
    assert found.returncode == 1 and "EVIDENCE_REFUSED" in found.stderr and "Traceback" not in found.stderr
    assert refused(lambda: verify(told.evidence, told.genesis[:2], told.manifest)).where == "genesis"


# ---- openssl alone


def vote_of(told: Told, chain: str, place: int) -> tuple[str, str, str]:
    """(key, header, signature) of a vote over the chain's last header, in hexadecimal."""
    row = json.loads((told.evidence / "headers" / f"{chain}.jsonl").read_text("utf-8").splitlines()[-1])
    validators = decode_genesis((told.evidence / "genesis" / f"{chain}.bin").read_bytes()).validators
    index, signature = decode_certificate(bytes.fromhex(row["certificate"])).signatures[place]
    return validators.key(index).hex(), row["header"], signature.hex()


def verify_vote(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh", VERIFY_VOTE, *arguments], capture_output=True, text=True)


@pytest.mark.parametrize("chain", CHAINS)
def test_openssl_verifies_votes_over_a_header(told: Told, chain: str) -> None:
    for place in range(3):
        assert verify_vote(*vote_of(told, chain, place)).returncode == 0
    key, header, signature = vote_of(told, chain, 0)
    assert verify_vote(vote_of(told, chain, 1)[0], header, signature).returncode == 1
    for offset in (0, 8, 407 * 2):
        digit = "0" if header[offset] != "0" else "1"
        assert verify_vote(key, header[:offset] + digit + header[offset + 1 :], signature).returncode == 1
    assert verify_vote(key, header[:-2], signature).returncode == 2
    assert verify_vote(key, header, "zz" * 64).returncode == 2


def test_the_guide_can_be_followed_as_it_stands(told: Told, tmp_path: Path) -> None:
    blocks = re.findall(r"```sh\n# guide-[a-z-]+\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    assert len(blocks) == 5
    script = "\n".join(["set -eu", *blocks, f'sh {VERIFY_VOTE} "$KEY" "$HEADER" "$SIGNATURE"'])
    shown = subprocess.run(["sh", "-c", script], cwd=told.evidence, capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    identity, _, chain, *_ = shown.stdout.splitlines()
    assert told.genesis[0] == chain and identity.endswith(chain)
    assert shown.stdout.count("Signature Verified Successfully") == 2


# ---- the network that was kept up, and its end


def test_every_printed_question_gets_a_proven_answer(told: Told) -> None:
    lines = [line.strip() for line in told.output.splitlines() if line.startswith("    ")]
    questions = [line for line in lines if " --node " in line or line.startswith("export ")]
    assert len(questions) >= 5 * len(CHAINS)
    environment: dict[str, str] = {}
    for line in questions:
        words = shlex.split(line)
        if words[0] == "export":
            name, _, value = words[1].partition("=")
            environment[name] = value
            continue
        words = words[1:] if "--json" in words else [*words[1:], "--json"]
        found = CliRunner().invoke(build(words), words, env=environment)
        assert found.exit_code == 0, f"{line}: {found.exception!r}"
        assert json.loads(found.stdout)["verified"] is ("--genesis" in words)


def asked(app: typer.Typer, *words: str) -> dict[str, Any]:
    """The proven answer of a persona's query."""
    network = Path(words[words.index("--genesis") + 1]).parent
    environment = {
        "DUALCHAIN_CREDENTIALS": str(network / "clients" / "cli"),
        "DUALCHAIN_CREDENTIALS_PASSPHRASE_FROM": f"file:{network.parent / NETWORK_FILE}",
    }
    result = CliRunner().invoke(app, [*words, "--json"], env=environment)
    if isinstance(result.exception, DualchainError):
        raise result.exception
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["verified"] is True
    return dict(found)


def place_of(told: Told, chain: str) -> list[str]:
    """Two of the chain's nodes, and its genesis document."""
    (line,) = [line for line in told.output.splitlines() if line.startswith(f"  {told.chain_id(chain)}, nodes ")]
    first, second, *_ = line.split(", nodes ")[1].rstrip(":").split(", ")
    return ["--node", first, "--node", second, "--genesis", str(told.work / chain / "genesis.bin")]


def test_a_markets_books_are_asked_with_proofs(told: Told) -> None:
    place, books = place_of(told, "BJ"), told.summary["markets"]["BJ"]["securities"]
    view = ChainView((told.evidence / "genesis" / "BJ.bin").read_bytes())
    operator = genesis_account_id("operator")
    of_day = {derive_id(view.genesis_hash, "security", operator, code).hex() for code in books}
    for code, row in books.items():
        security = derive_id(view.genesis_hash, "security", genesis_account_id("operator"), code).hex()
        roll = asked(local_chain.cli.app, "roll", security, *place)
        assert (roll["registered"], roll["holders"], roll["total"]) == (True, row["holders_after"], row["total_after"])
        record = asked(local_chain.cli.app, "security", security, *place)
        assert record["registered"] and record["total"] == row["total_after"]
        holder, holding = next(iter(roll["roll"].items()))
        assert sum(one["available"] + one["pledged"] + one["frozen"] for one in roll["roll"].values()) == roll["total"]
        one = asked(local_chain.cli.app, "holding", security, holder, *place)
        assert one["holder"] and one["available"] == holding["available"]
        assert asked(local_chain.cli.app, "cash", holder, *place)["available_fen"] >= 0
        held = asked(local_chain.cli.app, "holdings", "--account", holder, *place)
        assert held["holdings"][security] == holding and set(held["holdings"]) <= of_day
    nobody = "00" * 16
    assert asked(local_chain.cli.app, "holding", security, nobody, *place)["holder"] is False
    assert asked(local_chain.cli.app, "security", nobody, *place)["registered"] is False
    assert asked(local_chain.cli.app, "holdings", "--account", nobody, *place)["securities"] == 0
    days = asked(local_chain.cli.app, "calendar", *place)
    assert days["trades_today"] and days["trading_days"][0] == days["today"]
    absent = asked(local_chain.cli.app, "roll", nobody, *place)
    assert (absent["registered"], absent["holders"]) == (False, 0)


def test_the_bundle_holds_and_others_are_exported(told: Told, tmp_path: Path) -> None:
    (line,) = [line for line in told.output.splitlines() if "verify.sh --anchor" in line]
    assert subprocess.run(shlex.split(line), capture_output=True, check=True).stdout.endswith(b"VERIFIED\n")
    code = next(iter(told.summary["markets"]["BJ"]["securities"]))
    security = derive_id(bytes.fromhex(told.genesis[1]), "security", genesis_account_id("operator"), code).hex()
    words = ["--security", security, "--output", str(tmp_path / "bundle"), *place_of(told, "BJ")]
    row = asked(evidence_app, "export", *words)
    assert (row["anchor"], row["kind"]) == (told.genesis[1], "state")
    with pytest.raises(DualchainError, match="there already"):
        asked(evidence_app, "export", *words)


def test_the_regulator_is_told_what_its_chain_verified(told: Told) -> None:
    place, app = place_of(told, "supervisory"), supervisory_chain.cli.app
    for market, row in told.summary["border"].items():
        chain = told.genesis[CHAINS.index(market)]
        registered = asked(app, "market", market, *place)
        assert registered["chain"] == chain and registered["status"] == "admitted"
        followed = asked(app, "following", chain, *place)
        assert followed["followed_height"] >= row["followed_height"] and not followed["frozen"]
        assert followed["reports"]["transactions"] >= row["transactions_reported"]
        directives = asked(app, "directives", "list", chain, *place)["directives"]
        assert [d["sequence"] for d in directives] == list(range(len(row["directives"])))
        assert all(d["ack"] and not d["overdue"] for d in directives)
    assert asked(app, "market", "SH", *place)["registered"] is False


def test_questions_that_cannot_be_answered_are_refused(told: Told) -> None:
    place, other = place_of(told, "BJ"), place_of(told, "JS")
    cases = [
        (["zz", *place], "MALFORMED"),
        (["00" * 15, *place], "MALFORMED"),
        (["00" * 16, *place[:2], *other[-2:]], "CHAIN|GENESIS|PROOF"),
        (["00" * 16, "--node", "127.0.0.1:1", *place[-2:]], "UNREACHABLE"),
        (["00" * 16, "--node", "nowhere", *place[-2:]], "BAD_ADDRESS"),
        (["00" * 16, *place[:2], "--genesis", str(told.evidence / "summary.json")], "CONFIG_REFUSED"),
    ]
    for words, code in cases:
        with pytest.raises(DualchainError) as caught:
            asked(local_chain.cli.app, "cash", *words)
        assert re.search(code, caught.value.code), caught.value
        assert caught.value.next_step


def test_a_work_directory_in_use_is_not_replaced(told: Told) -> None:
    for options in ([], ["--replace"]):
        found = dualchain("demo", "run", "--work-dir", told.work, *options)
        assert found.returncode == 1 and "WORK_DIRECTORY" in found.stderr
    assert all(alive(pid) for pid in pids(told.work))


def report(told: Told, *options: str) -> tuple[int, dict[str, Any]]:
    """``dualchain guideline report`` on the kept network: exit code, and what it says."""
    found = dualchain("guideline", "report", "--demo-dir", told.work, "--json", *options)
    return found.returncode, json.loads(found.stdout)


def test_every_article_holds_on_the_kept_network_by_live_evidence(told: Told) -> None:
    code, found = report(told)
    wrong = [row for row in found["articles"] if row["verdict"] != "holds"]
    assert (code, wrong, found["proven"]) == (0, [], True)
    assert [row["article"] for row in found["articles"]] == sorted(ARTICLES)
    assert set(found["chains"].values()) == set(told.genesis)
    for row in found["articles"]:
        assert row["requirement"]["zh"] and row["requirement"]["en"] and row["evidence"]
        for one in row["evidence"]:
            assert one["zh"] and one["en"] and one["height"] > 0 and len(one["header"]) == 64
    transactions = {one.get("transaction") for row in found["articles"] for one in row["evidence"]}
    assert len(transactions) > 15


def test_an_article_fails_when_it_is_broken_on_purpose(told: Told) -> None:
    """Two nodes of one market stand still: no quorum answers."""
    running = json.loads((told.work / "processes.json").read_text("utf-8"))
    for name in ("js-0", "js-1"):
        os.kill(running[name], signal.SIGSTOP)
    try:
        code, found = report(told, "--article", "7", "--article", "26")
    finally:
        for name in ("js-0", "js-1"):
            os.kill(running[name], signal.SIGCONT)
    broken, whole = found["articles"]
    assert (code, broken["verdict"], whole["verdict"], found["proven"]) == (1, "fails", "holds", False)
    assert [fault["en"] for fault in broken["faults"]] == ["2 nodes of JS answer, fewer than the quorum of 3"]


def test_the_kept_network_is_stopped_by_name(told: Told) -> None:
    """Last of the tests on this network."""
    running = pids(told.work)
    assert len(running) == len(left(told.work)) == 18 and all(alive(pid) for pid in running)
    found = dualchain("demo", "stop", told.work)
    assert found.returncode == 0 and found.stdout == f"stopped {len(running)} processes\n"
    assert left(told.work) == []
    again = dualchain("demo", "stop", told.work)
    assert again.returncode == 1 and "NOTHING_RUNS" in again.stderr
