"""A market's day as snapshots of all nine kinds; what is wrong is held and corrected; crashes change nothing."""

from __future__ import annotations

import asyncio
import itertools
import json
from pathlib import Path

import pytest

from chain_core.codec.transaction import decode_envelope
from chain_core.crypto.hashing import sm3
from chain_core.node.verifying_client import Refused, Settled
from chain_core.types.errors import DualchainError
from chain_core.types.transaction import Operation as Call
from contracts.anchors.contract import ANCHORS
from contracts.data_model.emission import check_emission
from contracts.data_model.faults import SnapshotRefused
from contracts.data_model.references import references
from contracts.data_model.schemas import kinds
from contracts.data_model.seals import verify_seals
from contracts.data_model.snapshot import VERSION, Operation, Snapshot, read_snapshot
from local_chain.exporter.database import Status
from local_chain.exporter.errors import AnchorRefused, ExporterFault, UnknownObject
from local_chain.exporter.mapping import LEDGER_EVENTS, NOT_EXPORTED
from tests.unit.contracts.market import MONDAY, account, op
from tests.unit.local_chain.exporter.exchange import HOUSE, PEOPLE, Exchange, Office, company, subject

ALL = ("operator", "issuer", *PEOPLE)


def objects_of(exchange: Exchange) -> list[bytes]:
    return [
        fields["object"]
        for _, _, transactions in exchange.blocks
        for _, events in transactions
        for contract, name, fields in events
        if (contract, name) == ("data", "created")
    ]


def day(folder: Path, told: tuple[str, ...] = ALL) -> tuple[Exchange, Office, bytes]:
    exchange = Exchange.begin()
    office = Office(folder, exchange)
    security = exchange.a_days_business()
    office.tell(*told)
    office.tell_objects(security, objects_of(exchange))
    return exchange, office, security


def deliver(office: Office) -> int:
    return asyncio.run(office.delivery.run_once())


def stored(office: Office) -> dict[str, Snapshot]:
    return {name: read_snapshot(versions[-1]) for name, versions in office.store.versions.items()}


def test_all_nine_kinds_are_valid_sealed_stored_and_anchored(tmp_path: Path) -> None:
    exchange, office, _security = day(tmp_path)
    office.take()
    count = deliver(office)
    snapshots = stored(office)
    assert count == len(snapshots) > 30 and office.database.counts()[Status.ANCHORED] == count
    assert {one.type for one in snapshots.values()} == set(kinds(VERSION))
    for name, one in snapshots.items():
        check_emission(one)
        assert verify_seals(one) and one.seals[0].public_key and one.reference == name
        assert exchange.anchored(one.object_id)[one.version].hash == sm3(office.store.versions[name][-1])
    places = {(name, version): place for place, (name, version, _) in enumerate(office.chain.order)}
    assert len(places) == len(office.chain.order), "each once"
    for name, one in snapshots.items():
        for _, reference in references(one.body):
            assert str(reference) in snapshots, "no reference leads nowhere"
            at = places[reference.object_id, reference.version]
            assert at < places[one.object_id, one.version], f"{name} comes after what it refers to"


def test_registrations_say_what_the_chain_holds(tmp_path: Path) -> None:
    exchange, office, security = day(tmp_path)
    office.take()
    deliver(office)
    snapshots = stored(office)
    for name in PEOPLE:
        holding = exchange.holding(security, name)
        object_id = f"registration-{security.hex()}-{account(name).hex()}"
        stored_kind = office.database.object(object_id)
        assert stored_kind is not None
        body = snapshots[f"{object_id}/{stored_kind.latest}"].body["registration_information"]
        rights = body["registration_rights"]["basic_information_rights"]
        found = (
            rights["available_registration"]["register_asset_balance_after"],
            rights["pledge_registration"]["register_pledge_balance_after"],
            rights["freezing_registration"]["register_frozen_balance_after"],
        )
        assert found == (holding.available, holding.pledged, holding.frozen)
        change = rights["available_registration"]
        before, after = change["register_asset_balance_before"], change["register_asset_balance_after"]
        assert before + change["register_asset_balance_change"] == after
    latest = office.database.object(subject("issuer"))
    assert latest is not None
    count = latest.facts["subject_information"]["organization_subject_information"]["basic_information_of_enterprise"]
    assert count["basic_information_description"]["subject_shareholders_number"] == len(exchange.roll(security)) == 4
    (report,) = (
        one for one in snapshots.values() if one.type == "transactionreport" and "price" in json.dumps(one.body)
    )
    content = report.body["transaction_report_information"]["transaction_information"]
    assert content["transaction_content_information"]["transaction_settlement_price"] == 30


