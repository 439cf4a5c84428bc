"""The multi-buffer provider's packing and guards, over a lane library that runs on any CPU.

The real library runs the vectors and cross-checks where the CPU has AVX-512 IFMA.
"""

import ctypes

import pytest

from chain_core.crypto import multibuffer
from chain_core.crypto.errors import CryptoUnavailable, InvalidKey
from chain_core.crypto.ippcrypto import lanes_ok
from chain_core.crypto.multibuffer import MultiBufferProvider
from chain_core.crypto.sm2_domain import N
from tests.unit.crypto.lanes import LaneLibrary, addresses
from tests.unit.crypto.support import be
from tests.unit.crypto.test_vectors import EDGE_CASES, verify_item


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> LaneLibrary:
    made = LaneLibrary()
    monkeypatch.setattr(multibuffer, "load", lambda: made)
    return made


@pytest.fixture
def provider(library: LaneLibrary) -> MultiBufferProvider:
    """A provider that has passed its own self-test."""
    made = MultiBufferProvider()
    library.calls.clear()
    library.nonces.clear()
    library.outputs.clear()
    return made


def test_status_bits() -> None:
    assert lanes_ok(0, 8) == [True] * 8
    assert lanes_ok(0x80000001, 8) == [False, True, True, True, True, True, True, False]
    assert lanes_ok(0xA << 60, 16) == [True] * 15 + [False]


def test_a_digest_above_n_is_compared_modulo_n() -> None:
    """One in 2^32 is."""
    assert multibuffer._equal_mod_n(be(N + 5), be(5))
    assert multibuffer._equal_mod_n(be(N - 5), be(N - 5))
    assert not multibuffer._equal_mod_n(be(N + 5), be(6))
    assert not multibuffer._equal_mod_n(be(N - 5), be(N - 6))


@pytest.mark.parametrize("case", EDGE_CASES, ids=lambda case: case["name"])
def test_edge_case(provider: MultiBufferProvider, case: dict[str, object]) -> None:
    """Among them: infinity, which the library takes, and points off the curve, which it would use."""
    assert provider.sm2_verify(*verify_item(case)) is case["valid"]


def test_edge_cases_in_one_batch(provider: MultiBufferProvider, library: LaneLibrary) -> None:
    verdicts = provider.sm2_verify_many([verify_item(case) for case in EDGE_CASES])
    assert verdicts == [case["valid"] for case in EDGE_CASES]
    assert "verify" in library.calls


@pytest.mark.parametrize("count", [8, 15, 16, 17, 40])
def test_hashes(provider: MultiBufferProvider, library: LaneLibrary, count: int) -> None:
    messages = [bytes([index]) * (index * 11 % 131) for index in range(count)]
    assert provider.sm3_many(messages) == [provider.sm3(message) for message in messages]
    assert provider.sm3_many([b""] * count) == [provider.sm3(b"")] * count
    records = b"".join(bytes([index]) * 65 for index in range(count))
    assert provider.sm3_records(records, 65) == b"".join(provider.sm3(bytes([i]) * 65) for i in range(count))
    assert library.calls == ["sm3"] * 3 * -(-count // 16)


@pytest.mark.parametrize("count", [1, 7, 8, 9, 20])
def test_client_signatures(provider: MultiBufferProvider, library: LaneLibrary, count: int) -> None:
    items = [(be(index + 9), bytes([index]) * 96) for index in range(count)]
    signatures = provider.sm2_sign_many_for_clients(items)
    assert (
        provider.sm2_verify_many(
            [
                (provider.sm2_public_key(private_key), message, signature)
                for (private_key, message), signature in zip(items, signatures, strict=True)
            ]
        )
        == [True] * count
    )
    assert len(set(library.nonces)) == len(library.nonces) == 8 * -(-count // 8)


def test_messages_of_different_sizes_never_share_a_call(provider: MultiBufferProvider) -> None:
    """They would crash the library; the lane library here asserts it."""
    items = [(be(index + 9), b"m" * (index % 4 * 64)) for index in range(12)]
    signatures = provider.sm2_sign_many_for_clients(items)
    signed = [
        (provider.sm2_public_key(private_key), message, signature)
        for (private_key, message), signature in zip(items, signatures, strict=True)
    ]
    swapped = [(public_key, message, signed[index ^ 1][2]) for index, (public_key, message, _) in enumerate(signed)]
    assert provider.sm2_verify_many(signed + swapped) == [True] * 12 + [False] * 12


def test_nonces_are_drawn_until_in_range(
    provider: MultiBufferProvider, library: LaneLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For k = n the library would report success and give the key away."""
    draws = [bytes(32), be(N), b"\xff" * 32, *[be(N - 1 - index) for index in range(8)]]
    monkeypatch.setattr("secrets.token_bytes", lambda size: draws.pop(0))
    provider.sm2_sign_many_for_clients([(be(5), b"m")])
    assert sorted(library.nonces) == [N - 8 + index for index in range(8)]


def test_outputs_beside_a_failed_lane_are_dropped(provider: MultiBufferProvider, library: LaneLibrary) -> None:
    library.broken_lane = 6
    signatures = provider.sm2_sign_many_for_clients([(be(7), b"one"), (be(8), b"two")])
    assert not {int.from_bytes(signature[:32], "big") for signature in signatures} & set(library.outputs)
    assert provider.sm2_verify(provider.sm2_public_key(be(7)), b"one", signatures[0])
    assert provider.sm2_verify(provider.sm2_public_key(be(8)), b"two", signatures[1])


def test_a_bad_client_key_is_refused(provider: MultiBufferProvider) -> None:
    with pytest.raises(InvalidKey):
        provider.sm2_sign_many_for_clients([(be(7), b"one"), (be(N - 1), b"two")])


@pytest.mark.parametrize("call", ["sm3_digest", "sm2_verify"])
def test_a_library_that_does_nothing_is_unavailable(
    library: LaneLibrary, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """Status 0 and no work done: a wrong guess of ours about the calling convention would look like this."""
    monkeypatch.setattr(library, call, lambda *arguments: 0)
    with pytest.raises(CryptoUnavailable, match="disagrees"):
        MultiBufferProvider()


def test_a_library_that_signs_wrongly_is_unavailable(library: LaneLibrary, monkeypatch: pytest.MonkeyPatch) -> None:
    def ones(r: int, s: int, *others: object) -> int:
        for pointer in (*addresses(r, 8), *addresses(s, 8)):
            ctypes.memset(pointer, 1, 32)
        return 0

    monkeypatch.setattr(library, "sm2_sign", ones)
    with pytest.raises(CryptoUnavailable, match="signatures do not verify"):
        MultiBufferProvider()


def test_a_library_that_signs_nothing_leaves_it_to_libcrypto(
    provider: MultiBufferProvider, library: LaneLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "sm2_sign", lambda *arguments: 0)
    (signature,) = provider.sm2_sign_many_for_clients([(be(7), b"m")])
    assert provider.sm2_verify(provider.sm2_public_key(be(7)), b"m", signature)
