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


EDGES = [0, 1, 2, 2**64 - 1, 2**64, N >> 192 << 192, (N >> 192 << 192) - 1, (N >> 192) + 1 << 192, N - 1, N, N + 1, 2**256 - 1]  # fmt: skip  # noqa: E501


def test_ranges_of_a_batch_are_those_of_each() -> None:
    """The batch looks at the highest and lowest words first; at their edges it says what the numbers say."""
    pairs = [(r, s) for r in EDGES for s in [*EDGES, N - r if 0 < r < N else 5, (N - r) % 2**64 + (1 << 200)]]
    signatures = [be(r) + be(s) for r, s in pairs]
    expected = [0 < r < N and 0 < s < N and r + s != N for r, s in pairs]
    assert 20 < sum(expected) < len(expected)
    assert multibuffer._in_order(signatures) == expected
    assert multibuffer._in_order([b"", bytes(63), *signatures, bytes(65)]) == [False, False, *expected, False]
    assert multibuffer._in_order([]) == []


@pytest.mark.parametrize("e", [5, N - 1, N, N + 5, 2**256 - 1, 7])
@pytest.mark.parametrize("r", [5, N - 1, 2**256 - 1 - N, 1 << 64 | 5, 8])
def test_every_digest_that_equals_r_is_looked_at(e: int, r: int) -> None:
    lanes = multibuffer._perhaps_equal(be(3) + be(e), [be(4) + be(1), be(r) + be(1)])
    assert (lanes == [1]) or e % N != r
    assert 0 not in lanes


def test_messages_of_many_sizes_keep_their_places(provider: MultiBufferProvider) -> None:
    """Sizes, unknown keys, bad lengths and wrong signatures mixed, more than one call of lanes of a size."""
    public = provider.sm2_public_key(be(9))
    items, expected = [], []
    for index in range(40):
        message = bytes([index]) * (96 if index % 3 else index)
        signature = provider.sm2_sign(be(9), message)
        wrong = index % 5
        items.append(
            {
                1: (public, message, signature[:63]),
                2: (bytes(64), message, signature),
                3: (public, message + b".", signature),
            }.get(wrong, (public, message, signature))
        )
        expected.append(wrong in (0, 4))
    assert provider.sm2_verify_many(items) == expected
    assert provider.sm2_verify_many([]) == []


def test_the_librarys_own_rate_is_measured_on_its_own_calls(
    provider: MultiBufferProvider, library: LaneLibrary
) -> None:
    public = provider.sm2_public_key(be(9))
    items = [(public, bytes([i] * 96), provider.sm2_sign(be(9), bytes([i] * 96))) for i in range(11)]
    raw = provider.raw_verification(items)
    library.calls.clear()
    assert raw() and raw()
    assert library.calls == ["verify"] * 4, "nothing else is in it"
    swapped = [(public, message, items[0][2]) for public, message, _ in items]
    assert not provider.raw_verification(swapped)()
