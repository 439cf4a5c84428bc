"""The check of a whole state finds every way in which a ledger can be wrong."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_value, encode_value
from contracts.kernel.codes import BOUND_CODE, INVESTOR_CODE, code_key
from contracts.kernel.invariants import BrokenInvariant, check_state, check_store
from contracts.kernel.lots import Lot, encode_lots
from contracts.kernel.records import (
    CASH,
    COUNTED_HOLDERS,
    FAMILY_MEMBER,
    HOLD,
    HOLDING,
    HOLDING_FREEZE,
    KERNEL,
    LOTS,
    MONEY,
    ORDER_QUEUE,
    PLEDGE,
    PLEDGE_LIST,
    SECURITY,
    SECURITY_FREEZE,
    VEHICLE,
    Cash,
    Holding,
    Vehicle,
    decode_security,
    encode_cash,
    encode_count,
    encode_holding,
    encode_money,
    encode_security,
    encode_vehicle,
)
from contracts.kernel.roll import (
    HELD_HEAD,
    ISSUED_HEAD,
    chunk_key,
    encode_head,
    held_chunk_key,
    issued_chunk_key,
    list_digest,
)
from tests.unit.contracts.market import Market, account, op

A, B = "investor-0", "investor-1"
State = dict[bytes, bytes]


@pytest.fixture(scope="module")
def market() -> Market:
    """A register of 70, with a hold, a payment, a pledge and two freezes."""
    people = [f"p{n}" for n in range(68)]
    market = Market.open([A, B, *people])
    market.security = market.listed({A: 100, B: 50, **dict.fromkeys(people, 1)})  # type: ignore[attr-defined]
    security, expires = market.security, market.time_ms + 3_600_000  # type: ignore[attr-defined]
    market.funded(B, 500)
    hold = op(
        "hold",
        reference="h",
        security=security,
        quantity=7,
        counterparty=account(B),
        price_fen=70,
        expires_ms=expires,
    )
    market.ok(A, hold)
    market.ok(
        B, op("hold_cash", reference="p", against=market.id_of("hold", A, "h"), amount_fen=70, expires_ms=expires)
    )
    market.ok(A, op("pledge", reference="l", security=security, quantity=9, pledgee=account(B)))
    freeze = op("freeze_holding", "border", security=security, account=account(A), quantity=3, directive="D")
    market.ok("relayer", freeze)
    market.ok("relayer", op("freeze_security", "border", security=security, directive="D"))
    return market


def test_a_sound_state(market: Market) -> None:
    assert check_state(market.pairs()) == {"securities": 1, "holdings": 70, "money_fen": 500}
    assert check_state([]) == {"securities": 0, "holdings": 0, "money_fen": 0}


def test_reading_a_store_page_by_page(market: Market) -> None:
    pairs = market.pairs()

    def scan(prefix: bytes, after: bytes) -> list[tuple[bytes, bytes]]:
        return [pair for pair in pairs if pair[0].startswith(prefix) and pair[0] > after][:7]

    assert check_store(scan) == check_state(pairs)


def full(own: bytes) -> bytes:
    return state_key(KERNEL, own)


def change(own: bytes, value: bytes | None) -> Callable[[State], None]:
    def apply(state: State) -> None:
        if value is None:
            del state[full(own)]
        else:
            state[full(own)] = value

    return apply


def head(owner: bytes, tag: bytes = b"R", **fields: object) -> Callable[[State], None]:
    def apply(state: State) -> None:
        row = decode_value(state[full(tag + owner)])
        assert isinstance(row, dict)
        state[full(tag + owner)] = encode_value({**row, **fields})  # type: ignore[dict-item]

    return apply


def held(owner: bytes, securities: list[bytes]) -> Callable[[State], None]:
    """The account's own list, sound in itself, names these."""

    def apply(state: State) -> None:
        chunk = encode_value(list(securities))
        state[full(held_chunk_key(owner, 0))] = chunk
        state[full(HELD_HEAD + owner)] = encode_head(len(securities), list_digest([chunk]))

    return apply


def no_list(owner: bytes) -> Callable[[State], None]:
    def apply(state: State) -> None:
        del state[full(held_chunk_key(owner, 0))], state[full(HELD_HEAD + owner)]

    return apply


def no_issued(owner: bytes) -> Callable[[State], None]:
    def apply(state: State) -> None:
        del state[full(issued_chunk_key(owner, 0))], state[full(ISSUED_HEAD + owner)]

    return apply


def swapped(security: bytes) -> Callable[[State], None]:
    """The last chunk lists a stranger."""

    def apply(state: State) -> None:
        key = full(chunk_key(security, 1))
        state[key] = state[key][:-1] + bytes([state[key][-1] ^ 1])

    return apply


