"""A market on other technology is followed by its own client type, under the same rules as every other market."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from chain_core.codec.proofs import packet_hash
from chain_core.codec.seen import state_key
from chain_core.codec.values import encode_value
from chain_core.execution.codes import Code
from chain_core.node.assembly import Assembly
from chain_core.types.genesis import Genesis
from chain_core.types.transaction import Operation, Receipt
from chain_core.types.values import Value
from crosschain.client_types import HeaderFacts
from crosschain.following import decode_position
from crosschain.light_client import MAX_AGE_MS
from crosschain.packets import Acknowledgement, Report, Totals, client_key, directive_key, read_channel, received_key
from supervisory_chain.assembly import supervisory_assembly
from supervisory_chain.cases import case_key
from tests.unit.crosschain.chains import START_MS, Chain, account, op, supervisory_genesis
from tests.unit.supervisory_chain.notary_type import Board, NotaryChain, NotaryType, dump


def assembly(genesis: Genesis) -> Assembly:
    return supervisory_assembly(genesis, (NotaryType(),))


@pytest.fixture
def above(tmp_path: Path) -> Iterator[Chain]:
    chain = Chain.begin(tmp_path, supervisory_genesis(), assembly)
    yield chain
    chain.store.close()


@pytest.fixture
def market(above: Chain) -> NotaryChain:
    return NotaryChain(above.hash, START_MS)


def registration(market: NotaryChain, document: bytes = b"", **changes: Value) -> Operation:
    endpoints: list[Value] = [{"node": f"notary {i}", "address": f"127.0.0.1:{21_000 + i}"} for i in range(2)]
    args: dict[str, Value] = {"technology": "notaries", "consensus": "board", "client_type": "notary"}
    return Operation(
        "chains", "register", {"genesis": document or market.document, "endpoints": endpoints, **args, **changes}
    )


@pytest.fixture
def followed(above: Chain, market: NotaryChain) -> NotaryChain:
    """Registered by its operator, admitted by the regulator."""
    assert above.one("operator", registration(market)).code == Code.OK
    assert above.one("csrc-2", op("chains", "approve", chain=market.hash)).code == Code.OK
    assert above.one("csrc-1", op("chains", "admit", chain=market.hash)).code == Code.OK
    return market


def submit(above: Chain, market: NotaryChain, *rows: Value) -> Receipt:
    return above.one("courier", op("clients", "submit_headers", chain=market.hash, headers=list(rows)))


def deliver(above: Chain, market: NotaryChain, height: int, **changes: Value) -> Receipt:
    return above.one("courier", Operation("inbox", "deliver", dict(market.delivery(height, **changes))))


def report(market: NotaryChain, height: int) -> bytes:
    totals = Totals(market.sequences.get("report", 0) + 1, 1, 0)
    payload = Report(height, market.time_ms + 1_000, 1, 0, bytes(32), 1, totals, 0, 0).payload()
    return market.packet("report", "block", encode_value(payload))


def hash_of(header: bytes) -> bytes:
    facts = NotaryType().read(header)
    assert isinstance(facts, HeaderFacts)
    return facts.hash


def position(above: Chain, market: NotaryChain) -> tuple[int, int]:
    found = decode_position(above.store.get(client_key(market.hash)))
    return found.height, found.frozen


# ---- registration


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"supervisor": "00" * 32}, "chains.document"),
        ({"market": "XX"}, "chains.unknown_market"),
        ({"board": [{"name": "notary 0", "house": "one", "key": "00"}]}, "chains.too_few_validators"),
        (
            {"board": [{"name": f"notary {i}", "house": f"house {i % 3}", "key": "00"} for i in range(4)]},
            "chains.entity_third",
        ),
    ],
)
def test_the_rules_of_registration_hold_for_every_technology(
    above: Chain, market: NotaryChain, changes: dict[str, object], rule: str
) -> None:
    assert above.one("operator", registration(market, market.made(**changes))).rule == rule


def test_only_a_type_of_this_build_registers(above: Chain, market: NotaryChain) -> None:
    receipt = above.one("operator", registration(market, client_type="hearsay"))
    assert (receipt.rule, receipt.parameters[1:]) == ("chains.unknown_client_type", ("hearsay",))
    assert above.one("operator", registration(market, b"no JSON")).rule == "chains.document"
    assert above.one("operator", registration(market, client_type="dualchain")).rule == "chains.malformed_genesis"


def test_its_market_and_its_chain_id_are_taken(above: Chain, followed: NotaryChain) -> None:
    record = cast(dict[str, Value], above.value(state_key("chains", b"r" + followed.hash)))
    assert (record["client_type"], record["status"]) == ("notary", "admitted")
    again = followed.made(time_ms=1)
    assert above.one("second operator", registration(followed, again)).rule == "chains.market_taken"
    other = followed.made(market="BJ")
    assert above.one("second operator", registration(followed, other)).rule == "chains.chain_id_taken"


def test_its_endpoints_are_kept_current(above: Chain, followed: NotaryChain) -> None:
    def amended(node: str) -> Receipt:
        endpoints: list[Value] = [{"node": n, "address": f"10.0.0.{i}:443"} for i, n in enumerate((node, "notary 3"))]
        args: dict[str, Value] = {"technology": "notaries 2", "consensus": "board", "endpoints": endpoints}
        return above.one("operator", Operation("chains", "amend", {"chain": followed.hash, **args}))

    assert amended("notary 9").rule == "chains.unknown_node"
    assert amended("notary 2").code == Code.OK


# ---- following


def test_headers_are_judged_by_its_own_signatures(above: Chain, followed: NotaryChain) -> None:
    for _ in range(3):
        followed.block()
    assert submit(above, followed, followed.row(1), followed.row(3)).code == Code.OK
    assert position(above, followed) == (3, -1)
    assert submit(above, followed, followed.row(2)).rule == "header.height"
    assert submit(above, followed, followed.row(3)).rule == "header.height"


def test_what_does_not_hold_is_refused_by_name(above: Chain, followed: NotaryChain) -> None:
    height = followed.block()
    header, board = followed.headers[0], followed.board
    strangers = Board([f"stranger {i}" for i in range(4)])
    late = followed.header(height=1, previous="", time_ms=above.time_ms + 600_000)
    foreign = followed.header(height=1, previous="", chain="00" * 32)
    cases: list[tuple[bytes, bytes, str]] = [
        (b"no JSON", board.certify(header), "header.format"),
        (header + b" ", board.certify(header), "header.format"),
        (header, board.certify(header, 2), "header.judged"),
        (header, strangers.certify(header), "header.judged"),
        (header, board.certify(foreign), "header.judged"),
        (foreign, board.certify(foreign), "header.judged"),
        (late, board.certify(late), "header.future"),
    ]
    for shown, certificate, rule in cases:
        assert submit(above, followed, {"header": shown, "certificate": certificate}).rule == rule, rule
    assert submit(above, followed, followed.row(height)).code == Code.OK
    earlier = followed.header(time_ms=followed.time_ms)
    assert submit(above, followed, {"header": earlier, "certificate": board.certify(earlier)}).rule == "header.time"


def test_whoever_brings_a_bad_certificate_has_used_his_budget_up(above: Chain, followed: NotaryChain) -> None:
    followed.block()
    forged = {"header": followed.headers[0], "certificate": followed.board.certify(followed.headers[0], 2)}
    rows: list[dict[str, Value]] = [cast(dict[str, Value], forged), followed.row(1)]
    operations = [op("clients", "submit_headers", chain=followed.hash, headers=[row]) for row in rows]
    receipts = above.block(*(above.sign("courier", operation) for operation in operations))
    assert [receipt.rule for receipt in receipts] == ["header.judged", "header.budget"]


def test_a_new_board_signs_from_the_header_that_names_it(above: Chain, followed: NotaryChain) -> None:
    old, new = followed.board, Board([f"successor {i}" for i in range(4)])
    height = followed.block(board=new)
    row = followed.row(height)
    assert submit(above, followed, row).rule == "header.next_set"
    assert submit(above, followed, {**row, "next_set": dump(old.keys)}).rule == "header.next_set"
    assert submit(above, followed, {**row, "next_set": dump(new.keys)}).code == Code.OK
    followed.block()
    forged = {**followed.row(2), "certificate": old.certify(followed.headers[1])}
    assert submit(above, followed, forged).rule == "header.judged"
    assert submit(above, followed, followed.row(2)).code == Code.OK


# ---- packets and directives


def test_packets_arrive_exactly_once_and_in_order(above: Chain, followed: NotaryChain) -> None:
    first = followed.block(report(followed, 1))
    second = followed.block(report(followed, 2))
    assert submit(above, followed, followed.row(2)).code == Code.OK
    assert deliver(above, followed, second).rule == "inbox.out_of_order"
    assert deliver(above, followed, first).rule == "inbox.no_header"
    assert deliver(above, followed, first, **followed.row(2)).rule == "inbox.wrong_height"
    spoilt = {**followed.row(1), "certificate": followed.board.certify(followed.headers[0], 1)}
    assert deliver(above, followed, first, **spoilt).rule == "header.judged"
    assert deliver(above, followed, first, **followed.row(1)).code == Code.OK
    assert deliver(above, followed, second).code == Code.OK
    assert deliver(above, followed, second).rule == "inbox.replayed"
    assert read_channel(above.store.get(received_key(followed.hash, "report")))[0] == 2
    followed.packets[2] = [report(followed, 2)]
    assert deliver(above, followed, second).rule == "inbox.proof"


def test_directives_bind_it_with_proven_acknowledgements(above: Chain, followed: NotaryChain) -> None:
    args: dict[str, Value] = {
        "chain": followed.hash,
        "kind": "freeze_holder",
        "account": account("holder"),
        "deadline_ms": above.time_ms + 60_000,
        "reference": "example document",
    }
    assert above.one("csrc-1", Operation("directives", "issue", args)).code == Code.OK
    assert above.one("csrc-2", op("directives", "confirm", number=1)).code == Code.OK
    raw = above.store.get(directive_key(followed.hash, 0))
    assert raw is not None
    ack = Acknowledgement(0, packet_hash(raw), 0).payload()
    height = followed.block(followed.packet("directive", "ack", encode_value(ack)))
    assert submit(above, followed, followed.row(height)).code == Code.OK
    assert deliver(above, followed, height).code == Code.OK
    key = state_key("directives", b"s" + followed.hash + bytes(8))
    assert cast(dict[str, Value], above.value(key))["status"] == "executed"


# ---- what the regulator decides


def forked(above: Chain, market: NotaryChain) -> dict[str, Value]:
    """The board certifies another block 2 than the one that was accepted."""
    market.block(report(market, 1))
    other = market.header(time_ms=market.time_ms + 500)
    market.block(report(market, 2))
    assert submit(above, market, market.row(1), market.row(2)).code == Code.OK
    return {"header": other, "certificate": market.board.certify(other)}


def test_two_final_headers_of_one_height_freeze_it(above: Chain, followed: NotaryChain) -> None:
    other = forked(above, followed)
    forged = {**other, "certificate": followed.board.certify(followed.headers[0])}
    assert submit(above, followed, forged).rule == "header.judged"
    same = op("clients", "report_fork", chain=followed.hash, headers=[followed.row(2), followed.row(2)])
    assert above.one("courier", same).rule == "clients.no_fork"
    shown = op("clients", "report_fork", chain=followed.hash, headers=[followed.row(2), other])
    assert above.one("courier", shown).code == Code.OK
    assert position(above, followed) == (2, 2)
    case = cast(dict[str, Value], above.value(case_key(followed.hash, 0)))
    assert case["kind"] == "fork"
    followed.block()
    assert submit(above, followed, followed.row(3)).rule == "header.frozen"
    assert deliver(above, followed, 1).rule == "header.frozen"


def test_a_contradiction_behind_new_headers_loses_nothing_of_them(above: Chain, followed: NotaryChain) -> None:
    """A header that hands over to a new board, and in the same transaction another one of a height before it."""
    followed.block()
    other = followed.header(height=1, previous="", time_ms=followed.time_ms + 1)
    twin: dict[str, Value] = {"header": other, "certificate": followed.board.certify(other)}
    assert submit(above, followed, followed.row(1)).code == Code.OK
    new = Board([f"successor {i}" for i in range(4)])
    height = followed.block(board=new)
    handed = {**followed.row(height), "next_set": dump(new.keys)}
    twin["certificate"] = new.certify(other)
    assert submit(above, followed, handed, twin).code == Code.OK
    assert position(above, followed) == (2, 1)
    state = above.store.get(state_key("clients", b"v" + followed.hash))
    assert state is not None and new.keys[0].encode() in state


def test_it_goes_on_from_the_branch_that_the_regulator_chose(above: Chain, followed: NotaryChain) -> None:
    other = forked(above, followed)
    assert submit(above, followed, other).code == Code.OK
    followed.block()
    third = followed.row(3)
    proposal: dict[str, Value] = {"chain": followed.hash, "reference": "decision", **third}
    assert above.one("csrc-1", Operation("clients", "propose_recovery", {**proposal, "since": 3})).rule == (
        "clients.above_fork"
    )
    assert above.one("csrc-1", Operation("clients", "propose_recovery", {**proposal, **followed.row(1)})).rule == (
        "clients.below_fork"
    )
    assert above.one("csrc-1", Operation("clients", "propose_recovery", proposal)).code == Code.OK
    digest = hash_of(followed.headers[2])
    confirmation = op("clients", "confirm_recovery", chain=followed.hash, header_hash=digest)
    assert above.one("csrc-1", confirmation).rule == "clients.own_recovery"
    wrong = op("clients", "confirm_recovery", chain=followed.hash, header_hash=bytes(32))
    assert above.one("csrc-2", wrong).rule == "clients.no_recovery"
    assert above.one("csrc-2", confirmation).code == Code.OK
    assert position(above, followed) == (3, -1)
    # What was held arrives; of settled heights only what the chosen header descends from.
    line = dump([followed.headers[1].hex()])
    assert deliver(above, followed, 1, **followed.row(1)).rule == "inbox.discarded"
    assert deliver(above, followed, 1, **followed.row(1), history=line).code == Code.OK
    assert deliver(above, followed, 2, **other, history=dump([])).rule == "inbox.discarded"
    assert deliver(above, followed, 2, **followed.row(2), history=dump([])).code == Code.OK
    # A fork of a settled height freezes nothing again.
    assert submit(above, followed, other).rule == "header.height"
    again = op("clients", "report_fork", chain=followed.hash, headers=[followed.row(2), other])
    assert above.one("courier", again).rule == "clients.settled"


def test_a_stale_one_waits_for_two_of_the_regulator(above: Chain, followed: NotaryChain) -> None:
    followed.block()
    assert submit(above, followed, followed.row(1)).code == Code.OK
    early = op("clients", "confirm_stale", chain=followed.hash, height=2, header_hash=bytes(32))
    assert above.one("csrc-1", early).rule == "clients.not_stale"
    followed.block(after_ms=MAX_AGE_MS + 60_000)
    above.block(after_ms=MAX_AGE_MS + 60_000)
    assert submit(above, followed, followed.row(2)).rule == "header.stale"
    digest = hash_of(followed.headers[1])
    confirm = op("clients", "confirm_stale", chain=followed.hash, height=2, header_hash=digest)
    assert above.one("csrc-1", confirm).code == Code.OK
    assert submit(above, followed, followed.row(2)).rule == "header.stale"
    assert above.one("csrc-2", confirm).code == Code.OK
    assert submit(above, followed, followed.row(2)).code == Code.OK


def test_what_only_our_consensus_knows_is_refused_by_name(above: Chain, followed: NotaryChain) -> None:
    proof = op("clients", "report_equivocation", chain=followed.hash, proof=b"x")
    receipt = above.one("courier", proof)
    assert (receipt.rule, receipt.parameters[1:]) == ("clients.other_type", (followed.hash, "notary"))
