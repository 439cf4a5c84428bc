"""Sub-ledgers: decided on ledger 0, begun from what was in force there (docs/spec/sub-ledgers.md §1, §2)."""

from dataclasses import replace

import pytest

from chain_core.codec.block import decode_header, encode_header, header_hash
from chain_core.codec.seen import state_key
from chain_core.codec.validator_set import validator_set_hash
from chain_core.codec.values import decode_map
from chain_core.execution.codes import Code, EngineFault
from chain_core.execution.parameters import FLAGS_KEY, GOVERNANCE, PARAMETERS_KEY
from chain_core.execution.roots import build_genesis_header
from chain_core.execution.sub_ledgers import ORIGIN, Origin, SubLedger, origin_of, sub_ledgers
from chain_core.types.transaction import Operation
from tests.unit.execution.proposing import DELAY, TRANSFER, approve, block_size, passed, proposal, propose, refused
from tests.unit.execution.test_membership import add, newcomer
from tests.unit.execution.world import GENESIS_HASH, World, account, genesis, op


def group(name: str) -> Operation:
    return propose("ledger", name=name)


@pytest.fixture
def world() -> World:
    return World.begin(max_ledgers=2, known_flags=("newer",))


def header_of(world: World, height: int) -> bytes:
    """A header of ledger 0 at the height; only what an origin takes from it matters here."""
    first = decode_header(build_genesis_header(genesis(), GENESIS_HASH, bytes(32), bytes(32)))
    return encode_header(replace(first, height=height, time_ms=world.time_ms))


def origin(world: World, ledger: int = 1) -> Origin:
    found = sub_ledgers(world)[ledger - 1]
    return origin_of(world, found, header_of(world, found.created))


def begun(world: World, ledger: int = 1) -> World:
    """The sub-ledger at its height 0."""
    below = World(world.executor, ledger=ledger, time_ms=world.time_ms)
    below.state.update(world.executor.genesis_writes(genesis(), GENESIS_HASH, origin(world, ledger)))
    return below


def test_governors_create_ledgers_that_the_state_names(world: World) -> None:
    assert world.executor.sub_ledgers(world) == ()

    passed(world, group("bonds"))
    first = world.height
    passed(world, group("funds"), number=2)

    assert world.executor.sub_ledgers(world) == (SubLedger(1, "bonds", first), SubLedger(2, "funds", world.height))


@pytest.mark.parametrize(
    ("name", "rule"),
    [("bonds", "governance.ledger_exists"), ("Bonds", "governance.bad_content"), ("9", "governance.bad_content")],
)
def test_a_name_that_will_not_do_is_refused(world: World, name: str, rule: str) -> None:
    passed(world, group("bonds"))

    assert refused(world.one("governor-1", group(name))) == rule


def test_there_is_a_limit_which_is_none_for_chains_without_groups(world: World) -> None:
    for number, name in enumerate(("bonds", "funds"), 1):
        passed(world, group(name), number)

    assert refused(world.one("governor-1", group("third"))) == "governance.ledger_limit"
    assert refused(World.begin().one("governor-1", group("bonds"))) == "governance.ledger_limit"


def test_of_two_proposals_of_one_name_the_second_fails(world: World) -> None:
    for number in (1, 2):
        assert world.one("governor-1", group("bonds")).code == Code.OK
        assert world.one("governor-3", approve(number)).code == Code.OK
    world.pass_blocks(DELAY)

    assert [proposal(world, number).status for number in (1, 2)] == ["applied", "failed"]
    assert proposal(world, 2).outcome == "governance.ledger_exists"
    assert len(sub_ledgers(world)) == 1


def test_it_begins_from_what_was_in_force_when_it_was_created(world: World) -> None:
    passed(world, propose("parameters", set={"max_block_transactions": 500}))
    passed(world, propose("flags", on=["newer"], off=[]), 2)
    passed(world, add(), 3)
    world.pass_blocks(70)
    passed(world, group("bonds"), 4)
    passed(world, propose("parameters", set={"max_block_transactions": 300}), 5)

    below = begun(world)

    assert (block_size(below), block_size(world)) == (500, 300)
    assert world.executor.flags(below) == ("newer",)
    epoch = world.executor.epoch_at(below, 1)
    assert (epoch.epoch, epoch.start, epoch.validators.n) == (0, 0, 5)
    assert epoch.addresses == {"v4": newcomer()["address"]}
    row = decode_map(below.state[state_key(GOVERNANCE, ORIGIN)])
    main = world.executor.epoch_at(world, world.height)
    assert (row["name"], row["epoch"], row["start"]) == ("bonds", 1, main.start)
    header = decode_header(build_genesis_header(genesis(), GENESIS_HASH, b"s" * 32, b"e" * 32, origin(world)))
    creating = header_of(world, sub_ledgers(world)[0].created)
    assert (header.ledger, header.height, header.epoch) == (1, 0, 0)
    assert (header.prev_hash, header.time_ms) == (header_hash(creating), world.time_ms)
    assert header.validator_set_hash == header.next_validator_set_hash == validator_set_hash(epoch.validators)


def test_a_header_of_another_height_is_no_origin(world: World) -> None:
    passed(world, group("bonds"))
    (found,) = sub_ledgers(world)

    with pytest.raises(EngineFault):
        origin_of(world, found, header_of(world, found.created + 1))


def test_it_carries_business_of_its_own_and_takes_none_of_ledger_0(world: World) -> None:
    passed(world, group("bonds"))
    below = begun(world)
    on_main = world.sign("alice", TRANSFER)

    assert below.one("alice", TRANSFER).code == Code.OK
    (replayed,) = below.block(on_main)

    assert replayed.code == Code.WRONG_LEDGER
    assert below.get(state_key("coins", account("bob"))) != world.get(state_key("coins", account("bob")))


DECIDED_ABOVE = {
    "ledger": group("funds"),
    "parameters": propose("parameters", set={"max_block_transactions": 500}),
    "flags": propose("flags", on=["newer"], off=[]),
    "add_validator": add(),
    "remove_validator": propose("remove_validator", name="v0"),
}


@pytest.mark.parametrize("kind", DECIDED_ABOVE)
def test_what_holds_for_all_ledgers_is_not_decided_on_a_sub_ledger(world: World, kind: str) -> None:
    passed(world, group("bonds"))
    below = begun(world)

    assert refused(below.one("governor-1", DECIDED_ABOVE[kind])) == "governance.main_ledger_decides"


def test_parties_are_governed_on_each_ledger(world: World) -> None:
    passed(world, group("bonds"))
    below = begun(world)

    passed(below, propose("party", account=account("bob"), status="suspended"))

    assert below.one("bob", op("coins", "transfer", to=account("alice"), amount=1)).code == Code.UNAUTHORISED
    assert world.one("bob", op("coins", "transfer", to=account("alice"), amount=1)).code == Code.OK
    assert below.get(PARAMETERS_KEY) == world.get(PARAMETERS_KEY) and below.get(FLAGS_KEY) == world.get(FLAGS_KEY)
