"""The pool: bounds, reserved room, order, flight and expiry, against a plain model (docs/spec/execution.md §9)."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from chain_core.execution.contract import Lane
from chain_core.execution.pool import ACCEPTED, KNOWN, Admission, Outcome, PoolLimits, TransactionPool
from chain_core.types.genesis import DEFAULT_PARAMETERS
from chain_core.types.transaction import MAX_ENVELOPE_BYTES

LIMITS = PoolLimits(
    transactions=12, size_bytes=1_200, reserved_transactions=2, reserved_bytes=200, per_account=8, retry_after_ms=500
)
BIG = PoolLimits(10_000, 10**9, 10, 10**6, 10_000, 500)
GOVERNANCE, BORDER, BUSINESS = Lane


def named(number: int) -> bytes:
    return number.to_bytes(32, "big")


def filled(limits: PoolLimits, *rows: tuple[Lane, int]) -> TransactionPool:
    pool = TransactionPool(limits)
    for number, (lane, size) in enumerate(rows):
        assert pool.add(named(number), lane, size, bytes([number]), 1_000) == ACCEPTED
    return pool


def offer(pool: TransactionPool, lane: Lane, size: int = 10, account: bytes = b"x") -> Admission:
    return pool.add(b"new".ljust(32, b"!"), lane, size, account, 1_000)


def full(limit: str) -> Admission:
    return Admission(Outcome.FULL, limit, 500)


@pytest.mark.parametrize(
    ("rows", "lane", "size", "answer"),
    [
        ([(BUSINESS, 10)] * 7, BUSINESS, 10, ACCEPTED),
        ([(BUSINESS, 10)] * 8, BUSINESS, 10, full("transactions")),
        ([(BUSINESS, 10)] * 8, GOVERNANCE, 10, ACCEPTED),
        ([(BUSINESS, 10)] * 8, BORDER, 10, ACCEPTED),
        ([(BUSINESS, 10)] * 8 + [(BORDER, 10)] * 2, BORDER, 10, full("transactions")),
        ([(BUSINESS, 10)] * 8 + [(BORDER, 10)] * 2, GOVERNANCE, 10, ACCEPTED),
        ([(BUSINESS, 10)] * 7 + [(BORDER, 10)] * 2, BORDER, 10, ACCEPTED),
        ([(GOVERNANCE, 10)] * 10, BUSINESS, 10, full("transactions")),
        ([(GOVERNANCE, 10)] * 9, BUSINESS, 10, ACCEPTED),
        ([(GOVERNANCE, 10)] * 10, BORDER, 10, ACCEPTED),
        ([(BUSINESS, 700)], BUSINESS, 100, ACCEPTED),
        ([(BUSINESS, 700)], BUSINESS, 101, full("bytes")),
        ([(BUSINESS, 800)], BORDER, 200, ACCEPTED),
        ([(BUSINESS, 800)], BORDER, 201, full("bytes")),
        ([(BUSINESS, 799)], BORDER, 201, ACCEPTED),
    ],
)
def test_admission(rows: list[tuple[Lane, int]], lane: Lane, size: int, answer: Admission) -> None:
    """12 ids and 1,200 bytes; 2 ids and 200 bytes of them are for governance, as much for the border."""
    assert offer(filled(LIMITS, *rows), lane, size) == answer


def test_one_account_does_not_fill_the_pool() -> None:
    pool = TransactionPool(BIG)
    pool.limits = PoolLimits(10_000, 10**9, 10, 10**6, 3, 500)
    for number in range(3):
        assert pool.add(named(number), BUSINESS, 1, b"one", 1_000) == ACCEPTED
    assert offer(pool, BUSINESS, account=b"one") == full("account")
    assert offer(pool, BUSINESS, account=b"two") == ACCEPTED
    pool.forget([named(1)])
    assert pool.add(named(9), BUSINESS, 1, b"one", 1_000) == ACCEPTED


@pytest.mark.parametrize("lane", [GOVERNANCE, BORDER])
def test_one_account_does_not_fill_a_reserved_lane(lane: Lane) -> None:
    """A tenth of 300 reserved ids; other lanes and other accounts do not notice."""
    pool = TransactionPool(PoolLimits(10_000, 10**9, 300, 10**8, 1_000, 500))
    for number in range(30):
        assert pool.add(named(number), lane, 1, b"one", 1_000) == ACCEPTED
    assert offer(pool, lane, account=b"one") == full("account")
    assert pool.add(named(100), BUSINESS, 1, b"one", 1_000) == ACCEPTED
    assert pool.add(named(101), BORDER if lane is GOVERNANCE else GOVERNANCE, 1, b"one", 1_000) == ACCEPTED
    assert pool.add(named(102), lane, 1, b"two", 1_000) == ACCEPTED
    pool.take(5, 100)
    pool.forget([named(0)])
    assert offer(pool, lane, account=b"one") == ACCEPTED
    pool.forget([named(n) for n in range(103)] + [b"new".ljust(32, b"!")])
    assert pool._in_lane == {}


@pytest.mark.parametrize(("reserved", "reserved_bytes", "ids"), [(10, 10**9, 16), (1_000, 10**6, 2)])
def test_the_share_of_a_reserved_lane_is_never_too_small_to_work_with(
    reserved: int, reserved_bytes: int, ids: int
) -> None:
    pool = TransactionPool(PoolLimits(10_000, 10**10, reserved, reserved_bytes, 1_000, 500))
    for number in range(ids):
        assert pool.add(named(number), BORDER, MAX_ENVELOPE_BYTES, b"one", 1_000) == ACCEPTED
    assert offer(pool, BORDER, account=b"one") == full("account")
    assert offer(pool, BORDER, account=b"two") == ACCEPTED


def test_an_id_is_known_while_it_is_held_in_flight_or_not() -> None:
    pool = filled(BIG, (BUSINESS, 1))
    assert pool.add(named(0), BUSINESS, 1, b"x", 1) == KNOWN
    assert pool.take(5, 100) == [named(0)]
    assert pool.add(named(0), BUSINESS, 1, b"x", 1) == KNOWN
    pool.forget([named(0)])
    assert pool.add(named(0), BUSINESS, 1, b"x", 1) == ACCEPTED


def test_governance_and_border_go_first() -> None:
    pool = filled(BIG, (BUSINESS, 1), (BORDER, 1), (GOVERNANCE, 1), (BUSINESS, 1), (GOVERNANCE, 1))
    assert pool.take(10, 100) == [named(n) for n in (2, 4, 1, 0, 3)]


def test_a_flood_of_governance_leaves_half_of_each_block_to_business() -> None:
    pool = filled(BIG, *[(GOVERNANCE, 1)] * 20, *[(BUSINESS, 1)] * 6)
    taken = pool.take(8, 100)
    assert taken == [named(n) for n in (0, 1, 2, 3, 20, 21, 22, 23)]
    assert pool.take(8, 100) == [named(n) for n in (4, 5, 6, 7, 24, 25, 8, 9)]
    assert pool.take(4, 100) == [named(n) for n in (10, 11, 12, 13)]


@pytest.mark.parametrize("business", [0, 6])
def test_a_flood_of_governance_does_not_hold_back_a_directive(business: int) -> None:
    """Anybody's account may send what runs in lane governance; a directive binds from the next block all the same."""
    pool = filled(BIG, *[(GOVERNANCE, 1)] * 20, *[(BUSINESS, 1)] * business, (BORDER, 1))
    assert named(20 + business) in pool.take(8, 100)