def test_a_wrong_snapshot_is_held_queried_corrected_with_its_cascade_and_accepted(tmp_path: Path) -> None:
    """Must show 7. Nobody told who investor-0 is; what refers to him waits, the rest goes on."""
    exchange, office, _security = day(tmp_path, tuple(name for name in ALL if name != "investor-0"))
    exchange.qualified("investor-0", until=MONDAY + 400)
    office.take()
    deliver(office)
    held = office.database.rows(Status.HELD)
    assert {row.object for row in held} == {subject("investor-0")} and len(held) > 1
    (first, *_) = json.loads(held[0].faults)
    assert first["rule"] == "required" and first["path"].startswith("/body/subject_information")
    waiting = office.database.rows(Status.WAITING)
    assert {row.kind for row in waiting} >= {"account", "registration", "transactionreport"}
    assert exchange.anchored(subject("investor-1")), "others went on"
    assert not exchange.anchored(subject("investor-0"))
    office.again()  # what is held is known after a restart
    with pytest.raises(SnapshotRefused):
        office.exporter.correct(subject("investor-0"), 0)
    assert office.database.rows(Status.HELD) == held, "nothing was written"
    office.tell("investor-0")
    rows = office.exporter.correct(subject("investor-0"), 0)
    assert [(row.version, row.operation) for row in rows] == [(n, "overwrite") for n in range(len(held))]
    deliver(office)
    counts = office.database.counts()
    assert not counts["held"] and not counts["waiting"] and counts["superseded"] == len(held)
    snapshots = stored(office)
    places = {(name, version): place for place, (name, version, _) in enumerate(office.chain.order)}
    for one in snapshots.values():
        check_emission(one)
        for _, reference in references(one.body):
            assert places[reference.object_id, reference.version] < places[one.object_id, one.version]
    assert snapshots[f"{subject('investor-0')}/0"].operation is Operation.OVERWRITE


def test_what_is_anchored_is_overwritten_with_its_cascade(tmp_path: Path) -> None:
    exchange, office, _security = day(tmp_path)
    office.take()
    deliver(office)
    name, before = subject("issuer"), len(exchange.anchored(subject("issuer")))
    assert before > 1
    described = ("organization_subject_information", "basic_information_of_enterprise", "basic_information_description")
    patch: dict[str, object] = {"subject_company_name": "更名"}
    for part in reversed(described):
        patch = {part: patch}
    office.exporter.correct(name, 0, {"subject_information": patch})
    deliver(office)
    anchors = exchange.anchored(name)
    assert [one.rewrites for one in anchors] == [1] * before and {one.operation for one in anchors} == {"overwrite"}
    for version in range(before):
        one = read_snapshot(office.store.versions[f"{name}/{version}"][-1])
        assert "更名" in json.dumps(one.body, ensure_ascii=False), "the correction reached the later versions"
        assert len(office.store.versions[f"{name}/{version}"]) == 2, "what was replaced is kept"
    with pytest.raises(UnknownObject):
        office.exporter.correct("nothing")
    with pytest.raises(UnknownObject):
        office.exporter.correct(name, before)


def test_private_attributes_that_change_become_a_version_and_never_beat_the_chain(tmp_path: Path) -> None:
    exchange, office, _security = day(tmp_path)
    office.take()
    deliver(office)
    before = len(exchange.anchored(subject("issuer")))
    lying = company("新名称")
    description = lying["subject_information"]["organization_subject_information"]["basic_information_of_enterprise"]
    description["basic_information_description"]["subject_shareholders_number"] = 1
    office.attributes.put([(subject("issuer"), lying)])
    exchange.ok("operator", op("set_calendar", holidays=[], workdays=[], opened=[]), cosigners=("governor-2",))
    office.take()
    deliver(office)
    text = json.dumps(stored(office)[f"{subject('issuer')}/{before}"].body, ensure_ascii=False)
    assert "新名称" in text and '"subject_shareholders_number": 4' in text


