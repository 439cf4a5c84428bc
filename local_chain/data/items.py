"""Bytes of sealed data: payloads, commitments, sealed bodies, wraps, packages (docs/spec/data-tiers.md §2).

Whoever seals or opens does it here: owner, custodian and reader, never a contract.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from chain_core.codec import signed
from chain_core.codec.wire import U32, U64
from chain_core.crypto.errors import CryptoError, DecryptionRefused
from chain_core.crypto.hashing import sm3
from chain_core.crypto.providers import provider
from chain_core.crypto.sm2_encryption import sm2_decrypt, sm2_encrypt
from chain_core.crypto.sm4_gcm import KEY_SIZE, NONCE_SIZE
from contracts.data.commitments import SALT_SIZE, commitment
from contracts.data.records import MAX_CLASS, MAX_LIMITED_CLASS, class_for
from local_chain.data.errors import CommitmentDiffers, DataRefused

_LENGTH_SIZE = 8
MAX_LIMITED_BYTES = (1 << MAX_LIMITED_CLASS) - SALT_SIZE - _LENGTH_SIZE
MAX_PRIVATE_BYTES = (1 << MAX_CLASS) - _LENGTH_SIZE

ITEM = signed.tag("dualchain/item/v1")
WRAP = signed.tag("dualchain/wrap/v1")
RELEASE = signed.tag("dualchain/release/v1")


@dataclass(frozen=True, slots=True)
class Place:
    """Which version of which object, on which ledger of which chain: what sealed bytes are bound to."""

    genesis_hash: bytes
    ledger: int
    identity: bytes
    version: int

    @property
    def associated(self) -> bytes:
        """As associated data, without a tag."""
        return self.genesis_hash + U32.pack(self.ledger) + self.identity + U32.pack(self.version)


def new_key() -> bytes:
    """A fresh SM4 key; each seals once."""
    return secrets.token_bytes(KEY_SIZE)


def new_salt() -> bytes:
    """A fresh salt."""
    return secrets.token_bytes(SALT_SIZE)


def require_commitment(expected: bytes, salt: bytes, content: bytes) -> None:
    """Raises CommitmentDiffers."""
    if commitment(salt, content) != expected:
        raise CommitmentDiffers(
            "content and salt are not those that the chain's commitment is of",
            where="commitment",
            next_step="do not use it; show descriptor and content to the owner and the regulator",
        )


# ---- payloads


def pad(content: bytes, head: bytes = b"") -> bytes:
    """``head`` || length || content || zeros, as long as its size class. ValueError above the largest class."""
    if len(content) + len(head) + _LENGTH_SIZE > 1 << MAX_CLASS:
        raise ValueError("larger than the largest size class")
    plain = head + U64.pack(len(content)) + content
    return plain.ljust(1 << class_for(len(plain)), b"\0")


def unpad(payload: bytes) -> bytes:
    """The content of a payload without head. Raises DataRefused."""
    end = _LENGTH_SIZE + int.from_bytes(payload[:_LENGTH_SIZE], "big")
    if not _LENGTH_SIZE <= end <= len(payload) or payload[end:].strip(b"\0") or 1 << class_for(end) != len(payload):
        raise DataRefused("its padding is not that of a size class", where="payload")
    return payload[_LENGTH_SIZE:end]


# ---- sealed bodies


def seal(key: bytes, payload: bytes, associated: bytes) -> bytes:
    """nonce || SM4-GCM."""
    nonce = secrets.token_bytes(NONCE_SIZE)
    return nonce + provider().sm4_gcm_seal(key, nonce, payload, associated)


def unseal(key: bytes, sealed: bytes, associated: bytes) -> bytes:
    """The payload. Raises DecryptionRefused."""
    if len(sealed) < NONCE_SIZE:
        raise DecryptionRefused("too short for a sealed body", where="sealed")
    return provider().sm4_gcm_open(key, sealed[:NONCE_SIZE], sealed[NONCE_SIZE:], associated)


def seal_limited(place: Place, key: bytes, content: bytes) -> tuple[bytes, bytes]:
    """Sealed body and commitment of limited data. Raises DataRefused for more than 32,728 bytes."""
    if len(content) > MAX_LIMITED_BYTES:
        raise DataRefused(
            f"{len(content)} bytes, limited data has at most {MAX_LIMITED_BYTES}",
            where="content",
            next_step="keep it as private data",
        )
    salt = new_salt()
    return seal(key, pad(content, salt), ITEM + place.associated), commitment(salt, content)


def open_limited(place: Place, key: bytes, sealed: bytes, expected: bytes) -> bytes:
    """The content, checked against the chain's commitment. Raises DecryptionRefused, DataRefused."""
    payload = unseal(key, sealed, ITEM + place.associated)
    return _checked(payload, expected)


