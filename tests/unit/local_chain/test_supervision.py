"""Directives come down: whole, in order, proven, before any business of their block; and each is answered."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest

from chain_core.codec.block import decode_header, encode_header
from chain_core.codec.proofs import decode_packet, encode_packet, encode_state_proof, packet_hash
from chain_core.codec.seen import state_key
from chain_core.codec.values import encode_value
from chain_core.execution.codes import Code
from chain_core.execution.context import CallContext
from chain_core.types.packet import Packet
from chain_core.types.transaction import Operation, Receipt
from chain_core.types.values import Value
from crosschain.following import Position, decode_position
from crosschain.packets import (
    MAX_DIRECTIVES,
    Directive,
    Outcome,
    directive_key,
    directive_next_key,
    encode_directive,
    read_acknowledgement,
    supervision_key,
)
from local_chain import enforcement
from tests.unit.crosschain.chains import Layers, account, op, security
from tests.vectors.state_model import StateModel

OTHER = bytes(31) + b"\x01"


def position(layers: Layers) -> Position:
    return decode_position(layers.local.store.get(supervision_key()))


def frozen(layers: Layers, who: str) -> bool:
    return layers.local.store.get(state_key("kernel", b"Z" + account(who))) is not None


def update(layers: Layers, args: dict[str, Value]) -> Receipt:
    return layers.local.one("courier", Operation("supervision", "update", args))


def answers(layers: Layers, height: int) -> list[tuple[int, int]]:
    """(sequence, code) of the acknowledgements that a local block sent."""
    packets = [decode_packet(raw) for raw in layers.local.store.outbox(height)]
    acks = [read_acknowledgement(packet.payload) for packet in packets if packet.kind == "ack"]
    return [(ack.sequence, ack.code) for ack in acks]


def test_a_header_without_directives_is_followed(layers: Layers) -> None:
    assert update(layers, layers.update_args(0, 0)).code == Code.OK
    assert (position(layers).height, position(layers).count) == (layers.supervisory.height, 0)
    assert layers.local.store.outbox(1) == ()


def test_a_freeze_binds_and_is_answered(layers: Layers) -> None:
    layers.direct("freeze_holder", "holder")
    assert update(layers, layers.update_args(0, 1)).code == Code.OK
    assert frozen(layers, "holder")
    assert position(layers) == replace(position(layers), height=layers.supervisory.height, count=1, frozen=-1)
    assert answers(layers, 1) == [(0, Outcome.EXECUTED)]
    (ack,) = [decode_packet(raw) for raw in layers.local.store.outbox(1)]
    assert (ack.destination_genesis, ack.channel, ack.sequence) == (layers.supervisory.hash, "directive", 0)
    directive = layers.supervisory.store.get(directive_key(layers.local.hash, 0))
    assert directive is not None
    assert read_acknowledgement(ack.payload).packet == packet_hash(directive)
    kept = layers.local.value(state_key("supervision", b"d" + bytes(8)))
    assert isinstance(kept, dict)
    assert (kept["kind"], kept["code"], kept["supervisory_height"]) == ("freeze_holder", 0, layers.supervisory.height)


def test_it_runs_before_the_business_of_its_block_whatever_the_batch_says(layers: Layers) -> None:
    """The primary put the trade first; the lanes put the directive first."""
    layers.direct("freeze_holder", "operator")
    local = layers.local
    receipts = local.block(local.sign("operator", security("S1")), local.sign("courier", layers.update_down(0, 1)))
    assert [receipt.code for receipt in receipts] == [Code.REFUSED_BY_RULE, Code.OK]
    assert receipts[0].rule == "csrc.frozen_party"
    assert "csrc/0" in receipts[0].parameters


def test_freeze_and_unfreeze_in_one_update_run_in_order(layers: Layers) -> None:
    layers.direct("freeze_holder", "holder")
    layers.direct("unfreeze_holder", "holder", lifts=0)
    layers.direct("freeze_holder", "buyer")
    assert update(layers, layers.update_args(0, 3)).code == Code.OK
    assert (frozen(layers, "holder"), frozen(layers, "buyer")) == (False, True)
    assert answers(layers, 1) == [(0, 0), (1, 0), (2, 0)]


def test_one_freeze_of_two_is_lifted_by_its_sequence_all_without(layers: Layers) -> None:
    layers.direct("freeze_holder", "holder")
    layers.direct("freeze_holder", "holder")
    layers.direct("unfreeze_holder", "holder", lifts=1)
    assert update(layers, layers.update_args(0, 3)).code == Code.OK
    assert layers.local.value(state_key("kernel", b"Z" + account("holder"))) == ["csrc/0"]
    layers.direct("freeze_holder", "holder")
    layers.direct("unfreeze_holder", "holder")
    assert update(layers, layers.update_args(3, 2)).code == Code.OK
    assert not frozen(layers, "holder")


def test_what_cannot_be_done_is_answered_and_blocks_nothing(layers: Layers) -> None:
    layers.direct("freeze_holder", "nobody here")
    layers.direct("unfreeze_holder", "holder")
    layers.direct("freeze_holder", "holder")
    assert update(layers, layers.update_args(0, 3)).code == Code.OK
    assert answers(layers, 1) == [(0, Outcome.UNKNOWN_HOLDER), (1, Outcome.NOTHING_TO_CHANGE), (2, Outcome.EXECUTED)]
    assert frozen(layers, "holder")
    assert position(layers).count == 3


def test_a_late_directive_is_carried_out(layers: Layers) -> None:
    layers.direct("freeze_holder", "holder", deadline_ms=5_000)
    layers.supervisory.block(after_ms=50_000)
    layers.local.block(after_ms=50_000)
    assert update(layers, layers.update_args(0, 1)).code == Code.OK
    assert frozen(layers, "holder")


# ---- whole or not at all


def prepared(layers: Layers) -> dict[str, Value]:
    """An update that brings three directives."""
    for who in ("holder", "buyer", "issuer"):
        layers.direct("freeze_holder", who)
    return layers.update_args(0, 3)


def rows(args: dict[str, Value]) -> list[dict[str, Value]]:
    return cast(list[dict[str, Value]], args["directives"])


def untouched(layers: Layers) -> bool:
    seen = position(layers)
    nobody = not any(frozen(layers, who) for who in ("holder", "buyer", "issuer"))
    return (seen.height, seen.count) == (0, 0) and nobody


def test_a_directive_left_out(layers: Layers) -> None:
    args = prepared(layers)
    for chosen in ([], rows(args)[:2], rows(args)[1:], [rows(args)[0], rows(args)[2]]):
        receipt = update(layers, {**args, "directives": chosen})
        assert (receipt.rule, receipt.parameters[1:]) == ("supervision.missing_directives", (len(chosen), 3, 0))
    assert untouched(layers)


def test_directives_reordered_repeated_or_exchanged(layers: Layers) -> None:
    args = prepared(layers)
    a, b, c = rows(args)
    for chosen in (
        [b, a, c],
        [a, a, c],
        [a, c, b],
        [a, b, {**c, "packet": a["packet"]}],
        [a, b, {**c, "proof": a["proof"]}],
    ):
        assert update(layers, {**args, "directives": chosen}).rule == "supervision.directive_proof"
    assert update(layers, {**args, "directives": [a, b, c, c]}).rule == "supervision.missing_directives"
    assert untouched(layers)


def test_an_update_without_the_proof_of_how_many_there_are(layers: Layers) -> None:
    args = prepared(layers)
    following = cast(dict[str, bytes], args["next"])
    absent = layers.supervisory.prove(directive_next_key(bytes(32)))
    claims: list[tuple[dict[str, Value], int, str]] = [
        ({"value": encode_value(2), "proof": following["proof"]}, 2, "supervision.next_proof"),
        ({"value": b"", "proof": following["proof"]}, 0, "supervision.next_proof"),
        ({"value": b"", "proof": absent.proof}, 0, "supervision.next_proof"),
        ({"value": following["value"], "proof": b"\x01"}, 3, "supervision.next_proof"),
    ]
    for claim, count, rule in claims:
        assert update(layers, {**args, "next": claim, "directives": rows(args)[:count]}).rule == rule
    without = {name: value for name, value in args.items() if name != "next"}
    assert update(layers, without).code == Code.BAD_ARGUMENTS
    assert untouched(layers)


def test_an_older_state_cannot_be_passed_off_with_a_newer_header(layers: Layers) -> None:
    """The header is new, the proofs are from before the directives were issued."""
    before = layers.update_args(0, 0)
    prepared(layers)
    latest = layers.update_args(0, 0)
    mixed = {**before, "header": latest["header"], "certificate": latest["certificate"]}
    assert update(layers, mixed).rule == "supervision.next_proof"
    assert untouched(layers)


def test_a_header_that_is_not_certified_or_not_the_supervisor_s(layers: Layers) -> None:
    args = prepared(layers)
    header, supervisory = cast(bytes, args["header"]), layers.supervisory
    layers.local.block()
    own = layers.local.row(1)
    cases: list[tuple[dict[str, Value], str]] = [
        ({"certificate": supervisory.certify(header, [0, 1])}, "header.quorum"),
        ({"certificate": layers.local.certify(header)}, "header.signatures"),
        ({"certificate": supervisory.certified(1)[1]}, "header.certified"),
        ({"header": own["header"], "certificate": own["certificate"]}, "header.genesis"),
        ({"header": header[:-1]}, "header.format"),
    ]
    for changes, rule in cases:
        assert update(layers, {**args, **changes}).rule == rule
    assert untouched(layers)


def test_no_update_twice_and_none_backwards(layers: Layers) -> None:
    first = layers.update_args(0, 0)
    args = prepared(layers)
    assert update(layers, args).code == Code.OK
    assert update(layers, args).rule == "header.height"
    assert update(layers, first).rule == "header.height"
    assert position(layers).count == 3
    assert len(layers.local.store.outbox(1)) == 3


def test_two_couriers_in_one_block_carry_out_once(layers: Layers) -> None:
    args = prepared(layers)
    local = layers.local
    both = [local.sign(who, Operation("supervision", "update", args)) for who in ("courier", "buyer")]
    assert [receipt.rule for receipt in local.block(*both)] == ["", "header.height"]
    assert answers(layers, local.height) == [(0, 0), (1, 0), (2, 0)]


def test_more_than_fit_are_carried_out_in_parts_and_the_header_waits_for_the_last(layers: Layers) -> None:
    supervisory, many = layers.supervisory, MAX_DIRECTIVES + 3
    args: dict[str, Value] = {
        "chain": layers.local.hash,
        "kind": "freeze_holder",
        "account": account("holder"),
        "deadline_ms": supervisory.time_ms + 600_000,
        "reference": "example",
    }
    supervisory.block(*(supervisory.sign("csrc-1", Operation("directives", "issue", args)) for _ in range(many)))
    for first in range(0, many, MAX_DIRECTIVES):
        numbers = range(first + 1, min(first + MAX_DIRECTIVES, many) + 1)
        supervisory.block(*(supervisory.sign("csrc-2", op("directives", "confirm", number=n)) for n in numbers))
    few = update(layers, layers.update_args(0, 3))
    assert (few.rule, few.parameters[1:]) == ("supervision.missing_directives", (3, MAX_DIRECTIVES, 0))
    assert update(layers, layers.update_args(0, MAX_DIRECTIVES)).code == Code.OK
    assert (position(layers).height, position(layers).count) == (0, MAX_DIRECTIVES)
    assert update(layers, layers.update_args(MAX_DIRECTIVES, 3)).code == Code.OK
    assert (position(layers).height, position(layers).count) == (supervisory.height, many)
    assert [sequence for sequence, _ in answers(layers, layers.local.height)] == [32, 33, 34]


# ---- what only a broken or captured supervisory chain could hand down


def state_of(layers: Layers, values: dict[bytes, bytes]) -> tuple[dict[str, Value], StateModel]:
    """A supervisory header over any state we like, certified by the supervisory validators."""
    supervisory = layers.supervisory
    supervisory.block()
    model = StateModel(values, 4)
    real = decode_header(supervisory.certified(supervisory.height)[0])
    header = encode_header(replace(real, state_root=model.root))
    return {"header": header, "certificate": supervisory.certify(header)}, model


def update_with(layers: Layers, packets: list[bytes], executed: int = 0) -> Receipt:
    target = layers.local.hash
    values = {directive_next_key(target): encode_value(executed + len(packets))}
    values |= {directive_key(target, executed + i): packet for i, packet in enumerate(packets)}
    certified, model = state_of(layers, values)
    proven: list[Value] = [
        {"packet": packet, "proof": encode_state_proof(model.prove(directive_key(target, executed + i)))}
        for i, packet in enumerate(packets)
    ]
    following: Value = {
        "value": values[directive_next_key(target)],
        "proof": encode_state_proof(model.prove(directive_next_key(target))),
    }
    return update(layers, {**certified, "next": following, "directives": proven})


def test_directives_that_cannot_be_read_are_answered_too(layers: Layers) -> None:
    above, here = layers.supervisory.hash, layers.local.hash
    good = Directive(account("holder"), 1, "example")
    misread = encode_value({"account": account("holder")})
    packets = [
        b"no packet at all",
        encode_directive(above, here, 1, "seize_holder", good),
        encode_directive(above, here, 7, "freeze_holder", good),
        encode_directive(here, here, 3, "freeze_holder", good),
        encode_directive(above, above, 4, "freeze_holder", good),
        encode_packet(Packet(above, 0, here, 0, "directive", 5, "freeze_holder", misread)),
        encode_packet(Packet(above, 0, here, 0, "report", 6, "freeze_holder", encode_value(good.payload()))),
        encode_directive(above, here, 7, "freeze_holder", good),
    ]
    assert update_with(layers, packets).code == Code.OK
    expected = [4, 3, 4, 4, 4, 4, 4, 0]
    assert answers(layers, layers.local.height) == list(enumerate(expected))
    assert frozen(layers, "holder")


def test_the_number_of_directives_never_falls(layers: Layers) -> None:
    prepared(layers)
    assert update(layers, layers.update_args(0, 3)).code == Code.OK
    receipt = update_with(layers, [], executed=2)
    assert (receipt.rule, receipt.parameters[1:]) == ("supervision.rolled_back", (2, 3))


def test_a_number_that_is_none(layers: Layers) -> None:
    key = directive_next_key(layers.local.hash)
    for value in (b"\x00", encode_value(-1), encode_value("3")):
        certified, model = state_of(layers, {key: value})
        following: Value = {"value": value, "proof": encode_state_proof(model.prove(key))}
        receipt = update(layers, {**certified, "next": following, "directives": []})
        assert receipt.rule == "supervision.next_proof"


def test_a_rule_of_the_ledger_that_stands_against_it_is_answered(
    layers: Layers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse_half_way(ctx: CallContext, sequence: int, directive: Directive) -> None:
        ctx.put(b"half", b"done")
        ctx.refuse("kernel.too_many_freezes", 64)

    monkeypatch.setattr(enforcement, "ACTIONS", {"freeze_holder": refuse_half_way})
    layers.direct("freeze_holder", "holder")
    assert update(layers, layers.update_args(0, 1)).code == Code.OK
    assert answers(layers, 1) == [(0, Outcome.REFUSED)]
    assert layers.local.store.get(state_key("supervision", b"half")) is None


def test_two_supervisory_headers_of_one_height_freeze_the_follower(layers: Layers) -> None:
    args = layers.update_args(0, 0)
    assert update(layers, args).code == Code.OK
    header = encode_header(replace(decode_header(cast(bytes, args["header"])), seen_root=OTHER))
    few = {**args, "header": header, "certificate": layers.supervisory.certify(header, [0, 1])}
    assert update(layers, few).rule == "header.height"
    assert position(layers).frozen == -1
    assert update(layers, {**args, "header": header, "certificate": layers.supervisory.certify(header)}).code == Code.OK
    assert position(layers).frozen == layers.supervisory.height
    layers.supervisory.block()
    assert update(layers, layers.update_args(0, 0)).rule == "header.frozen"


def test_signatures_are_verified_last_and_a_false_one_ends_the_account_s_block(
    layers: Layers, batches: list[int]
) -> None:
    args, local = prepared(layers), layers.local
    assert update(layers, {**args, "directives": rows(args)[:2]}).rule == "supervision.missing_directives"
    assert batches == []
    forged = Operation("supervision", "update", {**args, "certificate": local.certify(cast(bytes, args["header"]))})
    honest = Operation("supervision", "update", args)
    receipts = local.block(
        local.sign("courier", forged),
        local.sign("courier", forged),
        local.sign("courier", honest),
        local.sign("buyer", honest),
    )
    assert [receipt.rule for receipt in receipts] == ["header.signatures", "header.budget", "header.budget", ""]
    q = layers.supervisory.genesis.validators.q
    assert batches == [q, q]
