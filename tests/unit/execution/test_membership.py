"""Stories of validators who come, go and change their keys: epochs as state decides them (docs/spec/membership.md)."""

from dataclasses import replace
from typing import Any

import pytest

from chain_core.codec.seen import state_key
from chain_core.codec.validator_set import decode_validator_set, encode_validator_set, validator_set_hash
from chain_core.codec.values import decode_value
from chain_core.crypto.hashing import sm3
from chain_core.crypto.providers import signing_provider
from chain_core.execution.codes import Code
from chain_core.execution.epochs import NOTICE, epoch_key, set_key
from chain_core.execution.parameters import GOVERNANCE
from chain_core.types.transaction import Operation
from chain_core.types.validator_set import ValidatorSet
from tests.unit.execution.proposing import DELAY, approve, passed, proposal, propose, refused
from tests.unit.execution.world import GENESIS_HASH, World, genesis, key


def point(name: str) -> bytes:
    return signing_provider().sm2_public_key(sm3(name.encode()))


def newcomer(name: str = "v4", **changes: Any) -> dict[str, Any]:
    row = {
        "name": name,
        "entity": f"entity of {name}",
        "consensus_key": point(f"consensus {name}"),
        "transport_key": point(f"transport {name}"),
        "address": "127.0.0.1:7004",
    }
    return row | changes


def add(name: str = "v4", **changes: Any) -> Operation:
    return propose("add_validator", **newcomer(name, **changes))


def rotate(name: str, purpose: str, new: bytes) -> Operation:
    return propose("rotate_validator_key", name=name, purpose=purpose, key=new)


@pytest.fixture
def world() -> World:
    return World.begin()


def names(world: World, height: int) -> list[str]:
    return [v.name for v in world.executor.epoch_at(world, height).validators.validators]


def until(world: World, height: int) -> None:
    world.pass_blocks(height - world.height)


FOUR = ["v0", "v1", "v2", "v3"]


def test_a_validator_joins_at_the_barrier_and_not_a_height_sooner(world: World) -> None:
    passed(world, add())
    decided = world.height
    barrier = decided + NOTICE
    assert (proposal(world).status, world.executor.barrier(world)) == ("applied", barrier)
    assert names(world, world.height + 1) == names(world, barrier - 1) == FOUR
    assert names(world, barrier) == [*FOUR, "v4"]

    until(world, barrier - 1)
    before, after = (world.executor.epoch_at(world, height) for height in (barrier - 1, barrier))
    assert (before.epoch, before.start, before.end) == (0, 0, barrier)
    assert (after.epoch, after.start, after.end) == (1, barrier, None)
    assert after.addresses == {"v4": "127.0.0.1:7004"}

    world.pass_blocks(1)
    assert world.executor.barrier(world) is None
    assert world.executor.epoch_at(world, barrier) == world.executor.epoch_at(world, barrier + 900) == after


def test_a_barrier_is_above_every_height_that_may_be_in_flight(world: World) -> None:
    """The block that decides is final before anything above decided + MAX_WINDOW may be proposed."""
    passed(world, add())
    assert world.executor.barrier(world) == world.height + 64 + 1


def test_history_says_who_certified_what_for_ever(world: World) -> None:
    first = world.executor.epoch_at(world, 1)
    passed(world, add())
    until(world, world.height + NOTICE)
    second_start = world.height
    second = world.executor.epoch_at(world, second_start + 1)
    passed(world, propose("remove_validator", name="v0"), 2)
    third_start = world.height + NOTICE

    def told(epoch: int) -> tuple[int, int | None, bytes]:
        info = world.executor.epoch(world, epoch)
        assert info is not None and info.epoch == epoch
        return info.start, info.end, info.set_hash

    for height in (world.height, third_start + 5):  # scheduled, and begun
        until(world, height)
        assert told(0) == (0, second_start, first.set_hash)
        assert told(1) == (second_start, third_start, second.set_hash)
        assert told(2)[:2] == (third_start, None)
        assert world.executor.epoch(world, 3) is None and world.executor.epoch(world, -1) is None

    # Anybody can have it proven: the start, the hash, and the set's bytes under their hash.
    raw = world.state[state_key(GOVERNANCE, epoch_key(1))]
    assert decode_value(raw) == [second_start, second.set_hash]
    encoded = world.state[state_key(GOVERNANCE, set_key(second.set_hash))]
    assert decode_validator_set(encoded) == second.validators and encode_validator_set(second.validators) == encoded
    assert validator_set_hash(second.validators) == second.set_hash


