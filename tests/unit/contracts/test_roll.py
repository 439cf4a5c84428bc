"""Complete lists against a plain list, and against the bytes of docs/spec/formats.md §11."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain_core.codec.values import decode_value, encode_value
from chain_core.crypto.hashing import sm3
from chain_core.crypto.merkle import merkle_root
from chain_core.execution.codes import EngineFault
from chain_core.types.errors import MalformedBytes
from chain_core.types.values import Value
from contracts.kernel import orders, records
from contracts.kernel.records import Holding, Security
from contracts.kernel.roll import (
    Held,
    Roll,
    chunk_key,
    decode_chunk,
    decode_head,
    held_chunk_key,
    holder_count,
    read_held,
    read_roll,
)

SECURITY = sm3(b"security")[:16]


class Space:
    """A namespace of one contract as a dictionary."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        return self.values.get(key)

    def put(self, key: bytes, value: bytes) -> None:
        self.values[key] = value

    def delete(self, key: bytes) -> None:
        self.values.pop(key, None)


def holder(number: int) -> bytes:
    return sm3(b"holder %d" % number)[:16]


def check(space: Space, expected: list[bytes]) -> None:
    """What is stored is what the specification says of this list."""
    chunks = [encode_value(list(expected[start : start + 64])) for start in range(0, len(expected), 64)]
    stored = {key: value for key, value in space.values.items() if key[:1] == b"r"}
    assert stored == {chunk_key(SECURITY, number): chunk for number, chunk in enumerate(chunks)}
    head = space.get(b"R" + SECURITY)
    assert head is not None
    assert decode_value(head) == {"count": len(expected), "chunks": len(chunks), "digest": merkle_root(chunks)}
    assert decode_head(head)[0] == holder_count(space, SECURITY) == len(expected)  # type: ignore[arg-type]
    assert read_roll(space.get, SECURITY) == expected


def test_nobody() -> None:
    assert holder_count(Space(), SECURITY) == 0  # type: ignore[arg-type]
    assert read_roll(Space().get, SECURITY) == []


@given(st.lists(st.one_of(st.integers(1, 90), st.integers(-200, -1)), max_size=12), st.booleans())
def test_joining_and_leaving(steps: list[int], save_each: bool) -> None:
    """Positive: so many join at once. Negative: the one at that place leaves, the last takes it."""
    space, model, next_number = Space(), list[bytes](), 0
    roll = Roll(space, SECURITY)  # type: ignore[arg-type]
    for step in steps:
        if step > 0:
            for _ in range(step):
                model.append(holder(next_number))
                assert roll.append(holder(next_number)) == len(model) - 1
                next_number += 1
        elif model:
            slot = -step % len(model)
            last = model.pop()
            moved = roll.remove(slot)
            assert moved == (None if slot == len(model) else last)
            if slot < len(model):
                model[slot] = last
        if save_each:
            roll.save()
            check(space, model)
            roll = Roll(space, SECURITY)  # type: ignore[arg-type]
    roll.save()
    check(space, model)


@given(st.lists(st.integers(0, 150), max_size=250))
def test_the_securities_of_an_account(steps: list[int]) -> None:
    """Each number is a security: bought when it is not held, else given away, wherever it stands in the list."""
    space, model, account = Space(), list[bytes](), holder(0)
    for number in steps:
        security, held = holder(number), Held(space, account)  # type: ignore[arg-type]
        if security in model:
            held.drop(security)
            place, last = model.index(security), model.pop()
            if place < len(model):
                model[place] = last
        else:
            assert held.append(security) == len(model)
            model.append(security)
        held.save()
    assert read_held(space.get, account) == model
    chunks = [encode_value(list(model[start : start + 64])) for start in range(0, len(model), 64)]
    stored = {key: value for key, value in space.values.items() if key[:1] == b"l"}
    assert stored == {held_chunk_key(account, number): chunk for number, chunk in enumerate(chunks)}
    if steps:
        head = decode_value(space.values[b"L" + account])
        assert head == {"count": len(model), "chunks": len(chunks), "digest": merkle_root(chunks)}