def seal_private(place: Place, key: bytes, content: bytes) -> bytes:
    """What goes to the object store. Raises DataRefused above 16 MiB."""
    if len(content) > MAX_PRIVATE_BYTES:
        raise DataRefused(
            f"{len(content)} bytes, an item has at most {MAX_PRIVATE_BYTES}",
            where="content",
            next_step="divide it into several items",
        )
    return seal(key, pad(content), ITEM + place.associated)


def open_private(place: Place, key: bytes, salt: bytes, sealed: bytes, expected: bytes) -> bytes:
    """The content of a stored item, checked against the commitment. Raises DecryptionRefused, DataRefused."""
    content = unpad(unseal(key, sealed, ITEM + place.associated))
    require_commitment(expected, salt, content)
    return content


def _checked(payload: bytes, expected: bytes) -> bytes:
    """The content of salt || length || bytes || zeros."""
    salt = payload[:SALT_SIZE]
    size = int.from_bytes(payload[SALT_SIZE : SALT_SIZE + _LENGTH_SIZE], "big")
    begin = SALT_SIZE + _LENGTH_SIZE
    content = payload[begin : begin + size]
    if len(content) != size or pad(content, salt) != payload:
        raise DataRefused("its padding is not that of a size class", where="payload")
    require_commitment(expected, salt, content)
    return content


# ---- wraps


def wrap_own(key: bytes, owner_key: bytes) -> bytes:
    """The owner's wrap: one layer. Raises InvalidKey."""
    return sm2_encrypt(owner_key, key)


def wrap(place: Place, key: bytes, reader: bytes, reader_key: bytes, custodian_key: bytes) -> bytes:
    """Both layers for one reader and one custodian. Raises InvalidKey."""
    inner = sm2_encrypt(reader_key, key)
    return sm2_encrypt(custodian_key, _context(place, reader, reader_key) + inner)


def unwrap_outer(place: Place, reader: bytes, reader_key: bytes, custodian_private: bytes, outer: bytes) -> bytes:
    """The custodian's part: the inner wrap. Raises CryptoError; DataRefused for a wrap made for something else."""
    opened = sm2_decrypt(custodian_private, outer)
    context = _context(place, reader, reader_key)
    if opened[: len(context)] != context:
        raise DataRefused("the wrap was made for another object, version or reader", where="wrap")
    return opened[len(context) :]


def unwrap_inner(private: bytes, inner: bytes) -> bytes:
    """The reader's part: the content key. Raises CryptoError, DataRefused."""
    key = sm2_decrypt(private, inner)
    if len(key) != KEY_SIZE:
        raise DataRefused("the wrap holds no content key", where="wrap", next_step="show it to the regulator")
    return key


def _context(place: Place, reader: bytes, reader_key: bytes) -> bytes:
    return sm3(WRAP + place.associated + reader + sm3(reader_key))


# ---- packages: private data on its way to a reader


@dataclass(frozen=True, slots=True)
class Package:
    """Private data sealed to its reader: the wrapped key, and the sealed payload."""

    wrap: bytes
    sealed: bytes


def pack(place: Place, reader: bytes, reader_key: bytes, salt: bytes, content: bytes) -> Package:
    """What a custodian releases. Raises InvalidKey."""
    key = new_key()
    sealed = seal(key, salt + pad(content), RELEASE + place.associated + reader)
    return Package(sm2_encrypt(reader_key, key), sealed)


def unpack(place: Place, reader: bytes, private: bytes, package: Package, expected: bytes) -> bytes:
    """The content, checked by the reader against the commitment. Raises DataRefused."""
    try:
        key = unwrap_inner(private, package.wrap)
        payload = unseal(key, package.sealed, RELEASE + place.associated + reader)
    except CryptoError as error:
        raise DataRefused(f"the package does not open: {error.what}", where=error.where) from error
    content = unpad(payload[SALT_SIZE:])
    require_commitment(expected, payload[:SALT_SIZE], content)
    return content
