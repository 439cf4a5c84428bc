"""The puller on two endpoints of a real ledger: order, comparison, verdicts, queue and correction, exactly once."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import signal
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from chain_core._pb.dualchain.jrt0314.v1 import jrt0314_pb2 as pb
from chain_core.network.identity import LOOPBACK, Caller
from chain_core.network.raw_rpc import RawServer
from chain_core.network.refusals import PermissionDenied
from crosschain.jrt0314.endpoint import EndpointAway, Response
from crosschain.jrt0314.verifier import VerificationFailed
from local_chain.crosslog_cli import crosslog
from supervisory_chain.puller.log import REJECTED, Book, Entry
from supervisory_chain.puller.process import Puller, alarm_of
from supervisory_chain.puller.pulling import EndpointsDiffer, Market, SnapshotAway, pull, step
from supervisory_chain.puller.service import LogService
from tests.unit.crosschain.jrt0314 import market as ledger
from tests.unit.crosschain.jrt0314.market import TIME, sealed, subject
from tests.unit.crosschain.jrt0314.stand_in import FAULTS, function_of

NOW = 1_900_000_000_000


class InProcess:
    """An endpoint without a socket: paths go to the ledger's mapping; ``alter`` makes it lie, ``away`` stop."""

    def __init__(self, market: ledger.Market, name: str) -> None:
        self.market, self.name, self.secure = market, name, True
        self.alter: Callable[[str, Any], None] = lambda asked, answer: None
        self.away = False
        self.lost: set[str] = set()

    def get(self, path: str, credentials: str = "own") -> Response:
        if self.away:
            raise EndpointAway("no answer", where=self.name)
        if function_of(path) == "snapshot":
            _, _, object_id, _, version = path.split("/")
            name = f"{object_id}/{version}"
            raw = self.market.snapshots[name]
            return Response(502, {}, b"{}") if name in self.lost else Response(200, {}, raw)
        parts = path.strip("/").split("/")
        asked = function_of(path)
        request: dict[str, Any] = {"network_id": parts[1]}
        if len(parts) > 3:
            request["height"] = int(parts[3])
        if asked == "object":
            request["object_id"] = parts[5]
        answer = self.market.ask(asked.capitalize(), **request)
        self.alter(asked, answer)
        return Response(200, {}, json.dumps(answer).encode())


def rule_of(one: Entry) -> str:
    return one.faults[0]["rule"] if one.faults else ""


class Bench:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.ledger = ledger.Market.begin(path / "ledger")
        self.endpoints = [InProcess(self.ledger, "one"), InProcess(self.ledger, "two")]
        self.market = Market(self.ledger.network, self.endpoints, self.ledger.chain.genesis_bytes)
        self.book = Book(path / "puller.sqlite")
        self.puller = Puller(self.book, lambda: NOW)

    def turn(self) -> int:
        return asyncio.run(self.puller.turn(self.market))

    def told(self, object_id: str = "") -> list[tuple[str, int, str, str]]:
        """(object, version, result, first rule) of every entry."""
        return [
            (one.object_id.removeprefix("supervision-"), one.version, one.result, rule_of(one))
            for one in self.book.entries(object_id=object_id)
        ]

    @property
    def alarm(self) -> str:
        found = self.book.alarm(self.market.network_id)
        return found[0] if found else ""


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_heights_in_order_and_every_snapshot_once(bench: Bench) -> None:
    bench.ledger.anchor(subject("b"), subject("a"))
    bench.ledger.chain.block()
    bench.ledger.anchor(subject("a", 1, "update"))
    assert bench.turn() == 3 and bench.alarm == ""
    assert bench.told() == [("a", 0, "accepted", ""), ("b", 0, "accepted", ""), ("a", 1, "accepted", "")]
    assert bench.turn() == 0
    bench.ledger.anchor(subject("a", 2, "delete"))
    assert bench.turn() == 1
    entry = bench.book.entries()[-1]
    block = bench.ledger.ask("Block", height=4)
    assert (entry.height, entry.tx_id, entry.type, entry.operation) == (4, block["tx_ids"][0], "supervision", "delete")
    assert bench.book.view(bench.market.network_id, "supervision-a").deleted


