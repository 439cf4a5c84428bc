"""Stories of votes: four eyes, delay, expiry, changing one's mind (docs/spec/execution.md §8)."""

from dataclasses import replace

import pytest

from chain_core.codec.block import params_hash
from chain_core.codec.seen import state_key
from chain_core.execution.account_records import ACCOUNTS, decode_record, encode_record
from chain_core.execution.codes import Code
from chain_core.types.genesis import DEFAULT_PARAMETERS
from chain_core.types.transaction import Operation
from tests.unit.execution.proposing import (
    DELAY,
    TRANSFER,
    approve,
    block_size,
    passed,
    proposal,
    propose,
    refused,
    reject,
    smaller,
    withdraw,
)
from tests.unit.execution.world import World, account


@pytest.fixture
def world() -> World:
    return World.begin(known_flags=("new-rule",))


def test_a_parameter_changes_at_its_height_and_the_header_commits_to_it(world: World) -> None:
    assert world.one("governor-1", smaller()).code == Code.OK
    assert world.one("governor-3", approve()).code == Code.OK
    assert (proposal(world).status, proposal(world).due_height) == ("approved", 2 + DELAY)
    world.pass_blocks(DELAY - 1)
    assert (world.height, block_size(world)) == (1 + DELAY, 2_000)
    assert world.last is not None
    assert world.last.parameters["max_block_transactions"] == 2_000
    world.pass_blocks(1)
    assert (block_size(world), proposal(world).status) == (500, "applied")
    in_force = {**DEFAULT_PARAMETERS, "max_block_transactions": 500}
    assert params_hash(world.last.parameters, world.last.flags) == params_hash(in_force, ())


def test_a_later_height_may_be_asked_for(world: World) -> None:
    world.one("governor-1", smaller(at=40))
    world.one("governor-3", approve())
    assert proposal(world).due_height == 40
    world.pass_blocks(37)
    assert block_size(world) == 2_000
    world.pass_blocks(1)
    assert block_size(world) == 500


def test_a_change_holds_in_the_block_it_takes_effect_in() -> None:
    """The window of that very block is the new one."""
    world = World.begin()
    passed_at = propose("parameters", set={"max_window_ms": 10_000})
    world.one("governor-1", passed_at)
    world.one("governor-3", approve())
    world.pass_blocks(DELAY - 1)
    long = world.sign("alice", TRANSFER, valid_for_ms=60_000)
    assert [r.code for r in world.block(long)] == [Code.NOT_YET]


@pytest.mark.parametrize(
    ("approvals", "approvers", "approved"),
    [
        (1, ("governor-2",), False),  # proposer and approver are of one entity
        (1, ("governor-3",), True),
        (1, ("governor-2", "governor-3"), True),
        (2, ("governor-3",), False),
        (2, ("governor-2", "governor-3"), True),
        (2, ("governor-3", "governor-4"), True),
        (3, ("governor-3", "governor-4"), False),
        (3, ("governor-2", "governor-3", "governor-4"), True),
    ],
)
def test_four_eyes(approvals: int, approvers: tuple[str, ...], approved: bool) -> None:
    world = World.begin(parameters={"governance_approvals": approvals})
    world.one("governor-1", smaller())
    for name in approvers:
        assert world.one(name, approve()).code == Code.OK
    assert proposal(world).status == ("approved" if approved else "open")


def test_two_spellings_of_an_institution_are_one(world: World) -> None:
    place = state_key(ACCOUNTS, b"a" + account("governor-3"))
    record = decode_record(world.state[place])
    world.state[place] = encode_record(replace(record, entity="\uff2fperator "))
    world.one("governor-1", smaller())
    assert world.one("governor-3", approve()).code == Code.OK
    assert proposal(world).status == "open"
    assert world.one("governor-4", approve()).code == Code.OK
    assert proposal(world).status == "approved"


def test_nobody_votes_on_his_own_or_twice(world: World) -> None:
    world.one("governor-1", smaller())
    assert refused(world.one("governor-1", approve())) == "governance.own_proposal"
    assert refused(world.one("governor-1", reject())) == "governance.own_proposal"
    assert world.one("governor-2", approve()).code == Code.OK
    assert refused(world.one("governor-2", approve())) == "governance.voted"
    assert proposal(world).status == "open"


@pytest.mark.parametrize("operation", [smaller(), approve(), reject(), withdraw()])
@pytest.mark.parametrize("name", ["alice", "registrar"])
def test_only_governors_govern(world: World, name: str, operation: Operation) -> None:
    world.one("governor-1", smaller())
    assert world.one(name, operation).code == Code.FORBIDDEN


