"""Which provider a process gets, and what it says when it cannot have the one asked for."""

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata

import pytest

from chain_core.crypto import ippcrypto, providers, selftest
from chain_core.crypto.errors import CryptoUnavailable
from chain_core.crypto.gmssl_provider import GmSslProvider
from chain_core.crypto.openssl import OpenSslProvider
from chain_core.crypto.sm2_domain import N
from tests.unit.crypto.support import PROVIDERS, be

ICE_LAKE = "processor\t: 0\nflags\t\t: fpu avx2 avx512f avx512ifma vaes\nbugs\t\t: none\n"
SIERRA_FOREST = "processor\t: 0\nflags\t\t: fpu avx2 avx_ifma vaes\n"
MILAN = "processor\t: 0\nflags\t\t: fpu avx2 vaes\nbugs\t\t: avx512ifma\n"
GRAVITON = "processor\t: 0\nFeatures\t: fp asimd sha3 sm3 sm4\n"


@pytest.fixture
def choice(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """The process's choice is made anew inside the test, and again after it."""
    providers.provider.cache_clear()
    yield monkeypatch
    providers.provider.cache_clear()


def test_the_fastest_available_is_chosen(choice: pytest.MonkeyPatch) -> None:
    choice.delenv("DUALCHAIN_CRYPTO", raising=False)
    reasons = providers.available_providers()
    assert list(reasons) == list(PROVIDERS)
    assert providers.provider().name == next(name for name, reason in reasons.items() if not reason)


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_forced_provider_is_used_or_refused_with_its_reason(choice: pytest.MonkeyPatch, name: str) -> None:
    choice.setenv("DUALCHAIN_CRYPTO", name)
    reason = providers.available_providers()[name]
    if not reason:
        assert providers.provider().name == name
        return
    with pytest.raises(CryptoUnavailable) as refused:
        providers.provider()
    assert (refused.value.where, refused.value.what) == (name, reason)
    assert refused.value.next_step


def test_an_unknown_provider_is_refused_by_name(choice: pytest.MonkeyPatch) -> None:
    choice.setenv("DUALCHAIN_CRYPTO", "quantum")
    with pytest.raises(CryptoUnavailable, match=r"quantum.*multibuffer, ippcp, openssl, gmssl"):
        providers.provider()


def test_signatures_always_come_from_openssl(choice: pytest.MonkeyPatch) -> None:
    for forced in ("gmssl", "openssl", ""):
        choice.setenv("DUALCHAIN_CRYPTO", forced)
        providers.provider.cache_clear()
        assert providers.signing_provider().name == "openssl"


def test_client_signatures_verify_whatever_made_them(choice: pytest.MonkeyPatch) -> None:
    items = [(be(index + 5), bytes([index])) for index in range(11)]
    for forced in ("", "openssl", "gmssl"):
        choice.setenv("DUALCHAIN_CRYPTO", forced)
        providers.provider.cache_clear()
        signatures = providers.sign_many_for_clients(items)
        openssl = OpenSslProvider()
        assert openssl.sm2_verify_many(
            [
                (openssl.sm2_public_key(private_key), message, signature)
                for (private_key, message), signature in zip(items, signatures, strict=True)
            ]
        ) == [True] * len(items)


def test_module_functions_follow_the_environment() -> None:
    """Chosen at the first call, in a process of its own."""
    program = (
        "from chain_core.crypto import hashing, providers\n"
        "print(providers.provider.cache_info().currsize, hashing.sm3(b'abc').hex()[:8], hashing.sm3(b'abc').hex()[:8],"
        " providers.provider().name)"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "DUALCHAIN_CRYPTO": "gmssl", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.split() == ["0", "66c7f0f4", "66c7f0f4", "gmssl"]


class WrongAboutNeighbours(OpenSslProvider):
    """Lets a batch pass when its first item does."""

    def sm2_verify_many(self, items):  # type: ignore[no-untyped-def]
        return [self.sm2_verify(*items[0])] * len(items)


class WrongRecords(GmSslProvider):
    def sm3_records(self, data: bytes, record_size: int) -> bytes:
        return super().sm3_records(data[::-1], record_size)


@pytest.mark.parametrize("broken", [WrongAboutNeighbours, WrongRecords])
def test_a_provider_with_wrong_answers_is_unavailable(broken: type) -> None:
    with pytest.raises(CryptoUnavailable, match="wrong answer"):
        selftest.check(broken())


def test_no_provider_is_handed_out_untested(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selftest, "SM3_DIGEST", bytes(32))
    providers.provider_named.cache_clear()
    with pytest.raises(CryptoUnavailable, match="SM3 gives a wrong answer"):
        providers.provider_named("openssl")
    monkeypatch.undo()
    assert providers.provider_named("openssl").name == "openssl"


@pytest.mark.parametrize(
    ("cpuinfo", "suitable"),
    [(ICE_LAKE, True), (SIERRA_FOREST, True), (MILAN, False), (GRAVITON, False), ("", False)],
)
def test_multibuffer_asks_for_the_right_cpu(cpuinfo: str, suitable: bool) -> None:
    if suitable:
        ippcrypto.check_cpu(cpuinfo)
        return
    with pytest.raises(CryptoUnavailable, match=r"AVX-512 IFMA.*DUALCHAIN_CRYPTO=openssl"):
        ippcrypto.check_cpu(cpuinfo)


def test_multibuffer_names_the_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(distribution: str) -> None:
        raise metadata.PackageNotFoundError(distribution)

    monkeypatch.setattr(ippcrypto, "check_cpu", lambda cpuinfo: None)
    monkeypatch.setattr("importlib.metadata.files", nothing)
    with pytest.raises(CryptoUnavailable, match=r"intel-cmplr-lib-rt is not installed.*pip install ipp-crypto"):
        ippcrypto.load()


def test_generated_keys_are_in_range_and_distinct() -> None:
    keys = {providers.generate_private_key() for _ in range(64)}
    assert len(keys) == 64
    assert all(1 <= int.from_bytes(key, "big") <= N - 2 for key in keys)


def test_generation_draws_again_outside_the_range(monkeypatch: pytest.MonkeyPatch) -> None:
    draws = [bytes(32), be(N - 1), be(N), b"\xff" * 32, be(N - 2)]
    monkeypatch.setattr("secrets.token_bytes", lambda size: draws.pop(0))
    assert providers.generate_private_key() == be(N - 2)
    assert draws == []
