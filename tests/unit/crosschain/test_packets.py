"""Payloads between the layers: the golden vectors are what these readers read, and nothing else is let through."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from chain_core.codec.proofs import decode_packet, encode_packet, packet_hash
from chain_core.codec.values import decode_map, encode_value
from chain_core.types.errors import MalformedBytes
from chain_core.types.ids import NO_ACCOUNT
from chain_core.types.values import Value
from crosschain.following import Position, decode_position, encode_position
from crosschain.packets import (
    Directive,
    count_in,
    directive_key,
    directive_next_key,
    encode_directive,
    read_acknowledgement,
    read_channel,
    read_directive,
    read_report,
)

VECTORS = {
    case["name"]: bytes.fromhex(case["bytes"])
    for case in json.loads((Path(__file__).parents[2] / "vectors/formats/packet.json").read_text("utf-8"))["cases"]
}


def test_the_golden_report_is_read_and_written_alike() -> None:
    packet = decode_packet(VECTORS["report"])
    report = read_report(packet.payload)
    assert (report.height, report.transactions, report.refusals) == (1, 2, 1)
    assert encode_packet(replace(packet, payload=encode_value(report.payload()))) == VECTORS["report"]


def test_the_golden_directive_is_read_and_written_alike() -> None:
    packet = decode_packet(VECTORS["directive"])
    directive = read_directive(packet.payload)
    assert directive.lifts is None
    source, target = packet.source_genesis, packet.destination_genesis
    assert encode_directive(source, target, packet.sequence, packet.kind, directive) == VECTORS["directive"]


def test_the_golden_acknowledgement_answers_the_golden_directive() -> None:
    ack = read_acknowledgement(decode_packet(VECTORS["acknowledgement"]).payload)
    assert (ack.sequence, ack.packet, ack.code) == (0, packet_hash(VECTORS["directive"]), 0)


def test_what_a_directive_lifts_is_written_only_where_there_is_something() -> None:
    plain = Directive(bytes(15) + b"\x01", 1, "example")
    assert "lifts" not in plain.payload()
    lifting = replace(plain, lifts=0)
    assert read_directive(encode_value(lifting.payload())) == lifting


@pytest.mark.parametrize(
    ("name", "read"),
    [("report", read_report), ("directive", read_directive), ("acknowledgement", read_acknowledgement)],
)
def test_other_fields_are_not_let_through(name: str, read: Callable[[bytes], object]) -> None:
    row = decode_map(decode_packet(VECTORS[name]).payload)
    for field in row:
        others: tuple[Value, ...] = (None, -1, "x" * 129, b"", [], {})
        for other in others:
            with pytest.raises(MalformedBytes):
                read(encode_value({**row, field: other}))
        without = encode_value({key: value for key, value in row.items() if key != field})
        if (name, field) == (
            "directive",
            "account",
        ):  # a demand is about no account; supervision asks each kind for its
            assert read_directive(without).account == NO_ACCOUNT
        else:
            with pytest.raises(MalformedBytes):
                read(without)
    with pytest.raises(MalformedBytes):
        read(encode_value({**row, "more": 1}))


def test_keys_and_counters() -> None:
    target = bytes(31) + b"\x07"
    assert directive_next_key(target) == b"\x0adirectivesn" + target
    assert directive_key(target, 258) == b"\x0adirectivesd" + target + bytes(6) + b"\x01\x02"
    assert (count_in(None), count_in(encode_value(7)), read_channel(None)) == (0, 7, (0, 0))
    for raw in (encode_value(-1), encode_value("7"), encode_value(True), b""):
        with pytest.raises(MalformedBytes):
            count_in(raw)


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"next": 1},
        {"next": b"1", "height": 1},
        {"next": -1, "height": 1},
        {"next": True, "height": 1},
        {"next": 1, "height": 1, "more": 1},
    ],
)
def test_a_counter_that_another_chain_keeps_is_read_as_such_or_refused(row: dict[str, Value]) -> None:
    """Proofs are of bytes: what stands under a proven key is whatever that chain's validators certified."""
    with pytest.raises(MalformedBytes):
        read_channel(encode_value(row))


@pytest.mark.parametrize("name", ["height", "header_hash", "time_ms", "count", "frozen", "epoch"])
def test_a_position_that_another_chain_keeps_is_read_as_such_or_refused(name: str) -> None:
    row = decode_map(encode_position(Position()))
    assert decode_position(encode_value(row)) == Position()
    for wrong in ({**row, name: "x"}, {key: value for key, value in row.items() if key != name}):
        with pytest.raises(MalformedBytes):
            decode_position(encode_value(wrong))
