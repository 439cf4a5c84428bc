"""Article 3: two layers that follow each other."""

from crosschain.packets import SUPERVISION, client_key
from dualchain.guideline.asking import Network
from tests.guideline.house import House, of


def test_each_chain_verified_the_others_headers(house: House) -> None:
    found = house.holds(3)
    heights = {one.place.chain: one.place.height for one in found.evidence}
    assert heights.keys() == {"supervisory", "BJ", "JS"}


def test_a_header_that_is_not_the_markets_own_is_seen(house: House) -> None:
    house.upper.forge(client_key(house.market), header_hash=bytes(32))
    house.fails(3, "header of BJ that is followed")


def test_a_frozen_client_and_one_that_never_moved_are_seen(house: House) -> None:
    house.upper.forge(client_key(house.market), frozen=3)
    house.upper.put(client_key(house.js.hash), None)
    house.fails(3, "BJ's light client is frozen", "has not followed JS yet")


def test_a_market_that_follows_another_upper_chain_is_seen(house: House) -> None:
    house.bj.forge(of(SUPERVISION, b"s"), header_hash=bytes(32))
    house.fails(3, "supervisory header that BJ saw")


def test_a_followed_market_that_the_report_cannot_ask_is_no_proof(house: House) -> None:
    class Half(House):
        @property
        def network(self) -> Network:
            return Network(self.upper, {"BJ": self.bj})

    Half(house.upper, house.bj, house.js).fails(3, "JS is followed, and the report was not given nodes")
