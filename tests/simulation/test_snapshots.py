"""Nodes that join a running chain by a snapshot: every piece of them is production code, and what they end with is
compared with what the others have.
"""

from random import Random
from types import SimpleNamespace

import pytest

from chain_core.ledger import keys, snapshot_build
from tests.simulation.checker import Violation
from tests.simulation.ending import the_end
from tests.simulation.node import IN_JOINING, SimNode
from tests.simulation.snapshots import SnapshotForger, SnapshotQuitter, WrongSnapshot
from tests.simulation.strategies import Maker
from tests.simulation.world import Size, World

SIZE = Size(4, proposals=1, snapshot_distance=5, snapshot_every=4)
NEWCOMER = 4


def grown(*liars: Maker) -> World:
    """A chain of ten heights without the fifth node; the last members serve as ``liars`` do."""
    world = World(5, SIZE, None, byzantine={3 - place: (liar,) for place, liar in enumerate(liars)})
    world.begin()
    for nonce in range(10):
        hand_in(world, nonce)
        world.advance(100)
    assert world.nodes[0].store.final_height == 10
    return world


def hand_in(world: World, nonce: int) -> None:
    world.nodes[0].submit(world.promise(nonce % 3, nonce).raw)


def join(world: World) -> SimNode:
    """The fifth node begins; the chain goes on meanwhile."""
    node = world.nodes[NEWCOMER]
    node.boot()
    for nonce in range(10, 14):
        hand_in(world, nonce)
    world.until(lambda: not world.missing(), 30_000, "the newcomer's height")
    world.advance(1_000)
    return node


def test_an_empty_node_joins_by_snapshot_and_follows() -> None:
    world = grown()
    node = join(world)
    assert node.store.block(8) is None
    hand_in(world, 14)
    world.until(lambda: not world.missing(), 5_000, "a height more")
    world.advance(1_000)
    assert node.store.block(node.store.final_height) is not None
    assert world.counted["snapshots installed"] == 1
    the_end(world.checker)


@pytest.mark.parametrize("parts", range(5))
def test_killed_half_way_it_goes_on(parts: int) -> None:
    world = grown()
    node = world.nodes[NEWCOMER]
    node.crash_at, node.parts_left = IN_JOINING, parts
    join(world)
    counted = world.counted
    assert (counted["crashes"], counted["snapshots resumed"], counted["snapshots installed"]) == (1, 1, 1)
    the_end(world.checker)


@pytest.mark.parametrize("liar", [SnapshotForger, WrongSnapshot, SnapshotQuitter])
@pytest.mark.parametrize("draw", range(4))
def test_a_liar_delays_nobody_for_long(liar: type, draw: int) -> None:
    world = grown(lambda random, n: liar(Random(draw), n))
    join(world)
    assert world.counted["snapshots installed"] == 1
    the_end(world.checker)


def test_a_seen_set_that_did_not_come_along_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The state trees would agree: transactions could be replayed on this node alone."""
    world = grown()
    elsewhere = SimpleNamespace(**{**vars(keys), "expiry": lambda valid_until_ms, key: b"~" + key})
    monkeypatch.setattr(snapshot_build, "keys", elsewhere)
    join(world)
    with pytest.raises(Violation, match="state agreement: node 4"):
        the_end(world.checker)
