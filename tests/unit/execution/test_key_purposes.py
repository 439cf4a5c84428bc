"""One key, one purpose: every pair of purposes, wherever a key may be brought in (docs/spec/keys.md §1)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chain_core.execution.accounts import Accounts
from chain_core.execution.codes import Code
from chain_core.execution.errors import InvalidGenesis
from chain_core.execution.messages import Messages
from chain_core.types.ids import PURPOSES
from chain_core.types.transaction import Operation, Receipt
from tests.unit.execution.proposing import TRANSFER, approve, passed, proposal, propose, refused
from tests.unit.execution.test_membership import add, newcomer, point, rotate
from tests.unit.execution.world import GENESIS_HASH, World, account, genesis, key, op

VALIDATORS_PURPOSES = ("consensus", "transport")
OTHERS = tuple(purpose for purpose in PURPOSES if purpose != "transaction")
K = point("the one key")


@pytest.fixture
def world() -> World:
    return World.begin()


def attach(purpose: str, public: bytes = K) -> Operation:
    return op("accounts", "attach_key", purpose=purpose, key=public)


def register(purpose: str, public: bytes = K) -> Operation:
    return op("accounts", "register", reference="r", entity="New House", roles=[], keys={purpose: [public]})


def recover(purpose: str, public: bytes = K) -> Operation:
    return propose("key", account=account("bob"), purpose=purpose, attach=public, revoke=[])


def as_validators(purpose: str) -> list[Operation]:
    """All proposals that would make K a validator's key of this purpose."""
    field = f"{purpose}_key"
    return [
        add(**{field: K}),
        propose("replace_validator", name="v0", by=newcomer(**{field: K})),
        rotate("v0", purpose, K),
    ]


def code_and_rule(receipt: Receipt) -> tuple[Code, str]:
    return Code(receipt.code), receipt.rule


@pytest.mark.parametrize("purpose", OTHERS)
def test_a_key_of_another_purpose_signs_no_transaction(world: World, purpose: str) -> None:
    assert world.one("alice", attach(purpose, key("second"))).code == Code.OK
    receipt = world.one("alice", TRANSFER, signer="second")
    assert code_and_rule(receipt) == (Code.UNAUTHORISED, "accounts.key_purpose")
    assert list(receipt.parameters) == [account("alice"), purpose]
    assert purpose in Messages((Accounts(),)).render(receipt.code, receipt.rule, receipt.parameters, "en")
    stranger = world.one("bob", TRANSFER, signer="second")
    assert code_and_rule(stranger) == (Code.UNAUTHORISED, ""), "nothing is said of another account's key"


@pytest.mark.parametrize("purpose", OTHERS)
def test_nor_does_it_cosign(world: World, purpose: str) -> None:
    assert world.one("bob", attach(purpose, key("second"))).code == Code.OK
    receipt = world.one("alice", TRANSFER, cosigners=("bob",), cosigner_keys=("second",))
    assert code_and_rule(receipt) == (Code.UNAUTHORISED, "accounts.key_purpose")
    assert list(receipt.parameters) == [account("bob"), purpose]


def test_a_revoked_transaction_key_is_no_key_of_another_purpose(world: World) -> None:
    world.one("alice", attach("transaction", key("second")))
    world.one("alice", op("accounts", "revoke_key", key=key("alice")), signer="second")
    assert code_and_rule(world.one("alice", TRANSFER)) == (Code.UNAUTHORISED, "")


@pytest.mark.parametrize("second", PURPOSES)
@pytest.mark.parametrize("first", PURPOSES)
def test_no_key_is_attached_twice(world: World, first: str, second: str) -> None:
    assert world.one("alice", attach(first)).code == Code.OK
    assert refused(world.one("alice", attach(second))) == "accounts.key_taken"
    assert refused(world.one("bob", attach(second))) == "accounts.key_taken"
    assert refused(world.one("registrar", register(second))) == "accounts.key_taken"
    assert refused(world.one("governor-1", recover(second))) == "accounts.key_taken"
    world.one("alice", op("accounts", "revoke_key", key=K))
    assert refused(world.one("alice", attach(second))) == "accounts.key_taken", "for the life of the chain"


