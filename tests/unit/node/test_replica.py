"""The replica as a whole, on the simulator's nodes: writes a block, admission, halts, what it serves."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from chain_core.codec.evidence import check_equivocation
from chain_core.codec.seen import state_key
from chain_core.consensus.effects import CastPrePrepare
from chain_core.consensus.finality import DIVERGED
from chain_core.consensus.inputs import Input
from chain_core.consensus.messages import Message, PrePrepare
from chain_core.execution.executor import BlockResult
from chain_core.ledger.database import Batch, Database
from chain_core.network.frames import EnvelopesFrame
from chain_core.node.ports import Admission
from chain_core.node.replica import UNKNOWN_FLAG, Replica
from chain_core.node.safe_signer import SigningRefused
from chain_core.node.voting import Cast
from tests.simulation.byzantine import Strategy, propose
from tests.simulation.node import SimNode
from tests.simulation.world import Size, World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(1, Size(4), tmp_path, byzantine={})
    made.begin()
    yield made
    made.close()


def replica_of(node: SimNode) -> Replica:
    assert node.replica is not None
    return node.replica


def final(world: World, within_ms: int = 3_000) -> None:
    world.until(lambda: not world.missing(), within_ms, "finality")
    world.advance(700)


def test_a_block_takes_three_synced_writes_to_the_log_and_one_commit(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Database.write
    written: Counter[str] = Counter()

    def counted(database: Database, batch: Batch) -> None:
        written[database.path.name] += 1
        write(database, batch)

    monkeypatch.setattr(Database, "write", counted)
    world.nodes[0].submit(world.promise(1, 0).raw)
    final(world)
    assert written == {f"node-{index}": 4 for index in range(4)}


def test_admission(world: World) -> None:
    node = world.nodes[2]
    first = world.promise(1, 0)
    assert node.submit(first.raw) is Admission.ACCEPTED
    assert node.submit(first.raw) is Admission.ACCEPTED, "handing in again is harmless"
    final(world)
    assert node.submit(first.raw) is Admission.ALREADY_FINAL
    other_body = world.transaction(1, 0, 100_000)
    assert node.submit(other_body.raw) is Admission.NONCE_USED
    limits = replica_of(node).pool.limits
    answers = {node.submit(world.transaction(2, nonce, 100_000).raw) for nonce in range(1, 3)}
    assert answers == {Admission.ACCEPTED} and limits.per_account > 2


def test_a_full_pool_says_so(world: World) -> None:
    pool = replica_of(world.nodes[2]).pool
    pool.limits = replace(pool.limits, per_account=1)
    answers = [world.nodes[2].submit(world.transaction(1, nonce, 100_000).raw) for nonce in range(2)]
    assert answers == [Admission.ACCEPTED, Admission.POOL_FULL]


def test_different_execution_halts_the_one_that_differs_and_nobody_else(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = replica_of(world.nodes[3])
    world.checker.may_halt.add(3)
    execute = odd.executor.execute
    monkeypatch.setattr(odd.executor, "execute", lambda *args: _otherwise(execute(*args)))
    world.nodes[1].submit(world.promise(1, 0).raw)
    world.advance(2_000)
    assert world.checker.halts == {3: DIVERGED}
    assert [node.store.final_height for node in world.nodes] == [1, 1, 1, 0]
    assert world.nodes[3].submit(world.transaction(2, 0, 100_000).raw) is Admission.NOT_SERVING


def _otherwise(result: BlockResult) -> BlockResult:
    """What a build with another rule would write."""
    result.writes[state_key("tally", b"odd")] = b"odd"
    return result


def test_a_certified_block_that_executes_otherwise_halts_who_catches_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.network.partition([{3}, {0, 1, 2}])
    world.nodes[1].submit(world.promise(1, 0).raw)
    world.advance(1_000)
    odd = replica_of(world.nodes[3])
    world.checker.may_halt.add(3)
    execute = odd.executor.execute
    monkeypatch.setattr(odd.executor, "execute", lambda *args: _otherwise(execute(*args)))
    world.network.heal()
    world.advance(3_000)
    assert world.checker.halts == {3: DIVERGED} and world.nodes[3].store.final_height == 0


def test_a_proposal_that_may_not_be_signed_gives_back_what_it_took(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    primary = replica_of(world.nodes[0])
    assert primary.voter is not None
    cast = primary.voter.cast

    def refusing(effect: Cast) -> Input | None:
        if isinstance(effect, CastPrePrepare):
            raise SigningRefused("another digest", where="height 1, view 0", next_step="look for a second process")
        return cast(effect)

    told: list[tuple[int, str]] = []
    monkeypatch.setattr(world.checker, "alarmed", lambda index, code, facts: told.append((index, code)))
    monkeypatch.setattr(primary.voter, "cast", refusing)
    world.nodes[0].submit(world.promise(1, 0).raw)
    assert told == [(0, SigningRefused.code)]
    assert (len(primary.pool), primary.pool.in_flight) == (1, 0)
    world.until(lambda: not world.missing(), 30_000, "finality under the next primary")


def test_an_unknown_flag_stops_a_node_before_its_height(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    old = replica_of(world.nodes[2])
    world.checker.may_halt.add(2)
    monkeypatch.setattr(old.executor, "unknown_flags", lambda state, height: ("new-rule",) if height == 2 else ())
    for nonce in range(2):
        world.nodes[1].submit(world.promise(1, nonce).raw)
        world.advance(1_000)
    assert world.checker.halts == {2: UNKNOWN_FLAG}
    assert [node.store.final_height for node in world.nodes] == [2, 2, 1, 2]


def test_a_proposal_too_big_for_a_block_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here one replica believes blocks to be tiny: it prepares nothing, tells its operator, and follows."""
    strict = replica_of(world.nodes[2])
    parameters = strict.executor.parameters
    monkeypatch.setattr(strict.executor, "parameters", lambda state: {**parameters(state), "max_block_bytes": 20_100})
    world.nodes[1].submit(world.promise(1, 0).raw)
    final(world)
    assert "BAD_PROPOSAL" in world.nodes[2].alarms
    assert not any(place[0] == "PREPARE" for place in world.checker.past[2].signed)


