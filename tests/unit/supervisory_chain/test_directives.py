"""Directives are issued with four eyes, numbered for each chain, bounded in a block, and closed by a proven answer."""

from __future__ import annotations

from typing import cast

import pytest

from chain_core.codec.proofs import decode_packet, packet_hash
from chain_core.codec.seen import state_key
from chain_core.codec.values import encode_value
from chain_core.execution.codes import Code
from chain_core.types.packet import Packet
from chain_core.types.transaction import Operation, Receipt
from chain_core.types.values import Value
from crosschain.packets import MAX_DIRECTIVES, Acknowledgement, directive_key, directive_next_key, read_directive
from supervisory_chain.directives import MAX_PROPOSED, open_directives, overdue, record_key
from tests.unit.crosschain.chains import Layers, account, op
from tests.unit.crosschain.forging import reproven


def issue(layers: Layers, **changes: Value) -> Operation:
    args: dict[str, Value] = {
        "chain": layers.local.hash,
        "kind": "freeze_holder",
        "account": account("holder"),
        "deadline_ms": layers.supervisory.time_ms + 60_000,
        "reference": "example document 1",
        **changes,
    }
    return Operation("directives", "issue", args)


def confirm(number: int) -> Operation:
    return op("directives", "confirm", number=number)


def record(layers: Layers, sequence: int) -> dict[str, Value]:
    return cast(dict[str, Value], layers.supervisory.value(record_key(layers.local.hash, sequence)))


def by(layers: Layers, who: str, operation: Operation) -> Receipt:
    return layers.supervisory.one(who, operation)


def test_a_directive_binds_when_a_second_account_confirms_it(layers: Layers) -> None:
    target = layers.local.hash
    assert by(layers, "csrc-1", issue(layers)).code == Code.OK
    assert layers.supervisory.value(directive_next_key(target)) is None
    assert by(layers, "csrc-1", confirm(1)).rule == "directives.own"
    assert by(layers, "operator", confirm(1)).code == Code.FORBIDDEN
    assert by(layers, "csrc-2", confirm(1)).code == Code.OK
    assert layers.supervisory.value(directive_next_key(target)) == 1
    packet = decode_packet(layers.supervisory.store.get(directive_key(target, 0)) or b"")
    assert (packet.source_genesis, packet.destination_genesis) == (layers.supervisory.hash, target)
    assert (packet.channel, packet.sequence, packet.kind) == ("directive", 0, "freeze_holder")
    directive = read_directive(packet.payload)
    assert (directive.account, directive.reference, directive.lifts) == (account("holder"), "example document 1", None)
    found = record(layers, 0)
    assert (found["status"], found["ack"]) == ("issued", None)
    assert (found["issuer"], found["confirmer"]) == (account("csrc-1"), account("csrc-2"))
    assert by(layers, "csrc-2", confirm(1)).rule == "directives.unknown"


def test_only_the_regulator_issues(layers: Layers) -> None:
    for who in ("operator", "courier"):
        for operation in (issue(layers), confirm(1), op("directives", "withdraw", number=1)):
            assert by(layers, who, operation).code == Code.FORBIDDEN


def test_what_cannot_be_issued(layers: Layers) -> None:
    cases: list[tuple[dict[str, Value], str]] = [
        ({"chain": bytes(32)}, "directives.not_admitted"),
        ({"deadline_ms": layers.supervisory.time_ms}, "directives.deadline_past"),
        ({"kind": "unfreeze_holder", "lifts": 0}, "directives.nothing_to_lift"),
        ({"lifts": 0}, "directives.nothing_to_lift"),
    ]
    for changes, rule in cases:
        assert by(layers, "csrc-1", issue(layers, **changes)).rule == rule
    wrong: list[dict[str, Value]] = [
        {"kind": "seize"},
        {"account": bytes(16)},
        {"reference": ""},
        {"reference": "字" * 43},
    ]
    for changes in wrong:
        assert by(layers, "csrc-1", issue(layers, **changes)).code == Code.BAD_ARGUMENTS


def test_a_deadline_that_passed_before_the_second_signature(layers: Layers) -> None:
    assert by(layers, "csrc-1", issue(layers)).code == Code.OK
    layers.supervisory.block(after_ms=120_000)
    assert by(layers, "csrc-2", confirm(1)).rule == "directives.deadline_past"
    assert by(layers, "csrc-2", op("directives", "withdraw", number=1)).code == Code.OK
    assert by(layers, "csrc-2", confirm(1)).rule == "directives.unknown"


def test_what_is_lifted_is_a_freeze_of_the_same_holder(layers: Layers) -> None:
    assert layers.direct("freeze_holder", "holder") == 0
    lift: dict[str, Value] = {"kind": "unfreeze_holder", "lifts": 0}
    assert by(layers, "csrc-1", issue(layers, **lift, account=account("buyer"))).rule == "directives.nothing_to_lift"
    assert by(layers, "csrc-1", issue(layers, **lift)).code == Code.OK
    assert by(layers, "csrc-2", confirm(2)).code == Code.OK
    assert record(layers, 1)["lifts"] == 0
    again = issue(layers, kind="unfreeze_holder", lifts=1)
    assert by(layers, "csrc-1", again).rule == "directives.nothing_to_lift"