@pytest.mark.parametrize("second", VALIDATORS_PURPOSES)
@pytest.mark.parametrize("first", PURPOSES)
def test_an_accounts_key_becomes_no_validators(world: World, first: str, second: str) -> None:
    assert world.one("alice", attach(first)).code == Code.OK
    for operation in as_validators(second):
        assert refused(world.one("governor-1", operation)) == "governance.validator_key_taken"


@pytest.mark.parametrize("second", PURPOSES)
@pytest.mark.parametrize("first", VALIDATORS_PURPOSES)
def test_a_validators_key_becomes_no_accounts(world: World, first: str, second: str) -> None:
    passed(world, rotate("v0", first, K))
    for operation, by in ((attach(second), "alice"), (register(second), "registrar"), (recover(second), "governor-1")):
        assert refused(world.one(by, operation)) == "accounts.key_taken"


@pytest.mark.parametrize("second", VALIDATORS_PURPOSES)
@pytest.mark.parametrize("first", VALIDATORS_PURPOSES)
def test_a_validators_key_is_used_once(world: World, first: str, second: str) -> None:
    passed(world, rotate("v0", first, K))
    for operation in as_validators(second):
        assert refused(world.one("governor-1", operation)) == "governance.validator_key_used"


@pytest.mark.parametrize("public", [key("consensus 0"), key("transport 0")], ids=VALIDATORS_PURPOSES)
def test_nor_a_founders(world: World, public: bytes) -> None:
    for purpose in PURPOSES:
        assert refused(world.one("alice", attach(purpose, public))) == "accounts.key_taken"


def test_a_validators_key_signs_no_transaction(world: World) -> None:
    receipt = world.one("alice", TRANSFER, signer="consensus 0")
    assert code_and_rule(receipt) == (Code.UNAUTHORISED, "accounts.key_purpose")
    assert list(receipt.parameters) == [account("alice"), "validator"]


def test_an_open_proposal_cannot_be_made_to_fail_by_attaching_its_key(world: World) -> None:
    assert world.one("governor-1", rotate("v0", "consensus", K)).code == Code.OK
    for purpose in PURPOSES:
        assert refused(world.one("alice", attach(purpose))) == "accounts.key_taken"
    assert world.one("governor-3", approve(1)).code == Code.OK
    world.pass_blocks(10)
    assert proposal(world).status == "applied"


def test_a_refused_proposal_reserves_nothing(world: World) -> None:
    assert refused(world.one("governor-1", rotate("nobody", "consensus", K))) == "governance.unknown_validator"
    assert world.one("alice", attach("assertion")).code == Code.OK


def test_two_proposals_may_name_one_key_and_one_of_them_gets_it(world: World) -> None:
    for operation in (rotate("v0", "consensus", K), rotate("v1", "transport", K)):
        assert world.one("governor-1", operation).code == Code.OK
    for number in (1, 2):
        assert world.one("governor-3", approve(number)).code == Code.OK
    world.pass_blocks(200)
    assert [proposal(world, number).status for number in (1, 2)] == ["applied", "failed"]


@pytest.mark.parametrize("purpose", PURPOSES)
def test_a_genesis_document_with_one_key_for_two_is_refused(purpose: str) -> None:
    document = genesis()
    first = document.accounts[0]
    keys = {"transaction": first.keys["transaction"]}
    keys[purpose] = (*keys.get(purpose, ()), document.validators.validators[0].consensus_key)
    mixed = replace(document, accounts=(replace(first, keys=keys), *document.accounts[1:]))
    with pytest.raises(InvalidGenesis, match="validator_key_taken"):
        World.begin().executor.genesis_writes(mixed, GENESIS_HASH)
