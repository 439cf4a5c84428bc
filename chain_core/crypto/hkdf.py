"""HMAC and HKDF (RFC 2104, RFC 5869) over SM3, from `cryptography`; over SHA-256 too, in which public vectors are."""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand


@dataclass(frozen=True, slots=True)
class KdfHash:
    """A hash with what is derived by it; ``size``: of its output, in bytes."""

    name: str
    size: int
    algorithm: hashes.HashAlgorithm = field(repr=False)

    def digest(self, data: bytes) -> bytes:
        """The hash of ``data``."""
        state = hashes.Hash(self.algorithm)
        state.update(data)
        return state.finalize()

    def hmac(self, key: bytes, data: bytes) -> bytes:
        """HMAC of ``data`` under ``key``."""
        state = hmac.HMAC(key, self.algorithm)
        state.update(data)
        return state.finalize()

    def extract(self, salt: bytes, material: bytes) -> bytes:
        """HKDF-Extract (RFC 5869 section 2.2), which is HMAC; an empty salt stands for ``size`` zeros."""
        return self.hmac(salt or bytes(self.size), material)

    def expand(self, secret: bytes, info: bytes, size: int) -> bytes:
        """HKDF-Expand (RFC 5869 section 2.3): ``size`` bytes. ValueError above 255 hashes."""
        return HKDFExpand(self.algorithm, size, info).derive(secret)


SM3 = KdfHash("sm3", 32, hashes.SM3())
SHA256 = KdfHash("sha256", 32, hashes.SHA256())
