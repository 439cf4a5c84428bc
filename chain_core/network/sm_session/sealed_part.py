"""The sealed parts of a handshake, and the alerts in them (docs/spec/sm-session.md section 2)."""

from __future__ import annotations

import re
from typing import Final

from chain_core.crypto.errors import DecryptionRefused
from chain_core.crypto.sm4_gcm import Sm4GcmKey
from chain_core.network.sm_session.key_schedule import TrafficKey
from chain_core.network.sm_session.refused import Reason, SessionRefused
from chain_core.network.sm_session.suite import ContentType, Direction

_LABEL: Final = b"dualchain/session/v1 handshake"
VERDICT_NUMBER: Final = (1 << 64) - 1
"""The record number of a verdict; no record under an application key reaches it."""
_NAME = re.compile(rb"[A-Z_]{1,32}\Z")
_MAX_TEXT_BYTES: Final = 512


def seal_part(key: TrafficKey, sender: Direction, kind: ContentType, content: bytes, number: int = 0) -> bytes:
    """Content and its type under a key that seals this number once."""
    return Sm4GcmKey(key.key).seal(key.nonce(number), content + bytes([kind]), _LABEL + bytes([sender]))


def open_part(key: TrafficKey, sender: Direction, data: bytes, number: int = 0) -> bytes:
    """The handshake content. Raises SessionRefused: BAD_RECORD, what an alert says, MALFORMED_MESSAGE."""
    try:
        plain = Sm4GcmKey(key.key).open(key.nonce(number), data, _LABEL + bytes([sender]))
    except DecryptionRefused as error:
        what = "the sealed part of the handshake does not open"
        raise SessionRefused(Reason.BAD_RECORD, what, where="handshake") from error
    content, kind = plain[:-1], plain[-1:]
    if kind == bytes([ContentType.ALERT]):
        raise read_alert(content)
    if kind != bytes([ContentType.HANDSHAKE]):
        raise SessionRefused(Reason.MALFORMED_MESSAGE, f"content of type {kind.hex()}", where="handshake")
    return content


def encode_alert(refusal: SessionRefused) -> bytes:
    """Reason, 0, text."""
    return refusal.code.encode() + b"\0" + refusal.what.encode()[:_MAX_TEXT_BYTES]


def read_alert(content: bytes) -> SessionRefused:
    """The refusal that the other side sent; MALFORMED_MESSAGE when it is none."""
    name, zero, text = content.partition(b"\0")
    if not zero or not _NAME.match(name) or len(text) > _MAX_TEXT_BYTES or name.decode() not in set(Reason):
        return SessionRefused(Reason.MALFORMED_MESSAGE, "an alert that names no reason", where="handshake")
    said = text.decode("utf-8", "replace")
    shown = "".join(character if character.isprintable() else "?" for character in said)
    return SessionRefused(Reason(name.decode()), f"the other side refused: {shown}", where="handshake", by_peer=True)
