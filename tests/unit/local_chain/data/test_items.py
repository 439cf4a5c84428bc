"""Sealed bytes open for whom and where they were made, and say nothing to anybody with a list of guesses."""

from __future__ import annotations

import hmac
import itertools
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain_core.codec.values import encode_value
from chain_core.crypto.errors import CryptoError, DecryptionRefused
from chain_core.crypto.hashing import sm3
from chain_core.crypto.providers import generate_private_key, signing_provider
from chain_core.crypto.sm2_encryption import sm2_encrypt
from contracts.data.commitments import COMMITMENT, commitment
from contracts.data.records import PRIVATE, Descriptor, class_for, class_of_sealed, encode
from local_chain.data import items
from local_chain.data.errors import CommitmentDiffers, DataRefused
from local_chain.data.items import Place
from tests.unit.execution.world import GENESIS_HASH, account

PLACE = Place(GENESIS_HASH, 0, sm3(b"object")[:16], 1)
ELSEWHERE = [
    replace(PLACE, genesis_hash=bytes(32)),
    replace(PLACE, ledger=1),
    replace(PLACE, identity=bytes(16)),
    replace(PLACE, version=2),
]
READER, CUSTODIAN = generate_private_key(), generate_private_key()
READER_KEY, CUSTODIAN_KEY = map(signing_provider().sm2_public_key, (READER, CUSTODIAN))
ANN = account("ann")


@settings(deadline=None)
@given(st.binary(max_size=5_000))
def test_padding_hides_all_but_the_class(content: bytes) -> None:
    payload = items.pad(content)
    assert len(payload) == 1 << class_for(len(content) + 8) >= 256
    assert items.unpad(payload) == content


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        bytes(7),
        items.pad(b"abc")[:-1] + b"\1",
        items.pad(b"abc") + bytes(256),
        items.pad(b"abc")[:-1],
        (1 << 40).to_bytes(8, "big") + bytes(248),
    ],
)
def test_no_other_padding(payload: bytes) -> None:
    with pytest.raises(DataRefused):
        items.unpad(payload)


@pytest.mark.parametrize("size", [0, 1, 216, 217, items.MAX_LIMITED_BYTES])
def test_limited_there_and_back(size: int) -> None:
    content, key = bytes(size), items.new_key()
    sealed, expected = items.seal_limited(PLACE, key, content)
    assert class_of_sealed(len(sealed)) == class_for(size + 40)
    assert items.open_limited(PLACE, key, sealed, expected) == content


def test_sizes_are_bounded() -> None:
    with pytest.raises(DataRefused, match="private"):
        items.seal_limited(PLACE, items.new_key(), bytes(items.MAX_LIMITED_BYTES + 1))
    with pytest.raises(DataRefused, match="divide"):
        items.seal_private(PLACE, items.new_key(), bytes(items.MAX_PRIVATE_BYTES + 1))


@pytest.mark.parametrize(
    "payload",
    [
        lambda salt: items.pad(b"abc", salt)[:-1] + b"\1",
        lambda salt: items.pad(b"abc", salt) + bytes(256),
        lambda salt: salt + (1 << 40).to_bytes(8, "big") + bytes(216),
        lambda salt: salt[:10],
    ],
)
def test_limited_padding_hides_nothing_else(payload: Callable[[bytes], bytes]) -> None:
    key, salt = items.new_key(), items.new_salt()
    sealed = items.seal(key, payload(salt), items.ITEM + PLACE.associated)
    with pytest.raises(DataRefused, match="padding"):
        items.open_limited(PLACE, key, sealed, commitment(salt, b"abc"))


@pytest.mark.parametrize("place", ELSEWHERE)
def test_sealed_bytes_open_in_their_place_only(place: Place) -> None:
    key, salt = items.new_key(), items.new_salt()
    sealed, expected = items.seal_limited(PLACE, key, b"secret")
    with pytest.raises(DecryptionRefused):
        items.open_limited(place, key, sealed, expected)
    with pytest.raises(DecryptionRefused):
        items.open_private(place, key, salt, items.seal_private(PLACE, key, b"secret"), expected)
    package = items.pack(PLACE, ANN, READER_KEY, salt, b"secret")
    with pytest.raises(DataRefused):
        items.unpack(place, ANN, READER, package, commitment(salt, b"secret"))
    outer = items.wrap(PLACE, key, ANN, READER_KEY, CUSTODIAN_KEY)
    with pytest.raises(DataRefused, match="another object"):
        items.unwrap_outer(place, ANN, READER_KEY, CUSTODIAN, outer)


