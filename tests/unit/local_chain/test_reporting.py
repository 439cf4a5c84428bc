"""A block with business in it is reported, once and by the numbers; a quiet one is not."""

from __future__ import annotations

import pytest

from chain_core.codec.proofs import decode_packet
from chain_core.codec.values import encode_value
from chain_core.crypto.merkle import merkle_root
from chain_core.execution.codes import Code
from chain_core.types.transaction import Operation
from crosschain.packets import Report, Totals, read_report, sent_key
from local_chain import reporting
from local_chain.reporting import read_totals, totals_key
from tests.unit.crosschain.chains import Layers, account, op, security


def reports(layers: Layers, height: int) -> list[Report]:
    packets = [decode_packet(raw) for raw in layers.local.store.outbox(height)]
    return [read_report(packet.payload) for packet in packets if packet.channel == "report"]


def test_business_is_reported_with_its_refusals(layers: Layers) -> None:
    local = layers.local
    batch = [local.sign("operator", security(name)) for name in ("S1", "S2", "S2")]
    receipts = local.block(*batch, local.sign("holder", security("S3")), local.sign("holder", op("nothing", "here")))
    assert [receipt.code for receipt in receipts[:2]] == [Code.OK, Code.OK]
    assert all(receipt.code != Code.OK for receipt in receipts[2:])
    (report,) = reports(layers, 1)
    assert (report.height, report.time_ms) == (1, local.time_ms)
    assert (report.transactions, report.refusals) == (5, 3)
    assert report.totals == Totals(1, 5, 3)
    assert (report.events, report.event_count) == (merkle_root(local.store.events(1)), 5)


def test_its_packet_goes_to_the_supervisory_chain_in_the_genesis_document(layers: Layers) -> None:
    layers.business("S1")
    (raw,) = layers.local.store.outbox(1)
    packet = decode_packet(raw)
    assert (packet.source_genesis, packet.destination_genesis) == (layers.local.hash, layers.supervisory.hash)
    assert (packet.channel, packet.kind, packet.sequence) == ("report", "block", 0)
    assert layers.local.value(sent_key(layers.supervisory.hash, "report")) == 1


def test_quiet_blocks_are_not_reported(layers: Layers) -> None:
    """Else every relayed header would make a report, and every report a relayed header, for ever."""
    local = layers.local
    local.block()
    assert local.one("courier", layers.update_down(0, 0)).code == Code.OK
    assert local.one("holder", op("accounts", "grant", account=account("buyer"))).code == Code.OK
    assert [local.store.outbox(height) for height in (1, 2, 3)] == [(), (), ()]
    assert local.store.get(totals_key()) is None


def test_totals_count_since_genesis_and_say_how_far_the_regulator_is_followed(layers: Layers) -> None:
    layers.business("S1", "S2")
    layers.direct("freeze_holder", "buyer")
    layers.local.one("courier", layers.update_down(0, 1))
    layers.business("S3")
    (first,), (second,) = reports(layers, 1), reports(layers, 3)
    assert (first.supervisory_height, first.directives_executed) == (0, 0)
    assert (second.supervisory_height, second.directives_executed) == (layers.supervisory.height, 1)
    assert second.totals == Totals(2, 3, 0)
    assert read_totals(layers.local.store.get(totals_key())) == second.totals


def test_findings_of_supervision_templates_are_counted(layers: Layers, monkeypatch: pytest.MonkeyPatch) -> None:
    layers.business("S1")
    monkeypatch.setattr(reporting, "count_of", lambda raw: 3 if raw is None else -1)
    layers.business("S2")
    assert [report.totals.alarms for height in (1, 2) for report in reports(layers, height)] == [0, 3]


def test_a_block_of_border_and_business_counts_its_business_only(layers: Layers) -> None:
    local = layers.local
    local.block(local.sign("operator", security("S1")), local.sign("courier", layers.update_down(0, 0)))
    (report,) = reports(layers, 1)
    assert (report.transactions, report.refusals, report.event_count) == (1, 0, 2)
    assert report.supervisory_height == layers.supervisory.height


def test_a_refused_mixture_of_lanes_is_business(layers: Layers) -> None:
    mixed = (security("S1"), op("accounts", "grant", account=account("buyer")))
    assert layers.local.one("operator", *mixed).code == Code.MIXED_LANES
    (report,) = reports(layers, 1)
    assert (report.transactions, report.refusals) == (1, 1)


def test_nobody_can_call_it(layers: Layers) -> None:
    assert layers.local.one("operator", Operation("reporting", "report", {})).code == Code.UNKNOWN_METHOD
    assert encode_value(Totals().payload()) == encode_value(
        {"reports": 0, "transactions": 0, "refusals": 0, "alarms": 0}
    )
