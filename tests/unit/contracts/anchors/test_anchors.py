"""What the contract anchors, and that nobody can show a life that no data object has."""

from __future__ import annotations

import pytest

from chain_core.codec.seen import state_key
from chain_core.crypto.hashing import sm3
from chain_core.execution.executor import Executor
from chain_core.execution.messages import Messages
from chain_core.types.genesis import DEFAULT_PARAMETERS, Genesis, GenesisAccount
from chain_core.types.transaction import Operation
from contracts.anchors.contract import (
    ANCHORS,
    CREATE,
    DELETE,
    OVERWRITE,
    UPDATE,
    Anchors,
    decode_anchor,
    decode_head,
    head_key,
    version_key,
)
from tests.unit.contracts.market import MONDAY, noon
from tests.unit.execution.world import GENESIS_HASH, World, account, key
from tests.unit.execution.world import genesis as coins_genesis

Row = tuple[str, int, str]


class Place(World):
    def tell(self, name: str, *rows: Row) -> str:
        """The rule that refused, empty when accepted; texts exist in both languages."""
        listed = [
            {"object": one, "kind": "subject", "version": version, "operation": operation, "hash": digest(one, version)}
            for one, version, operation in rows
        ]
        receipt = self.one(name, Operation(ANCHORS, "anchor", {"model": "2.0.0", "rows": listed}))
        messages = Messages(self.executor.assembly.contracts, ())
        for language in ("zh", "en"):
            assert "{" not in messages.render(receipt.code, receipt.rule, receipt.parameters, language)
        return receipt.rule or ("" if receipt.code == 0 else str(receipt.code))

    def read(self, own: bytes) -> bytes | None:
        return self.state.get(state_key(ANCHORS, own))


def digest(object_id: str, version: int) -> bytes:
    return sm3(f"{object_id} {version}".encode())


@pytest.fixture
def place() -> Place:
    world = Place(Executor((Anchors(),)))
    rows = tuple(
        GenesisAccount(account(name), name, roles, {"transaction": (key(name),)})
        for name, roles in {"operator": ("operator",), "other": ("operator",), "ann": ()}.items()
    )
    validators = coins_genesis().validators
    document = Genesis("data", "local", "BJ", noon(MONDAY), validators, DEFAULT_PARAMETERS, (), rows, {}, b"above")
    world.state.update(world.executor.genesis_writes(document, GENESIS_HASH))
    world.time_ms = noon(MONDAY)
    return world


def test_versions_are_a_complete_list_under_their_head(place: Place) -> None:
    assert place.tell("operator", ("s", 0, CREATE), ("s", 1, UPDATE), ("t", 0, CREATE)) == ""
    assert place.tell("operator", ("s", 2, UPDATE)) == ""
    head = decode_head(place.read(head_key("s")))
    assert head is not None and (head.latest, head.owner, head.deleted) == (2, account("operator"), False)
    for version in range(3):
        anchor = decode_anchor(place.read(version_key("s", version)))
        assert anchor is not None and anchor.hash == digest("s", version)
    assert place.read(version_key("s", 3)) is None and decode_head(None) is None
    assert place.tell("operator", ("s", 3, DELETE)) == ""
    for row in (("s", 4, UPDATE), ("s", 0, OVERWRITE), ("s", 0, CREATE)):
        assert place.tell("operator", row) == "anchors.deleted"


LIVE = [("s", 0, CREATE), ("s", 1, UPDATE), ("s", 2, UPDATE)]


@pytest.mark.parametrize(
    ("before", "row", "rule"),
    [
        ([], ("s", 0, OVERWRITE), ""),  # its first writing was held back and never left
        ([], ("s", 1, CREATE), "anchors.wrong_version"),
        ([], ("s", 0, UPDATE), "anchors.wrong_version"),
        ([], ("s", 0, DELETE), "anchors.wrong_version"),
        (LIVE, ("s", 0, CREATE), "anchors.exists"),
        (LIVE, ("s", 4, UPDATE), "anchors.wrong_version"),
        (LIVE, ("s", 2, UPDATE), "anchors.wrong_version"),
        (LIVE, ("s", 2, DELETE), "anchors.wrong_version"),
        (LIVE, ("s", 4, OVERWRITE), "anchors.wrong_version"),
        (LIVE, ("s", 3, OVERWRITE), ""),
        (LIVE, ("s", 2, OVERWRITE), ""),
        (LIVE, ("a/b", 0, CREATE), "10"),
    ],
)
def test_the_life_of_an_object(place: Place, before: list[Row], row: Row, rule: str) -> None:
    if before:
        assert place.tell("operator", *before) == ""
    assert place.tell("operator", row) == rule


def test_a_cascade_is_finished_before_anything_else(place: Place) -> None:
    assert place.tell("operator", *LIVE, ("t", 0, CREATE)) == ""
    assert place.tell("operator", ("s", 0, OVERWRITE)) == ""
    for row in (("s", 3, UPDATE), ("s", 2, OVERWRITE), ("s", 0, OVERWRITE), ("s", 3, DELETE)):
        assert place.tell("operator", row) == "anchors.cascade"
    assert place.tell("operator", ("t", 1, UPDATE)) == "", "other objects go on"
    assert place.tell("operator", ("s", 1, OVERWRITE), ("s", 2, OVERWRITE), ("s", 3, UPDATE)) == ""
    anchor = decode_anchor(place.read(version_key("s", 0)))
    assert anchor is not None and anchor.rewrites == 1 and anchor.former == sm3(bytes(32) + digest("s", 0))


def test_whose_it_is_and_all_or_nothing(place: Place) -> None:
    assert place.tell("operator", ("s", 0, CREATE)) == ""
    assert place.tell("other", ("s", 1, UPDATE)) == "anchors.not_owner"
    assert place.tell("ann", ("x", 0, CREATE)) == "12"
    assert place.tell("operator", ("s", 1, UPDATE), ("s", 1, UPDATE)) == "anchors.wrong_version"
    head = decode_head(place.read(head_key("s")))
    assert head is not None and head.latest == 0, "the first row of the refused call is gone, too"
