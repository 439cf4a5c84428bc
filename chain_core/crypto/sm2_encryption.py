"""SM2 public-key encryption (GB/T 32918.4) of short secrets, by the system's libcrypto.

The form is what `openssl pkeyutl -encrypt` writes: SEQUENCE { INTEGER x, INTEGER y, OCTET STRING C3, OCTET STRING C2 }
(GB/T 35276 §7.2), in the one encoding of X.690 §10. Keys used here have the purpose ``sealing`` and sign nothing.
"""

from __future__ import annotations

from chain_core.crypto.errors import DecryptionRefused, InvalidKey, MalformedCiphertext
from chain_core.crypto.libcrypto import libcrypto, multiply_generator, sm2_private, sm2_public
from chain_core.crypto.provider import PUBLIC_KEY_SIZE
from chain_core.crypto.sm2_domain import check_private_key, is_on_curve

MIN_MESSAGE, MAX_MESSAGE = 16, 1_024
"""Below 16 bytes the standard's mask t may be all zeros (§6.1, step A5), which libcrypto 3.0 does not look for."""
_OVERHEAD = 117
"""Header 4, two INTEGERs of at most 35, C3 with 34, header of C2 4, rounded up."""
MAX_CIPHERTEXT = MAX_MESSAGE + _OVERHEAD
_SEQUENCE, _INTEGER, _OCTETS = 0x30, 0x02, 0x04
_C3_SIZE = 32


def sm2_encrypt(public_key: bytes, message: bytes) -> bytes:
    """DER of a fresh encryption of 16 to 1,024 bytes. Raises InvalidKey; ValueError for a message of another size."""
    if not MIN_MESSAGE <= len(message) <= MAX_MESSAGE:
        raise ValueError(f"SM2 encryption is for secrets of {MIN_MESSAGE} to {MAX_MESSAGE} bytes")
    library = libcrypto()
    key = sm2_public(library, public_key) if len(public_key) == PUBLIC_KEY_SIZE else None
    encrypted = None if key is None else key.encrypt(message, len(message) + _OVERHEAD)
    if encrypted is None:
        raise InvalidKey("not an SM2 public key: 64 bytes x||y of a point on the curve", where="sealing key")
    return encrypted


def sm2_decrypt(private_key: bytes, ciphertext: bytes) -> bytes:
    """The message. Raises InvalidKey, MalformedCiphertext, and DecryptionRefused when C3 does not match it."""
    check_private_key(private_key)
    check_ciphertext(ciphertext)
    library = libcrypto()
    point = multiply_generator(library, private_key)
    key = None if point is None else sm2_private(library, private_key, point[1:])
    if key is None:
        raise InvalidKey("libcrypto refused the private key", where="sealing key")
    message = key.decrypt(ciphertext)
    if message is None:
        raise DecryptionRefused(
            "the SM2 ciphertext does not open with this key", where="C3", next_step="use the key it was made for"
        )
    return message


def check_ciphertext(der: bytes) -> None:
    """Raises MalformedCiphertext unless ``der`` is one strictly encoded ciphertext of a message of allowed size."""
    if not _OCTETS < len(der) <= MAX_CIPHERTEXT or der[0] != _SEQUENCE:
        raise MalformedCiphertext("not one DER SEQUENCE of a fitting size", where="offset 0")
    offset = _content(der, 0, len(der))
    x, offset = _coordinate(der, offset)
    y, offset = _coordinate(der, offset)
    c3_end = offset + 2 + _C3_SIZE
    if der[offset : offset + 2] != bytes((_OCTETS, _C3_SIZE)) or c3_end >= len(der) or der[c3_end] != _OCTETS:
        raise MalformedCiphertext("C3 has 32 bytes, C2 follows it", where=f"offset {offset}")
    size = len(der) - _content(der, c3_end, len(der))
    if not MIN_MESSAGE <= size <= MAX_MESSAGE:
        raise MalformedCiphertext(f"C2 has {size} bytes", where=f"offset {c3_end}")
    if not is_on_curve(x + y):
        raise MalformedCiphertext("C1 is not a point on the curve", where="C1")


def _content(der: bytes, offset: int, end: int) -> int:
    """Where the content of the element at ``offset`` begins, when it ends exactly at ``end`` and is minimally coded."""
    first = der[offset + 1] if offset + 1 < len(der) else 0x80
    if first < 0x80:
        begin, size, least = offset + 2, first, 0
    elif first in (0x81, 0x82):
        begin = offset + 2 + (first & 0x0F)
        size, least = int.from_bytes(der[offset + 2 : begin], "big"), 0x80 if first == 0x81 else 0x100
    else:
        begin, size, least = 0, -1, 0
    if size < least or begin + size != end:
        raise MalformedCiphertext("a length that is not that of its bytes", where=f"offset {offset}")
    return begin


def _coordinate(der: bytes, offset: int) -> tuple[bytes, int]:
    """A positive, minimally encoded INTEGER below 2^256 as 32 bytes, and the offset behind it."""
    where = f"offset {offset}"
    if offset + 2 > len(der) or der[offset] != _INTEGER:
        raise MalformedCiphertext("not a DER INTEGER", where=where)
    size = der[offset + 1]
    body = der[offset + 2 : offset + 2 + size]
    if not 1 <= size <= 33 or len(body) != size:
        raise MalformedCiphertext("a DER INTEGER of the wrong length", where=where)
    padded = size > 1 and body[0] == 0 and not body[1] & 0x80
    if body[0] & 0x80 or padded or (size == 33 and body[0]):
        raise MalformedCiphertext("a negative, padded or too large DER INTEGER", where=where)
    return body[-32:].rjust(32, b"\0"), offset + 2 + size
