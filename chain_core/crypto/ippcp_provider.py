"""Provider on Intel's single-buffer library: SM2 verification three times as fast as libcrypto's, on any x86-64 CPU.

Hashing, keys and all signatures but those of ``sm2_sign_many_for_clients`` are libcrypto's. Its verification takes
e < n, what it does at infinity is not documented, and it signs with the nonce it is given; all three are settled
here, so that this provider answers as the others do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from chain_core.crypto.cache import BoundedCache
from chain_core.crypto.ippcp import Buffer, IppCp, PerThread, Sm2Signer, Sm2Verifier, load, unavailable
from chain_core.crypto.openssl import KEY_CACHE_SIZE, OpenSslProvider
from chain_core.crypto.provider import VerifyItem
from chain_core.crypto.sm2_domain import (
    ZA_PREFIX,
    N,
    is_on_curve,
    random_scalar,
    signature_in_range,
    sums_to_order,
)

_N_BYTES = N.to_bytes(32, "big")

# the point as the library wants it, Z_A
ReadyKey: TypeAlias = tuple[Buffer, bytes]


class IppCpProvider(OpenSslProvider):
    """SM2 verification and clients' signatures of libippcp, all else of libcrypto."""

    name = "ippcp"

    def __init__(self, *, key_cache_size: int = KEY_CACHE_SIZE) -> None:
        """Raises CryptoUnavailable with what is missing: package, library, libcrypto, or right answers."""
        library: IppCp = load()
        super().__init__(key_cache_size=key_cache_size)
        self._verifiers = PerThread(lambda: Sm2Verifier(library))
        self._signers = PerThread(lambda: Sm2Signer(library))
        # Only keys on the curve enter.
        self._ready: BoundedCache[ReadyKey] = BoundedCache(key_cache_size)
        self._check_signing()

    def sm2_verify(self, public_key: bytes, message: bytes, signature: bytes) -> bool:
        if not signature_in_range(signature) or sums_to_order(signature):
            return False
        key = self._ready_key(public_key)
        if key is None:
            return False
        point, za = key
        digest = reduced(self.sm3(za + message))
        if digest == signature[:32]:
            # r = e means that the sum's x is 0, or that it is infinity: let libcrypto decide.
            return super().sm2_verify(public_key, message, signature)
        return self._verifiers.mine().verify(point, digest, signature)

    def sm2_verify_many(self, items: Sequence[VerifyItem]) -> list[bool]:
        verify = self.sm2_verify
        return [verify(public_key, message, signature) for public_key, message, signature in items]

    def sm2_sign_many_for_clients(self, items: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
        """64-byte signatures over (private key, message) pairs, in order. Raises InvalidKey.

        Nonces come from the system's CSPRNG, rejection-sampled to [1, n-1]. What the library refuses, or makes out of
        range, libcrypto signs.
        """
        signer, signatures = self._signers.mine(), []
        for private_key, message in items:
            _, za = self._private_entry(private_key)
            made = signer.sign(private_key, random_scalar(N - 1), reduced(self.sm3(za + message)))
            fits = made is not None and signature_in_range(made)
            signatures.append(made if made is not None and fits else self.sm2_sign(private_key, message))
        return signatures

    def _check_signing(self) -> None:
        """Raises CryptoUnavailable unless libcrypto accepts what this library signs."""
        private_key = random_scalar(N - 2)
        public_key, messages = self.sm2_public_key(private_key), (b"", b"abc", bytes(300))
        signed = self.sm2_sign_many_for_clients([(private_key, message) for message in messages])
        for message, signature in zip(messages, signed, strict=True):
            if not super().sm2_verify(public_key, message, signature):
                raise unavailable("libippcp's SM2 signatures do not verify", "use DUALCHAIN_CRYPTO=openssl")

    def raw_verification(self, items: Sequence[VerifyItem]) -> Callable[[], bool]:
        verifier = self._verifiers.mine()
        calls: list[Callable[[], bool]] = []
        for public_key, message, signature in items:
            key = self._ready_key(public_key)
            if key is not None:
                point, za = key
                calls.append(verifier.prepared(point, reduced(self.sm3(za + message)), signature))

        def run() -> bool:
            return all(call() for call in calls)

        return run

    def _ready_key(self, public_key: bytes) -> ReadyKey | None:
        key = self._ready.get(public_key)
        if key is None:
            if not is_on_curve(public_key):
                return None
            public_key = bytes(public_key)
            key = (self._verifiers.mine().point(public_key), self.sm3(ZA_PREFIX + public_key))
            self._ready.put(public_key, key)
        return key


def reduced(digest: bytes) -> bytes:
    """32 bytes of e mod n; e < 2n, since n > 2^255."""
    if digest < _N_BYTES:
        return digest
    return (int.from_bytes(digest, "big") - N).to_bytes(32, "big")
