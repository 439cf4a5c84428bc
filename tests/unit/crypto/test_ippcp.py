"""The binding of libippcp: digests of any size, threads, eviction, what the library itself takes, and its absence."""

import random
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path

import pytest

from chain_core.crypto import ippcp
from chain_core.crypto.der import signature_from_der
from chain_core.crypto.errors import CryptoUnavailable, InvalidKey
from chain_core.crypto.ippcp import Sm2Signer, Sm2Verifier
from chain_core.crypto.ippcp_provider import IppCpProvider, reduced
from chain_core.crypto.libcrypto import libcrypto, sm2_private, sm2_public
from chain_core.crypto.openssl import OpenSslProvider
from chain_core.crypto.sm2_domain import N
from tests.unit.crypto.support import be, load, provider_or_skip
from tests.unit.crypto.test_openssl import resident_bytes

KEY = be(0x1D)


@pytest.fixture
def provider() -> IppCpProvider:
    provider_or_skip("ippcp")
    return IppCpProvider()


@pytest.mark.parametrize("e", [0, 1, 2**255, N - 1, N, N + 1, N + 12345, 2**256 - 1])
def test_digests_up_to_the_last_one_are_those_of_libcrypto(provider: IppCpProvider, e: int) -> None:
    """A digest of n or more comes up once in 2^32 messages: who looks for one must not split the chain with it."""
    public_key = provider.sm2_public_key(KEY)
    private, public = sm2_private(libcrypto(), KEY, public_key), sm2_public(libcrypto(), public_key)
    assert private is not None and public is not None
    der = private.sign_digest(be(e))
    assert der is not None and public.verify_digest(be(e), der)
    verifier = provider._verifiers.mine()
    point = verifier.point(public_key)
    assert int.from_bytes(reduced(be(e)), "big") == e % N
    assert verifier.verify(point, reduced(be(e)), signature_from_der(der))
    assert not verifier.verify(point, reduced(be(e ^ 1)), signature_from_der(der))


def test_one_verdict_with_libcrypto_on_what_is_nearly_right(provider: IppCpProvider) -> None:
    """Keys, messages and signatures with some bits turned: both libraries say the same of each."""
    draw, reference = random.Random(20160329), OpenSslProvider()
    items = []
    for index in range(300):
        private_key = be(draw.randrange(1, N - 1))
        item = bytearray(
            reference.sm2_public_key(private_key) + reference.sm2_sign(private_key, index.to_bytes(32, "big"))
        )
        for _ in range(draw.choice((0, 0, 1, 2))):
            item[draw.randrange(128)] ^= 1 << draw.randrange(8)
        items.append((bytes(item[:64]), index.to_bytes(32, "big"), bytes(item[64:])))
    verdicts = provider.sm2_verify_many(items)
    assert verdicts == reference.sm2_verify_many(items)
    assert 50 < sum(verdicts) < 250


def test_threads_verify_beside_one_another(provider: IppCpProvider) -> None:
    """Each has a curve of its own, points are shared; keys are evicted while others verify with them."""
    narrow = IppCpProvider(key_cache_size=2)
    items = []
    for scalar in range(1, 7):
        public_key = narrow.sm2_public_key(be(scalar))
        items.append((public_key, b"m", narrow.sm2_sign(be(scalar), b"m")))
        items.append((public_key, b"n", items[-1][2]))
    with ThreadPoolExecutor(6) as pool:
        verdicts = list(pool.map(narrow.sm2_verify_many, [items] * 24))
    assert verdicts == [[True, False] * 6] * 24


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc")
def test_curves_and_points_are_freed(provider: IppCpProvider) -> None:
    library, public_key = ippcp.load(), provider.sm2_public_key(KEY)

    def churn(rounds: int) -> None:
        for _ in range(rounds):
            Sm2Verifier(library).point(public_key)

    churn(200)
    before = resident_bytes()
    churn(2_000)
    assert resident_bytes() - before < 1_500_000


