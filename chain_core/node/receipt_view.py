"""Fixed places in an encoded receipt (docs/spec/formats.md), read without decoding it: blocks hold thousands."""

from __future__ import annotations

from chain_core.execution.codes import UNMARKED

# version (1), ledger (4), envelope id (32), transaction id (32), account (16), nonce (8), code (2) ...
_ENVELOPE_ID = slice(5, 37)
_TRANSACTION_ID = slice(37, 69)
_ACCOUNT = slice(69, 85)
_CODE = slice(93, 95)


def envelope_id(receipt: bytes) -> bytes:
    """The envelope that stood at this index."""
    return receipt[_ENVELOPE_ID]


def transaction_id(receipt: bytes) -> bytes:
    """The transaction in it."""
    return receipt[_TRANSACTION_ID]


def account(receipt: bytes) -> bytes:
    """Who sent it."""
    return receipt[_ACCOUNT]


def code(receipt: bytes) -> int:
    """What became of it; 0 is success."""
    return int.from_bytes(receipt[_CODE], "big")


def settles(receipt: bytes, own_envelope_id: bytes) -> bool:
    """Whether the receipt ends the waiting for a transaction that was handed in as ``own_envelope_id``.

    Its own receipt does. Another envelope's with the same body does when it used the nonce; a stranger's re-signed
    copy, unauthorised or too late, says nothing about the transaction.
    """
    return envelope_id(receipt) == own_envelope_id or code(receipt) not in UNMARKED