def test_a_validator_change_is_followed_from_the_genesis_document(bench: Bench) -> None:
    """The light client stands in the book; a document of another chain is not believed."""
    bench.ledger.anchor(subject("a"))
    other = ledger.local_genesis("shanghai", "SH")
    from chain_core.codec.genesis import encode_genesis

    stranger = replace(bench.market, genesis=encode_genesis(other))
    assert asyncio.run(bench.puller.turn(stranger)) == 0 and bench.alarm == "NOT_VERIFIED"
    assert bench.turn() == 1 and bench.alarm == ""
    assert bench.book.cursor(bench.market.network_id).followed


def test_a_chain_of_another_make_is_believed_by_its_configured_keys(bench: Bench) -> None:
    bench.ledger.anchor(subject("a"))
    rows = bench.ledger.ask("State", height=1)["validators"]
    keys = {row["id"]: bytes.fromhex(row["pub_key"])[1:] for row in rows}
    market = replace(bench.market, genesis=b"", validators=keys)
    assert asyncio.run(bench.puller.turn(replace(market, validators=dict(list(keys.items())[:3])))) == 0
    assert bench.alarm == "NOT_VERIFIED"
    assert asyncio.run(bench.puller.turn(market)) == 1


@pytest.mark.parametrize("fault", ["object", "ids", "state", "block_size"])
def test_endpoints_that_differ_stop_the_chain_and_alarm(bench: Bench, fault: str) -> None:
    bench.ledger.anchor(subject("a"), subject("b"))
    function, change = FAULTS[fault]
    bench.endpoints[1].alter = lambda asked, answer: change(answer) if asked == function else None
    assert bench.turn() == 0 and bench.alarm == "ENDPOINTS_DIFFER"
    assert 'alarm{network="beijing-test",code="ENDPOINTS_DIFFER"} 1' in bench.puller.metrics([bench.market])
    assert bench.told() == []
    bench.endpoints[1].alter = lambda asked, answer: None
    assert bench.turn() == 1 and bench.alarm == ""


def test_certificates_may_differ_as_long_as_each_is_valid(bench: Bench) -> None:
    """Another quorum's votes are another certificate of the same header."""
    from chain_core.codec.block import decode_certificate

    bench.ledger.anchor(subject("a"))
    header = bench.ledger.chain.store.header(1)
    assert header is not None
    votes = decode_certificate(bench.ledger.chain.certify(header, (1, 2, 3))).signatures
    names = [row["id"] for row in bench.ledger.ask("State", height=1)["validators"]]

    def others(asked: str, answer: Any) -> None:
        if asked == "state":
            answer["votes"]["participants"] = [names[i] for i, _ in votes]
            answer["votes"]["signatures"] = [{"id": names[i], "signature": s.hex()} for i, s in votes]

    bench.endpoints[1].alter = others
    assert bench.turn() == 1
    bench.ledger.chain.block()
    assert bench.turn() == 0 and bench.alarm == "NOT_VERIFIED", "votes of height 1 do not certify height 2"


@pytest.mark.parametrize("fault", ["signatures", "header_hash", "roots", "chain", "merkle_proof", "block_size"])
def test_what_does_not_verify_goes_no_further(bench: Bench, fault: str) -> None:
    bench.ledger.anchor(subject("a"))
    bench.ledger.anchor(subject("b"))
    assert asyncio.run(bench.puller.turn(replace(bench.market, endpoints=bench.endpoints))) == 2
    bench.ledger.anchor(subject("c"))
    function, change = FAULTS[fault]
    for one in bench.endpoints:
        one.alter = lambda asked, answer: change(answer) if asked == function else None
    assert bench.turn() == 0 and bench.alarm == "NOT_VERIFIED"
    assert len(bench.told()) == 2


def test_an_endpoint_that_is_away_is_waited_for(bench: Bench) -> None:
    bench.ledger.anchor(subject("a"))
    bench.endpoints[1].away = True
    assert bench.turn() == 0 and bench.alarm == "ENDPOINT_AWAY"
    bench.endpoints[1].away = False
    assert bench.turn() == 1 and bench.alarm == ""


def test_bytes_that_are_away_are_not_wrong(bench: Bench) -> None:
    bench.ledger.anchor(subject("a"))
    for one in bench.endpoints:
        one.lost.add("supervision-a/0")
    assert bench.turn() == 0 and bench.alarm == "SNAPSHOT_AWAY" and bench.told() == []
    bench.endpoints[0].lost.clear()
    assert bench.turn() == 1 and bench.told() == [("a", 0, "accepted", "")]


