"""ECDH over the SM2 curve, as TLS 1.3 uses a curve of the NIST kind (RFC 8446 section 7.4.2, RFC 8998 section 2).

The EVP interface of OpenSSL 3 derives nothing with an SM2 key (its ``EC`` key type refuses the curve, its ``SM2`` type
has no exchange), so the point is multiplied by libcrypto's EC_POINT_mul, whose ladder takes constant time.
"""

from __future__ import annotations

import ctypes

from chain_core.crypto.errors import InvalidKey, SigningFailed
from chain_core.crypto.libcrypto import LibCrypto, libcrypto, sm2_group
from chain_core.crypto.provider import PUBLIC_KEY_SIZE
from chain_core.crypto.sm2_domain import check_private_key

SHARED_SIZE = 32
_UNCOMPRESSED = 4
_BN_FLG_CONSTTIME = 4


def shared_x(private_key: bytes, public_key: bytes) -> bytes:
    """The x coordinate (32 bytes, big-endian) of [d]P for a 32-byte d and a 64-byte P = x || y.

    Raises InvalidKey: d out of range, or P no finite point of the curve. The cofactor is 1: every such P has order n.
    """
    check_private_key(private_key)
    if len(public_key) != PUBLIC_KEY_SIZE:
        raise InvalidKey(f"an SM2 public key has {PUBLIC_KEY_SIZE} bytes, not {len(public_key)}")
    library = libcrypto()
    group = sm2_group(library)
    theirs, product = library.point_new(group), library.point_new(group)
    scalar = library.number_from_bytes(private_key, len(private_key), None)
    output = ctypes.create_string_buffer(1 + PUBLIC_KEY_SIZE)
    try:
        if not (theirs and product and scalar):
            raise SigningFailed("libcrypto is out of memory", where="sm2 exchange")
        _read_point(library, group, theirs, public_key)
        library.number_set_flags(scalar, _BN_FLG_CONSTTIME)
        done = library.point_multiply_dear(group, product, None, theirs, scalar, None) == 1
        if not done or library.point_at_infinity(group, product) == 1:
            library.clear_errors()
            raise InvalidKey("the product is no finite point", where="sm2 exchange")
        if library.point_to_bytes(group, product, _UNCOMPRESSED, output, len(output), None) != len(output):
            library.clear_errors()
            raise InvalidKey("libcrypto refused the product", where="sm2 exchange")
        return output.raw[1 : 1 + SHARED_SIZE]
    finally:
        ctypes.memset(output, 0, len(output))
        library.number_clear_free(scalar)
        library.point_clear_free(product)
        library.point_free(theirs)


def _read_point(library: LibCrypto, group: int, point: int, public_key: bytes) -> None:
    """Raises InvalidKey unless the bytes are a finite point; reading checks the curve, and it is asked once more."""
    encoded = bytes([_UNCOMPRESSED]) + public_key
    read = library.point_from_bytes(group, point, encoded, len(encoded), None) == 1
    if not read or library.point_on_curve(group, point, None) != 1 or library.point_at_infinity(group, point) == 1:
        library.clear_errors()
        raise InvalidKey("not a point of the SM2 curve", where="sm2 exchange", next_step="send x || y of a public key")
