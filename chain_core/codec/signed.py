"""What is signed: M = tag padded to 32 bytes || genesis hash || SM3(body) (docs/spec/formats.md §3)."""

from __future__ import annotations

from functools import lru_cache

from chain_core.crypto.hashing import sm3
from chain_core.types.ids import ACCOUNT_ID_SIZE, HASH_SIZE

_KIND_SIZE = 16


def tag(name: str) -> bytes:
    """``name`` in ASCII, padded with zero bytes to 32."""
    raw = name.encode("ascii")
    if not 0 < len(raw) <= 32:
        raise ValueError("a tag has 1 to 32 characters")
    return raw.ljust(32, b"\0")


TX = tag("dualchain/tx/v1")
VOTE = tag("dualchain/vote/v1")
HEADER = tag("dualchain/header/v1")
VIEW_CHANGE = tag("dualchain/viewchange/v1")
NEW_VIEW = tag("dualchain/newview/v1")
SKIP = tag("dualchain/skip/v1")
REOPEN = tag("dualchain/reopen/v1")
STATEMENT = tag("dualchain/statement/v1")
CALL = tag("dualchain/call/v1")
REPLY = tag("dualchain/reply/v1")
REPORT = tag("dualchain/jointtest/v1")
PROMISE = tag("dualchain/promise/v1")
OFFER = tag("dualchain/offer/v1")

ENVELOPE_ID = tag("dualchain/envelope/v1")
BATCH = tag("dualchain/batch/v1")
VALIDATORS = tag("dualchain/validators/v1")
PARAMS = tag("dualchain/params/v1")
EVENTS = tag("dualchain/events/v1")
STATE_ROOT = tag("dualchain/state/v1")
SEEN_ROOT = tag("dualchain/seen/v1")
DERIVED_ID = tag("dualchain/id/v1")
LINEAGE = tag("dualchain/lineage/v1")


def message(kind: bytes, genesis_hash: bytes, body: bytes) -> bytes:
    """M for ``body``: 96 bytes that SM2 signs with user id 1234567812345678."""
    return kind + genesis_hash + sm3(body)


def message_of_hash(kind: bytes, genesis_hash: bytes, body_hash: bytes) -> bytes:
    """M when SM3(body) is already known."""
    return kind + genesis_hash + body_hash


def tagged_hash(kind: bytes, body: bytes) -> bytes:
    """SM3(tag || body): ids and digests that are hashed but not signed."""
    return sm3(kind + body)


def derive_id(genesis_hash: bytes, kind: str, registrar: bytes, reference: str) -> bytes:
    """The 16-byte internal id of what ``registrar`` (account id) registers under its own ``reference``.

    A registrar's references are its own name space: nobody can take another's ids, and a retry finds the
    same id.
    """
    padded = _padded(kind)
    if len(padded) != _KIND_SIZE or len(registrar) != ACCOUNT_ID_SIZE or len(genesis_hash) != HASH_SIZE:
        # Fields of another size would run into each other: two things could get one id.
        raise ValueError(
            "an id is derived from a kind of 1 to 16 characters, a 16-byte registrar and a 32-byte genesis hash"
        )
    return sm3(DERIVED_ID + genesis_hash + padded + registrar + reference.encode("utf-8"))[:ACCOUNT_ID_SIZE]


@lru_cache(maxsize=64)
def _padded(kind: str) -> bytes:
    """A kind of id padded with zero bytes; of none, nothing."""
    return kind.encode("ascii").ljust(_KIND_SIZE, b"\0") if kind else b""
