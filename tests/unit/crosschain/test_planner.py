"""The planner: everything is carried, once, in few transactions, from nothing but the chains' own state."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chain_core.codec.seen import state_key
from chain_core.types.transaction import MAX_ENVELOPE_BYTES, MAX_OPERATIONS
from chain_core.types.values import Value
from crosschain.following import HEADERS_A_BLOCK, decode_position
from crosschain.packets import client_key, directive_next_key, received_key, supervision_key
from crosschain.relayer import planner
from tests.unit.crosschain.chains import Layers
from tests.unit.crosschain.couriers import HEARTBEAT_MS, Courier, arrived, emitted, plan_down, plan_up, source


def methods(plan: planner.Plan) -> list[str]:
    return [f"{operation.contract}.{operation.method}" for operation in plan]


def reports(layers: Layers) -> int:
    row = layers.supervisory.value(state_key("inbox", b"r" + layers.local.hash))
    return cast(dict[str, int], row)["reports"] if row else 0


def test_the_first_header_goes_each_way_at_once_then_there_is_nothing_to_do(layers: Layers) -> None:
    layers.local.block()
    assert methods(plan_up(layers)) == ["clients.submit_headers"]
    assert methods(plan_down(layers)) == ["supervision.update"]
    courier = Courier(layers)
    assert (courier.up(), courier.down()) == (1, 1)
    layers.local.block()
    layers.supervisory.block()
    assert plan_up(layers) == ()
    assert plan_down(layers) == ()


def test_packets_go_with_their_headers_in_one_transaction(layers: Layers) -> None:
    for reference in ("S1", "S2", "S3"):
        layers.business(reference)
        layers.local.block()
    plan = plan_up(layers)
    assert methods(plan) == ["clients.submit_headers", "inbox.deliver", "inbox.deliver", "inbox.deliver"]
    assert [operation.args["height"] for operation in plan[1:]] == [1, 3, 5]
    assert len(cast(list[Value], plan[0].args["headers"])) == 3
    courier = Courier(layers)
    assert courier.up() == 1
    assert reports(layers) == 3
    assert courier.up() == 0


def test_many_blocks_take_few_transactions_each_within_an_envelope(layers: Layers) -> None:
    for number in range(70):
        layers.business(f"S{number}")
    assert Courier(layers).up() == 2
    assert reports(layers) == 70


def test_a_later_start_needs_no_memory(layers: Layers) -> None:
    layers.business("S1")
    assert Courier(layers).up() == 1
    layers.business("S2")
    again = Courier(layers)
    assert again.up() == 1
    assert (reports(layers), len(again.receipts)) == (2, 1)


def test_packets_whose_header_was_skipped_bring_it_along(layers: Layers) -> None:
    layers.business("S1")
    layers.business("S2")
    layers.business("S3")
    assert layers.supervisory.one("operator", layers.headers_up(2)).code == 0
    plan = plan_up(layers)
    assert methods(plan) == ["clients.submit_headers"] + ["inbox.deliver"] * 3
    assert ["header" in operation.args for operation in plan[1:]] == [True, True, False]
    assert Courier(layers).up() == 1
    assert reports(layers) == 3


def test_the_latest_header_goes_up_when_nothing_else_has_for_long(layers: Layers) -> None:
    layers.business("S1")
    assert Courier(layers).up() == 1
    layers.local.block(after_ms=HEARTBEAT_MS - 1)
    assert plan_up(layers) == ()
    layers.local.block(after_ms=1)
    assert methods(plan_up(layers)) == ["clients.submit_headers"]
    assert Courier(layers).up() == 1
    assert decode_position(layers.supervisory.store.get(client_key(layers.local.hash))).height == 3


def test_the_latest_header_comes_down_when_it_is_time(layers: Layers) -> None:
    layers.supervisory.block(after_ms=2 * HEARTBEAT_MS)
    layers.local.block(after_ms=2 * HEARTBEAT_MS)
    (operation,) = plan_down(layers)
    assert operation.args["directives"] == []
    assert Courier(layers).down() == 1
    followed = decode_position(layers.local.store.get(supervision_key()))
    assert followed.height == layers.supervisory.height


def test_directives_come_down_in_order_and_their_answers_go_up(layers: Layers) -> None:
    for who in ("holder", "buyer"):
        layers.direct("freeze_holder", who)
    courier = Courier(layers)
    assert (courier.down(), courier.up()) == (1, 1)
    assert layers.supervisory.value(received_key(layers.local.hash, "directive")) == {"next": 2, "height": 1}
    assert (courier.down(), courier.up()) == (0, 0)


def test_two_idle_chains_do_not_keep_each_other_awake(layers: Layers) -> None:
    layers.business("S1")
    layers.direct("freeze_holder", "holder")
    courier = Courier(layers)
    courier.down()
    courier.up()
    heights = layers.local.height, layers.supervisory.height
    for _ in range(5):
        assert (courier.up(), courier.down()) == (0, 0)
    assert (layers.local.height, layers.supervisory.height) == heights


def test_nothing_is_carried_up_for_a_chain_that_is_not_admitted_or_frozen(layers: Layers) -> None:
    layers.business("S1")
    taken, sent = arrived(layers), source(layers)
    blocks = emitted(layers, 1, 1)
    unknown = replace(taken, admitted=False)
    assert planner.plan_up(layers.local.hash, unknown, sent, blocks, HEARTBEAT_MS) == ()
    frozen = replace(taken, client=replace(taken.client, frozen=1))
    assert planner.plan_up(layers.local.hash, frozen, sent, blocks, HEARTBEAT_MS) == ()


def test_where_to_look_for_pending_packets(layers: Layers) -> None:
    layers.business("S1")
    layers.business("S2")
    assert planner.scan_start(arrived(layers), source(layers), 0) == 1
    assert planner.scan_start(arrived(layers), source(layers), 1) == 2
    Courier(layers).up()
    assert planner.scan_start(arrived(layers), source(layers), 0) is None
    layers.business("S3")
    assert planner.scan_start(arrived(layers), source(layers), 0) == 2
    assert planner.pending(arrived(layers), source(layers)) == {"report": 1}


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_a_block_with_more_packets_than_fit_goes_in_parts(
    layers: Layers, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planner, "MAX_BLOCK_PACKETS", limit)
    monkeypatch.setattr(planner, "MAX_PACKETS", 2 * limit)
    for who in ("holder", "buyer", "issuer", "bank", "operator", "courier"):
        layers.direct("freeze_holder", who)
    courier = Courier(layers)
    courier.down()
    assert courier.up() == -(-6 // (2 * limit))
    assert layers.supervisory.value(received_key(layers.local.hash, "directive")) == {"next": 6, "height": 1}


def test_every_plan_fits_into_an_envelope(layers: Layers) -> None:
    for number in range(planner.MAX_HEADERS + 2):
        layers.business(f"S{number}")
    plan = plan_up(layers)
    assert len(layers.supervisory.sign("courier", *plan).raw) < MAX_ENVELOPE_BYTES
    headers = [len(cast(list[Value], operation.args["headers"])) for operation in plan[:2]]
    assert (sum(headers), max(headers)) == (planner.MAX_HEADERS, planner.HEADERS_AN_OPERATION)
    assert methods(plan) == ["clients.submit_headers"] * 2 + ["inbox.deliver"] * planner.MAX_HEADERS
    assert len(plan) == MAX_OPERATIONS and planner.MAX_HEADERS <= HEADERS_A_BLOCK
    assert layers.supervisory.one("courier", *plan).code == 0


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["business", "quiet", "direct", "up", "down", "skip"]), min_size=4, max_size=14))
def test_whatever_happens_in_which_order_all_arrives_once(layers: Layers, moves: list[str]) -> None:
    """One pair of chains for all examples: state piles up, the courier catches up each time."""
    courier = Courier(layers)
    for move in moves:
        match move:
            case "business":
                layers.business(f"S{layers.local.height}")
            case "quiet":
                layers.local.block()
            case "direct":
                layers.direct("freeze_holder", "holder", reference=f"example {layers.supervisory.height}")
            case "up":
                courier.up()
            case "down":
                courier.down()
            case "skip" if layers.local.height > arrived(layers).client.height:
                assert layers.supervisory.one("operator", layers.headers_up(layers.local.height)).code == 0
    courier.down()
    courier.up()
    local, supervisory = layers.local, layers.supervisory
    sent = source(layers).sent
    assert {channel: pair[0] for channel, pair in arrived(layers).channels.items()} == sent
    assert reports(layers) == sent["report"]
    issued = supervisory.value(directive_next_key(local.hash)) or 0
    assert decode_position(local.store.get(supervision_key())).count == issued == sent["directive"]


def test_packets_of_no_known_channel_are_left_alone(layers: Layers) -> None:
    layers.business("S1")
    (block,) = emitted(layers, 1, 1)
    packet, proven = block.packets[0]
    odd = replace(block, packets=[(replace(packet, channel="gossip"), proven)])
    assert planner.plan_up(layers.local.hash, arrived(layers), source(layers), [odd], HEARTBEAT_MS) == ()