def test_nobody_gives_away_what_his_list_does_not_name() -> None:
    """The kernel never asks for it: such a state is a defect, not a refusal."""
    held = Held(Space(), holder(0))  # type: ignore[arg-type]
    held.append(holder(1))
    with pytest.raises(EngineFault, match=holder(2).hex()):
        held.drop(holder(2))


def test_only_changed_chunks_are_written() -> None:
    space = Space()
    roll = Roll(space, SECURITY)  # type: ignore[arg-type]
    for number in range(200):
        roll.append(holder(number))
    roll.save()
    before = dict(space.values)
    roll = Roll(space, SECURITY)  # type: ignore[arg-type]
    roll.append(holder(200))
    roll.save()
    changed = {key for key, value in space.values.items() if before.get(key) != value}
    assert changed == {b"R" + SECURITY, chunk_key(SECURITY, 3)}


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        encode_value([]),
        encode_value([holder(1)])[:-1],
        encode_value([holder(1)]) + b"\0",
        encode_value([holder(1)[:15]]),
        encode_value(["sixteen letters."]),
        encode_value([holder(n) for n in range(65)]),
        encode_value({"a": holder(1)}),
    ],
)
def test_chunks_are_read_strictly(raw: bytes) -> None:
    with pytest.raises(MalformedBytes):
        decode_chunk(raw)


@pytest.mark.parametrize(
    "head",
    [
        {"count": 1, "chunks": 1},
        {"count": 1, "chunks": 1, "digest": bytes(32), "more": 0},
        {"count": "1", "chunks": 1, "digest": bytes(32)},
        {"count": True, "chunks": 1, "digest": bytes(32)},
        {"count": 1, "chunks": 1, "digest": "x"},
    ],
)
def test_heads_are_read_strictly(head: dict[str, Value]) -> None:
    with pytest.raises(MalformedBytes):
        decode_head(encode_value(head))


RECORDS: dict[Callable[..., object], tuple[Callable[..., bytes], tuple[object, ...]]] = {
    records.decode_holding: (records.encode_holding, Holding(1, 2, 3, 4)),
    records.decode_security: (
        records.encode_security,
        Security(1, 0, 1, 2, *(bytes([n]) * 16 for n in (1, 2, 3)), 5, 6),
    ),
    records.decode_cash: (records.encode_cash, records.Cash(1, 2)),
    records.decode_trade_days: (records.encode_trade_days, records.TradeDays(1, 2)),
    records.decode_hold: (records.encode_hold, records.Hold(1, *(bytes([n]) * 16 for n in range(5)), 1, 2, 3)),
    records.decode_pledge: (records.encode_pledge, records.Pledge(*(bytes([n]) * 16 for n in range(3)), 4)),
    records.decode_vehicle: (records.encode_vehicle, records.Vehicle(7, 1)),
    records.decode_resolution: (
        records.encode_resolution,
        records.Resolution(3, *(bytes([n]) * 16 for n in range(4)), 1, 2, 3, 4, 5, 6, 7),
    ),
    orders.decode_order: (orders.encode_order, orders.Order(bytes(16), bytes(16), 1, 2, 3, 4)),
    records.decode_suitability: (records.encode_suitability, records.Suitability(3, 9)),
}


@pytest.mark.parametrize("decode", RECORDS, ids=lambda decode: decode.__name__)
def test_packed_records(decode: Callable[..., object]) -> None:
    """Back and forth at exactly one size, as docs/spec/kernel.md gives it."""
    encode, value = RECORDS[decode]
    raw = encode(value)
    assert decode(raw) == value
    for wrong in (raw[:-1], raw + b"\0", b""):
        with pytest.raises(MalformedBytes):
            decode(wrong)


def test_sizes_are_those_of_the_specification() -> None:
    sizes = {decode.__name__: len(encode(value)) for decode, (encode, value) in RECORDS.items()}
    assert sizes == {
        "decode_holding": 28,
        "decode_security": 91,
        "decode_cash": 16,
        "decode_trade_days": 8,
        "decode_hold": 105,
        "decode_pledge": 64,
        "decode_vehicle": 5,
        "decode_resolution": 117,
        "decode_order": 60,
        "decode_suitability": 15,
    }