def test_what_is_decided_is_over(world: World) -> None:
    passed(world, smaller())
    for operation in (approve(), reject(), withdraw()):
        receipt = world.one("governor-4", operation)
        assert (refused(receipt), receipt.parameters) == ("governance.not_open", (0, 1, "applied"))
    assert refused(world.one("governor-4", approve(9))) == "governance.unknown_proposal"


def test_a_proposal_is_withdrawn_by_its_proposer_while_open(world: World) -> None:
    world.one("governor-1", smaller())
    assert refused(world.one("governor-2", withdraw())) == "governance.not_yours"
    assert world.one("governor-1", withdraw()).code == Code.OK
    assert proposal(world).status == "withdrawn"
    assert refused(world.one("governor-3", approve())) == "governance.not_open"


def test_an_approved_proposal_is_not_withdrawn_but_can_be_rejected_before_it_is_in_force(world: World) -> None:
    world.one("governor-1", smaller())
    world.one("governor-3", approve())
    assert refused(world.one("governor-1", withdraw())) == "governance.not_open"
    assert world.one("governor-4", reject()).code == Code.OK
    world.pass_blocks(DELAY + 2)
    assert (proposal(world).status, block_size(world)) == ("rejected", 2_000)


def test_as_many_must_reject_as_would_have_to_approve() -> None:
    world = World.begin(parameters={"governance_approvals": 2})
    world.one("governor-1", smaller())
    world.one("governor-2", reject())
    assert refused(world.one("governor-2", reject())) == "governance.voted"
    assert proposal(world).status == "open"
    world.one("governor-3", reject())
    assert proposal(world).status == "rejected"


def test_the_last_vote_of_an_account_counts() -> None:
    world = World.begin(parameters={"governance_approvals": 2})
    world.one("governor-1", smaller())
    world.one("governor-2", approve())
    world.one("governor-2", reject())
    world.one("governor-3", approve())
    assert (proposal(world).status, len(proposal(world).approvals)) == ("open", 1)
    world.one("governor-2", approve())
    assert (proposal(world).status, dict(proposal(world).rejections)) == ("approved", {})


def test_an_open_proposal_expires() -> None:
    world = World.begin(parameters={"governance_expiry": 5})
    world.one("governor-1", smaller())
    world.pass_blocks(4)
    assert proposal(world).status == "open"
    late = World.begin(parameters={"governance_expiry": 5})
    late.one("governor-1", smaller())
    late.pass_blocks(4)
    assert late.one("governor-3", approve()).code == Code.OK  # at its last height
    world.pass_blocks(2)
    assert proposal(world).status == "expired"
    assert refused(world.one("governor-3", approve())) == "governance.not_open"


def test_pending_proposals_are_bounded(world: World) -> None:
    for number in range(1, 5):
        for _ in range(8):
            assert world.one(f"governor-{number}", smaller()).code == Code.OK
    receipt = world.one("governor-2", smaller())
    assert (refused(receipt), receipt.parameters) == ("governance.too_many_proposals", (0, 32))
    world.one("governor-2", withdraw(9))
    assert world.one("governor-2", smaller()).code == Code.OK
    assert proposal(world, 33).proposer == account("governor-2")


def test_one_proposer_leaves_room_for_the_others(world: World) -> None:
    for _ in range(8):
        assert world.one("governor-1", smaller()).code == Code.OK
    receipt = world.one("governor-1", smaller())
    assert (refused(receipt), receipt.parameters) == ("governance.too_many_of_yours", (0, 8))
    assert world.one("governor-2", smaller()).code == Code.OK
    world.one("governor-1", withdraw(7))
    assert world.one("governor-1", smaller()).code == Code.OK


@pytest.mark.parametrize("roles", [["auditor", "governor"], ["governor", "registrar"], ["auditor", "registrar"]])
def test_nobody_gets_two_of_the_three_duties(world: World, roles: list[str]) -> None:
    refused_at_once = world.one("governor-1", propose("party", account=account("bob"), roles=list(roles)))
    assert refused(refused_at_once) == "accounts.duties"
    assert world.one("governor-1", propose("party", account=account("bob"), roles=["auditor"])).code == Code.OK


@pytest.mark.parametrize(("gone", "status"), [("governor-3", "failed"), ("governor-4", "applied")])
def test_who_is_no_governor_any_more_supports_nothing(world: World, gone: str, status: str) -> None:
    world.one("governor-1", smaller(at=40))
    world.one("governor-3", approve())
    other = {"governor-3": "governor-4", "governor-4": "governor-3"}[gone]
    world.one("governor-1", propose("party", account=account(gone), roles=[]))
    world.one(other, approve(2))
    world.pass_blocks(40)
    assert proposal(world, 2).status == "applied"
    assert proposal(world).status == status
    assert (proposal(world).outcome, block_size(world)) == {
        "failed": ("governance.unsupported", 2_000),
        "applied": ("", 500),
    }[status]