def test_a_reader_needs_the_custodian_and_the_custodian_the_reader() -> None:
    key = items.new_key()
    outer = items.wrap(PLACE, key, ANN, READER_KEY, CUSTODIAN_KEY)
    with pytest.raises(CryptoError):
        items.unwrap_inner(READER, outer)
    inner = items.unwrap_outer(PLACE, ANN, READER_KEY, CUSTODIAN, outer)
    with pytest.raises(CryptoError):
        items.unwrap_inner(CUSTODIAN, inner)
    assert items.unwrap_inner(READER, inner) == key


def test_a_wrap_is_for_one_reader_and_key() -> None:
    outer = items.wrap(PLACE, items.new_key(), ANN, READER_KEY, CUSTODIAN_KEY)
    for reader, key in ((account("bo"), READER_KEY), (ANN, CUSTODIAN_KEY)):
        with pytest.raises(DataRefused):
            items.unwrap_outer(PLACE, reader, key, CUSTODIAN, outer)


def test_a_wrap_of_something_else_is_no_key() -> None:
    with pytest.raises(DataRefused):
        items.unwrap_inner(READER, sm2_encrypt(READER_KEY, bytes(17)))


def test_an_owner_cannot_show_other_content_than_committed() -> None:
    key = items.new_key()
    sealed, _ = items.seal_limited(PLACE, key, b"for you")
    _, committed = items.seal_limited(PLACE, key, b"for others")
    with pytest.raises(CommitmentDiffers):
        items.open_limited(PLACE, key, sealed, committed)


def test_a_reader_checks_what_the_custodian_releases() -> None:
    salt = items.new_salt()
    committed = commitment(salt, b"content")
    assert (
        items.unpack(PLACE, ANN, READER, items.pack(PLACE, ANN, READER_KEY, salt, b"content"), committed) == b"content"
    )
    with pytest.raises(CommitmentDiffers):
        items.unpack(PLACE, ANN, READER, items.pack(PLACE, ANN, READER_KEY, salt, b"contenT"), committed)
    with pytest.raises(CommitmentDiffers):
        items.unpack(PLACE, ANN, READER, items.pack(PLACE, ANN, READER_KEY, items.new_salt(), b"content"), committed)


# ---- what a descriptor leaks

DIGITS = [f"11010119900101{n:04}".encode() for n in range(10_000)]
GUESSES: list[Callable[[bytes], bytes]] = [
    lambda c: c,
    sm3,
    lambda c: sm3(len(c).to_bytes(8, "big") + c),
    lambda c: sm3(COMMITMENT + c),
    lambda c: commitment(bytes(32), c),
    lambda c: commitment(PLACE.identity.ljust(32, b"\0"), c),
    lambda c: commitment(GENESIS_HASH, c),
    lambda c: commitment(sm3(c), c),
    lambda c: hmac.new(PLACE.identity, c, "sha256").digest(),
    lambda c: sm3(GENESIS_HASH + PLACE.identity + c),
]


def on_chain(content: bytes) -> tuple[dict[str, bytes], bytes]:
    """All that the chain and the store see of an item: the descriptor's fields by name, and the sealed item."""
    key, salt = items.new_key(), items.new_salt()
    sealed = items.seal_private(PLACE, key, content)
    number = class_of_sealed(len(sealed))
    assert number is not None
    committed = commitment(salt, content)
    row = Descriptor(PRIVATE, "identity", account("o"), "active", 1, number, committed, items.new_key(), ())
    fields = {name: encode_value(getattr(row, name)) for name in ("size_class", "commitment", "store", "version")}
    assert all(raw in encode(row) for raw in fields.values())
    return fields, sealed


def test_no_candidate_of_a_dictionary_is_recognised() -> None:
    fields, sealed = on_chain(DIGITS[4_711])
    seen = b"".join(fields.values()) + sealed
    for guess, content in itertools.product(GUESSES, DIGITS[4_700:4_720]):
        assert guess(content) not in seen


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(DIGITS), st.sampled_from(DIGITS))
def test_two_contents_of_a_class_differ_in_nothing_but_random_fields(one: bytes, other: bytes) -> None:
    first, second, again = on_chain(one)[0], on_chain(other)[0], on_chain(one)[0]
    same = {name for name in first if first[name] == second[name]}
    assert same == {"size_class", "version"} == {name for name in first if first[name] == again[name]}
