"""A supervisory chain of two branches over one market, for tests of what the market's follower does."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from chain_core.codec.block import header_hash
from chain_core.codec.proofs import decode_packet
from chain_core.codec.seen import state_key
from chain_core.crypto.hashing import sm3
from chain_core.execution.codes import Code
from chain_core.types.transaction import Operation, Receipt
from chain_core.types.values import Value
from crosschain.following import Position, decode_position
from crosschain.packets import read_acknowledgement, supervision_key
from supervisory_chain.assembly import supervisory_assembly
from tests.unit.crosschain.chains import Chain, Layers, account

DOCUMENT = sm3(b"the decision on the fork")


@dataclass
class Forked:
    """One market under two branches: A was followed and froze the buyer, B froze the issuer under the same sequence."""

    market: Chain
    a: Layers
    b: Layers

    def position(self) -> Position:
        return decode_position(self.market.store.get(supervision_key()))

    def frozen(self, who: str) -> bool:
        return self.market.store.get(state_key("kernel", b"Z" + account(who))) is not None

    def update(self, layers: Layers, first: int, count: int, **more: Value) -> Receipt:
        return self.market.one(
            "courier", Operation("supervision", "update", {**layers.update_args(first, count), **more})
        )

    def acknowledged(self) -> list[tuple[int, int]]:
        packets = [decode_packet(raw) for raw in self.market.store.outbox(self.market.height)]
        acks = [read_acknowledgement(packet.payload) for packet in packets if packet.kind == "ack"]
        return [(ack.sequence, ack.code) for ack in acks]

    def propose(self, who: str, layers: Layers, height: int, since: int = 0, **more: Value) -> Receipt:
        row = {**layers.supervisory.row(height), "since": since, "document": DOCUMENT, "reference": "decision", **more}
        return self.market.one(who, Operation("supervision", "propose_recovery", row))

    def confirm(self, who: str, layers: Layers, height: int, since: int = 0, document: bytes = DOCUMENT) -> Receipt:
        chosen = header_hash(layers.supervisory.certified(height)[0])
        args: dict[str, Value] = {"header_hash": chosen, "since": since, "document": document}
        return self.market.one(who, Operation("supervision", "confirm_recovery", args))


@contextmanager
def branched(path: Path, *shared: str) -> Iterator[Forked]:
    """Both branches begin with the freezes of ``shared``; nothing is carried down yet."""
    layers = Layers.begin(path)
    layers.register()
    for who in shared:
        layers.direct("freeze_holder", who)
    layers.supervisory.store.close()
    shutil.copytree(path / "supervisory", path / "branch")
    a, b = (layers.supervisory.again(path / name, supervisory_assembly) for name in ("supervisory", "branch"))
    yield Forked(layers.local, Layers(a, layers.local), Layers(b, layers.local))
    for chain in (a, b, layers.local):
        chain.store.close()


def follow_a_and_stop(made: Forked, first: int, count: int) -> None:
    """A is followed; then B's header of the same height is shown, and nothing is followed any more."""
    made.market.time_ms = max(made.market.time_ms, made.a.supervisory.time_ms)
    assert made.update(made.a, first, count).code == Code.OK
    assert made.update(made.b, first + count, 0).code == Code.OK
    assert made.position().frozen == made.b.supervisory.height


def go_on(stopped: Forked, layers: Layers, height: int, since: int = 0) -> None:
    """The officer and both institutions choose a header."""
    assert stopped.propose("officer", layers, height, since).code == Code.OK
    assert stopped.confirm("governor-1", layers, height, since).code == Code.OK
    assert stopped.confirm("governor-2", layers, height, since).code == Code.OK
    assert stopped.position().frozen == -1
