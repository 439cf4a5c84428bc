"""A body executes at most once: the seen set, inside a batch and between blocks (docs/spec/execution.md §4)."""

from chain_core.codec.seen import decode_seen, seen_key
from chain_core.execution.codes import Code
from tests.unit.execution.world import World, account, op

TRANSFER = op("coins", "transfer", to=account("bob"), amount=1)
OTHER = op("coins", "transfer", to=account("carol"), amount=2)
WINDOW = RETENTION = 600_000


def test_the_same_body_again_is_a_duplicate_that_names_the_first() -> None:
    world = World.begin()
    first = world.sign("alice", TRANSFER)
    filler = world.sign("bob", TRANSFER)
    world.block(filler, first)
    (receipt,) = world.block(first)
    assert (receipt.code, receipt.parameters) == (Code.DUPLICATE, (first.transaction_id, 1, 1))
    assert world.balance("alice") == 999


def test_two_valid_signatures_of_one_body_are_one_transaction() -> None:
    """SM2 is randomised: one body arrives in two envelopes, in one batch or in two."""
    world = World.begin()
    first = world.sign("alice", TRANSFER, nonce=9)
    again = world.sign("alice", TRANSFER, nonce=9, signature=b"\x01" * 64)
    assert first.transaction_id == again.transaction_id
    assert first.envelope_id != again.envelope_id
    receipts = world.block(first, again)
    assert [r.code for r in receipts] == [Code.OK, Code.DUPLICATE]
    assert receipts[1].parameters == (first.transaction_id, 1, 0)
    assert [r.envelope_id for r in receipts] == [first.envelope_id, again.envelope_id]


def test_another_body_under_a_used_nonce_is_refused() -> None:
    world = World.begin()
    first, other = world.sign("alice", TRANSFER, nonce=4), world.sign("alice", OTHER, nonce=4)
    receipts = world.block(first, other)
    assert [r.code for r in receipts] == [Code.OK, Code.NONCE_USED]
    (receipt,) = world.block(other)
    assert (receipt.code, receipt.parameters) == (Code.NONCE_USED, (first.transaction_id, 1, 0))


def test_inside_a_batch_the_first_is_the_first_to_run() -> None:
    """Governance runs before business: there the nonce is used, whatever the batch's order."""
    world = World.begin()
    business = world.sign("alice", TRANSFER, nonce=4)
    governance = world.sign("alice", op("accounts", "grant", account=account("bob")), nonce=4)
    receipts = world.block(business, governance)
    assert [r.code for r in receipts] == [Code.NONCE_USED, Code.OK]
    assert receipts[0].parameters == (governance.transaction_id, 1, 1)


def test_a_refused_transaction_has_used_its_nonce() -> None:
    world = World.begin()
    short = world.sign("alice", op("coins", "transfer", to=account("bob"), amount=5_000))
    assert [r.code for r in world.block(short)] == [Code.REFUSED_BY_RULE]
    assert [r.code for r in world.block(short)] == [Code.DUPLICATE]


def test_a_stranger_cannot_use_up_a_nonce() -> None:
    """He re-signs the body with his own key and has it ordered first; the true one still executes."""
    world = World.begin()
    stolen = world.sign("alice", TRANSFER, nonce=7, signer="mallory")
    true = world.sign("alice", TRANSFER, nonce=7)
    assert [r.code for r in world.block(stolen, true)] == [Code.UNAUTHORISED, Code.OK]


def test_what_came_too_early_may_come_again() -> None:
    world = World.begin()
    early = world.sign("alice", TRANSFER, valid_for_ms=WINDOW + 5_000)
    assert [r.code for r in world.block(early, after_ms=1_000)] == [Code.NOT_YET]
    assert [r.code for r in world.block(early, after_ms=4_000)] == [Code.OK]


def test_an_entry_leaves_at_the_first_block_later_than_window_and_retention() -> None:
    world = World.begin()
    envelope = world.sign("alice", TRANSFER, nonce=3, valid_for_ms=2_000)
    end = world.time_ms + 2_000
    world.block(envelope)
    key = seen_key(0, account("alice"), 3)
    assert decode_seen(world.seen_tree[key]).valid_until_ms == end
    world.block(after_ms=end + RETENTION - world.time_ms)
    assert key in world.seen_tree
    world.block(after_ms=1)
    assert key not in world.seen_tree
    assert world.last is not None
    assert world.last.seen_removed == (key,)


def test_an_entry_still_counts_in_the_block_that_removes_it() -> None:
    world = World.begin()
    world.block(world.sign("alice", TRANSFER, nonce=3, valid_for_ms=2_000))
    world.time_ms += 2_000 + RETENTION
    reused = world.sign("alice", OTHER, nonce=3)
    assert [r.code for r in world.block(reused)] == [Code.NONCE_USED]
    assert [r.code for r in world.block(reused)] == [Code.OK]


def test_nonces_belong_to_their_account() -> None:
    world = World.begin()
    receipts = world.block(world.sign("alice", TRANSFER, nonce=1), world.sign("bob", OTHER, nonce=1))
    assert [r.code for r in receipts] == [Code.OK, Code.OK]
