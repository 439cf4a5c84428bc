"""Forgeries on the channel ``service`` by name, both ways; the scene and the forger are those of test_forgeries.py.

The regulator asked twice: the first request was taken in time, its answer is under way; the second was never taken.
Both deadlines have passed at the market. The market asked once, too late for the regulator to answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import cast

import pytest

from chain_core.codec.block import decode_header, encode_header
from chain_core.codec.proofs import decode_packet, encode_packet, packet_hash
from chain_core.codec.values import encode_value
from chain_core.crypto.hashing import sm3
from chain_core.crypto.merkle import MerkleTree
from chain_core.types.packet import Packet
from chain_core.types.transaction import Operation, Receipt
from chain_core.types.values import Value
from crosschain.channel import AFTER_REFUND, CONFLICTING, AckCode
from crosschain.channel_state import decode_source, decode_units, local_received_key, source_key, totals_key
from crosschain.following import decode_position
from crosschain.light_client.predicates import MAX_FUTURE_MS
from crosschain.packets import SERVICE_CHANNEL, received_key, sent_key, supervision_key
from supervisory_chain.cases import case_key
from tests.unit.crosschain.chains import Chain, Layers, Proven, account, op, proven_rows
from tests.unit.crosschain.couriers import Courier, plan_services_down

OTHER = bytes(31) + b"\x01"


@dataclass
class Scene:
    layers: Layers
    early: Proven
    """What the market expected next, under a header before the deadlines."""

    @property
    def local(self) -> Chain:
        return self.layers.local

    @property
    def above(self) -> Chain:
        return self.layers.supervisory

    @property
    def received(self) -> Proven:
        return self.local.prove(local_received_key(self.local.hash, self.above.hash))

    @property
    def sent(self) -> Proven:
        return self.local.prove(sent_key(self.above.hash, SERVICE_CHANNEL))

    def refund(self, proven: Proven, sequence: int = 1, **changes: Value) -> Receipt:
        """What the regulator asked the market."""
        args = {"chain": self.local.hash, **_shown(proven), "sequences": [sequence], "counter": "received", **changes}
        return self.above.try_one("courier", Operation("channel", "refund", args))

    def refund_below(self, proven: Proven, **changes: Value) -> Receipt:
        """What the market asked the regulator."""
        args = {**_shown(proven), "sequences": [1], "counter": "received", **changes}
        return self.local.try_one("courier", Operation("channel", "refund", args))

    @property
    def received_above(self) -> Proven:
        return self.above.prove(received_key(self.local.hash, SERVICE_CHANNEL))

    def signed(self, chain: Chain, signers: Chain | None = None, **changes: object) -> dict[str, Value]:
        """The chain's latest header with changes, certified by its own validators or by others."""
        header = encode_header(replace(decode_header(chain.certified(chain.height)[0]), **changes))  # type: ignore[arg-type]
        return {"header": header, "certificate": (signers or chain).certify(header)}

    def deliver(self, place: int = -1, packet: Packet | None = None, **changes: Value) -> Receipt:
        """The waiting request at the market; ``packet`` in its place under its proof."""
        operation = plan_services_down(self.layers)[place]
        args = dict(operation.args)
        if packet is not None:
            (row,) = cast(list[dict[str, Value]], args["packets"])
            args["packets"] = [{**row, "packet": encode_packet(packet)}]
        return self.local.try_one("courier", Operation("channel", "deliver", {**args, **changes}))

    def waiting(self, **changes: object) -> Packet:
        """The request that the market has not taken, altered."""
        (row,) = cast(list[dict[str, bytes]], plan_services_down(self.layers)[-1].args["packets"])
        return replace(decode_packet(row["packet"]), **changes)  # type: ignore[arg-type]

    def ack(self, code: int = 0, sequence: int = 0, packet: bytes = b"") -> Packet:
        """An acknowledgement that only the market's validators could make."""
        waits = decode_source(self.above.store.get(source_key(self.above.hash, self.local.hash))).waiting
        row: dict[str, Value] = {
            "sequence": sequence,
            "packet": packet or waits[sequence].packet,
            "code": code,
            "hash": sm3(b"\x08") if code == 0 else bytes(32),
            "response": b"\x08" if code == 0 else b"",
        }
        here, there = self.local.hash, self.above.hash
        return Packet(here, 0, there, 0, SERVICE_CHANNEL, 0, "ack", encode_value(row))

    def emitted(self, *packets: Packet) -> Operation:
        """The block with the acknowledgement, had it emitted these: certified by the market's own validators."""
        height = cast(int, self.acked()["height"])
        raws = [encode_packet(packet) for packet in packets]
        tree = MerkleTree(raws)
        base = decode_header(self.local.certified(height)[0])
        header = encode_header(replace(base, outbox_root=tree.root, outbox_count=tree.count))
        args: dict[str, Value] = {
            "source": self.local.hash,
            "height": height,
            "packets": list[Value](proven_rows(raws)),
        }
        return Operation("inbox", "deliver", {**args, "header": header, "certificate": self.local.certify(header)})

    def acked(self) -> dict[str, Value]:
        """The real acknowledgement of the first request, as a courier brings it."""
        heights = range(1, self.local.height + 1)
        for height in heights:
            for row in self.local.packets(height):
                packet = decode_packet(cast(bytes, row["packet"]))
                if (packet.channel, packet.kind) == (SERVICE_CHANNEL, "ack"):
                    certified = self.local.row(height)
                    return {"source": self.local.hash, "height": height, "packets": [row], **certified}
        raise AssertionError("no acknowledgement")

    def acked_otherwise(self) -> Receipt:
        """The same with another answer in it."""
        args = self.acked()
        (row,) = cast(list[dict[str, bytes]], args["packets"])
        forged = replace(decode_packet(row["packet"]), payload=self.ack().payload)
        return self.above.try_one(
            "courier", Operation("inbox", "deliver", {**args, "packets": [{**row, "packet": encode_packet(forged)}]})
        )


