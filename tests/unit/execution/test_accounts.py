"""Parties, roles and keys: who may do what to whom (docs/spec/execution.md §7)."""

from dataclasses import replace
from typing import Any

import pytest

from chain_core.crypto.hashing import sm3
from chain_core.execution.account_records import (
    RECORD_PREFIX,
    AccountBook,
    AccountRecord,
    decode_record,
    encode_record,
)
from chain_core.execution.codes import Code
from chain_core.execution.errors import InvalidGenesis
from chain_core.execution.executor import Executor
from chain_core.types.genesis import GenesisAccount
from chain_core.types.ids import PURPOSES
from tests.unit.execution.world import GENESIS_HASH, World, account, genesis, key, op

TRANSFER = op("coins", "transfer", to=account("bob"), amount=1)


def register(reference: str = "R-1", **changes: Any) -> Any:
    args = {"reference": reference, "entity": "Fund", "roles": ["investor"], "keys": {"transaction": [key("fund")]}}
    return op("accounts", "register", **{**args, **changes})


def record(world: World, of: bytes) -> AccountRecord:
    return decode_record(world.state[RECORD_PREFIX + of])


@pytest.fixture
def world() -> World:
    return World.begin()


def test_a_registered_account_acts_with_its_key(world: World) -> None:
    assert world.one("registrar", register()).code == Code.OK
    fund = world.registered("R-1")
    found = record(world, fund)
    assert (found.entity, found.roles, found.status) == ("Fund", {"investor"}, "active")
    assert (found.registrar, found.reference, found.height) == (account("registrar"), "R-1", 1)
    assert world.one("fund", op("accounts", "grant", account=account("bob")), as_account=fund).code == Code.OK


def test_the_same_reference_again_names_the_account_there_is(world: World) -> None:
    world.one("registrar", register())
    again = world.one("registrar", register(keys={"transaction": [key("another")]}))
    assert (again.rule, again.parameters) == ("accounts.exists", (0, world.registered("R-1")))
    assert record(world, world.registered("R-1")).keys == {"transaction": (key("fund"),)}


@pytest.mark.parametrize(
    ("changes", "code", "rule"),
    [
        ({"roles": []}, Code.OK, ""),
        ({"keys": {}}, Code.OK, ""),
        ({"keys": {"transaction": [key(str(i)) for i in range(8)]}}, Code.OK, ""),
        ({"roles": ["governor"]}, Code.REFUSED_BY_RULE, "accounts.role_not_grantable"),
        ({"roles": ["registrar"]}, Code.REFUSED_BY_RULE, "accounts.role_not_grantable"),
        ({"roles": ["relayer"]}, Code.REFUSED_BY_RULE, "accounts.role_not_grantable"),
        ({"keys": {"transaction": [key("bob")]}}, Code.REFUSED_BY_RULE, "accounts.key_taken"),
        ({"keys": {"sealing": [key("bob")]}}, Code.REFUSED_BY_RULE, "accounts.key_taken"),
        (
            {"keys": {"sealing": [key("x")], "assertion": [key("x")]}},
            Code.REFUSED_BY_RULE,
            "accounts.key_taken",
        ),
        ({"keys": {"transaction": [key("x"), key("x")]}}, Code.BAD_ARGUMENTS, ""),
        ({"keys": {"transaction": [key(str(i)) for i in range(9)]}}, Code.BAD_ARGUMENTS, ""),
        ({"keys": {"transaction": [b"short"]}}, Code.BAD_ARGUMENTS, ""),
        ({"keys": {"opening-doors": [key("x")]}}, Code.BAD_ARGUMENTS, ""),
        ({"reference": ""}, Code.BAD_ARGUMENTS, ""),
        ({"reference": "券" * 22}, Code.BAD_ARGUMENTS, ""),
        ({"roles": ["investor", "investor"]}, Code.BAD_ARGUMENTS, ""),
        ({"roles": [f"r{i}" for i in range(17)]}, Code.BAD_ARGUMENTS, ""),
    ],
)
def test_what_may_be_registered(world: World, changes: dict[str, Any], code: Code, rule: str) -> None:
    receipt = world.one("registrar", register(**changes))
    assert (receipt.code, receipt.rule) == (code, rule)


@pytest.mark.parametrize("name", ["alice", "governor-1", "carol"])
def test_only_a_registrar_registers(world: World, name: str) -> None:
    assert world.one(name, register()).code == Code.FORBIDDEN


def test_a_key_is_rotated_and_never_comes_back(world: World) -> None:
    new, old = key("bob-2"), key("bob")
    last = world.one("bob", op("accounts", "revoke_key", key=old))
    assert last.rule == "accounts.last_key"
    assert world.one("bob", op("accounts", "attach_key", purpose="transaction", key=new)).code == Code.OK
    assert world.one("bob", TRANSFER).code == Code.OK
    assert world.one("bob", op("accounts", "revoke_key", key=old), signer="bob-2").code == Code.OK
    assert world.one("bob", TRANSFER).code == Code.UNAUTHORISED
    assert world.one("bob", TRANSFER, signer="bob-2").code == Code.OK
    again = op("accounts", "attach_key", purpose="transaction", key=old)
    for name, signer in (("bob", "bob-2"), ("alice", "alice")):
        receipt = world.one(name, again, signer=signer)
        assert (receipt.rule, receipt.parameters) == ("accounts.key_taken", (0, sm3(old)))