def test_at_most_so_many_wait_for_their_second_signature(layers: Layers) -> None:
    supervisory = layers.supervisory
    receipts = supervisory.block(*(supervisory.sign("csrc-1", issue(layers)) for _ in range(MAX_PROPOSED + 1)))
    assert [receipt.rule for receipt in receipts] == [""] * MAX_PROPOSED + ["directives.too_many_proposed"]
    assert by(layers, "csrc-1", op("directives", "withdraw", number=5)).code == Code.OK
    assert by(layers, "csrc-1", issue(layers)).code == Code.OK


def test_at_most_so_many_for_one_chain_in_one_block(layers: Layers) -> None:
    supervisory = layers.supervisory
    supervisory.block(*(supervisory.sign("csrc-1", issue(layers)) for _ in range(MAX_DIRECTIVES + 2)))
    confirming = [supervisory.sign("csrc-2", confirm(number + 1)) for number in range(MAX_DIRECTIVES + 1)]
    receipts = supervisory.block(*confirming)
    assert [receipt.rule for receipt in receipts] == [""] * MAX_DIRECTIVES + ["directives.too_many_in_block"]
    assert supervisory.value(directive_next_key(layers.local.hash)) == MAX_DIRECTIVES
    assert by(layers, "csrc-2", confirm(MAX_DIRECTIVES + 1)).code == Code.OK
    assert record(layers, MAX_DIRECTIVES)["status"] == "issued"


@pytest.mark.parametrize(("late", "on_time"), [(False, True), (True, False)])
def test_an_acknowledgement_closes_its_directive(layers: Layers, late: bool, on_time: bool) -> None:
    sequence = layers.direct("freeze_holder", "holder", deadline_ms=100_000)
    assert layers.local.one("courier", layers.update_down(0, 1)).code == Code.OK
    if late:
        layers.supervisory.block(after_ms=200_000)
    up = (layers.headers_up(1), layers.packets_up(1))
    assert layers.supervisory.one("courier", *up).code == Code.OK
    found = record(layers, sequence)
    ack = cast(dict[str, Value], found["ack"])
    assert (found["status"], ack["code"], ack["height"], ack["on_time"]) == ("executed", 0, 1, on_time)


def test_open_and_overdue_ones_are_listed_completely(layers: Layers) -> None:
    get, target = layers.supervisory.store.get, layers.local.hash
    assert open_directives(get, target, layers.supervisory.time_ms) == []
    soon = layers.supervisory.time_ms + 10_000
    for who, deadline_ms in (("holder", 6_000), ("buyer", 600_000), ("issuer", 6_000)):
        layers.direct("freeze_holder", who, deadline_ms=deadline_ms)
    listed = open_directives(get, target, soon)
    assert [(d.sequence, d.account) for d in listed] == list(enumerate(map(account, ("holder", "buyer", "issuer"))))
    assert [d.sequence for d in overdue(get, target, soon + 100_000)] == [0, 2]
    assert layers.local.one("courier", layers.update_down(0, 3)).code == Code.OK
    assert layers.supervisory.one("courier", layers.headers_up(1), layers.packets_up(1)).code == Code.OK
    assert open_directives(get, target, soon) == []


def test_an_acknowledgement_of_anything_else_closes_nothing(layers: Layers) -> None:
    """Proven by the market's own quorum, and still no answer to the directive that is open."""
    target, above = layers.local.hash, layers.supervisory.hash
    layers.direct("freeze_holder", "holder")
    layers.business("S1")
    directive = packet_hash(layers.supervisory.store.get(directive_key(target, 0)) or b"")
    answers = [Acknowledgement(0, bytes(32), 0), Acknowledgement(1, directive, 0), Acknowledgement(0, directive, 2)]
    packets = [
        Packet(target, 0, above, 0, "directive", number, "ack", encode_value(answer.payload()))
        for number, answer in enumerate(answers)
    ]
    assert by(layers, "courier", reproven(layers, *packets[:2])).code == Code.OK
    assert record(layers, 0)["status"] == "issued"
    tally = layers.supervisory.value(state_key("inbox", b"r" + target))
    assert isinstance(tally, dict)
    assert tally["unreadable"] == 2
    rest = reproven(layers, *packets)
    rows = cast(list[Value], rest.args["packets"])
    assert by(layers, "courier", Operation("inbox", "deliver", {**rest.args, "packets": rows[2:]})).code == Code.OK
    ack = cast(dict[str, Value], record(layers, 0)["ack"])
    assert (record(layers, 0)["status"], ack["code"]) == ("not_executed", 2)
