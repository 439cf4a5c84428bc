"""The identity digest by which investors are told apart without their documents (docs/spec/identity.md §1)."""

from __future__ import annotations

from chain_core.codec.signed import tag
from chain_core.crypto.hashing import sm3

_TAG = tag("dualchain/investor-identity/v1")
SALT_BYTES = 32


def identity_digest(salt: bytes, document_type: int, number: str) -> bytes:
    """SM3 over the salt, the type of the document and its number without blanks, in upper case.

    Raises ValueError for a salt of another size: with a short one the numbers could be tried.
    """
    if len(salt) != SALT_BYTES:
        raise ValueError(f"the national salt has {SALT_BYTES} bytes, not {len(salt)}")
    text = "".join(number.split()).upper()
    if not text:
        raise ValueError("a document without a number identifies nobody")
    return sm3(_TAG + salt + document_type.to_bytes(2, "big") + text.encode("utf-8"))
