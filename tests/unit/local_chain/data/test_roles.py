"""Who may give the roles around data: a registrar makes owners, never custodians or regulators."""

from __future__ import annotations

import pytest

from chain_core.codec.genesis import encode_genesis
from chain_core.execution.executor import Executor
from chain_core.types.genesis import DEFAULT_PARAMETERS, Genesis, GenesisAccount
from chain_core.types.transaction import Operation
from chain_core.types.values import Value
from contracts.data import records
from contracts.data.contract import Data
from local_chain.genesis import REGULATOR, MarketCalendar, market_accounts, market_genesis
from supervisory_chain.genesis import supervisory_genesis
from tests.unit.contracts.data.house import House, described, op
from tests.unit.contracts.market import MONDAY, noon
from tests.unit.execution.world import GENESIS_HASH, World, account, key
from tests.unit.execution.world import genesis as coins_genesis


def opened() -> World:
    validators = coins_genesis().validators
    above = encode_genesis(supervisory_genesis("csrc", noon(MONDAY), validators, ()))
    document = market_genesis("rem", "BJ", noon(MONDAY), validators, (), above, MarketCalendar())
    rows = (
        GenesisAccount(account("registrar"), "Operator", ("registrar",), {"transaction": (key("registrar"),)}),
        GenesisAccount(account("vault"), "Operator", ("custodian",), {"transaction": (key("vault"),)}),
    )
    documents = {"accounts": document.documents["accounts"]}
    own = Genesis("rem", "local", "BJ", noon(MONDAY), validators, DEFAULT_PARAMETERS, (), rows, documents, above)
    world = World(Executor((Data(),)))
    world.state.update(world.executor.genesis_writes(own, GENESIS_HASH))
    world.time_ms = noon(MONDAY)
    return world


def register(*roles: str) -> Operation:
    keys: dict[str, Value] = {"transaction": [key("new")]}
    args: dict[str, Value] = {"reference": "new", "entity": "New Ltd", "roles": list(roles), "keys": keys}
    return Operation("accounts", "register", args)


@pytest.mark.parametrize("role", ["custodian", "regulator", "operator"])
def test_a_registrar_gives_no_power_over_data(role: str) -> None:
    receipt = opened().one("registrar", register(role))
    assert receipt.rule == "accounts.role_not_grantable"


def test_a_registrar_makes_owners() -> None:
    assert opened().one("registrar", register("data_owner")).code == 0


def test_a_new_market_has_a_custodian() -> None:
    (custodian,) = [plan for plan in market_accounts("Operator", "Bank") if "custodian" in plan.roles]
    assert custodian.name == "custodian" and custodian.entity == "Operator"


def test_the_officers_on_a_markets_chain_are_its_regulators() -> None:
    assert REGULATOR == records.REGULATOR


def test_without_a_role_nobody_makes_objects() -> None:
    house = House.open()
    for name in ("ann", "vault", "csrc"):
        assert house.refused(name, op("describe", **described("a"))) == "12"
