"""A market moves to the successor of its chain: who decides it, what is checked, and what goes on (successor.md §6)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

from chain_core.codec.block import decode_header, encode_header, header_hash
from chain_core.codec.genesis import encode_genesis
from chain_core.codec.proofs import decode_packet
from chain_core.codec.seen import state_key
from chain_core.execution.codes import Code
from chain_core.types.transaction import Operation
from chain_core.types.values import Value
from contracts.kernel.calendar import day_of
from crosschain.following import Position, decode_position
from crosschain.packets import client_key, directive_key, directive_next_key, read_channel, received_key
from local_chain.assembly import local_assembly
from supervisory_chain.assembly import supervisory_assembly
from supervisory_chain.directives import open_directives, record_key
from tests.unit.crosschain.chains import Chain, Layers, account, local_genesis, op, registration
from tests.unit.crosschain.chains import supervisory_genesis as plain_genesis
from tests.unit.supervisory_chain.ending import End, ended, near_the_end, upon

# ---- what goes on


def test_the_market_moves_and_nothing_of_the_predecessor_is_taken_any_more(end: End) -> None:
    supervisory = end.layers.supervisory
    stale = end.layers.headers_up(1)
    end.moved()
    found, past = end.value("chains", b"r" + end.chain), end.value("chains", b"r" + end.before)
    assert (found["status"], found["predecessor"], found["admitted_by"]) == ("admitted", end.before, account("csrc-1"))
    assert (past["status"], past["successor"]) == ("succeeded", end.chain)
    taken = [supervisory.store.get(state_key("chains", key)) for key in (b"mBJ", b"ibeijing-test")]
    assert taken == [end.chain, end.chain]
    assert supervisory.store.scan(state_key("successors", b"")) == []
    assert end.by("courier", stale).rule == "clients.not_admitted"
    amend = {"technology": "x", "consensus": "x", "endpoints": end.proposal().args["endpoints"]}
    assert end.by("operator", op("chains", "amend", chain=end.before, **amend)).rule == "chains.succeeded"
    assert end.by("operator", op("chains", "amend", chain=end.chain, **amend)).code == Code.OK
    assert end.by("operator", end.proposal()).rule == "successors.not_admitted"


def test_the_client_begins_at_the_header_of_height_0(end: End) -> None:
    chain = end.moved()
    first = chain.store.header(0) or b""
    position = decode_position(end.layers.supervisory.store.get(client_key(end.chain)))
    assert position == Position(0, header_hash(first), chain.genesis.time_ms)
    chain.block()
    header = encode_header(replace(decode_header(chain.certified(1)[0]), prev_hash=bytes(32)))
    row: dict[str, Value] = {"header": header, "certificate": chain.certify(header)}
    forged = op("clients", "submit_headers", chain=end.chain, headers=[row])
    assert end.by("courier", forged).rule == "header.previous"
    assert end.by("courier", end.layers.headers_up(1)).code == Code.OK


def test_reports_and_directives_go_on_in_their_sequences(end: End) -> None:
    layers, chain = end.layers, end.moved()
    supervisory = layers.supervisory
    height = layers.business("S2")
    assert end.by("courier", layers.headers_up(height)).code == Code.OK
    assert end.by("courier", layers.packets_up(height)).code == Code.OK
    tally = end.value("inbox", b"r" + end.chain)
    assert (tally["reports"], tally["unreadable"]) == (2, 0)
    assert read_channel(supervisory.store.get(received_key(end.chain, "report"))) == (2, height)

    assert supervisory.value(directive_next_key(end.chain)) == 3
    packet = decode_packet(supervisory.store.get(directive_key(end.chain, 1)) or b"")
    assert (packet.destination_genesis, packet.sequence) == (end.chain, 1)
    assert chain.one("courier", layers.update_down(1, 2)).code == Code.OK
    assert chain.store.get(state_key("kernel", b"Z" + account("issuer"))) is not None
    assert end.by("courier", layers.headers_up(chain.height)).code == Code.OK
    assert end.by("courier", layers.packets_up(chain.height)).code == Code.OK
    assert open_directives(supervisory.store.get, end.chain, supervisory.time_ms) == []
    records = [cast(dict[str, Value], supervisory.value(record_key(end.chain, k))) for k in (1, 2)]
    assert [record["status"] for record in records] == ["executed", "executed"]
    assert supervisory.store.get(record_key(end.before, 1)) is None
    assert open_directives(supervisory.store.get, end.before, supervisory.time_ms) == []


def test_a_freeze_of_the_predecessor_can_be_lifted_on_the_successor(end: End) -> None:
    layers, chain = end.layers, end.moved()
    assert layers.direct("unfreeze_holder", "holder", lifts=0) == 3
    assert chain.one("courier", layers.update_down(1, 3)).code == Code.OK
    assert chain.store.get(state_key("kernel", b"Z" + account("holder"))) is None


def test_a_proposed_directive_to_the_predecessor_is_confirmed_no_more(end: End) -> None:
    args: dict[str, Value] = {"chain": end.before, "kind": "freeze_holder", "account": account("bank")}
    args |= {"deadline_ms": end.layers.supervisory.time_ms + 60_000, "reference": "example"}
    assert end.by("csrc-1", Operation("directives", "issue", args)).code == Code.OK
    end.moved()
    queue = end.value("directives", b"q")
    confirm = op("directives", "confirm", number=cast(int, queue["last"]))
    assert end.by("csrc-2", confirm).rule == "directives.not_admitted"


# ---- who decides


def test_two_institutions_decide(end: End) -> None:
    for who in ("csrc-1", "courier"):
        assert end.by(who, end.proposal()).code == Code.FORBIDDEN
    assert end.confirm().rule == "successors.unknown"
    assert end.by("second operator", end.proposal()).rule == "successors.not_yours"
    assert end.by("operator", end.proposal()).code == Code.OK
    assert end.by("operator", end.proposal()).rule == "successors.pending"
    assert end.confirm("operator").code == end.confirm("courier").code == Code.FORBIDDEN
    assert end.confirm(give_up=True).rule == "successors.not_agreed"
    assert end.by("courier", op("successors", "withdraw", chain=end.chain)).rule == "successors.not_yours"
    assert end.value("chains", b"r" + end.before)["status"] == "admitted", "a proposal moves nothing"
    assert end.by("csrc-2", op("successors", "withdraw", chain=end.chain)).code == Code.OK
    assert end.layers.supervisory.store.scan(state_key("successors", b"")) == []
    assert end.by("operator", end.proposal()).code == Code.OK
    assert end.confirm().code == Code.OK


def test_one_institution_with_both_roles_does_not_decide_alone(tmp_path: Path) -> None:
    layers = Layers.begin(tmp_path)
    assert layers.supervisory.one("both", registration(layers.local.genesis_bytes)).code == Code.OK
    assert layers.supervisory.one("csrc-2", op("chains", "approve", chain=layers.local.hash)).code == Code.OK
    assert layers.supervisory.one("csrc-1", op("chains", "admit", chain=layers.local.hash)).code == Code.OK
    layers.business("S1")
    end = ended(layers, tmp_path)
    assert end.by("both", end.proposal(give_up=True)).code == Code.OK
    assert end.confirm("both", give_up=True).rule == "successors.own"
    assert end.confirm("csrc-2", give_up=True).code == Code.OK
    layers.close()


# ---- what was under way


def make(directory: Path) -> Path:
    directory.mkdir()
    return directory


def test_packets_under_way_are_brought_first(end: End, tmp_path: Path) -> None:
    """A report and acknowledgements that the predecessor sent and nobody delivered."""
    layers = end.layers
    reported = layers.business("S9")
    assert layers.local.one("courier", layers.update_down(1, 2)).code == Code.OK
    late = ended(layers, make(tmp_path / "late"))
    assert late.by("operator", late.proposal()).code == Code.OK
    refused = late.confirm()
    assert (refused.rule, refused.parameters[1:]) == ("successors.in_flight", ("report", 1))
    for height in (reported, layers.local.height):  # its nodes still answer: they are only too few to certify
        assert late.by("courier", layers.packets_up(height, **layers.local.row(height))).code == Code.OK
    assert late.confirm().code == Code.OK
    assert layers.supervisory.value(directive_next_key(late.chain)) == 3
    assert open_directives(layers.supervisory.store.get, late.chain, layers.supervisory.time_ms) == []


def test_what_is_given_up_is_said(end: End, tmp_path: Path) -> None:
    layers = end.layers
    layers.business("S9")
    assert layers.local.one("courier", layers.update_down(1, 2)).code == Code.OK
    late = ended(layers, make(tmp_path / "late"))
    assert late.by("operator", late.proposal(give_up=True)).code == Code.OK
    assert late.confirm().rule == "successors.not_agreed"
    assert late.confirm(give_up=True).code == Code.OK
    lost = cast(dict[str, Value], layers.supervisory.value(record_key(late.before, 1)))
    assert (lost["status"], lost["ack"]) == ("ack_lost", None)
    assert read_channel(layers.supervisory.store.get(received_key(late.chain, "report"))) == (2, 0)
    assert read_channel(layers.supervisory.store.get(received_key(late.chain, "directive"))) == (3, 0)
    assert late.value("chains", b"r" + late.chain)["given_up"] == {"report": 1, "directive": 2}
    assert layers.supervisory.events() == [("successors", "succeeded")]


def test_what_the_snapshot_does_not_know_was_not_accepted(end: End) -> None:
    """A snapshot of a survivor that was behind: a packet from above it arrived here, though not its header."""
    layers = end.layers
    above = layers.business("S9")
    assert end.by("courier", layers.packets_up(above, **layers.local.row(above))).code == Code.OK
    refused = end.by("operator", end.proposal())
    assert (refused.rule, refused.parameters[1:]) == ("successors.counters", ("report", 1, 2))


def test_all_is_judged_again_when_it_is_confirmed(end: End) -> None:
    layers = end.layers
    assert end.by("operator", end.proposal()).code == Code.OK
    above = layers.business("S9")
    assert end.by("courier", layers.headers_up(above)).code == Code.OK
    assert end.confirm().rule == "successors.below_followed"


def test_counters_are_judged_again_when_it_is_confirmed(end: End) -> None:
    layers = end.layers
    assert end.by("operator", end.proposal()).code == Code.OK
    above = layers.business("S9")
    assert end.by("courier", layers.packets_up(above, **layers.local.row(above))).code == Code.OK
    assert end.confirm().rule == "successors.counters"


def test_a_frozen_chain_may_be_succeeded(end: End) -> None:
    """Two certified headers at one height: which chain goes on is for the two institutions to say."""
    local = end.layers.local
    header = encode_header(replace(decode_header(local.certified(1)[0]), state_root=bytes(32)))
    rows: list[Value] = [local.row(1), {"header": header, "certificate": local.certify(header)}]
    assert end.by("courier", op("clients", "report_fork", chain=end.before, headers=rows)).code == Code.OK
    assert decode_position(end.layers.supervisory.store.get(client_key(end.before))).frozen == 1
    assert end.by("operator", upon(end, height=1)).rule == "successors.below_followed"
    end.moved().block()
    assert decode_position(end.layers.supervisory.store.get(client_key(end.chain))).frozen == -1
    assert end.by("courier", end.layers.headers_up(1)).code == Code.OK


# ---- what was announced


def test_where_notice_is_due_a_market_moves_under_a_notice_of_its_migration_alone(tmp_path: Path) -> None:
    above = replace(plain_genesis(), parameters={**plain_genesis().parameters, "notice_days": 20})
    supervisory = Chain.begin(tmp_path / "supervisory", above, supervisory_assembly)
    below = local_genesis(supervisory=encode_genesis(above))
    layers = Layers(supervisory, Chain.begin(tmp_path / "local", below, local_assembly))
    layers.register()
    end = near_the_end(layers, tmp_path)
    try:
        plan, today = bytes(32), day_of(supervisory.time_ms)
        for number, kind in enumerate(("upgrade", "migration")):
            assert end.by("operator", end.proposal()).code == (Code.OK if number == 0 else Code.REFUSED_BY_RULE)
            assert end.confirm().rule == "successors.not_announced"
            notice: dict[str, Value] = {"chain": end.before, "subject": "new nodes", "kind": kind, "compatible": False}
            notice |= {"plan": plan, "data_plan": plan, "effective_day": today + 40}
            assert end.by("operator", Operation("desk", "give_notice", notice)).code == Code.OK
            for who, step in (("csrc-1", "propose_waiver"), ("csrc-2", "confirm_waiver"), ("operator", "begin")):
                assert end.by(who, op("desk", step, number=number, document=plan)).code == Code.OK
        assert end.confirm().code == Code.OK
        assert end.by("operator", op("desk", "finish", number=1, document=plan)).code == Code.OK
    finally:
        end.layers.close()