def wrong(rule: str) -> tuple[Any, bytes]:
    match rule:
        case "seal":
            return subject("w"), replace(subject("w")).encode()
        case "required":
            snapshot = replace(subject("w"), type="settlement")
            return snapshot, sealed(snapshot)
        case "envelope":
            return subject("w"), sealed(subject("v"))
        case _:
            return subject("w"), b"no JSON"


@pytest.mark.parametrize("rule", ["seal", "required", "envelope", "json"])
def test_a_wrong_snapshot_is_logged_and_the_chain_goes_on(bench: Bench, rule: str) -> None:
    snapshot, raw = wrong(rule)
    bench.ledger.anchor(snapshot, raw=raw)
    bench.ledger.anchor(subject("a"))
    assert bench.turn() == 2 and bench.alarm == ""
    first, second = bench.told()
    assert first[:3] == ("w", 0, REJECTED) and second == ("a", 0, "accepted", "")
    assert rule in (first[3], "json")


def test_tampered_bytes_are_rejected_with_the_hash(bench: Bench) -> None:
    bench.ledger.anchor(subject("a"))
    bench.ledger.snapshots["supervision-a/0"] += b" "
    assert bench.turn() == 1 and bench.told() == [("a", 0, REJECTED, "hash")]


def test_later_versions_queue_behind_a_rejected_one_until_it_is_corrected(bench: Bench) -> None:
    """Rejected, queued, corrected by overwrite: then what waited is judged in order."""
    bench.ledger.anchor(subject("a"))
    bench.ledger.anchor(subject("a", 1, "update"), raw=subject("a", 1, "update").encode())  # unsigned
    bench.ledger.anchor(subject("a", 2, "update", late=True))
    bench.turn()
    assert bench.told() == [("a", 0, "accepted", ""), ("a", 1, REJECTED, "seal"), ("a", 2, REJECTED, "queued")]
    view = bench.book.view(bench.market.network_id, "supervision-a")
    assert (view.latest, view.blocked) == (0, 1)
    bench.ledger.anchor(replace(subject("a", 1, "overwrite"), timestamp=TIME + 9))
    bench.ledger.anchor(replace(subject("a", 2, "overwrite", late=True), timestamp=TIME + 9))
    bench.turn()
    assert bench.told()[3:] == [("a", 1, "accepted", ""), ("a", 2, "accepted", ""), ("a", 2, "accepted", "")]
    view = bench.book.view(bench.market.network_id, "supervision-a")
    assert (view.latest, view.blocked) == (2, None)
    accepted = bench.book.version(bench.market.network_id, "supervision-a", 2)
    assert accepted is not None and accepted.operation == "overwrite" and accepted.body["late"] is True


def test_an_increment_is_judged_merged(bench: Bench) -> None:
    bench.ledger.anchor(subject("a", 0, kept=1, dropped=2))
    patch = {"body": {"dropped": None, "new": 3}, "metadata": {"content_mode": "increment"}}
    bench.ledger.anchor(replace(subject("a", 1, "update"), **patch))  # type: ignore[arg-type]
    bench.turn()
    accepted = bench.book.version(bench.market.network_id, "supervision-a", 1)
    assert accepted is not None and accepted.body == {"record": "a 0", "kept": 1, "new": 3}


# ---- exactly once


def killed_at(path: str, raw: bytes, genesis: bytes, place: str) -> None:
    """A process that enters a pulled height, and is killed there."""
    import pickle

    pulled = pickle.loads(raw)

    def die(where: str) -> None:
        if where == place:
            os.kill(os.getpid(), signal.SIGKILL)

    step(Book(Path(path)), Market("beijing-test", (), genesis), pulled, NOW, die)


