"""Article 7: four consensus nodes at least, whose data is compared."""

from chain_core.node.answers import CertifiedHeader
from tests.guideline.house import House


def test_every_node_gives_the_same_header(house: House) -> None:
    assert all("4 nodes equal" in one.what.en for one in house.holds(7).evidence)


def test_one_node_may_be_down_two_may_not(house: House) -> None:
    house.bj.node(0).down = True
    house.holds(7)
    house.bj.node(1).down = True
    house.fails(7, "2 nodes of BJ answer, fewer than the quorum of 3")


def test_a_node_with_other_data_is_seen(house: House) -> None:
    node, chain = house.bj.node(2), house.bj.chain
    node.alter = lambda _: CertifiedHeader(*chain.certified(1))
    house.fails(7, "nodes of BJ differ")


def test_a_forged_vote_is_seen(house: House) -> None:
    house.bj.node(2).alter = lambda c: CertifiedHeader(c.header, c.certificate[:-1] + bytes([c.certificate[-1] ^ 1]))
    house.fails(7, "cannot be verified")