def test_a_large_directive_is_not_kept_waiting_by_business() -> None:
    pool = filled(BIG, (BUSINESS, 10), (BORDER, MAX_ENVELOPE_BYTES))
    assert pool.take(10, MAX_ENVELOPE_BYTES + 5) == [named(1)]
    assert filled(BIG, (BUSINESS, 1), (BORDER, 1)).take(1, 100) == [named(1)]


def test_nothing_overtakes_in_its_lane() -> None:
    pool = filled(BIG, (BUSINESS, 60), (BUSINESS, 60), (BUSINESS, 10))
    assert pool.take(10, 100) == [named(0)]
    assert pool.take(10, 100) == [named(1), named(2)]


def test_a_lost_proposal_s_ids_come_first_again_in_their_old_order() -> None:
    pool = filled(BIG, *[(BUSINESS, 1)] * 5)
    taken = pool.take(3, 100)
    assert (pool.in_flight, pool.waiting(BUSINESS), len(pool)) == (3, 2, 5)
    pool.release([taken[2], taken[0], taken[1], taken[0], named(99)])
    assert (pool.in_flight, pool.waiting(BUSINESS)) == (0, 5)
    assert pool.take(5, 100) == [named(n) for n in range(5)]


def test_ids_in_another_s_proposal_are_not_proposed_here() -> None:
    pool = filled(BIG, *[(BUSINESS, 1)] * 3)
    pool.mark_in_flight([named(1), named(1), named(50)])
    assert pool.take(9, 100) == [named(0), named(2)]
    pool.release([named(1)])
    assert pool.take(9, 100) == [named(1)]


def test_expired_ids_leave_unless_in_flight() -> None:
    pool = TransactionPool(BIG)
    for number, until in enumerate((500, 100, 100, 300)):
        pool.add(named(number), BUSINESS, 1, b"x", until)
    pool.mark_in_flight([named(2)])
    assert pool.drop_expired(100) == []
    assert pool.drop_expired(301) == [named(1), named(3)]
    assert named(2) in pool
    pool.release([named(2)])
    assert pool.drop_expired(301) == [named(2)]
    assert pool.drop_expired(501) == [named(0)]
    assert (len(pool), pool.size_bytes) == (0, 0)


def test_a_forgotten_id_s_old_window_does_not_drop_its_successor() -> None:
    pool = TransactionPool(BIG)
    pool.add(named(1), BUSINESS, 1, b"x", 100)
    pool.forget([named(1)])
    pool.add(named(1), BUSINESS, 1, b"x", 900)
    assert pool.drop_expired(500) == []