@pytest.mark.parametrize("place", ["entered", "moved", "committed"])
def test_killed_at_any_place_nothing_is_lost_or_doubled(bench: Bench, place: str) -> None:
    import pickle

    bench.ledger.anchor(subject("a"), subject("b"))
    pulled = pull(bench.market, bench.book.cursor(bench.market.network_id), NOW)
    child = multiprocessing.get_context("spawn").Process(
        target=killed_at,
        args=(str(bench.path / "puller.sqlite"), pickle.dumps(pulled), bench.market.genesis, place),
    )
    child.start()
    child.join(120)
    assert child.exitcode == -signal.SIGKILL
    assert len(bench.told()) == (2 if place == "committed" else 0)
    again = Book(bench.path / "puller.sqlite")
    assert len(step(again, bench.market, pulled, NOW)) == (0 if place == "committed" else 2)
    assert [row[:2] for row in bench.told()] == [("a", 0), ("b", 0)]
    again.close()


# ---- the log


def entry(number: int, network: str = "n", result: str = "accepted") -> Entry:
    faults = () if result == "accepted" else ({"path": "/body", "rule": "required", "message": "x"},)
    return Entry(NOW, network, number, "", f"o{number}", 0, "create", "subject", "00" * 32, result, faults)


def test_the_log_is_only_added_to_and_rotates_into_files(tmp_path: Path) -> None:
    book = Book(tmp_path / "p.sqlite")
    with book.transaction():
        for number in range(1, 121):
            book.append(entry(number))
    stranger = sqlite3.connect(tmp_path / "p.sqlite", isolation_level=None)
    with pytest.raises(sqlite3.DatabaseError, match="do not change"):
        stranger.execute("UPDATE log SET result = 'accepted'")
    stranger.close()
    assert book.rotate(1_000) is None
    written = book.rotate(100)
    assert written is not None and written.name == "log-000000000001-000000000030.jsonl"
    assert len(written.read_text().splitlines()) == 30 and book.span() == (31, 120, 90)
    with book.transaction():
        book.append(entry(121))
    assert book.span()[1] == 121, "numbers are never used twice"


def test_who_may_read_which_log(tmp_path: Path) -> None:
    book = Book(tmp_path / "p.sqlite")
    with book.transaction():
        for number in range(1, 4):
            book.append(entry(number, "bj", REJECTED if number == 2 else "accepted"))
        book.append(entry(4, "sh"))
    service = LogService(book, {"bj": ["House of Beijing"], "sh": ["House of Shanghai"]})

    def ask(caller: Caller, **request: Any) -> pb.LogResponse:
        raw = asyncio.run(service.query(caller, pb.LogRequest(**request).SerializeToString()))
        return pb.LogResponse.FromString(raw)

    own = Caller("sm", "bj", ("client",), entity="House of Beijing")
    assert [one.number for one in ask(own, network_id="bj").entries] == [1, 2, 3]
    (rejected,) = ask(own, network_id="bj", rejected=True).entries
    assert rejected.faults[0].rule == "required"
    assert ask(own, network_id="bj", limit=1).more and not ask(own, network_id="bj", after=2, limit=1).more
    for caller, network in ((own, "sh"), (own, ""), (Caller("sm", "x", ("client",)), "bj")):
        with pytest.raises(PermissionDenied):
            ask(caller, network_id=network)
    assert len(ask(Caller("sm", "csrc", ("client", "csrc")), network_id="sh").entries) == 1
    assert len(ask(Caller(LOOPBACK, "x"), network_id="sh").entries) == 1


def test_a_market_asks_what_came_of_its_snapshots(tmp_path: Path) -> None:
    """The command over gRPC, page by page."""
    import typer

    book = Book(tmp_path / "p.sqlite")
    with book.transaction():
        for number in range(1, 5):
            book.append(entry(number, "bj", REJECTED if number % 2 else "accepted"))

    async def main() -> str:
        server = RawServer(LogService(book, {}).methods())
        address = server.bind("127.0.0.1:0")
        await server.start()
        app = typer.Typer()
        app.command()(crosslog)
        words = ["--address", address, "--network", "bj", "--rejected", "--json"]
        done = await asyncio.to_thread(CliRunner().invoke, app, words)
        await server.stop(0)
        assert done.exit_code == 0, done.output
        return done.output

    rows = json.loads(asyncio.run(main()))
    assert list(rows) == ["1", "3"] and rows["1"]["faults"][0]["path"] == "/body"


def test_alarms_have_names() -> None:
    assert alarm_of(EndpointsDiffer("x")) == "ENDPOINTS_DIFFER" and alarm_of(SnapshotAway("x")) == "SNAPSHOT_AWAY"
    assert alarm_of(VerificationFailed("r", "x")) == "NOT_VERIFIED"
