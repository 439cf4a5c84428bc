"""Identifiers and the constants that every layer shares (docs/spec/formats.md §1)."""

from __future__ import annotations

HASH_SIZE = 32
ACCOUNT_ID_SIZE = 16
PUBLIC_KEY_SIZE = 64
SIGNATURE_SIZE = 64

ZERO_HASH = bytes(HASH_SIZE)
NO_ACCOUNT = bytes(ACCOUNT_ID_SIZE)

MAIN_LEDGER = 0
"""The ledger that decides validators and parameters for the whole chain."""

FORMAT_VERSION = 1
PROTOCOL_VERSION = 1

SM2_USER_ID = b"1234567812345678"

PURPOSES = ("transaction", "consensus", "transport", "did-auth", "assertion", "sealing")
"""What a key may be used for; every key has exactly one purpose (docs/ARCHITECTURE.md, accounts)."""

MAX_U64 = (1 << 64) - 1
