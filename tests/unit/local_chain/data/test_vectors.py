"""The golden vector of docs/spec/data-tiers.md §2 opens, and an auditor with openssl finds the same commitment."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain_core.types.errors import DualchainError
from contracts.data.commitments import commitment
from local_chain.data import items
from local_chain.data.items import Package, Place

DOCUMENT = json.loads((Path(__file__).parents[3] / "vectors/data_tiers/sealed.json").read_text("utf-8"))


def octets(*path: str) -> bytes:
    value = DOCUMENT
    for name in path:
        value = value[name]
    return bytes.fromhex(value)


PLACE = Place(octets("genesis_hash"), DOCUMENT["ledger"], octets("object"), DOCUMENT["version"])
CONTENT, SALT, COMMITTED = octets("content"), octets("salt"), octets("commitment")
READER, READER_KEY, READER_PRIVATE = (
    octets("wrap", "reader"),
    octets("wrap", "reader_key"),
    octets("wrap", "reader_private"),
)


def test_payloads_and_associated_data_are_laid_out_as_written() -> None:
    length = len(CONTENT).to_bytes(8, "big")
    assert (
        octets("associated") == PLACE.genesis_hash + bytes(4) + PLACE.identity + bytes((0, 0, 0, 3)) == PLACE.associated
    )
    assert octets("limited", "payload") == (SALT + length + CONTENT).ljust(256, b"\0")
    assert octets("private", "payload") == (length + CONTENT).ljust(256, b"\0")


def test_everything_opens() -> None:
    assert commitment(SALT, CONTENT) == COMMITTED
    key = octets("limited", "content_key")
    assert items.open_limited(PLACE, key, octets("limited", "sealed"), COMMITTED) == CONTENT
    stored = items.open_private(PLACE, octets("private", "item_key"), SALT, octets("private", "sealed"), COMMITTED)
    assert stored == CONTENT
    inner = items.unwrap_outer(PLACE, READER, READER_KEY, octets("wrap", "custodian_private"), octets("wrap", "outer"))
    assert items.unwrap_inner(READER_PRIVATE, inner) == key
    package = Package(octets("release", "wrap"), octets("release", "sealed"))
    assert items.unpack(PLACE, READER, READER_PRIVATE, package, COMMITTED) == CONTENT


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl command here")
def test_openssl_finds_commitment_and_context() -> None:
    def sm3(data: bytes) -> bytes:
        done = subprocess.run(["openssl", "dgst", "-sm3", "-binary"], input=data, capture_output=True, check=True)
        return done.stdout

    assert sm3(b"dualchain/commit/v1".ljust(32, b"\0") + SALT + len(CONTENT).to_bytes(8, "big") + CONTENT) == COMMITTED
    context = b"dualchain/wrap/v1".ljust(32, b"\0") + PLACE.associated + READER + sm3(READER_KEY)
    assert sm3(context) == octets("wrap", "context")


ALTERED = st.tuples(st.integers(0, 10_000), st.integers(1, 255))


def altered(data: bytes, change: tuple[int, int]) -> bytes:
    place = change[0] % len(data)
    return data[:place] + bytes((data[place] ^ change[1],)) + data[place + 1 :]


def released(wrap: bytes, sealed: bytes) -> bytes:
    return items.unpack(PLACE, READER, READER_PRIVATE, Package(wrap, sealed), COMMITTED)


OPENINGS: dict[tuple[str, str], Callable[[bytes], bytes]] = {
    ("limited", "sealed"): lambda raw: items.open_limited(PLACE, octets("limited", "content_key"), raw, COMMITTED),
    ("private", "sealed"): lambda raw: items.open_private(PLACE, octets("private", "item_key"), SALT, raw, COMMITTED),
    ("wrap", "outer"): lambda raw: items.unwrap_outer(
        PLACE, READER, READER_KEY, octets("wrap", "custodian_private"), raw
    ),
    ("release", "wrap"): lambda raw: released(raw, octets("release", "sealed")),
    ("release", "sealed"): lambda raw: released(octets("release", "wrap"), raw),
}


@settings(max_examples=200, deadline=None)
@given(ALTERED, st.sampled_from(sorted(OPENINGS)))
def test_a_changed_byte_is_a_typed_refusal(change: tuple[int, int], what: tuple[str, str]) -> None:
    assert OPENINGS[what](octets(*what))
    with pytest.raises(DualchainError):
        OPENINGS[what](altered(octets(*what), change))


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=600), st.binary(max_size=600))
def test_anything_else_is_a_typed_refusal(one: bytes, other: bytes) -> None:
    for attempt in (
        lambda: items.unpad(one),
        lambda: items.open_limited(PLACE, bytes(16), one, COMMITTED),
        lambda: items.unwrap_outer(PLACE, READER, READER_KEY, READER_PRIVATE, one),
        lambda: items.unpack(PLACE, READER, READER_PRIVATE, Package(one, other), COMMITTED),
    ):
        try:
            assert isinstance(attempt(), bytes)
        except DualchainError:
            continue
