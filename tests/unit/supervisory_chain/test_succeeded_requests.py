"""Requests that wait when a market moves to its successor: both ends give their units back, once (channels.md §6)."""

from __future__ import annotations

from pathlib import Path

from chain_core.execution.codes import Code
from crosschain.channel import Source, Units
from crosschain.channel_state import decode_source, decode_units, quota_key, request_key, source_key, totals_key
from crosschain.packets import count_in
from tests.unit.crosschain.chains import Chain, Layers, account, op
from tests.unit.crosschain.couriers import Courier
from tests.unit.supervisory_chain.ending import End, ended


def end_of(chain: Chain, own: bytes, peer: bytes) -> tuple[Source, Units]:
    return decode_source(chain.store.get(source_key(own, peer))), decode_units(chain.store.get(totals_key()))


def asked_both_ways(layers: Layers, directory: Path) -> End:
    """The market's request was taken, its answer never; the regulator's request reached nobody. Then the chain ends."""
    above, local = layers.supervisory, layers.local
    assert above.one("csrc-1", op("channel", "grant", account=account("desk"), units=10)).code == Code.OK
    assert local.one("operator", op("channel", "grant", account=account("issuer"), units=10)).code == Code.OK
    up = op("channel", "request", service="party_status", arguments={"entity": "x"}, timeout_ms=local.time_ms + 90_000)
    assert local.one("issuer", up).code == Code.OK
    Courier(layers).up()
    down = op(
        "channel",
        "request",
        chain=local.hash,
        service="roll_head",
        arguments={"security": bytes(16)},
        timeout_ms=above.time_ms + 90_000,
    )
    assert above.one("desk", down).code == Code.OK
    return ended(layers, directory)


def test_what_waits_when_a_market_moves_is_given_back_at_both_ends(layers: Layers, tmp_path: Path) -> None:
    end = asked_both_ways(layers, tmp_path)
    above, before = layers.supervisory, end.before
    assert end_of(above, above.hash, before)[1] == Units(10, 8, 2, 0)
    successor = end.moved()
    source, units = end_of(above, above.hash, before)
    assert (source.waiting, source.refunded, units) == ((), 1, Units(10, 10, 0, 0))
    assert count_in(above.store.get(quota_key(account("desk")))) == 10
    assert len(end_of(successor, before, above.hash)[0].waiting) == 1, "inherited"
    assert end_of(successor, before, above.hash)[1] == Units(10, 9, 1, 0)
    close = op("channel", "close_former")
    assert successor.one("courier", close).code == Code.OK
    source, units = end_of(successor, before, above.hash)
    assert (source.waiting, source.refunded, units) == ((), 1, Units(10, 10, 0, 0))
    assert count_in(successor.store.get(quota_key(account("issuer")))) == 10
    assert successor.store.get(request_key(before, above.hash, 0)) is not None
    assert successor.one("courier", close).rule == "channel.nothing_former"


def test_both_ends_ask_on_between_the_regulator_and_the_successor(layers: Layers, tmp_path: Path) -> None:
    """The regulator's sequences begin anew, the market's go on; answers find their requests."""
    end = asked_both_ways(layers, tmp_path)
    above, successor = layers.supervisory, end.moved()
    courier = Courier(layers)
    layers.business("S2")
    while courier.up() + courier.down() + courier.services_down():
        pass
    late = max(above.time_ms, successor.time_ms) + 90_000
    down = op(
        "channel",
        "request",
        chain=successor.hash,
        service="roll_head",
        arguments={"security": bytes(16)},
        timeout_ms=late,
    )
    assert above.one("desk", down).code == Code.OK
    up = op("channel", "request", service="party_status", arguments={"entity": "x"}, timeout_ms=late)
    assert successor.one("issuer", up).code == Code.OK
    while courier.up() + courier.down() + courier.services_down():
        pass
    for chain, peer, paid in ((above, successor.hash, 2), (successor, above.hash, 1)):
        source, units = end_of(chain, chain.hash, peer)
        assert (source.waiting, source.answered, units.paid) == ((), 1, paid)


def test_what_waits_for_a_market_that_leaves_is_given_back(layers: Layers) -> None:
    above, local = layers.supervisory, layers.local
    assert above.one("csrc-1", op("channel", "grant", account=account("desk"), units=10)).code == Code.OK
    down = op(
        "channel",
        "request",
        chain=local.hash,
        service="roll_head",
        arguments={"security": bytes(16)},
        timeout_ms=above.time_ms + 90_000,
    )
    assert above.one("desk", down).code == Code.OK
    for who, step in (("csrc-1", "suspend"), ("csrc-1", "propose_withdrawal")):
        assert above.one(who, op("chains", step, chain=local.hash)).code == Code.OK
    assert end_of(above, above.hash, local.hash)[1] == Units(10, 8, 2, 0)
    assert above.one("csrc-2", op("chains", "withdraw", chain=local.hash)).code == Code.OK
    source, units = end_of(above, above.hash, local.hash)
    assert (source.waiting, source.refunded, units) == ((), 1, Units(10, 10, 0, 0))
    assert count_in(above.store.get(quota_key(account("desk")))) == 10