def test_one_change_at_a_time_the_next_one_waits_for_its_epoch(world: World) -> None:
    for number, operation in enumerate((add("v4"), add("v5"), add("v6")), 1):
        assert world.one("governor-1", operation).code == Code.OK
        assert world.one("governor-3", approve(number)).code == Code.OK
    world.pass_blocks(DELAY)
    first = world.executor.barrier(world)
    assert first is not None
    assert [proposal(world, n).status for n in (1, 2, 3)] == ["applied", "approved", "approved"]
    assert proposal(world, 2).due_height == first
    until(world, first)
    second = first + NOTICE
    assert world.executor.barrier(world) == second
    assert [proposal(world, n).status for n in (1, 2, 3)] == ["applied", "applied", "approved"]
    assert names(world, second - 1) == [*FOUR, "v4"] and names(world, second) == [*FOUR, "v4", "v5"]
    until(world, second + NOTICE)
    assert names(world, world.height) == [*FOUR, "v4", "v5", "v6"]


def test_a_waiting_change_can_still_be_rejected(world: World) -> None:
    for number, operation in enumerate((add("v4"), add("v5")), 1):
        world.one("governor-1", operation)
        world.one("governor-3", approve(number))
    world.pass_blocks(DELAY)
    assert world.one("governor-4", op_reject(2)).code == Code.OK
    until(world, world.height + 2 * NOTICE)
    assert names(world, world.height) == [*FOUR, "v4"]


def op_reject(number: int) -> Operation:
    return Operation("governance", "reject", {"proposal": number})


def test_replacing_keeps_the_place_and_removing_closes_the_gap(world: World) -> None:
    passed(world, propose("replace_validator", name="v1", by=newcomer("new")))
    until(world, world.height + NOTICE)
    assert names(world, world.height) == ["v0", "new", "v2", "v3"]
    passed(world, add(), 2)
    until(world, world.height + NOTICE)
    passed(world, propose("remove_validator", name="new"), 3)
    until(world, world.height + NOTICE)
    info = world.executor.epoch_at(world, world.height)
    assert [v.name for v in info.validators.validators] == ["v0", "v2", "v3", "v4"]
    assert (info.epoch, dict(info.addresses)) == (3, {"v4": "127.0.0.1:7004"})


@pytest.mark.parametrize(("purpose", "field"), [("consensus", "consensus_key"), ("transport", "transport_key")])
def test_a_key_rotates_and_never_returns(world: World, purpose: str, field: str) -> None:
    old = getattr(world.executor.epoch_at(world, 1).validators.validators[2], field)
    passed(world, rotate("v2", purpose, point("fresh")))
    until(world, world.height + NOTICE)
    after = world.executor.epoch_at(world, world.height).validators.validators
    assert getattr(after[2], field) == point("fresh") and [v.name for v in after] == FOUR
    for again in (point("fresh"), old):
        rule = "governance.validator_key_used" if again != old else "governance.validator_key"  # no point in this world
        assert refused(world.one("governor-1", rotate("v2", purpose, again))) == rule


def test_a_removed_validators_key_is_used_for_good(world: World) -> None:
    passed(world, add())
    until(world, world.height + NOTICE)
    passed(world, propose("remove_validator", name="v4"), 2)
    until(world, world.height + NOTICE)
    again = add("v9", consensus_key=point("consensus v4"))
    assert refused(world.one("governor-1", again)) == "governance.validator_key_used"