def test_who_prepared_serves_the_bodies_also_after_a_restart(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    envelope = world.promise(1, 0)
    world.network.partition([{0, 1}, {2, 3}])  # prepared by nobody, but voted for by replica 1
    world.nodes[1].submit(envelope.raw)
    world.advance(200)
    world.nodes[1].crash()
    world.nodes[1].boot()
    sent: list[tuple[int, object]] = []
    monkeypatch.setattr(world.nodes[1], "send", lambda peer, frame: sent.append((peer, frame)))
    replica_of(world.nodes[1]).on_want_envelopes(3, [bytes(32), envelope.envelope_id])
    assert sent == [(3, EnvelopesFrame((envelope.raw,)))]


def test_an_equivocating_primary_is_convicted_by_what_the_others_store(tmp_path: Path) -> None:
    made = World(7, Size(4), tmp_path, byzantine={0: [TwoProposals]})
    made.begin()
    made.nodes[1].submit(made.promise(1, 0).raw)
    made.until(lambda: any(node.store.equivocations() for node in made.nodes[1:]), 20_000, "a proof")
    (raw,) = next(node.store.equivocations() for node in made.nodes[1:] if node.store.equivocations())
    found = check_equivocation(raw, made.chain.validators, made.chain.genesis_hash)
    assert found.signer == 0
    made.close()


class TwoProposals(Strategy):
    """Tells everybody both stories."""

    def say(self, node: SimNode, to: int, message: Message) -> list[Message]:
        if isinstance(message, PrePrepare) and message.vote.vote.signer == node.index:
            other = replace(message.batch, time_ms=message.batch.time_ms + 1)
            return [message, propose(node, message.vote.vote, other)]
        return [message]