@pytest.mark.parametrize(
    "case",
    [case for case in load("sm2/edge-cases.json")["cases"] if "[t]P at infinity" in case["name"]],
    ids=lambda case: case["name"],
)
def test_sums_at_infinity_are_left_to_libcrypto(
    provider: IppCpProvider, case: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Intel's other library takes them for x = 0; what this one does is nowhere promised, so it is not asked."""
    item = tuple(bytes.fromhex(case[field]) for field in ("public_key", "message", "signature"))
    monkeypatch.setattr(Sm2Verifier, "verify", lambda *arguments: True)
    assert not provider.sm2_verify(item[0], item[1], item[2])
    assert not provider.sm2_verify_many([(item[0], item[1], item[2])])[0]


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(distribution: str) -> None:
        raise metadata.PackageNotFoundError(distribution)

    monkeypatch.setattr("importlib.metadata.files", nothing)
    with pytest.raises(CryptoUnavailable, match=r"ipp-crypto is not installed.*pip install ipp-crypto"):
        ippcp.load()


def test_clients_signatures_are_libcryptos_to_verify(provider: IppCpProvider) -> None:
    items = [(be(index + 3), bytes([index]) * (index * 37)) for index in range(20)]
    signatures = provider.sm2_sign_many_for_clients(items)
    assert len({signature[:32] for signature in signatures}) == len(items)
    assert len(set(provider.sm2_sign_many_for_clients([items[0]] * 5))) == 5, "a nonce of its own for each"
    signed = [
        (provider.sm2_public_key(key), message, signature)
        for (key, message), signature in zip(items, signatures, strict=True)
    ]
    assert OpenSslProvider().sm2_verify_many(signed) == [True] * len(items)
    with pytest.raises(InvalidKey):
        provider.sm2_sign_many_for_clients([(be(7), b"one"), (be(N - 1), b"two")])


def test_threads_sign_beside_one_another(provider: IppCpProvider) -> None:
    public_key = provider.sm2_public_key(KEY)
    items = [(KEY, bytes([number])) for number in range(30)]
    with ThreadPoolExecutor(6) as pool:
        for signatures in pool.map(provider.sm2_sign_many_for_clients, [items] * 12):
            signed = [(public_key, message, one) for (_, message), one in zip(items, signatures, strict=True)]
            assert provider.sm2_verify_many(signed) == [True] * len(items)


def test_nonces_are_drawn_until_in_range(provider: IppCpProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    draws = [bytes(32), be(N), b"\xff" * 32, be(N - 1)]
    monkeypatch.setattr("secrets.token_bytes", lambda size: draws.pop(0))
    provider.sm2_sign_many_for_clients([(KEY, b"m")])
    assert not draws


@pytest.mark.parametrize("nonce", [0, N, 2**256 - 1])
def test_the_library_refuses_nonces_out_of_range(provider: IppCpProvider, nonce: int) -> None:
    assert provider._signers.mine().sign(KEY, be(nonce), be(5)) is None


def test_what_the_library_does_not_sign_libcrypto_does(
    provider: IppCpProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    public_key = provider.sm2_public_key(KEY)
    for answer in (None, bytes(64)):
        monkeypatch.setattr(Sm2Signer, "sign", lambda *_, answer=answer: answer)
        (signature,) = provider.sm2_sign_many_for_clients([(KEY, b"m")])
        assert OpenSslProvider().sm2_verify(public_key, b"m", signature)
    monkeypatch.setattr(Sm2Signer, "sign", lambda *_: bytes([1]) * 64)
    with pytest.raises(CryptoUnavailable, match="do not verify"):
        IppCpProvider()


def test_no_key_is_left_in_the_room(provider: IppCpProvider) -> None:
    private_key, nonce = bytes(range(1, 33)), bytes(range(100, 132))
    signer = Sm2Signer(ippcp.load())
    assert signer.sign(private_key, nonce, be(5)) is not None
    rooms = b"".join(room.raw for room in (*signer._secrets, *signer._numbers, signer._scratch, signer._curve))
    for secret in (private_key, nonce):
        for part in (secret[:8], secret[8:16], secret[24:]):
            assert part not in rooms and part[::-1] not in rooms