class Crash(BaseException):
    pass


@pytest.mark.parametrize("point", ["block written", "stored", "signed", "final"])
def test_a_crash_anywhere_leaves_each_snapshot_anchored_exactly_once(tmp_path: Path, point: str) -> None:
    (tmp_path / "calm").mkdir()
    _, office, _ = day(tmp_path / "calm")
    office.take()
    deliver(office)
    calm, kept = office.chain.order, {name: len(raws) for name, raws in office.store.versions.items()}
    (tmp_path / "crashing").mkdir()
    _exchange, office, _security = day(tmp_path / "crashing")
    for turn in itertools.count(1):
        left = [min(turn, 5)]

        def crash(name: str, left: list[int] = left) -> None:
            left[0] -= name == point
            if name == point and not left[0]:
                raise Crash

        office.again(crash)
        try:
            office.take()
            deliver(office)
        except Crash:
            continue
        break
    assert turn > 1 and office.chain.order == calm
    assert {name: len(raws) for name, raws in office.store.versions.items()} == kept


class Expired(DualchainError):
    code = "EXPIRED"


def test_an_envelope_that_expired_is_signed_again_under_the_same_nonce(tmp_path: Path) -> None:
    exchange, office, _security = day(tmp_path)
    office.take()
    sent: list[bytes] = []
    honest = office.chain.submit_raw

    async def slow(raw: bytes) -> Settled:
        sent.append(raw)
        exchange.time_ms += 1_000
        return Refused(Expired("its window is over, and it is proven absent")) if len(sent) == 1 else await honest(raw)

    office.chain.submit_raw = slow  # type: ignore[method-assign]
    assert deliver(office) == len(office.chain.order) == len(set(office.chain.order))
    first, second = (decode_envelope(raw).body for raw in sent[:2])
    assert (first.nonce, first.operations) == (second.nonce, second.operations)
    assert first.valid_until_ms < second.valid_until_ms


def test_a_batch_that_the_chain_refuses_stops_the_exporter_and_skips_nothing(tmp_path: Path) -> None:
    exchange, office, _security = day(tmp_path)
    office.take()
    foreign = subject("investor-1")
    row = {"object": foreign, "kind": "subject", "version": 0, "operation": "create", "hash": bytes(32)}
    grown = exchange.sign("operator", Call(ANCHORS, "anchor", {"model": VERSION, "rows": [row]}))
    exchange.block(grown)
    for _ in range(2):
        with pytest.raises(AnchorRefused, match=r"anchors\.exists"):
            deliver(office)
        office.again()
    assert office.database.open_batch() is not None and not office.chain.order


def test_blocks_follow_each_other_and_books_never_go_below_zero(tmp_path: Path) -> None:
    exchange, office, security = day(tmp_path)
    with pytest.raises(ExporterFault):
        office.exporter.take(2, 0, [], {})
    event = [
        "kernel",
        "transferred",
        {"security": security, "source": HOUSE.account, "target": account("x"), "quantity": 1, "kind": 2},
    ]
    with pytest.raises(ExporterFault):
        office.exporter.take(1, exchange.time_ms, [("00", [event])], {})
    assert office.exporter.next_height == 1 and not sum(office.database.counts().values())


def test_a_template_cannot_pass_its_own_event_for_the_kernels(tmp_path: Path) -> None:
    exchange, office, security = day(tmp_path)
    office.take()
    before = office.database.counts()
    fields = {"security": security, "source": account("investor-1"), "target": account("x"), "quantity": 1, "kind": 2}
    event = ["templates", "transferred", {**fields, "instance": bytes(16)}]
    office.exporter.take(office.exporter.next_height, exchange.time_ms, [("00", [event])], {})
    assert office.database.counts() == before and not NOT_EXPORTED.keys() & LEDGER_EVENTS.keys()
