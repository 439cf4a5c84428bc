"""What proposals decide: parameters as a whole, flags, parties, lost keys (docs/spec/execution.md §8)."""

from dataclasses import replace
from typing import Any

import pytest

from chain_core.execution.codes import Code, EngineFault
from chain_core.execution.errors import InvalidGenesis
from chain_core.execution.executor import Executor
from chain_core.execution.parameters import BOUNDS
from chain_core.types.genesis import DEFAULT_PARAMETERS
from chain_core.types.transaction import Operation
from tests.unit.execution.proposing import (
    DELAY,
    TRANSFER,
    approve,
    passed,
    proposal,
    propose,
    refused,
    reject,
    smaller,
)
from tests.unit.execution.world import GENESIS_HASH, World, account, genesis, key, op


@pytest.fixture
def world() -> World:
    return World.begin(known_flags=("new-rule",))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"max_block_transactions": 0}, "max_block_transactions"),
        ({"max_block_bytes": 16_000_001}, "max_block_bytes"),
        ({"max_block_bytes": 262_144}, "max_block_bytes"),
        ({"no_such_thing": 1}, "no_such_thing"),
        ({"state_buckets": 8_192}, "state_buckets"),
        ({"order_timeout_ms": 9_000}, "order_timeout_ms"),
        ({"order_timeout_max_ms": 1_000}, "order_timeout_ms"),
        ({"resend_ms": 3_000}, "resend_ms"),
        ({"clock_tolerance_ms": 60_001, "max_window_ms": 60_000}, "clock_tolerance_ms"),
        ({"pool_transactions": 1_999}, "max_block_transactions"),
        ({"pool_bytes": 15_000_000}, "max_block_bytes"),
        ({"pool_transactions": 2_000, "pool_reserved_transactions": 1_000}, "pool_reserved_transactions"),
        ({"governance_approvals": 0}, "governance_approvals"),
        ({"governance_delay": 0}, "governance_delay"),
    ],
)
def test_parameters_are_checked_as_a_whole(world: World, change: dict[str, int], named: str) -> None:
    receipt = world.one("governor-1", propose("parameters", set=change))
    assert (refused(receipt), receipt.parameters[1]) == ("governance.bad_parameter", named)
    if named != "state_buckets":  # fixed after genesis, free in it
        with pytest.raises(InvalidGenesis, match=named):
            Executor(()).genesis_writes(genesis(change), GENESIS_HASH)


def test_related_parameters_change_together(world: World) -> None:
    passed(world, propose("parameters", set={"order_timeout_ms": 9_000, "order_timeout_max_ms": 20_000}))
    now = world.executor.parameters(world)
    assert (now["order_timeout_ms"], now["order_timeout_max_ms"]) == (9_000, 20_000)


def test_two_proposals_that_only_together_are_wrong(world: World) -> None:
    """Each was right when made; the second no longer is when it is due, fails, and says by which rule."""
    world.one("governor-1", propose("parameters", set={"order_timeout_ms": 7_000}))
    world.one("governor-1", propose("parameters", set={"order_timeout_max_ms": 6_000}))
    world.block(world.sign("governor-3", approve(1)), world.sign("governor-3", approve(2)))
    world.pass_blocks(DELAY)
    assert [proposal(world, number).status for number in (1, 2)] == ["applied", "failed"]
    assert proposal(world, 2).outcome == "governance.bad_parameter"
    assert world.executor.parameters(world)["order_timeout_max_ms"] == 8_000


def test_every_default_is_within_its_bounds() -> None:
    assert DEFAULT_PARAMETERS.keys() <= BOUNDS.keys()


def test_a_genesis_document_lacks_no_parameter() -> None:
    document = genesis()
    less = {name: value for name, value in document.parameters.items() if name != "resend_ms"}
    with pytest.raises(InvalidGenesis, match="resend_ms"):
        Executor(()).genesis_writes(replace(document, parameters=less), GENESIS_HASH)


def test_flags_go_on_and_off(world: World) -> None:
    passed(world, propose("flags", on=["new-rule"], off=[]))
    assert world.executor.flags(world) == ("new-rule",)
    assert refused(world.one("governor-1", propose("flags", on=["new-rule"], off=[]))) == "governance.bad_flag"
    passed(world, propose("flags", on=[], off=["new-rule"]), 2)
    assert world.executor.flags(world) == ()


