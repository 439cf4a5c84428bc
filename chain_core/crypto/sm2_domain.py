"""The SM2 curve's public constants and the range rules all providers share (GB/T 32918.5-2017).

Only comparisons and public hashing inputs live here; point arithmetic belongs to the libraries.
"""

from __future__ import annotations

import secrets

from chain_core.crypto.errors import InvalidKey
from chain_core.crypto.provider import PRIVATE_KEY_SIZE, PUBLIC_KEY_SIZE, SIGNATURE_SIZE, SM2_USER_ID

P = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
A = P - 3
B = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93
N = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
GX = 0x32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7
GY = 0xBC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0

_N_BYTES = N.to_bytes(32, "big")
_ZERO = bytes(32)

# What precedes the public key in Z_A = SM3(ENTL || ID || a || b || xG || yG || xA || yA) (GB/T 32918.2 5.5).
ZA_PREFIX = (
    (8 * len(SM2_USER_ID)).to_bytes(2, "big") + SM2_USER_ID + b"".join(v.to_bytes(32, "big") for v in (A, B, GX, GY))
)


def signature_in_range(signature: bytes) -> bool:
    """64 bytes with r and s in [1, n-1] (GB/T 32918.2 section 7.1, steps B1 and B2)."""
    if len(signature) != SIGNATURE_SIZE:
        return False
    r, s = signature[:32], signature[32:]
    # Big-endian words of equal length compare as the integers they encode.
    return _ZERO < r < _N_BYTES and _ZERO < s < _N_BYTES


def sums_to_order(signature: bytes) -> bool:
    """Whether t = r + s mod n is 0 for an r and s in range (GB/T 32918.2 section 7.1, step B5)."""
    return int.from_bytes(signature[:32], "big") + int.from_bytes(signature[32:], "big") == N


def is_on_curve(public_key: bytes) -> bool:
    """64 bytes whose coordinates are below p and satisfy y^2 = x^3 + ax + b; infinity has no such form."""
    if len(public_key) != PUBLIC_KEY_SIZE:
        return False
    x = int.from_bytes(public_key[:32], "big")
    y = int.from_bytes(public_key[32:], "big")
    return x < P and y < P and (y * y - (x * x + A) * x - B) % P == 0


def check_private_key(private_key: bytes) -> None:
    """Raises InvalidKey unless the key is 32 bytes in [1, n-2] (n-1 has no signing inverse)."""
    if len(private_key) != PRIVATE_KEY_SIZE:
        raise InvalidKey(f"an SM2 private key has 32 bytes, not {len(private_key)}")
    if not 1 <= int.from_bytes(private_key, "big") <= N - 2:
        raise InvalidKey("an SM2 private key lies in [1, n-2]", next_step="generate a new key")


def random_scalar(upper: int) -> bytes:
    """A uniform 32-byte big-endian scalar in [1, upper], rejection-sampled from the system's CSPRNG."""
    while True:
        candidate = secrets.token_bytes(32)
        if 1 <= int.from_bytes(candidate, "big") <= upper:
            return candidate
