"""Requests and answers between two chains with all contracts: both ways, in time and too late (channels.md)."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest

from chain_core.codec.block import decode_header, encode_header
from chain_core.codec.proofs import decode_packet
from chain_core.codec.seen import state_key
from chain_core.codec.signed import derive_id
from chain_core.codec.values import decode_map, encode_value
from chain_core.execution.arguments import Document
from chain_core.types.transaction import Receipt
from chain_core.types.values import Value
from crosschain import channel, channel_end
from crosschain.channel import AckCode, Source, Units
from crosschain.channel_services import SERVICES, Service
from crosschain.channel_state import (
    decode_source,
    decode_units,
    local_received_key,
    quota_key,
    request_key,
    source_key,
    totals_key,
)
from crosschain.packets import ALL_SERVICES, SERVICE_CHANNEL, count_in, received_key, sent_key
from local_chain import channel as market_channel
from tests.unit.crosschain.chains import Chain, Layers, account, op
from tests.unit.crosschain.couriers import Courier, plan_refund_above, plan_refund_below, plan_services_down

ENTITY = "entity 0 of beijing"
GRANTED = 200


@pytest.fixture
def pair(layers: Layers) -> Layers:
    """Both sides have units; the market has one security, and both chains have been followed."""
    assert layers.supervisory.one("csrc-1", op("channel", "grant", account=account("desk"), units=GRANTED)).code == 0
    assert layers.local.one("operator", op("channel", "grant", account=account("issuer"), units=GRANTED)).code == 0
    layers.business("S1")
    Courier(layers).up()
    Courier(layers).down()
    return layers


def ask_down(layers: Layers, wait_ms: int = 60_000, service: str = "roll_head", **arguments: Value) -> Receipt:
    above = layers.supervisory
    row = arguments or {"security": only_security(layers)}
    args: dict[str, Value] = {"service": service, "arguments": row, "timeout_ms": above.time_ms + 1_000 + wait_ms}
    return above.one("desk", op("channel", "request", chain=layers.local.hash, **args))


def ask_up(layers: Layers, wait_ms: int = 60_000, service: str = "party_status", **arguments: Value) -> Receipt:
    row = arguments or {"entity": ENTITY}
    args: dict[str, Value] = {"service": service, "arguments": row}
    return layers.local.one(
        "issuer", op("channel", "request", timeout_ms=layers.local.time_ms + 1_000 + wait_ms, **args)
    )


def only_security(layers: Layers) -> bytes:
    return derive_id(layers.local.hash, "security", account("operator"), "S1")


def end_of(chain: Chain, peer: Chain) -> tuple[Source, Units]:
    raw = chain.store.get(source_key(chain.hash, peer.hash))
    return decode_source(raw), decode_units(chain.store.get(totals_key()))


def record(chain: Chain, peer: Chain, number: int = 0) -> dict[str, Value]:
    return decode_map(chain.store.get(request_key(chain.hash, peer.hash, number)) or b"")


def carry(layers: Layers) -> None:
    courier = Courier(layers)
    while courier.up() + courier.down() + courier.services_down():
        pass


def test_the_regulator_asks_a_market_and_is_answered(pair: Layers) -> None:
    assert ask_down(pair).code == 0
    source, units = end_of(pair.supervisory, pair.local)
    assert (len(source.waiting), units.escrow) == (1, SERVICES["roll_head"].units)
    carry(pair)
    source, units = end_of(pair.supervisory, pair.local)
    assert (source.waiting, source.answered, units.paid) == ((), 1, 2)
    row = record(pair.supervisory, pair.local)
    assert (row["status"], row["code"]) == ("answered", 0)
    answer = decode_map(cast(bytes, row["response"]))
    assert (answer["found"], answer["holders"], answer["total"]) == (True, 0, 0)
    assert answer["height"] == pair.local.height


def test_a_market_asks_the_regulator_and_is_answered(pair: Layers) -> None:
    assert ask_up(pair).code == 0
    carry(pair)
    source, units = end_of(pair.local, pair.supervisory)
    assert (source.answered, units) == (1, Units(GRANTED, GRANTED - 1, 0, 1))
    answer = decode_map(cast(bytes, record(pair.local, pair.supervisory)["response"]))
    assert answer == {"known": 1, "barred": False, "chains": [["BJ", "admitted", False, 1, False]]}
    assert count_in(pair.local.store.get(quota_key(account("issuer")))) == GRANTED - 1


def test_nothing_goes_on_by_itself_afterwards(pair: Layers) -> None:
    ask_up(pair)
    ask_down(pair)
    carry(pair)
    heights = pair.local.height, pair.supervisory.height
    carry(pair)
    assert (pair.local.height, pair.supervisory.height) == heights
    assert Courier(pair).refunds() == 0


@pytest.mark.parametrize("way", ["down", "up"])
def test_too_late_it_is_refunded_then_skipped(pair: Layers, way: str) -> None:
    """The refund first, by non-receipt; what arrives then is skipped, and the acknowledgement only closes."""
    asking, asked = (pair.supervisory, pair.local) if way == "down" else (pair.local, pair.supervisory)
    assert (ask_down if way == "down" else ask_up)(pair, 5_000).code == 0
    plan = plan_refund_above if way == "down" else plan_refund_below
    assert plan(pair) == (), "not due"
    asked.block(after_ms=120_000)
    asking.time_ms = max(asking.time_ms, asked.time_ms)
    (operation,) = plan(pair)
    assert operation.args["counter"] == channel.RECEIVED
    assert asking.one("courier", operation).code == 0
    source, units = end_of(asking, asked)
    assert ([one.refunded for one in source.waiting], units.escrow, units.available) == ([True], 0, GRANTED)
    assert asking.try_one("courier", operation).rule == "channel.refunded"
    carry(pair)
    source, units = end_of(asking, asked)
    assert (source.waiting, source.refunded, source.broken, units.available) == ((), 1, 0, GRANTED)
    row = record(asking, asked)
    assert (row["status"], row["code"], row["response"]) == ("refunded", AckCode.SKIPPED, b"")


@pytest.mark.parametrize("way", ["down", "up"])
def test_too_late_without_a_refund_the_skip_gives_units_back(pair: Layers, way: str) -> None:
    asking, asked = (pair.supervisory, pair.local) if way == "down" else (pair.local, pair.supervisory)
    assert (ask_down if way == "down" else ask_up)(pair, 5_000).code == 0
    asked.block(after_ms=120_000)
    carry(pair)
    source, units = end_of(asking, asked)
    assert (source.waiting, source.refunded, units.available) == ((), 1, GRANTED)


@pytest.mark.parametrize("way", ["down", "up"])
def test_a_request_taken_and_never_acknowledged_is_refunded_by_silence(
    pair: Layers, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """A destination that breaks the rule of one acknowledgement a request holds nobody's units, nor the window."""
    asking, asked = (pair.supervisory, pair.local) if way == "down" else (pair.local, pair.supervisory)
    assert (ask_down if way == "down" else ask_up)(pair, 5_000).code == 0
    with monkeypatch.context() as silent:
        silent.setattr(channel_end, "serve", lambda *_: True)
        carry(pair)
    plan = plan_refund_above if way == "down" else plan_refund_below
    assert len(end_of(asking, asked)[0].waiting) == 1
    assert plan(pair) == (), "not due"
    asked.block(after_ms=120_000)
    asking.time_ms = max(asking.time_ms, asked.time_ms)
    (operation,) = plan(pair)
    assert (operation.args["counter"], "received" in operation.args) == (channel.SENT, True)
    assert asking.one("courier", operation).code == 0
    source, units = end_of(asking, asked)
    assert (source.waiting, source.refunded, units.available, units.escrow) == ((), 1, GRANTED, 0)
    assert record(asking, asked)["status"] == "refunded"
    assert asking.one("courier", operation).rule == "channel.unknown_request"
    assert (ask_down if way == "down" else ask_up)(pair).code == 0
    carry(pair)
    assert end_of(asking, asked)[0].answered == 1, "the channel goes on"


