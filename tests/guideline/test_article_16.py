"""Article 16: several institutions, none with a third."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from local_chain.assembly import local_assembly
from tests.guideline.house import House, HouseChain, SigningChain
from tests.unit.crosschain.chains import local_genesis, validators


@pytest.fixture
def two_hands(tmp_path: Path) -> Iterator[SigningChain]:
    """A chain whose four nodes belong to two institutions."""
    chain = SigningChain.begin(tmp_path, local_genesis(members=validators("beijing", entities=2)), local_assembly)
    chain.block()
    yield chain
    chain.store.close()


def test_the_institutions_behind_a_header_are_counted(house: House) -> None:
    assert all(one.what.en.startswith("3 institutions") for one in house.holds(16).evidence)


def test_an_institution_with_half_of_the_votes_is_seen(house: House, two_hands: SigningChain) -> None:
    house.bj = HouseChain("BJ", two_hands)
    house.fails(16, "entity 0 of beijing holds 2 of 4 votes, a third or more")


def test_a_block_that_one_institution_confirmed_is_seen(house: House, tmp_path: Path) -> None:
    chain = SigningChain.begin(tmp_path, local_genesis(members=validators("beijing", entities=1)), local_assembly)
    chain.block()
    house.bj = HouseChain("BJ", chain)
    house.fails(16, "one institution alone confirmed height 1 of BJ")
    chain.store.close()


def test_a_node_that_answers_strangers_is_seen(house: House) -> None:
    house.upper.open_doors.add("supervisory-0")
    house.fails(16, "node supervisory-0 answered somebody without a certificate")