def breakages(market: Market) -> dict[str, tuple[Callable[[State], None], str]]:
    security: bytes = market.security  # type: ignore[attr-defined]
    a = account(A)
    holding = market.holding(security, A)
    hold, paid = market.id_of("hold", A, "h"), market.id_of("hold", B, "p")
    record = decode_security(market.kernel(SECURITY + security) or b"")
    return {
        "one unit more": (
            change(HOLDING + security + a, encode_holding(holding._replace(available=holding.available + 1))),
            "holdings sum to",
        ),
        "a holder without a row in the roll": (
            change(HOLDING + security + account("ghost"), encode_holding(Holding(0, 0, 0, 70))),
            "different holders",
        ),
        "a holding gone": (change(HOLDING + security + account("p3"), None), "holdings sum to"),
        "a security gone": (change(SECURITY + security, None), "not registered"),
        "another total": (
            change(SECURITY + security, encode_security(record._replace(total=record.total ^ 1))),
            "holdings sum to",
        ),
        "not frozen any more": (change(SECURITY_FREEZE + security, None), "frozen mark"),
        "another slot": (change(HOLDING + security + a, encode_holding(holding._replace(slot=5))), "slot"),
        "a chunk gone": (change(chunk_key(security, 1), None), "chunks"),
        "a chunk too many": (change(chunk_key(security, 2), encode_value([])), "chunks"),
        "a shorter count": (head(security, count=69), "names 70"),
        "another digest": (head(security, digest=bytes(32)), "digest"),
        "a stranger in the roll": (swapped(security), "digest"),
        "a roll of nothing": (change(b"R" + bytes(16), encode_head(0, list_digest([]))), "not registered"),
        "a security left out of a holder's list": (no_list(a), "different securities"),
        "a security he does not hold in his list": (held(a, [security, bytes(16)]), "different securities"),
        "a list of one who holds nothing": (held(account("bank"), [security]), "different securities"),
        "a security twice in his list": (held(a, [security, security]), "twice"),
        "another digest of his list": (head(a, HELD_HEAD, digest=bytes(32)), "digest"),
        "a shorter count of his list": (head(a, HELD_HEAD, count=0, chunks=0), "chunks"),
        "a list without a head": (change(HELD_HEAD + a, None), "chunks"),
        "a hold gone": (change(HOLD + hold, None), "frozen 10"),
        "a freeze gone": (change(HOLDING_FREEZE + security + a, None), "frozen 10"),
        "a pledge gone": (change(PLEDGE + market.id_of("pledge", A, "l"), None), "pledges or orders"),
        "a payment gone": (change(HOLD + paid, None), "held 70"),
        "more money": (change(CASH + a, encode_cash(Cash(1, 0))), "sum to 501"),
        "a pledge nobody lists": (change(PLEDGE_LIST + security + a, None), "pledges or orders"),
        "an order nobody made": (change(ORDER_QUEUE + security + a, bytes(16)), "pledges or orders"),
        "more locked than held": (change(LOTS + security + a, encode_lots([Lot(1, 9, 101)])), "lock-up lots"),
        "a vehicle nobody counted": (change(VEHICLE + a, encode_vehicle(Vehicle(3, 0))), "not counted"),
        "a count from nowhere": (change(COUNTED_HOLDERS + security, encode_count(70)), "holders count"),
        "a member of no family": (change(FAMILY_MEMBER + security + a, encode_count(1)), "members of a family"),
        "a security left out of what its issuer issued": (
            head(account("issuer"), ISSUED_HEAD, count=0, chunks=0),
            "chunks",
        ),
        "an issuer without a list": (no_issued(account("issuer")), "records name different"),
        "a code that leads to nobody": (change(code_key(INVESTOR_CODE, "Q000000001"), a), "codes lead"),
        "a code that leads nowhere": (change(BOUND_CODE + a, b"Q000000001"), "codes lead"),
        "money from nowhere": (change(MONEY, encode_money(499)), "sum to 500"),
    }


NAMES = (
    "one unit more", "a holder without a row in the roll", "a holding gone", "a security gone", "another total",
    "not frozen any more", "another slot", "a chunk gone", "a chunk too many", "a shorter count", "another digest",
    "a stranger in the roll", "a roll of nothing", "a security left out of a holder's list",
    "a security he does not hold in his list", "a list of one who holds nothing", "a security twice in his list",
    "another digest of his list", "a shorter count of his list", "a list without a head",
    "a hold gone", "a freeze gone", "a pledge gone", "a payment gone", "more money",
    "a pledge nobody lists", "an order nobody made",
    "more locked than held", "a vehicle nobody counted", "a count from nowhere", "a member of no family",
    "a security left out of what its issuer issued", "an issuer without a list",
    "a code that leads to nobody", "a code that leads nowhere", "money from nowhere",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_broken_state(market: Market, name: str) -> None:
    cases = breakages(market)
    assert set(NAMES) == set(cases)
    apply, expected = cases[name]
    state = dict(market.state)
    apply(state)
    with pytest.raises(BrokenInvariant, match=expected) as refusal:
        check_state(state.items())
    assert refusal.value.next_step