@pytest.mark.parametrize(
    ("operation", "rule"),
    [
        (add("v1"), "governance.validator_name"),
        (add(entity="entity 1"), "governance.validator_entity"),
        (add(entity=" ｅntity  1"), "governance.validator_entity"),
        (add(consensus_key=key("no point")), "governance.validator_key"),
        (add(transport_key=bytes(64)), "governance.validator_key"),
        (add(transport_key=point("consensus v4")), "governance.validator_key"),
        (propose("remove_validator", name="v0"), "governance.validator_set"),
        (propose("remove_validator", name="v7"), "governance.unknown_validator"),
        (propose("replace_validator", name="v7", by=newcomer()), "governance.unknown_validator"),
        (propose("replace_validator", name="v1", by=newcomer("v2")), "governance.validator_name"),
        (propose("replace_validator", name="v1", by=newcomer(entity="entity 2")), "governance.validator_entity"),
        (rotate("v7", "consensus", point("x")), "governance.unknown_validator"),
        (rotate("v1", "consensus", key("no point")), "governance.validator_key"),
        (rotate("v1", "sealing", point("x")), "governance.bad_content"),
        (add(address="nowhere"), "governance.bad_content"),
        (add(address="host:0"), "governance.bad_content"),
        (propose("add_validator", name="v4"), "governance.bad_content"),
    ],
)
def test_what_no_set_may_become_is_refused_when_proposed(world: World, operation: Operation, rule: str) -> None:
    state = dict(world.state)
    assert refused(world.one("governor-1", operation)) == rule
    assert world.state == state


def test_an_entity_limit_holds_for_the_set_of_the_day_it_takes_effect() -> None:
    """Two proposals that are good alone: the second one fails when the first has taken the room."""
    world = World.begin()
    for number, name in enumerate(("v4", "v5"), 1):
        passed(world, add(name), number)
        until(world, world.height + NOTICE)
    # Six validators: one entity may have one vote beside its own only with seven.
    for number, name in enumerate(("a", "b"), 3):
        world.one("governor-1", propose("replace_validator", name=f"v{number}", by=newcomer(name, entity="One House")))
    for number in (3, 4):
        world.one("governor-3", approve(number))
    until(world, world.height + DELAY + 2 * NOTICE)
    assert [proposal(world, n).status for n in (3, 4)] == ["applied", "failed"]
    assert proposal(world, 4).outcome == "governance.validator_entity"
    assert names(world, world.height) == ["v0", "v1", "v2", "a", "v4", "v5"]


def test_a_chain_run_by_one_entity_may_grow_out_of_it(world: World) -> None:
    document = genesis()
    members = document.validators.validators
    own = (*(replace(v, entity="Regulator") for v in members[:3]), members[3])
    world.state = dict(world.executor.genesis_writes(replace(document, validators=ValidatorSet(own)), GENESIS_HASH))
    assert refused(world.one("governor-1", add(entity="Regulator"))) == "governance.validator_entity"
    assert world.one("governor-1", add(entity="Another")).code == Code.OK


def test_what_is_seen_leaves_at_most_so_much_a_block() -> None:
    """After an idle hour the next blocks share the work, the oldest entries first."""
    world = World.begin(parameters={"max_block_transactions": 3})
    transfer = Operation("coins", "transfer", {"to": bytes(15) + b"\1", "amount": 1})
    for _ in range(5):
        world.block(*(world.sign("alice", transfer, valid_for_ms=60_000 - 100 * i) for i in range(3)))
    assert len(world.seen_tree) == 15
    world.block(after_ms=3_600_000)
    assert len(world.seen_tree) == 9
    world.pass_blocks(1)
    assert len(world.seen_tree) == 3
    world.pass_blocks(1)
    assert not world.seen_tree
