"""SM2 signatures: raw r||s (64 bytes, on the wire) <-> DER (X.509, evidence bundles, libcrypto).

DER here is SEQUENCE { INTEGER r, INTEGER s } with the one encoding X.690 section 10 allows, nothing after it.
"""

from __future__ import annotations

from chain_core.crypto.errors import MalformedSignature
from chain_core.crypto.sm2_domain import signature_in_range

_SEQUENCE, _INTEGER = 0x30, 0x02


def signature_to_der(raw: bytes) -> bytes:
    """DER (8 to 72 bytes) of a 64-byte r||s. Raises MalformedSignature when r or s is outside [1, n-1]."""
    if not signature_in_range(raw):
        raise MalformedSignature("a raw SM2 signature has 64 bytes r||s with r and s in [1, n-1]")
    return encode_in_range(raw)


def encode_in_range(raw: bytes) -> bytes:
    """DER of a signature whose range was checked already (hot path)."""
    r = raw[:32].lstrip(b"\0")
    s = raw[32:].lstrip(b"\0")
    # A set top bit would read as a negative INTEGER.
    if r[0] & 0x80:
        r = b"\0" + r
    if s[0] & 0x80:
        s = b"\0" + s
    return b"\x30%c\x02%c%b\x02%c%b" % (len(r) + len(s) + 4, len(r), r, len(s), s)


def signature_from_der(der: bytes) -> bytes:
    """The 64-byte r||s of a strictly encoded signature. Raises MalformedSignature."""
    if len(der) < 2 or der[0] != _SEQUENCE or der[1] != len(der) - 2 or der[1] >= 0x80:
        raise MalformedSignature("not one DER SEQUENCE that fills its bytes")
    r, offset = _integer(der, 2)
    s, offset = _integer(der, offset)
    if offset != len(der):
        raise MalformedSignature("bytes after the two DER integers", where=f"offset {offset}")
    raw = r + s
    if not signature_in_range(raw):
        raise MalformedSignature("r or s is outside [1, n-1]")
    return raw


def _integer(der: bytes, offset: int) -> tuple[bytes, int]:
    """A positive, minimally encoded INTEGER as 32 bytes (33 when it is too large), and the offset behind it."""
    where = f"offset {offset}"
    if offset + 2 > len(der) or der[offset] != _INTEGER:
        raise MalformedSignature("not a DER INTEGER", where=where)
    size = der[offset + 1]
    body = der[offset + 2 : offset + 2 + size]
    if not 1 <= size <= 33 or len(body) != size:
        raise MalformedSignature("a DER INTEGER of the wrong length", where=where)
    if body[0] & 0x80 or (size > 1 and body[0] == 0 and not body[1] & 0x80):
        raise MalformedSignature("a negative or padded DER INTEGER", where=where)
    return body.lstrip(b"\0").rjust(32, b"\0"), offset + 2 + size