def _counter(proven: Proven) -> dict[str, Value]:
    return {"value": proven.value or b"", "proof": proven.proof}


def _shown(proven: Proven) -> dict[str, Value]:
    return {
        "value": proven.value or b"",
        "proof": proven.proof,
        "height": decode_header(proven.header).height,
        "header": proven.header,
        "certificate": proven.certificate,
    }


def _ask(layers: Layers, wait_ms: int) -> None:
    row: dict[str, Value] = {"service": "roll_head", "arguments": {"security": bytes(16)}}
    late = layers.supervisory.time_ms + wait_ms
    one = op("channel", "request", chain=layers.local.hash, timeout_ms=late, **row)
    assert layers.supervisory.one("desk", one).code == 0


def _scene(layers: Layers) -> Scene:
    above, local = layers.supervisory, layers.local
    assert above.one("csrc-1", op("channel", "grant", account=account("desk"), units=10)).code == 0
    assert local.one("operator", op("channel", "grant", account=account("issuer"), units=10)).code == 0
    courier = Courier(layers)
    layers.business("S1")
    courier.up()
    _ask(layers, 30_000)
    courier.services_down()
    courier.down()
    _ask(layers, 30_000)
    row: dict[str, Value] = {"service": "party_status", "arguments": {"entity": "x"}}
    late = local.time_ms + 20_000
    assert local.one("issuer", op("channel", "request", timeout_ms=late, **row)).code == 0
    scene = Scene(layers, local.prove(local_received_key(local.hash, above.hash)))
    local.time_ms += 60_000
    layers.business("S2")
    above.block(after_ms=90_000)
    local.time_ms = above.time_ms
    return scene


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    layers = Layers.begin(tmp_path_factory.mktemp("scene"))
    layers.register()
    yield _scene(layers)
    layers.close()


def _height(chain: Chain) -> int:
    return chain.height