def test_what_watches_expiry_stays_bounded() -> None:
    pool = TransactionPool(BIG)
    for number in range(20_000):
        pool.add(named(number), BUSINESS, 1, b"x", 1_000)
        pool.forget([named(number)])
    assert len(pool._expiry) < 2_000


def test_limits_from_parameters() -> None:
    limits = PoolLimits.from_parameters(DEFAULT_PARAMETERS)
    assert limits == PoolLimits(20_000, 64_000_000, 1_000, 3_200_000, 2_000, 500)


@dataclass
class Held:
    lane: Lane
    size: int
    account: bytes
    until: int
    order: int
    flying: bool = False


@dataclass
class Model:
    held: dict[bytes, Held] = field(default_factory=dict)

    def used(self, lane: Lane) -> tuple[int, int]:
        rows = [row for row in self.held.values() if row.lane == lane]
        return len(rows), sum(row.size for row in rows)

    def fits(self, lane: Lane, size: int) -> bool:
        """Total minus both reserves is what business, and whatever exceeds a reserve, must share."""
        need = [self.used(other) for other in Lane]
        need[lane] = need[lane][0] + 1, need[lane][1] + size
        for which, (total, reserve) in enumerate(
            ((LIMITS.transactions, LIMITS.reserved_transactions), (LIMITS.size_bytes, LIMITS.reserved_bytes))
        ):
            over = sum(max(0, need[other][which] - reserve) for other in (GOVERNANCE, BORDER))
            beyond = lane == BUSINESS or need[lane][which] > reserve
            if beyond and need[BUSINESS][which] + over > total - 2 * reserve:
                return False
        return True


class PoolMachine(RuleBasedStateMachine):
    """Random work on the pool and on the model side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = TransactionPool(LIMITS)
        self.model = Model()
        self.order = 0

    @rule(
        number=st.integers(0, 30),
        lane=st.sampled_from(list(Lane)),
        size=st.sampled_from((1, 50, 150, 300)),
        account=st.sampled_from((b"a", b"b")),
        until=st.integers(0, 50),
    )
    def add(self, number: int, lane: Lane, size: int, account: bytes, until: int) -> None:
        answer = self.pool.add(named(number), lane, size, account, until)
        held = self.model.held
        mine = sum(row.account == account for row in held.values())
        if named(number) in held:
            assert answer == KNOWN
        elif mine >= LIMITS.per_account or not self.model.fits(lane, size):
            assert answer.outcome == Outcome.FULL
        else:
            assert answer == ACCEPTED
            self.order += 1
            held[named(number)] = Held(lane, size, account, until, self.order)

    @rule(count=st.integers(0, 6), size=st.sampled_from((60, 400, 5_000)))
    def take(self, count: int, size: int) -> None:
        taken = self.pool.take(count, size)
        assert len(taken) == len(set(taken)) <= count
        assert sum(self.model.held[one].size for one in taken) <= size
        for lane in Lane:
            waiting = [i for i, row in self.model.held.items() if row.lane == lane and not row.flying]
            waiting.sort(key=lambda one: self.model.held[one].order)
            mine = [one for one in taken if self.model.held[one].lane == lane]
            assert mine == waiting[: len(mine)]
        for one in taken:
            self.model.held[one].flying = True

    @rule()
    def lose_all_proposals(self) -> None:
        self.pool.release([one for one, row in self.model.held.items() if row.flying])
        for row in self.model.held.values():
            row.flying = False

    @rule(number=st.integers(0, 30))
    def forget(self, number: int) -> None:
        self.pool.forget([named(number)])
        self.model.held.pop(named(number), None)

    @rule(now=st.integers(0, 50))
    def drop_expired(self, now: int) -> None:
        late = {one for one, row in self.model.held.items() if row.until < now and not row.flying}
        assert set(self.pool.drop_expired(now)) == late
        for one in late:
            del self.model.held[one]

    @invariant()
    def agrees(self) -> None:
        held = self.model.held
        assert len(self.pool) == len(held) <= LIMITS.transactions
        assert self.pool.size_bytes == sum(row.size for row in held.values()) <= LIMITS.size_bytes
        assert self.pool.in_flight == sum(row.flying for row in held.values())
        for lane in Lane:
            assert self.pool.waiting(lane) == sum(row.lane == lane and not row.flying for row in held.values())


TestPoolMachine = PoolMachine.TestCase
TestPoolMachine.settings = settings(max_examples=60, stateful_step_count=40, derandomize=True, deadline=None)


@given(st.lists(st.sampled_from(list(Lane)), max_size=40), st.integers(1, 7))
def test_all_that_waits_is_taken_in_the_end(lanes: list[Lane], size: int) -> None:
    pool = filled(BIG, *[(lane, 1) for lane in lanes])
    taken: list[bytes] = []
    while True:
        some = pool.take(size, 100)
        if not some:
            break
        taken += some
    assert sorted(taken) == [named(n) for n in range(len(lanes))]