def test_a_request_in_time_is_not_refunded_for_its_answer_is_under_way(pair: Layers) -> None:
    """Executed, its answer withheld until after the deadline: neither counter gives anything back; then it is paid."""
    ask_down(pair, 20_000)
    Courier(pair).services_down()
    pair.local.block(after_ms=60_000)
    pair.supervisory.time_ms = pair.local.time_ms
    assert plan_refund_above(pair) == ()
    asked = pair.local
    sequence = end_of(pair.supervisory, asked)[0].waiting[0].sequence
    for counter, rule in ((channel.RECEIVED, "channel.received"), (channel.SENT, "channel.underway")):
        above = pair.supervisory.hash
        place = local_received_key(asked.hash, above) if counter == "received" else sent_key(above, SERVICE_CHANNEL)
        proven, taken = asked.prove(place), asked.prove(local_received_key(asked.hash, above))
        receipt = pair.supervisory.try_one(
            "courier",
            op(
                "channel",
                "refund",
                chain=asked.hash,
                sequences=[sequence],
                counter=counter,
                value=proven.value or b"",
                proof=proven.proof,
                received={"value": taken.value or b"", "proof": taken.proof},
                height=asked.height,
                header=proven.header,
                certificate=proven.certificate,
            ),
        )
        assert receipt.rule == rule
    carry(pair)
    assert end_of(pair.supervisory, pair.local)[0].answered == 1