FORGERIES: dict[str, tuple[str, Callable[[Scene], Receipt]]] = {
    # -- non-receipt
    "non-receipt under a header before the deadline": ("channel.not_due", lambda s: s.refund(s.early)),
    "non-receipt of a request that was taken": ("channel.received", lambda s: s.refund(s.received, 0)),
    "non-receipt of a request that nobody made": ("channel.unknown_request", lambda s: s.refund(s.received, 2)),
    "non-receipt that counts fewer": (
        "channel.proof",
        lambda s: s.refund(s.received, 0, value=encode_value({"next": 0, "height": 0})),
    ),
    "non-receipt that says nothing was ever taken": ("channel.proof", lambda s: s.refund(s.received, 0, value=b"")),
    "non-receipt proven of another chain's channel": (
        "channel.proof",
        lambda s: s.refund(s.local.prove(local_received_key(s.local.hash, OTHER)), 0),
    ),
    "non-receipt proven of another channel": (
        "channel.proof",
        lambda s: s.refund(s.local.prove(local_received_key(s.local.hash, s.above.hash)[:-1] + b"x"), 0),
    ),
    "non-receipt proven by what was sent": ("channel.proof", lambda s: s.refund(s.sent, 0)),
    "non-receipt of an old state under the latest header": (
        "channel.proof",
        lambda s: s.refund(s.early, **{name: _shown(s.received)[name] for name in ("header", "certificate", "height")}),
    ),
    "an old header under the latest height": (
        "inbox.wrong_height",
        lambda s: s.refund(s.early, height=_height(s.local)),
    ),
    "an old header with a later time in it": (
        "header.certified",
        lambda s: s.refund(
            replace(s.early, header=s.signed(s.local, time_ms=s.local.time_ms)["header"]),  # type: ignore[arg-type]
            height=_height(s.local),
        ),
    ),
    "a header of the future": (
        "header.future",
        lambda s: s.refund(s.received, **s.signed(s.local, time_ms=s.above.time_ms + MAX_FUTURE_MS + 60_000)),
    ),
    "a header by the regulator's own validators": (
        "header.signatures",
        lambda s: s.refund(s.received, **s.signed(s.local, s.above)),
    ),
    "the regulator's header for the market's": (
        "header.genesis",
        lambda s: s.refund(s.received, **s.above.row(_height(s.above))),
    ),
    "a header of a state that never was": (
        "channel.proof",
        lambda s: s.refund(s.received, **s.signed(s.local, state_root=OTHER)),
    ),
    "a refund by a chain that nobody admitted": ("channel.not_admitted", lambda s: s.refund(s.received, chain=OTHER)),
    "one that is due, and one that is not, together": (
        "channel.received",
        lambda s: s.refund(s.received, sequences=[1, 0]),
    ),
    "non-receipt at the regulator, counted fewer": (
        "channel.proof",
        lambda s: s.refund_below(s.received_above, value=encode_value({"next": 7, "height": 0})),
    ),
    "non-receipt at the regulator by the market's validators": (
        "header.signatures",
        lambda s: s.refund_below(s.received_above, **s.signed(s.above, s.local)),
    ),
    "non-receipt at the regulator of another market": (
        "channel.proof",
        lambda s: s.refund_below(s.above.prove(received_key(s.above.hash, SERVICE_CHANNEL)), value=encode_value(0)),
    ),
    # -- silence
    "silence while the answer is under way": (
        "channel.underway",
        lambda s: s.refund(s.sent, 0, counter="sent", received=_counter(s.received)),
    ),
    "silence about a request that was never taken": (
        "channel.not_received",
        lambda s: s.refund(s.sent, 1, counter="sent", received=_counter(s.received)),
    ),
    "silence about a request of which nothing is shown": (
        "channel.not_received",
        lambda s: s.refund(s.sent, 0, counter="sent"),
    ),
    "silence with the other counter in the place of what was received": (
        "channel.proof",
        lambda s: s.refund(s.sent, 0, counter="sent", received=_counter(s.sent)),
    ),
    "silence proven by what was received": ("channel.proof", lambda s: s.refund(s.received, 0, counter="sent")),
    "silence that says nothing was ever sent": (
        "channel.proof",
        lambda s: s.refund(s.sent, 0, counter="sent", value=b""),
    ),
    # -- requests at the market
    "a request a second time": (
        "channel.replayed",
        lambda s: s.deliver(packet=s.waiting(sequence=0)),
    ),
    "a request before the one that is due": ("channel.out_of_order", lambda s: s.deliver(packet=s.waiting(sequence=2))),
    "a request altered": (
        "channel.proof",
        lambda s: s.deliver(packet=s.waiting(payload=encode_value({"service": "x"}))),
    ),
    "a request made an acknowledgement": ("channel.proof", lambda s: s.deliver(packet=s.waiting(kind="ack"))),
    "a request of another regulator": (
        "channel.foreign_source",
        lambda s: s.deliver(packet=s.waiting(source_genesis=OTHER)),
    ),
    "a request of a sub-ledger": ("channel.foreign_source", lambda s: s.deliver(packet=s.waiting(source_ledger=1))),
    "a request to another market": (
        "channel.foreign_destination",
        lambda s: s.deliver(packet=s.waiting(destination_genesis=OTHER)),
    ),
    "a packet of another channel": (
        "channel.unknown_channel",
        lambda s: s.deliver(packet=s.waiting(channel="directive")),
    ),
    "a packet that is none": (
        "channel.malformed",
        lambda s: s.deliver(packets=[{"packet": b"\x00", "proof": b"\x00"}]),
    ),
    "a request under another height": ("channel.wrong_height", lambda s: s.deliver(height=1)),
    "a request under another block": (
        "channel.proof",
        lambda s: s.deliver(height=_height(s.above), **s.above.row(_height(s.above))),
    ),
    "a request certified by the market itself": (
        "header.signatures",
        lambda s: s.deliver(certificate=s.local.certify(cast(bytes, plan_services_down(s.layers)[-1].args["header"]))),
    ),
    # -- acknowledgements
    "an answer altered": ("inbox.proof", lambda s: s.acked_otherwise()),
    "an answer before the packets that came before it": (
        "inbox.out_of_order",
        lambda s: s.above.try_one("courier", s.emitted(replace(s.ack(), sequence=3))),
    ),
    "an answer for another chain": (
        "inbox.foreign_destination",
        lambda s: s.above.try_one("courier", s.emitted(replace(s.ack(), destination_genesis=OTHER))),
    ),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forgery_is_refused_by_its_name(scene: Scene, name: str) -> None:
    rule, forge = FORGERIES[name]
    receipt = forge(scene)
    assert (receipt.code, receipt.rule) == (13, rule)


def test_what_is_not_forged_is_taken(scene: Scene) -> None:
    assert scene.refund(scene.received).code == 0
    assert scene.refund_below(scene.received_above).code == 0
    assert scene.deliver().code == 0
    assert scene.above.try_one("courier", Operation("inbox", "deliver", scene.acked())).code == 0


# ---- what only the market's own validators could forge: taken, without gain, and a case


CASES: dict[str, tuple[str, Callable[[Scene], Packet]]] = {
    "an answer to what was refunded": (AFTER_REFUND, lambda s: s.ack(AckCode.ANSWERED, 1)),
    "an answer to another request": (CONFLICTING, lambda s: s.ack(AckCode.ANSWERED, 1, packet_hash(b"other"))),
}


@pytest.mark.parametrize("name", CASES)
def test_a_market_that_contradicts_itself_gains_nothing(layers: Layers, name: str) -> None:
    kind, forged = CASES[name]
    scene = _scene(layers)
    proven = scene.received
    args = {"chain": scene.local.hash, **_shown(proven), "sequences": [1], "counter": "received"}
    assert scene.above.one("courier", Operation("channel", "refund", args)).code == 0
    assert scene.above.one("courier", scene.emitted(forged(scene))).code == 0
    source = decode_source(scene.above.store.get(source_key(scene.above.hash, scene.local.hash)))
    units = decode_units(scene.above.store.get(totals_key()))
    assert (source.waiting, source.answered, source.refunded) == ((), 0, 2), "the first one was passed over"
    assert (units.granted, units.available, units.paid) == (10, 10, 0)
    kinds = [cast(dict[str, Value], scene.above.value(case_key(scene.local.hash, number)))["kind"] for number in (0, 1)]
    assert kinds == ["passed_over", kind]


def test_a_fork_of_the_regulator_is_not_taken_for_a_header(scene: Scene) -> None:
    """Another certified header at the height followed last: it is to be shown where it freezes."""
    position = decode_position(scene.local.store.get(supervision_key()))
    args = plan_services_down(scene.layers)[-1].args
    (row,) = cast(list[dict[str, bytes]], args["packets"])
    tree = MerkleTree([row["packet"]])
    real = decode_header(scene.above.certified(position.height)[0])
    header = encode_header(replace(real, outbox_root=tree.root, outbox_count=1))
    forged: dict[str, Value] = {"header": header, "certificate": scene.above.certify(header)}
    forged |= {"height": position.height, "packets": list[Value](proven_rows([row["packet"]]))}
    assert scene.deliver(**forged).rule == "channel.fork"


def test_there_are_enough_of_them() -> None:
    assert len(FORGERIES) >= 30
