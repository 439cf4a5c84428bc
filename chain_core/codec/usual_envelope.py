"""Envelopes of the usual form, read in one pass: one signer, no cosigners (docs/spec/formats.md §4).

It answers for what it accepts and for nothing else: None hands the bytes to the strict readers of ``transaction.py``,
which alone refuse, and say why.
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct
from struct import error as StructError  # noqa: N812 - struct's name is an ordinary word

from chain_core.codec.values import decode_map
from chain_core.codec.wire import U32, is_identifier
from chain_core.types.errors import MalformedBytes
from chain_core.types.ids import FORMAT_VERSION, NO_ACCOUNT
from chain_core.types.transaction import (
    MAX_BUSINESS_ID_BYTES,
    MAX_ENVELOPE_BYTES,
    MAX_NAME_BYTES,
    MAX_OPERATIONS,
    Operation,
    Signer,
    TransactionBody,
)

_HEAD = Struct(">BIBI16s16sQQQB")
"""Version and body length; the body's version, ledger, account, on_behalf_of, nonce, valid_until_ms, business_time_ms,
length of the business id."""
_SIGNERS = 129
"""The number of signers, a key and a signature."""
_unpack_head = _HEAD.unpack_from
_length = U32.unpack_from


@lru_cache(maxsize=4_096)
def _named(head: bytes) -> tuple[str, str] | None:
    """Contract and method from their encoding, a chain uses few of them; None unless both are identifiers."""
    split = 1 + head[0]
    contract, method = (head[1:split].decode("ascii", "replace"), head[split + 1 :].decode("ascii", "replace"))
    return (contract, method) if is_identifier(contract) and is_identifier(method) else None


def read_usual(raw: bytes) -> tuple[bytes, TransactionBody, tuple[Signer, ...]] | None:
    """Body bytes, body and signer of an envelope of the usual form; None for any other bytes."""
    size = len(raw)
    if size < _HEAD.size + _SIGNERS or size > MAX_ENVELOPE_BYTES:
        return None
    version, length, form, ledger, account, behalf, nonce, until, time_ms, named = _unpack_head(raw, 0)
    end = size - _SIGNERS
    if version != FORMAT_VERSION or form != FORMAT_VERSION or length != end - 5 or raw[end] != 1:
        return None
    pos = _HEAD.size + named
    if account == NO_ACCOUNT or named > MAX_BUSINESS_ID_BYTES or pos + 2 > end or raw[pos]:
        return None
    count, pos = raw[pos + 1], pos + 2
    if not 1 <= count <= MAX_OPERATIONS:
        return None
    operations = []
    try:
        business_id = raw[_HEAD.size : _HEAD.size + named].decode("utf-8") if named else ""
        for _ in range(count):
            split = pos + 1 + raw[pos]
            start = split + 1 + raw[split]
            names = _named(raw[pos:start]) if raw[pos] <= MAX_NAME_BYTES and raw[split] <= MAX_NAME_BYTES else None
            pos = start + 4 + _length(raw, start)[0]
            if names is None or pos > end:
                return None
            operations.append(Operation(*names, decode_map(raw[start + 4 : pos], "operation arguments")))
    except (IndexError, StructError, MalformedBytes, UnicodeDecodeError):
        return None
    if pos != end:
        return None
    body = TransactionBody(ledger, account, nonce, until, tuple(operations), behalf, business_id, time_ms)
    return raw[5:end], body, (Signer(raw[end + 1 : end + 65], raw[end + 65 :]),)
