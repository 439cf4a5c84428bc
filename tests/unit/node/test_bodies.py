"""Bodies: collected for a proposal, bounded by a block, found again in the log; how much fits into a block."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain_core.codec.block import MAX_BLOCK_BYTES, encode_block
from chain_core.node.block_room import block_bytes, fits, room
from chain_core.node.bodies import Bodies
from chain_core.types.block import Batch, Certificate, CertifiedBlock
from chain_core.types.transaction import MAX_ENVELOPE_BYTES
from chain_core.types.validator_set import MAX_VALIDATORS
from tests.unit.consensus.bench import digest_of
from tests.unit.node.stage import batch_over, envelopes

ONE, TWO, THREE = envelopes(3)
BATCH = batch_over(1, [ONE, TWO, THREE])
LARGE = 1 << 20


def bodies(*pooled: object, logged: dict[bytes, bytes] | None = None) -> Bodies:
    made = Bodies((logged or {}).get)
    made.pooled.update({e.envelope_id: e for e in pooled})  # type: ignore[attr-defined]
    return made


def test_what_is_missing_is_told_and_its_arrival_completes_the_batch() -> None:
    here = bodies(ONE)
    wanted = here.want(BATCH, 0, b"digest", (2,), LARGE)
    assert wanted.missing == {TWO.envelope_id, THREE.envelope_id}
    assert here.arrived(TWO) == (True, [])
    assert here.arrived(TWO) == (False, [])
    needed, settled = here.arrived(THREE)
    assert needed and settled == [wanted] and wanted.fits
    assert here.of(BATCH) == (ONE, TWO, THREE)


def test_a_body_that_nobody_wants_is_not_held() -> None:
    here = bodies()
    assert here.arrived(ONE) == (False, []) and here.held == 0


def test_a_held_body_stays_whatever_happens_in_the_pool() -> None:
    here = bodies(ONE, TWO, THREE)
    here.want(BATCH, 0, b"digest", (), LARGE)
    here.pooled.clear()
    assert here.of(BATCH) == (ONE, TWO, THREE)


def test_bodies_lie_in_the_log_too() -> None:
    here = bodies(logged={ONE.envelope_id: ONE.raw})
    assert here.get(ONE.envelope_id) == ONE and here.raw(ONE.envelope_id) == ONE.raw
    assert here.get(TWO.envelope_id) is None and here.raw(TWO.envelope_id) is None
    assert here.want(BATCH, 0, b"digest", (), LARGE).missing == {TWO.envelope_id, THREE.envelope_id}


def test_a_new_view_lets_go_of_what_earlier_proposals_collected() -> None:
    here = bodies()
    here.want(BATCH, 0, b"digest", (), LARGE)
    here.arrived(ONE)
    here.want(batch_over(1, [THREE]), 1, b"other", (), LARGE)
    assert here.held == 0 and list(here.wanted) == [b"other"]


def test_a_re_proposal_keeps_its_bodies_over_the_view() -> None:
    here = bodies()
    here.want(BATCH, 0, b"digest", (), LARGE)
    here.arrived(ONE), here.arrived(TWO)
    assert here.want(BATCH, 1, b"digest", (), LARGE).missing == {THREE.envelope_id}


def test_a_batch_that_gets_too_big_is_given_up_at_once() -> None:
    limit = block_bytes([len(ONE.raw), len(TWO.raw)])
    here = bodies(ONE)
    wanted = here.want(BATCH, 0, b"digest", (), limit)
    assert wanted.fits
    assert here.arrived(TWO) == (True, []) and wanted.fits
    assert here.arrived(THREE) == (True, [wanted]) and not wanted.fits
    assert here.wanted == {}
    assert not bodies(ONE, TWO, THREE).want(BATCH, 0, b"digest", (), limit).fits


def test_finality_lets_go_of_everything_collected() -> None:
    here = bodies(ONE, TWO)
    here.want(batch_over(1, [ONE, TWO]), 0, digest_of(BATCH), (), LARGE)
    here.finalised(1, (ONE.envelope_id,))
    assert list(here.pooled) == [TWO.envelope_id] and here.held == 0 and here.wanted == {}


def test_each_height_keeps_its_own_bodies_until_it_is_final() -> None:
    here = bodies(ONE, TWO, THREE)
    first, second = batch_over(1, [ONE, TWO]), batch_over(2, [THREE])
    here.want(first, 0, b"first", (), LARGE)
    here.want(second, 0, b"second", (), LARGE)
    here.pooled.clear()
    here.finalised(1, first.envelope_ids)
    assert here.of(second) == (THREE,) and ONE.envelope_id not in here and THREE.envelope_id in here


def test_a_lost_proposal_gives_back_what_no_other_one_has() -> None:
    here = bodies(ONE, TWO, THREE)
    first, second = batch_over(1, [ONE, TWO]), batch_over(2, [TWO, THREE])
    here.want(first, 0, b"first", (), LARGE)
    here.want(second, 0, b"second", (), LARGE)
    assert here.unpin(first) == [ONE.envelope_id]
    assert here.unpin(second) == [TWO.envelope_id, THREE.envelope_id] and here.held == 0


def test_a_view_lets_go_of_what_earlier_views_proposed_for_the_same_height_only() -> None:
    here = bodies(ONE, TWO, THREE)
    first, second = batch_over(1, [ONE]), batch_over(2, [TWO])
    here.want(first, 0, b"first", (), LARGE)
    here.want(second, 0, b"second", (), LARGE)
    here.want(batch_over(1, [THREE]), 1, b"other", (), LARGE)
    here.pooled.clear()
    assert here.of(second) == (TWO,) and ONE.envelope_id not in here
    assert here.of(batch_over(3, [])) == (), "an empty batch has no bodies to hold"


# -- room in a block


def parameters(count: int, size: int) -> dict[str, int]:
    return {"max_block_transactions": count, "max_block_bytes": size}


SMALLEST = MAX_ENVELOPE_BYTES + 65_536


@pytest.mark.parametrize("count", [1, 2_000, 65_536])
@pytest.mark.parametrize("size", [SMALLEST, MAX_BLOCK_BYTES])
def test_whatever_a_primary_takes_fits_and_the_largest_envelope_finds_room(count: int, size: int) -> None:
    most, most_bytes = room(parameters(count, size))
    assert 1 <= most <= count and most_bytes >= MAX_ENVELOPE_BYTES
    assert fits(parameters(count, size), [most_bytes // most] * most)
    assert fits(parameters(count, size), [MAX_ENVELOPE_BYTES])


@given(st.lists(st.integers(1, 5_000), max_size=30))
def test_the_estimate_is_never_below_the_encoded_block(sizes: list[int]) -> None:
    batch = Batch(0, 0, 1, 0, 0, tuple(i.to_bytes(32, "big") for i in range(len(sizes))))
    largest = Certificate(bytes(32), tuple((i, bytes(64)) for i in range(MAX_VALIDATORS)))
    block = CertifiedBlock(bytes(408), largest, batch, tuple(bytes(size) for size in sizes))
    assert len(encode_block(block)) <= block_bytes(sizes)
