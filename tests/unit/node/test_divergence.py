"""Execution that fails or differs, on production replicas: a poison is skipped, one replica resyncs, two halt all."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from chain_core.codec.block import decode_header
from chain_core.codec.seen import state_key
from chain_core.codec.transaction import decode_receipt
from chain_core.consensus.finality import DIVERGED
from chain_core.execution.codes import Code, Poisoned
from chain_core.execution.executor import BlockResult
from chain_core.node.divergence import RESYNCED
from chain_core.node.replica import Replica
from chain_core.types.transaction import Envelope
from tests.simulation.node import SimNode
from tests.simulation.world import Size, World

ODD = state_key("tally", b"odd")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(1, Size(4), tmp_path, byzantine={})
    made.begin()
    yield made
    made.close()


def replica_of(node: SimNode) -> Replica:
    assert node.replica is not None
    return node.replica


def poison(node: SimNode, envelope: Envelope, monkeypatch: pytest.MonkeyPatch) -> None:
    """Executing this envelope breaks the engine of this node."""
    executor = replica_of(node).executor
    execute = executor.execute

    def breaking(
        context: Any, envelopes: Sequence[Envelope], state: Any, seen: Any, skipped: Sequence[int] = ()
    ) -> Any:
        for index, one in enumerate(envelopes):
            if one.envelope_id == envelope.envelope_id and index not in skipped:
                raise Poisoned(index, "division by zero")
        return execute(context, envelopes, state, seen, skipped)

    monkeypatch.setattr(executor, "execute", breaking)


def differ(node: SimNode, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """So many executions of this node write a key that the others' do not."""
    executor = replica_of(node).executor
    execute: Callable[..., BlockResult] = executor.execute
    left = [times]

    def otherwise(*args: Any) -> BlockResult:
        result = execute(*args)
        left[0] -= 1
        if left[0] >= 0:
            result.writes[ODD] = b"odd"
        return result

    monkeypatch.setattr(executor, "execute", otherwise)


def test_a_poison_transaction_is_skipped_by_the_quorum_and_the_chain_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = world.promise(1, 0)
    for node in world.nodes:
        poison(node, bad, monkeypatch)
    world.nodes[1].submit(bad.raw)
    world.until(lambda: not world.missing(), 10_000, "the poisoned block")
    store = world.nodes[2].store
    assert decode_header(store.header(1) or b"").attempt == 1
    assert [decode_receipt(raw).code for raw in store.receipts(1)] == [Code.SKIPPED]
    world.nodes[1].submit(world.promise(1, 1).raw)
    world.until(lambda: not world.missing(), 10_000, "the next block")
    assert not world.checker.halts and {replica_of(node).core.state.view for node in world.nodes} == {0}


def test_who_was_away_follows_over_a_skipped_transaction_even_with_an_engine_that_it_does_not_break(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = world.promise(1, 0)
    for node in world.nodes[:3]:
        poison(node, bad, monkeypatch)
    world.network.partition([{3}, {0, 1, 2}])
    world.nodes[1].submit(bad.raw)
    world.advance(3_000)
    world.network.heal()
    world.until(lambda: not world.missing(), 10_000, "catching up")
    assert world.nodes[3].store.final_height == 1 and not world.checker.halts


def test_one_that_cannot_execute_what_the_others_can_stops_and_says_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = world.promise(1, 0)
    poison(world.nodes[3], bad, monkeypatch)
    world.checker.may_halt.add(3)
    world.nodes[1].submit(bad.raw)
    world.advance(3_000)
    assert [node.store.final_height for node in world.nodes] == [1, 1, 1, 0]
    assert world.checker.halts == {3: DIVERGED} and "ENGINE_FAULT" in world.nodes[3].alarms


def test_one_whose_execution_went_astray_once_names_the_keys_and_resyncs(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, dict[str, str | int]]] = []
    node = world.nodes[3]
    differ(node, monkeypatch, times=1)
    world.checker.may_halt.add(3)
    observer = replica_of(node).halting.divergence._observer
    monkeypatch.setattr(observer, "alarm", lambda code, facts: told.append((code, facts)))
    world.nodes[1].submit(world.promise(1, 0).raw)
    world.until(lambda: not world.missing(), 10_000, "the same chain everywhere")
    assert world.checker.halts == {3: DIVERGED}
    ((_, facts),) = [alarm for alarm in told if alarm[0] == RESYNCED]
    assert facts["keys"] == ODD.hex() and facts["fields"] == "state_root"
    world.nodes[1].submit(world.promise(1, 1).raw)
    world.until(lambda: not world.missing(), 10_000, "it follows")
    assert not replica_of(node).core.state.may_vote, "until an operator has looked and restarted it"


def test_when_two_of_four_differ_the_chain_halts_with_the_reason_and_without_view_changes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index in (2, 3):
        differ(world.nodes[index], monkeypatch, times=100)
    world.checker.may_halt.update(range(4))
    world.nodes[1].submit(world.promise(1, 0).raw)
    world.advance(30_000)
    assert world.checker.halts == dict.fromkeys(range(4), DIVERGED)
    assert {replica_of(node).core.state.view for node in world.nodes} == {0}
    assert {node.store.final_height for node in world.nodes} == {0}
