"""The binding of libippcp: digests of any size, threads, eviction, what the library itself takes, and its absence."""

import random
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path

import pytest

from chain_core.crypto import ippcp
from chain_core.crypto.der import signature_from_der
from chain_core.crypto.errors import CryptoUnavailable
from chain_core.crypto.ippcp import Sm2Verifier
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