def test_what_a_request_may_not_be(pair: Layers) -> None:
    assert ask_down(pair, service="party_status", entity="x").rule == "channel.no_service"
    assert ask_down(pair, security=b"short").rule == "channel.no_service"
    assert ask_up(pair, service="roll_head").rule == "channel.no_service"
    assert ask_down(pair, -1_000).rule == "channel.timeout"
    assert ask_down(pair, channel.MAX_TIMEOUT_MS + 1).rule == "channel.timeout"
    args: dict[str, Value] = {"service": "roll_head", "arguments": {"security": bytes(16)}}
    late = pair.supervisory.time_ms + 60_000
    assert (
        pair.supervisory.try_one("desk", op("channel", "request", chain=bytes(32), timeout_ms=late, **args)).rule
        == "channel.not_admitted"
    )
    assert (
        pair.supervisory.try_one("both", op("channel", "request", chain=pair.local.hash, timeout_ms=late, **args)).rule
        == "channel.no_quota"
    )
    assert pair.local.try_one("holder", op("channel", "grant", account=account("holder"), units=5)).code == 12


def test_the_window_is_bounded_and_opens_again(pair: Layers) -> None:
    above = pair.supervisory
    assert above.one("csrc-1", op("channel", "grant", account=account("desk"), units=1_000)).code == 0
    row: dict[str, Value] = {"service": "roll_head", "arguments": {"security": bytes(16)}}
    one = op("channel", "request", chain=pair.local.hash, timeout_ms=above.time_ms + 60_000, **row)
    assert above.one("desk", *[one] * channel.WINDOW).code == 0
    assert above.try_one("desk", one).rule == "channel.window_full"
    carry(pair)
    assert above.one("desk", one).code == 0
    assert end_of(above, pair.local)[0].answered == channel.WINDOW