@pytest.mark.parametrize(
    ("on", "off", "rule"),
    [
        (["a"], ["a"], "governance.bad_flag"),
        ([], ["never-on"], "governance.bad_flag"),
        (["Upper"], [], "governance.bad_content"),
        (["a", "a"], [], "governance.bad_content"),
    ],
)
def test_flags_that_make_no_sense(world: World, on: list[str], off: list[str], rule: str) -> None:
    assert refused(world.one("governor-1", propose("flags", on=on, off=off))) == rule


def test_a_node_knows_before_which_height_it_must_stop(world: World) -> None:
    """An older build takes part in the vote, and stops before the flag it does not implement is in force."""
    unknown = world.executor.unknown_flags
    assert world.one("governor-1", propose("flags", on=["from-the-future", "new-rule"], off=[])).code == Code.OK
    assert unknown(world, 50_000) == ()  # later than it can stay open
    world.one("governor-3", approve())
    due = proposal(world).due_height
    assert unknown(world, due - 1) == ()
    assert unknown(world, due) == ("from-the-future",)
    world.pass_blocks(DELAY)
    assert world.height == due
    assert unknown(world, due + 1) == ("from-the-future",)


def test_an_unknown_flag_that_is_taken_off_stops_nobody(world: World) -> None:
    passed(world, propose("flags", on=["from-the-future"], off=[]))
    world.one("governor-1", propose("flags", on=[], off=["from-the-future"]))
    world.one("governor-3", approve(2))
    due = proposal(world, 2).due_height
    assert world.executor.unknown_flags(world, due - 1) == ("from-the-future",)
    assert world.executor.unknown_flags(world, due) == ()


def test_genesis_flags_must_be_known() -> None:
    with pytest.raises(InvalidGenesis, match="unknown_flag"):
        Executor(()).genesis_writes(genesis(flags=("from-the-future",)), GENESIS_HASH)
    assert World.begin(flags=("new-rule",)).executor.flags(World.begin(flags=("new-rule",))) == ("new-rule",)


def test_a_party_is_suspended_and_comes_back(world: World) -> None:
    passed(world, propose("party", account=account("bob"), status="suspended"))
    assert world.one("bob", TRANSFER).code == Code.UNAUTHORISED
    passed(world, propose("party", account=account("bob"), status="active"), 2)
    assert world.one("bob", TRANSFER).code == Code.OK


def test_a_closed_party_stays_closed(world: World) -> None:
    world.one("bob", op("accounts", "close", account=account("bob")))
    reopen = propose("party", account=account("bob"), status="active")
    assert refused(world.one("governor-1", reopen)) == "accounts.closed"


def test_only_a_proposal_makes_a_governor(world: World) -> None:
    passed(world, propose("party", account=account("bob"), roles=["governor"]))
    assert world.one("bob", smaller()).code == Code.OK
    passed(world, propose("party", account=account("bob"), roles=[]), 3)
    assert world.one("bob", smaller()).code == Code.FORBIDDEN


def test_a_lost_key_is_recovered(world: World) -> None:
    recovery = propose(
        "key", account=account("bob"), purpose="transaction", attach=key("bob's new"), revoke=[key("bob")]
    )
    passed(world, recovery)
    assert world.one("bob", TRANSFER).code == Code.UNAUTHORISED
    assert world.one("bob", TRANSFER, signer="bob's new").code == Code.OK
    taken = propose("key", account=account("alice"), purpose="transaction", attach=key("bob"), revoke=[])
    assert refused(world.one("governor-1", taken)) == "accounts.key_taken"


def test_a_stolen_key_is_taken_away_without_another(world: World) -> None:
    passed(world, propose("key", account=account("bob"), purpose="transaction", revoke=[key("bob")]))
    assert world.one("bob", TRANSFER).code == Code.UNAUTHORISED


