"""Whole batches: determinism, refusals without traces, lanes whatever the primary wrote (docs/spec/execution.md §4)."""

from hypothesis import given, settings
from hypothesis import strategies as st

from chain_core.codec.transaction import decode_receipt
from chain_core.execution.codes import UNMARKED, Code
from chain_core.types.transaction import Envelope
from tests.unit.execution.world import World, account, op

NAMES = ("alice", "bob", "carol")

calls = st.one_of(
    st.builds(
        lambda to, amount: (op("coins", "transfer", to=account(to), amount=amount),),
        st.sampled_from(NAMES),
        st.sampled_from((1, 10, 400, 900, 2_000)),
    ),
    st.builds(
        lambda a, b: (
            op("coins", "transfer", to=account("bob"), amount=a),
            op("coins", "transfer", to=account("carol"), amount=b),
        ),
        st.integers(1, 800),
        st.integers(1, 800),
    ),
    st.just((op("border", "mark", value=b"x"),)),
    st.just((op("accounts", "grant", account=account("carol")),)),
    st.just((op("coins", "report", channel="up", count=2),)),
    st.just((op("coins", "transfer", to=account("bob"), amount=1), op("nothing", "at_all"))),
)
transactions = st.tuples(
    st.sampled_from(NAMES),
    calls,
    st.integers(1, 6),
    st.sampled_from(("", "", "", "mallory")),
    st.sampled_from((900, 9_000)),
)


def signed(world: World, rows: list[tuple[str, tuple[object, ...], int, str, int]]) -> list[Envelope]:
    """Envelopes of the drawn rows; equal envelopes stand once, as in every batch."""
    found = [
        world.sign(name, *call, nonce=nonce, signer=signer, valid_for_ms=window)  # type: ignore[arg-type]
        for name, call, nonce, signer, window in rows
    ]
    return list({envelope.envelope_id: envelope for envelope in found}.values())


@given(st.lists(transactions, max_size=12))
def test_the_same_batch_on_the_same_state_gives_the_same_result(rows: list) -> None:  # type: ignore[type-arg]
    world = World.begin()
    envelopes = signed(world, rows)
    first = world.execute(*envelopes)
    assert world.execute(*envelopes) == first
    other = World.begin()
    assert other.execute(*envelopes) == first
    assert len(first.receipts) == len(first.events) == len(first.codes) == len(envelopes)


@given(st.lists(transactions, max_size=12))
def test_refused_transactions_leave_nothing_but_seen(rows: list) -> None:  # type: ignore[type-arg]
    world = World.begin()
    envelopes = signed(world, rows)
    whole = world.execute(*envelopes)
    accepted = [envelope for envelope, code in zip(envelopes, whole.codes, strict=True) if code == Code.OK]
    alone = world.execute(*accepted)
    assert set(alone.codes) <= {Code.OK}
    assert alone.writes == whole.writes
    assert alone.outbox == whole.outbox
    marked = [code for code in whole.codes if code not in UNMARKED]
    assert len(whole.seen_added) == len(marked)


@given(st.lists(transactions, max_size=12), st.randoms(use_true_random=False))
def test_the_primary_s_order_of_lanes_does_not_matter(rows: list, shuffle) -> None:  # type: ignore[no-untyped-def,type-arg]
    """Any interleaving that keeps each lane's own order gives the same writes and the same code for each envelope."""
    world = World.begin()
    envelopes = signed(world, rows)
    lanes: dict[int, list[Envelope]] = {}
    for envelope in envelopes:
        lanes.setdefault(world.executor.lane_of(envelope.body), []).append(envelope)
    queues = [list(reversed(lane)) for lane in lanes.values()]
    mixed = []
    while any(queues):
        mixed.append(shuffle.choice([queue for queue in queues if queue]).pop())
    one, other = world.execute(*envelopes), world.execute(*mixed)
    assert one.writes == other.writes
    assert one.outbox == other.outbox
    codes = {e.envelope_id: code for e, code in zip(envelopes, one.codes, strict=True)}
    assert codes == {e.envelope_id: code for e, code in zip(mixed, other.codes, strict=True)}


@settings(max_examples=30)
@given(st.lists(transactions, max_size=12), st.integers(0, 12))
def test_one_block_or_two(rows: list, cut: int) -> None:  # type: ignore[type-arg]
    """What decides is state: business of one batch in two blocks of the same time ends with the same balances."""
    world, other = World.begin(), World.begin()
    envelopes = [e for e in signed(world, rows) if world.executor.lane_of(e.body) == 2]
    world.block(*envelopes)
    other.block(*envelopes[:cut])
    other.block(*envelopes[cut:], after_ms=0)
    assert [world.balance(name) for name in NAMES] == [other.balance(name) for name in NAMES]


def test_lanes_run_governance_border_business() -> None:
    """A transfer first in the batch is done by an account that governance, last in the batch, has closed."""
    world = World.begin()
    world.one(
        "registrar",
        op("accounts", "register", reference="r", entity="E", roles=[], keys={"transaction": [bytes(64)]}),
    )
    transfer = world.sign("alice", op("coins", "transfer", to=account("bob"), amount=1))
    mark = world.sign("carol", op("border", "mark", value=b"1"))
    close = world.sign("alice", op("accounts", "close", account=account("alice")))
    receipts = world.block(transfer, mark, close)
    assert [r.code for r in receipts] == [Code.UNAUTHORISED, Code.OK, Code.OK]
    assert [r.envelope_id for r in receipts] == [e.envelope_id for e in (transfer, mark, close)]


def test_mixing_lanes_buys_no_priority() -> None:
    """Such a transaction is refused, and neither executor nor pool treats it better than business."""
    world = World.begin()
    governance, border = op("accounts", "close", account=account("alice")), op("border", "mark", value=b"1")
    business = op("coins", "transfer", to=account("bob"), amount=1)
    lane_of = world.executor.lane_of
    assert [lane_of(world.sign("alice", one).body).name for one in (governance, border, business)] == [
        "GOVERNANCE",
        "BORDER",
        "BUSINESS",
    ]
    assert lane_of(world.sign("alice", governance, border).body).name == "BORDER"
    assert lane_of(world.sign("alice", governance, business, border).body).name == "BUSINESS"
    assert lane_of(world.sign("alice", governance, op("nothing", "at_all")).body).name == "BUSINESS"


def test_an_empty_batch_is_a_block() -> None:
    result = World.begin().execute()
    assert (result.receipts, result.outbox, result.writes, result.codes) == ((), (), {}, ())


def test_receipts_name_their_envelope_and_commit_to_events() -> None:
    from chain_core.codec import signed as tags
    from chain_core.codec.values import decode_value

    world = World.begin()
    envelope = world.sign("alice", op("coins", "transfer", to=account("bob"), amount=3), nonce=77)
    result = world.execute(envelope)
    receipt = decode_receipt(result.receipts[0])
    assert (receipt.envelope_id, receipt.transaction_id) == (envelope.envelope_id, envelope.transaction_id)
    assert (receipt.account, receipt.nonce, receipt.ledger) == (account("alice"), 77, 0)
    assert receipt.events_digest == tags.tagged_hash(tags.EVENTS, result.events[0])
    fields = {"source": account("alice"), "to": account("bob"), "amount": 3}
    assert decode_value(result.events[0]) == [["coins", "moved", fields]]
