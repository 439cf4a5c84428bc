"""Packets go up: proven, in order, exactly once, and nothing that a courier can do stops them for good."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest

from chain_core.codec.block import decode_header, encode_header
from chain_core.codec.proofs import decode_packet, encode_packet
from chain_core.codec.seen import state_key
from chain_core.codec.values import encode_value
from chain_core.crypto.merkle import merkle_root
from chain_core.execution.codes import Code
from chain_core.types.transaction import Operation, Receipt
from chain_core.types.values import Value
from crosschain.packets import received_key
from supervisory_chain import clients
from tests.unit.crosschain.chains import Layers, op
from tests.unit.crosschain.forging import reproven


def tally(layers: Layers) -> dict[str, Value]:
    return cast(dict[str, Value], layers.supervisory.value(state_key("inbox", b"r" + layers.local.hash)))


def received(layers: Layers, channel: str = "report") -> Value:
    return layers.supervisory.value(received_key(layers.local.hash, channel))


def up(layers: Layers, *operations: Operation) -> Receipt:
    return layers.supervisory.one("courier", *operations)


def test_a_report_arrives_with_its_header_in_one_transaction(layers: Layers) -> None:
    height = layers.business("S1", "S2")
    layers.local.block(layers.local.sign("holder", op("kernel", "register_security")))
    assert up(layers, layers.headers_up(1, 2), layers.packets_up(1), layers.packets_up(2)).code == Code.OK
    last = cast(dict[str, Value], tally(layers)["last"])
    assert (last["height"], last["transactions"], last["refusals"]) == (2, 1, 1)
    assert last["totals"] == {"reports": 2, "transactions": 3, "refusals": 1, "alarms": 0}
    assert last["events"] == merkle_root(layers.local.store.events(2))
    assert {name: tally(layers)[name] for name in ("reports", "transactions", "refusals", "unreadable")} == {
        "reports": 2,
        "transactions": 3,
        "refusals": 1,
        "unreadable": 0,
    }
    assert received(layers) == {"next": 2, "height": 2}
    assert height == 1


def test_packets_are_taken_in_order_and_once(layers: Layers) -> None:
    for reference in ("S1", "S2", "S3"):
        layers.business(reference)
    assert up(layers, layers.headers_up(1, 2, 3)).code == Code.OK
    ahead = up(layers, layers.packets_up(2))
    assert (ahead.rule, ahead.parameters[1:]) == ("inbox.out_of_order", ("report", 1, 0))
    assert up(layers, layers.packets_up(1)).code == Code.OK
    again = up(layers, layers.packets_up(1))
    assert (again.rule, again.parameters[1:]) == ("inbox.replayed", ("report", 0, 1))
    assert up(layers, layers.packets_up(3)).rule == "inbox.out_of_order"
    assert up(layers, layers.packets_up(2)).code == Code.OK
    assert up(layers, layers.packets_up(3)).code == Code.OK
    assert tally(layers)["reports"] == 3


def test_two_couriers_at_once_deliver_once(layers: Layers) -> None:
    layers.business("S1")
    operations = (layers.headers_up(1), layers.packets_up(1))
    receipts = layers.supervisory.block(
        layers.supervisory.sign("courier", *operations), layers.supervisory.sign("operator", *operations)
    )
    assert [receipt.rule for receipt in receipts] == ["", "header.height"]
    assert tally(layers)["reports"] == 1


def test_a_batch_with_one_bad_packet_delivers_nothing(layers: Layers) -> None:
    layers.business("S1")
    assert up(layers, layers.headers_up(1)).code == Code.OK
    (row,) = layers.local.packets(1)
    doubled = Operation("inbox", "deliver", {"source": layers.local.hash, "height": 1, "packets": [row, row]})
    assert up(layers, doubled).rule == "inbox.replayed"
    assert received(layers) is None


def test_a_packet_needs_its_own_block_s_header(layers: Layers) -> None:
    layers.business("S1")
    layers.business("S2")
    assert up(layers, layers.packets_up(1)).rule == "inbox.no_header"
    assert up(layers, layers.headers_up(2)).code == Code.OK
    assert up(layers, layers.packets_up(1)).rule == "inbox.no_header"
    wrong = layers.packets_up(1)
    claimed = Operation("inbox", "deliver", {**wrong.args, "height": 2})
    assert up(layers, claimed).rule == "inbox.proof"


def test_nobody_strands_packets_by_skipping_their_header(layers: Layers) -> None:
    """Anybody may submit the newest header first; the packets below it come with their own, certified."""
    layers.business("S1")
    layers.business("S2")
    layers.business("S3")
    assert up(layers, layers.headers_up(3)).code == Code.OK
    assert up(layers, layers.headers_up(1)).rule == "header.height"
    past = layers.local.row(1)
    assert up(layers, layers.packets_up(1, header=past["header"], certificate=past["certificate"])).code == Code.OK
    past = layers.local.row(2)
    few = layers.local.certify(cast(bytes, past["header"]), [1, 2])
    assert up(layers, layers.packets_up(2, header=past["header"], certificate=few)).rule == "header.quorum"
    other = layers.packets_up(2, header=layers.local.row(1)["header"], certificate=layers.local.row(1)["certificate"])
    assert up(layers, other).rule == "inbox.wrong_height"
    assert up(layers, layers.packets_up(2, header=past["header"])).rule == "inbox.no_header"
    assert up(layers, layers.packets_up(2, header=past["header"], certificate=past["certificate"])).code == Code.OK
    assert up(layers, layers.packets_up(3)).code == Code.OK
    assert tally(layers)["reports"] == 3


def test_nobody_strands_packets_by_pushing_their_header_out(layers: Layers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "KEPT_HEADERS", 2)
    layers.business("S1")
    for _ in range(4):
        layers.local.block()
    assert up(layers, layers.headers_up(1, 2, 3, 4)).code == Code.OK
    assert up(layers, layers.packets_up(1)).rule == "inbox.no_header"
    past = layers.local.row(1)
    assert up(layers, layers.packets_up(1, header=past["header"], certificate=past["certificate"])).code == Code.OK


def test_a_past_header_that_contradicts_what_is_stored(layers: Layers) -> None:
    layers.business("S1")
    layers.business("S2")
    assert up(layers, layers.headers_up(1, 2)).code == Code.OK
    real = decode_header(layers.local.certified(1)[0])
    for forged, rule in (
        (replace(real, state_root=bytes(32)), "inbox.fork"),
        (replace(real, ledger=3), "header.ledger"),
    ):
        header = encode_header(forged)
        brought = layers.packets_up(1, header=header, certificate=layers.local.certify(header))
        assert up(layers, brought).rule == rule
    assert up(layers, layers.packets_up(1)).code == Code.OK
    loose = encode_header(replace(decode_header(layers.local.certified(2)[0]), prev_hash=bytes(32)))
    brought = layers.packets_up(2, header=loose, certificate=layers.local.certify(loose))
    assert up(layers, brought).rule == "header.previous"


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"source_genesis": bytes(32)}, "inbox.foreign_source"),
        ({"source_ledger": 1}, "inbox.foreign_source"),
        ({"destination_genesis": bytes(32)}, "inbox.foreign_destination"),
        ({"destination_ledger": 1}, "inbox.foreign_destination"),
        ({"channel": "gossip"}, "inbox.unknown_channel"),
        ({"sequence": 1}, "inbox.out_of_order"),
    ],
)
def test_proven_but_not_for_us(layers: Layers, changes: dict[str, object], rule: str) -> None:
    layers.business("S1")
    packet = replace(decode_packet(layers.local.store.outbox(1)[0]), **changes)  # type: ignore[arg-type]
    assert up(layers, reproven(layers, packet)).rule == rule


STRAY_ACK = encode_value({"sequence": 0, "packet": bytes(32), "code": 0})


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "newer"},
        {"payload": encode_value({})},
        {"payload": encode_value({"height": 1})},
        {"channel": "directive", "kind": "ack"},
        {
            "channel": "directive",
            "kind": "ack",
            "payload": encode_value({"sequence": 0, "packet": bytes(32), "code": 0}),
        },
    ],
)
def test_an_unreadable_packet_does_not_stop_its_channel(layers: Layers, changes: dict[str, object]) -> None:
    layers.business("S1")
    packet = replace(decode_packet(layers.local.store.outbox(1)[0]), **changes)  # type: ignore[arg-type]
    assert up(layers, reproven(layers, packet)).code == Code.OK
    assert tally(layers)["unreadable"] == 1
    assert ("inbox", "unreadable") in layers.supervisory.events()
    assert received(layers, packet.channel) == {"next": 1, "height": 1}


def test_a_report_about_another_height_is_counted_as_unreadable(layers: Layers) -> None:
    layers.business("S1")
    layers.business("S2")
    first, second = (decode_packet(layers.local.store.outbox(height)[0]) for height in (1, 2))
    assert up(layers, reproven(layers, replace(first, payload=second.payload))).code == Code.OK
    assert tally(layers)["unreadable"] == 1


def test_bytes_that_are_no_packet(layers: Layers) -> None:
    layers.business("S1")
    assert up(layers, layers.headers_up(1)).code == Code.OK
    (row,) = layers.local.packets(1)
    packet = cast(bytes, row["packet"])
    for broken in ({**row, "packet": b"\x01"}, {**row, "proof": b"\x01"}, {**row, "packet": packet + b"x"}):
        args: dict[str, Value] = {"source": layers.local.hash, "height": 1, "packets": [broken]}
        assert up(layers, Operation("inbox", "deliver", args)).rule == "inbox.malformed"
    empty = Operation("inbox", "deliver", {"source": layers.local.hash, "height": 1, "packets": []})
    assert up(layers, empty).code == Code.BAD_ARGUMENTS


def test_the_signatures_of_a_header_are_verified_when_all_its_packets_hold(layers: Layers, batches: list[int]) -> None:
    layers.business("S1")
    layers.business("S2")
    chain, row = layers.supervisory, layers.local.row(1)
    certificate = cast(bytes, row["certificate"])
    of_another_block = {**layers.packets_up(1).args, "packets": layers.packets_up(2).args["packets"]}
    assert up(layers, Operation("inbox", "deliver", {**of_another_block, **row})).rule == "inbox.out_of_order"
    packets = cast(list[dict[str, Value]], layers.packets_up(1).args["packets"])
    proof = cast(list[dict[str, Value]], layers.packets_up(2).args["packets"])[0]["packet"]
    report = decode_packet(cast(bytes, proof))
    invented: list[Value] = [{**packets[0], "packet": encode_packet(replace(report, sequence=0))}]
    assert up(layers, layers.packets_up(1, **row, packets=invented)).rule == "inbox.proof"
    assert batches == []
    forged = layers.packets_up(1, **{**row, "certificate": certificate[:-1] + bytes([certificate[-1] ^ 1])})
    receipts = chain.block(*(chain.sign("courier", forged) for _ in range(3)))
    assert [receipt.rule for receipt in receipts] == ["header.signatures", "header.budget", "header.budget"]
    assert batches == [layers.local.genesis.validators.q]
    assert up(layers, layers.packets_up(1, **row)).code == Code.OK
