"""The libcrypto binding: the CLI agrees, threads and eviction do no harm, nothing leaks."""

import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from chain_core.crypto.cache import BoundedCache
from chain_core.crypto.der import signature_to_der
from chain_core.crypto.keys import public_key_pem
from chain_core.crypto.libcrypto import libcrypto, sm2_public
from chain_core.crypto.openssl import OpenSslProvider, _libcrypto_sm3
from chain_core.crypto.sm2_domain import A, B, P, is_on_curve
from tests.unit.crypto.support import be


def openssl(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)


def test_the_openssl_command_verifies_our_signature(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl command")
    if openssl("genpkey", "-algorithm", "SM2").returncode != 0:
        pytest.skip("the openssl command was built without SM2")
    provider = OpenSslProvider()
    message = bytes(range(96))
    (tmp_path / "message").write_bytes(message)
    (tmp_path / "public.pem").write_text(public_key_pem(provider.sm2_public_key(be(77))))
    (tmp_path / "signature").write_bytes(signature_to_der(provider.sm2_sign(be(77), message)))
    command = (
        "pkeyutl", "-verify", "-rawin", "-digest", "sm3", "-pkeyopt", "distid:1234567812345678",
        "-pubin", "-inkey", f"{tmp_path}/public.pem", "-sigfile", f"{tmp_path}/signature", "-in", f"{tmp_path}/message",
    )  # fmt: skip
    accepted = openssl(*command)
    assert (accepted.returncode, accepted.stdout.strip()) == (0, "Signature Verified Successfully")
    (tmp_path / "message").write_bytes(message[:-1] + b"\0")
    assert openssl(*command).returncode != 0


def test_libcrypto_refuses_what_is_no_point() -> None:
    """The curve's smallest x, 1, and the same point written with x + p."""
    square = (1 + A + B) % P
    y = be(pow(square, (P + 1) // 4, P))
    assert sm2_public(libcrypto(), be(1) + y) is not None
    assert is_on_curve(be(1) + y)
    assert is_on_curve(be(1) + be(P - int.from_bytes(y, "big")))
    for refused in (be(1 + P) + y, be(2) + y, bytes(64), b"\xff" * 64):
        assert sm2_public(libcrypto(), refused) is None
        assert not is_on_curve(refused)


def test_threads_share_a_cache_smaller_than_their_keys() -> None:
    """Keys are evicted while other threads verify with them."""
    provider = OpenSslProvider(key_cache_size=2)
    items = []
    for scalar in range(1, 7):
        public_key = provider.sm2_public_key(be(scalar))
        items.append((public_key, b"m", provider.sm2_sign(be(scalar), b"m")))
        items.append((public_key, b"n", items[-1][2]))
    with ThreadPoolExecutor(6) as pool:
        verdicts = list(pool.map(provider.sm2_verify_many, [items] * 12))
    assert verdicts == [[True, False] * 6] * 12


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc")
def test_keys_and_contexts_are_freed() -> None:
    """A leaked EVP_PKEY has 1.5 KiB: 2,000 of each kind would show."""
    provider = OpenSslProvider(key_cache_size=1)
    keys = [provider.sm2_public_key(be(scalar)) for scalar in (3, 4)]
    signature = provider.sm2_sign(be(3), b"m")

    def churn(rounds: int) -> None:
        for index in range(rounds):
            sm2_public(libcrypto(), keys[index % 2])
            sm2_public(libcrypto(), bytes(64))
            if index % 20 == 0:
                provider.sm2_verify(keys[index // 20 % 2], b"m", signature)
                provider.sm2_sign(be(3 + index // 20 % 2), b"m")

    churn(400)
    before = resident_bytes()
    churn(2_000)
    assert resident_bytes() - before < 1_500_000


def test_cache_evicts_the_least_recently_used() -> None:
    cache: BoundedCache[int] = BoundedCache(2)
    cache.put(b"a", 1)
    cache.put(b"b", 2)
    assert cache.get(b"a") == 1
    cache.put(b"c", 3)
    assert (cache.get(b"a"), cache.get(b"b"), cache.get(b"c"), len(cache)) == (1, None, 3, 2)


def test_sm3_without_hashlib_is_the_same() -> None:
    sm3 = _libcrypto_sm3(libcrypto())
    provider = OpenSslProvider()
    for size in (0, 1, 55, 56, 64, 1000):
        assert sm3(bytes(size)) == provider.sm3(bytes(size))