@pytest.mark.parametrize(
    "operation",
    [
        propose("party", account=account("governor-4"), roles=[]),
        propose("party", account=account("governor-4"), status="suspended"),
        propose("party", account=account("governor-4"), status="closed"),
        propose("parameters", set={"governance_approvals": 4}),
    ],
)
def test_no_decision_leaves_too_few_governors_for_the_next(operation: Operation) -> None:
    """Four governors, three approvals needed: none may go, and no more may be needed."""
    world = World.begin(parameters={"governance_approvals": 3})
    assert refused(world.one("governor-1", operation)) == "governance.too_few_governors"


def test_governors_of_one_entity_are_not_enough(world: World) -> None:
    passed(world, propose("party", account=account("governor-3"), roles=[]))
    world.one("governor-1", propose("party", account=account("governor-4"), roles=[]))
    assert world.last is not None
    assert world.last.codes == (Code.REFUSED_BY_RULE,)


def test_a_suspended_approver_no_longer_counts() -> None:
    world = World.begin(parameters={"governance_approvals": 2})
    world.one("governor-1", smaller())
    world.one("governor-3", approve(1))
    world.one("governor-1", propose("party", account=account("governor-3"), status="suspended"))
    world.one("governor-2", approve(2))
    world.one("governor-4", approve(2))
    world.pass_blocks(DELAY)
    world.one("governor-2", approve(1))
    assert proposal(world, 1).status == "open"
    world.one("governor-4", approve(1))
    assert proposal(world, 1).status == "approved"


def test_a_suspended_opponent_no_longer_counts() -> None:
    world = World.begin(parameters={"governance_approvals": 2})
    world.one("governor-1", smaller())
    world.one("governor-3", reject(1))
    world.one("governor-1", propose("party", account=account("governor-3"), status="suspended"))
    world.block(world.sign("governor-2", approve(2)), world.sign("governor-4", approve(2)))
    world.pass_blocks(DELAY)
    world.one("governor-2", reject(1))
    assert proposal(world, 1).status == "open"
    world.one("governor-4", reject(1))
    assert proposal(world, 1).status == "rejected"


def test_a_suspended_proposer_no_longer_counts() -> None:
    world = World.begin()
    world.one("governor-3", smaller())
    world.one("governor-1", propose("party", account=account("governor-3"), status="suspended"))
    world.one("governor-4", approve(2))
    world.pass_blocks(DELAY)
    world.one("governor-4", approve(1))
    assert proposal(world, 1).status == "open"
    world.one("governor-1", approve(1))
    assert proposal(world, 1).status == "approved"


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"set": {"a": -1}},
        {"set": {"a": True}},
        {"set": {"a": 1}, "more": 1},
        {"set": {f"p{i}": 1 for i in range(65)}},
    ],
)
def test_contents_of_another_shape(world: World, content: dict[str, Any]) -> None:
    assert refused(world.one("governor-1", propose("parameters", **content))) == "governance.bad_content"


def test_a_content_too_deep_or_too_large_is_an_argument_error(world: World) -> None:
    deep: Any = 1
    for _ in range(20):
        deep = [deep]
    assert world.one("governor-1", propose("parameters", set=deep)).code == Code.BAD_ARGUMENTS
    assert world.one("governor-1", propose("parameters", set="x" * 20_000)).code == Code.BAD_ARGUMENTS
    assert world.one("governor-1", op("governance", "propose", kind="?")).code == Code.BAD_ARGUMENTS


def test_governors_are_bounded(world: World) -> None:
    for number in range(60):
        world.one(
            "registrar",
            op("accounts", "register", reference=f"g{number}", entity="E", roles=[], keys={}),
        )
    for number in range(60):
        world.one("governor-1", propose("party", account=world.registered(f"g{number}"), roles=["governor"]))
        world.one("governor-3", approve(number + 1))
    world.pass_blocks(DELAY)
    world.one("registrar", op("accounts", "register", reference="last", entity="E", roles=[], keys={}))
    last = propose("party", account=world.registered("last"), roles=["governor"])
    assert refused(world.one("governor-1", last)) == "accounts.too_many_governors"


def test_a_state_without_genesis_is_a_fault() -> None:
    world = World(Executor(()))
    with pytest.raises(EngineFault, match="install the genesis writes first"):
        world.block()
    with pytest.raises(EngineFault, match="no flags"):
        world.executor.flags(world)
