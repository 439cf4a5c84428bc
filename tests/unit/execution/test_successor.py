"""What a successor's height 0 makes of its predecessor's governance (docs/spec/successor.md §3)."""

from dataclasses import replace

import pytest

from chain_core.codec.block import decode_header, encode_header
from chain_core.codec.genesis import lineage
from chain_core.codec.signed import derive_id
from chain_core.codec.values import decode_map
from chain_core.crypto.hashing import sm3
from chain_core.execution.codes import Code
from chain_core.execution.epochs import NOTICE, epoch_by_number
from chain_core.execution.errors import InvalidGenesis
from chain_core.execution.line import PREDECESSOR_KEY, earlier_chains
from chain_core.execution.roots import build_genesis_header
from chain_core.execution.successor import settings
from chain_core.types.genesis import Genesis, Predecessor
from chain_core.types.validator_set import Validator, ValidatorSet
from tests.unit.execution.proposing import passed, proposal, propose, smaller
from tests.unit.execution.test_membership import add, point
from tests.unit.execution.world import GENESIS_HASH, World, account, genesis, op

NAMES = ("w0", "w1", "w2", "w3")


def newcomers(salt: str = "") -> ValidatorSet:
    return ValidatorSet(tuple(Validator(n, f"entity {n}", point(f"c {n}{salt}"), point(f"t {n}{salt}")) for n in NAMES))


NEW = newcomers()


@pytest.fixture
def world() -> World:
    return World.begin(max_ledgers=1)


def document(world: World, validators: ValidatorSet = NEW) -> Genesis:
    first = decode_header(build_genesis_header(genesis(), world.chain, bytes(32), bytes(32)))
    last = encode_header(replace(first, height=world.height, time_ms=world.time_ms))
    parameters, flags = settings(world)
    past = Predecessor(last, lineage(genesis(), last), bytes(32))
    later = replace(genesis(), time_ms=world.time_ms + 1, validators=validators, predecessor=past)
    return replace(later, parameters=parameters, flags=flags)


def succeeded(world: World, validators: ValidatorSet = NEW) -> World:
    """The successor's state of height 0."""
    found = document(world, validators)
    writes = world.executor.succession_writes(found, world)
    after = World(world.executor, time_ms=found.time_ms)
    after.state.update(world.state)
    for key, value in writes.items():
        if value is None:
            del after.state[key]
        else:
            after.state[key] = value
    return after


def test_epochs_begin_again_and_a_scheduled_change_goes(world: World) -> None:
    passed(world, add())
    world.pass_blocks(NOTICE)
    passed(world, add("v5"), number=2)
    assert world.executor.barrier(world) is not None
    after = succeeded(world)
    now = world.executor.epoch_at(after, 1)
    assert (now.epoch, now.start, now.end, now.validators) == (0, 0, None, NEW)
    assert [epoch_by_number(after, number) for number in (1, 2)] == [None, None]
    assert decode_map(after.state[PREDECESSOR_KEY])["height"] == world.height


def test_a_reference_used_on_an_earlier_chain_of_the_line_names_what_was_made_there(world: World) -> None:
    """Two successions on: the registrar, who repeats himself, is told the account that there is."""
    again = op("accounts", "register", reference="R-1", entity="Third House", roles=[], keys={})
    assert world.one("registrar", again).code == Code.OK
    chains, now = [GENESIS_HASH], world
    for name in ("second", "third"):
        now = succeeded(now, newcomers(name))
        now.chain = sm3(name.encode())
        assert earlier_chains(now.get) == tuple(chains)
        receipt = now.one("registrar", again)
        assert (receipt.rule, receipt.parameters) == ("accounts.exists", (0, world.registered("R-1")))
        chains.insert(0, now.chain)
    fresh = op("accounts", "register", reference="R-2", entity="Third House", roles=[], keys={})
    assert now.one("registrar", fresh).code == Code.OK
    assert now.executor.assembly.accounts.record(now.get, derive_id(now.chain, "account", account("registrar"), "R-2"))


def test_pending_proposals_expire_and_what_was_decided_stays(world: World) -> None:
    passed(world, smaller())
    world.one("governor-1", add())
    assert proposal(world, 2).status == "open"
    after = succeeded(world)
    assert proposal(after, 2).status == "expired" and proposal(after, 1).status == "applied"
    assert world.executor.parameters(after)["max_block_transactions"] == 500
    after.pass_blocks(30)
    assert proposal(after, 2).status == "expired"


def test_keys_once_used_are_used_for_the_successor_too(world: World) -> None:
    later = document(world)
    old = genesis().validators.validators[0]
    mixed = ValidatorSet((replace(NEW.validators[0], consensus_key=old.consensus_key), *NEW.validators[1:]))
    with pytest.raises(InvalidGenesis, match="w0 was a validator's"):
        world.executor.succession_writes(replace(later, validators=mixed), world)


def test_a_chain_with_sub_ledgers_has_no_successor_yet(world: World) -> None:
    passed(world, propose("ledger", name="bonds"))
    with pytest.raises(InvalidGenesis, match="sub-ledgers"):
        succeeded(world)