@pytest.mark.parametrize("target", [key("alice"), key("never seen")])
def test_only_an_own_active_key_is_revoked(world: World, target: bytes) -> None:
    assert world.one("bob", op("accounts", "revoke_key", key=target)).rule == "accounts.not_your_key"


def test_a_revoked_key_is_not_revoked_twice(world: World) -> None:
    world.one("bob", op("accounts", "attach_key", purpose="sealing", key=key("seal")))
    assert world.one("bob", op("accounts", "revoke_key", key=key("seal"))).code == Code.OK
    assert world.one("bob", op("accounts", "revoke_key", key=key("seal"))).rule == "accounts.not_your_key"


@pytest.mark.parametrize("purpose", PURPOSES)
def test_each_purpose_has_eight_keys(world: World, purpose: str) -> None:
    present = 1 if purpose == "transaction" else 0
    for number in range(8 - present):
        attach = op("accounts", "attach_key", purpose=purpose, key=key(f"bob, {purpose} {number}"))
        assert world.one("bob", attach).code == Code.OK
    receipt = world.one("bob", op("accounts", "attach_key", purpose=purpose, key=key("one more")))
    assert (receipt.rule, receipt.parameters) == ("accounts.too_many_keys", (0, purpose, 8))


def test_an_account_is_closed_by_itself_or_its_registrar_for_good(world: World) -> None:
    world.one("registrar", register("R-1"))
    world.one("registrar", register("R-2", keys={"transaction": [key("second")]}))
    first, second = world.registered("R-1"), world.registered("R-2")
    assert world.one("alice", op("accounts", "close", account=first)).rule == "accounts.not_yours"
    assert world.one("registrar", op("accounts", "close", account=first)).code == Code.OK
    close = op("accounts", "close", account=second)
    assert world.one("second", close, as_account=second).code == Code.OK
    assert world.one("second", TRANSFER, as_account=second).code == Code.UNAUTHORISED
    assert world.one("registrar", op("accounts", "close", account=first)).rule == "accounts.closed"
    assert world.one("registrar", register("R-1")).rule == "accounts.exists"
    assert world.one("bob", op("accounts", "grant", account=first)).rule == "accounts.closed"
    stale = op("accounts", "attach_key", purpose="transaction", key=key("fund"))
    assert world.one("bob", stale).rule == "accounts.key_taken"


def test_a_governor_does_not_leave_by_closing(world: World) -> None:
    close = op("accounts", "close", account=account("governor-1"))
    assert world.one("governor-1", close).rule == "accounts.governor"


def test_grants_are_given_once_and_end_once(world: World) -> None:
    grant, end = (op("accounts", method, account=account("bob")) for method in ("grant", "revoke_grant"))
    assert world.one("alice", end).rule == "accounts.no_grant"
    assert world.one("alice", grant).code == Code.OK
    assert world.one("alice", grant).rule == "accounts.granted"
    assert world.one("alice", end).code == Code.OK
    assert world.one("alice", end).rule == "accounts.no_grant"
    nobody = op("accounts", "grant", account=account("nobody"))
    assert world.one("alice", nobody).rule == "accounts.unknown"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"documents": {"accounts": {"grantable_roles": ["registrar"]}}}, "role_not_grantable"),
        ({"documents": {"accounts": {"grantable_roles": ["governor"]}}}, "role_not_grantable"),
        ({"documents": {"accounts": {"grantable": []}}}, "bad_genesis"),
        ({"documents": {"accounts": []}}, "bad_genesis"),
        ({"accounts": (GenesisAccount(account("a"), "", (), {}),)}, "bad_genesis"),
        ({"accounts": (GenesisAccount(account("a"), "E", ("auditor", "registrar"), {}),)}, "accounts.duties"),
        ({"accounts": (GenesisAccount(account("a"), "E", ("governor", "registrar"), {}),)}, "accounts.duties"),
        ({"accounts": (GenesisAccount(account("a"), "E", ("",), {}),)}, "bad_genesis"),
        (
            {
                "accounts": (
                    GenesisAccount(account("a"), "E", (), {"transaction": (key("k"),)}),
                    GenesisAccount(account("b"), "E", (), {"sealing": (key("k"),)}),
                )
            },
            "key_taken",
        ),
    ],
)
def test_a_genesis_document_no_chain_can_start_from(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidGenesis, match=words):
        Executor(()).genesis_writes(replace(genesis(), **changes), GENESIS_HASH)


def test_without_a_document_a_registrar_gives_no_role() -> None:
    world = World(Executor(()))
    world.state.update(world.executor.genesis_writes(replace(genesis(), documents={}), GENESIS_HASH))
    assert world.one("registrar", register()).rule == "accounts.role_not_grantable"


def test_records_read_back() -> None:
    found = AccountRecord("某某公司", frozenset(("b", "a")), "active", {"sealing": (key("s"),)}, bytes(16), "r", 7)
    assert decode_record(encode_record(found)) == found


def test_the_book_of_decoded_records_stays_bounded_and_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chain_core.execution.account_records._CACHED_RECORDS", 8)
    book = AccountBook()
    rows = {
        RECORD_PREFIX + account(str(i)): encode_record(AccountRecord("E", frozenset(), "active", {}, bytes(16), "", i))
        for i in range(50)
    }
    for _ in range(2):
        for number in range(50):
            found = book.record(rows.get, account(str(number)))
            assert found is not None and found.height == number
            assert len(book._decoded) <= 8
    assert book.record(rows.get, account("nobody")) is None
