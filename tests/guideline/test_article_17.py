"""Article 17: each object lies where its tier says."""

import pytest

from contracts.data.records import DATA, body_key, object_key
from tests.guideline.house import House, of
from tests.guideline.story import object_of


def test_all_three_tiers_are_shown(house: House) -> None:
    tiers = {one.what.en.split(": ")[1].split(",")[0] for one in house.holds(17).evidence}
    assert tiers == {"public", "limited", "private"}


def body(house: House, tier: str) -> bytes:
    return of(DATA, body_key(object_of(house.market, tier)))


def descriptor(house: House, tier: str) -> bytes:
    return of(DATA, object_key(object_of(house.market, tier)))


@pytest.mark.parametrize("kind", ["government", "supervision"])
def test_government_and_supervision_data_on_the_chain_is_seen(house: House, kind: str) -> None:
    house.bj.forge(descriptor(house, "limited"), kind=kind)
    house.fails(17, f"is {kind} data and lies on the chain")


def test_bodies_that_lie_elsewhere_are_seen(house: House) -> None:
    house.bj.put(body(house, "public"), None)
    house.bj.put(body(house, "limited"), b"in plain")
    house.bj.put(body(house, "private"), b"on the chain")
    house.fails(17, "public body", "limited body", "private body")


def test_an_object_without_a_commitment_is_seen(house: House) -> None:
    house.bj.forge(descriptor(house, "private"), commitment=bytes(32))
    house.fails(17, "has no commitment")


def test_without_private_data_it_is_unproven(house: House) -> None:
    for chain in (house.bj, house.js):
        chain.forge(of(DATA, object_key(object_of(chain.hash, "private"))), status="deleted")
    house.unproven(17, "there is no private data yet")
