"""Article 9: SM2, SM3, SM4."""

import asyncio
from dataclasses import replace

from chain_core.network.secured.security import PLAINTEXT
from chain_core.node.answers import CertifiedHeader
from tests.guideline.house import House


def test_links_votes_and_signatures_are_recomputed(house: House) -> None:
    assert {one.place.chain for one in house.holds(9).evidence} == {"supervisory", "BJ", "JS"}


def test_a_transaction_whose_signature_does_not_hold_is_seen(house: House) -> None:
    (found,) = asyncio.run(house.bj.block(house.bj.chain.height))
    signers = tuple(replace(one, signature=bytes(64)) for one in found.envelope.signers)
    house.bj.keep_block(replace(found, envelope=replace(found.envelope, signers=signers)))
    house.fails(9, "an SM2 signature of transaction")


def test_a_vote_that_does_not_hold_is_seen(house: House) -> None:
    house.bj.node(0).alter = lambda c: CertifiedHeader(c.header, c.certificate[:-1] + bytes([c.certificate[-1] ^ 1]))
    house.fails(9, "BJ: cannot be verified")


def test_plaintext_sessions_and_open_doors_are_seen(house: House) -> None:
    house.bj.client.security = PLAINTEXT
    house.js.open_doors.add("jiangsu-1")
    house.fails(9, "sessions with BJ are not SM sessions", "node jiangsu-1 answered somebody without a certificate")