def test_an_unreadable_request_is_acknowledged_all_the_same(pair: Layers, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chain of a later version asks with other arguments: taken, said to be unreadable, units back."""
    newer = Service("local", 2, Document(100))
    with monkeypatch.context() as later:
        later.setattr(channel_end, "service_of", lambda *_: newer)
        assert ask_down(pair, security=b"other").code == 0
        assert ask_down(pair, service="unheard_of", x=1).code == 0
    carry(pair)
    source, units = end_of(pair.supervisory, pair.local)
    assert (source.waiting, source.refunded, units.available) == ((), 2, GRANTED)
    codes = [record(pair.supervisory, pair.local, number)["code"] for number in (0, 1)]
    assert codes == [AckCode.UNREADABLE, AckCode.UNKNOWN_SERVICE]
    local = decode_source(pair.local.store.get(source_key(pair.local.hash, pair.supervisory.hash)))
    assert local.unreadable == 1


def test_while_the_client_is_frozen_nothing_moves(pair: Layers) -> None:
    ask_down(pair, 5_000)
    pair.local.block(after_ms=120_000)
    pair.supervisory.time_ms = pair.local.time_ms
    rows = [pair.local.row(pair.local.height), forged_row(pair.local)]
    assert pair.supervisory.one("courier", op("clients", "report_fork", chain=pair.local.hash, headers=rows)).code == 0
    assert plan_refund_above(pair) == ()
    assert ask_down(pair).rule == "header.frozen"


def forged_row(chain: Chain) -> Value:
    header = encode_header(replace(decode_header(chain.certified(chain.height)[0]), state_root=bytes(31) + b"\x01"))
    return {"header": header, "certificate": chain.certify(header)}


def test_deliveries_to_the_market_are_taken_once_and_in_order(pair: Layers) -> None:
    ask_down(pair)
    ask_down(pair)
    first, second = plan_services_down(pair)
    assert pair.local.try_one("courier", second).rule == "channel.out_of_order"
    assert pair.local.one("courier", first).code == 0
    assert pair.local.try_one("courier", first).rule == "channel.replayed"
    assert pair.local.one("courier", second).code == 0
    assert pair.local.height and plan_services_down(pair) == ()


def test_a_market_takes_no_more_than_so_many_in_a_block(pair: Layers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(market_channel, "PACKETS_A_BLOCK", 1)
    ask_down(pair)
    ask_down(pair)
    plan = plan_services_down(pair)
    assert pair.local.try_one("courier", *plan).rule == "channel.rate"


def test_the_packets_say_what_the_specification_says(pair: Layers) -> None:
    ask_down(pair)
    (row,) = pair.supervisory.packets(pair.supervisory.height)
    packet = decode_packet(cast(bytes, row["packet"]))
    assert (packet.channel, packet.kind, packet.sequence) == ("service", "request", 0)
    assert set(decode_map(packet.payload)) == {"service", "arguments", "timeout_ms"}
    Courier(pair).services_down()
    (row,) = pair.local.packets(pair.local.height)
    ack = decode_map(decode_packet(cast(bytes, row["packet"])).payload)
    assert set(ack) == {"sequence", "packet", "code", "hash", "response"}
    assert len(encode_value(ack["response"])) <= channel.MAX_RESPONSE_BYTES
    assert pair.supervisory.value(received_key(pair.local.hash, SERVICE_CHANNEL)) is None


def direct_services(layers: Layers, kind: str) -> None:
    """A directive about all services of the market, carried down."""
    above = layers.supervisory
    row: dict[str, Value] = {"chain": layers.local.hash, "kind": kind, "service": ALL_SERVICES, "reference": "example"}
    issue = op("directives", "issue", **row, deadline_ms=above.time_ms + 60_000)
    assert above.one("csrc-1", issue).code == 0
    last = decode_map(above.store.get(state_key("directives", b"q")) or b"")["last"]
    assert above.one("csrc-2", op("directives", "confirm", number=last)).code == 0
    carry(layers)


def test_a_market_whose_services_are_halted_answers_nobody_and_the_units_go_back(pair: Layers) -> None:
    direct_services(pair, "halt_service")
    assert ask_down(pair).code == 0
    carry(pair)
    ended = record(pair.supervisory, pair.local)
    assert (ended["code"], ended["response"]) == (AckCode.HALTED, b"")
    _, units = end_of(pair.supervisory, pair.local)
    assert (units.escrow, units.paid, units.available) == (0, 0, GRANTED)
    direct_services(pair, "resume_service")
    assert ask_down(pair).code == 0
    carry(pair)
    assert record(pair.supervisory, pair.local, 1)["code"] == AckCode.ANSWERED
