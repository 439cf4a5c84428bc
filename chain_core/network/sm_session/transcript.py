"""The transcript: every handshake message as it stood on the wire, in order (RFC 8446 section 4.4.1)."""

from __future__ import annotations

from chain_core.crypto.hkdf import KdfHash
from chain_core.network.sm_session.suite import Direction

_CONTEXTS = {
    Direction.CLIENT: b"TLS 1.3, client CertificateVerify",
    Direction.SERVER: b"TLS 1.3, server CertificateVerify",
}


class Transcript:
    """``add`` messages, ask for the hash of all so far."""

    __slots__ = ("_kdf", "_messages")

    def __init__(self, kdf: KdfHash) -> None:
        self._kdf = kdf
        self._messages = bytearray()

    def add(self, message: bytes) -> None:
        """One whole message, its type and length included."""
        self._messages += message

    def hash(self) -> bytes:
        """Transcript-Hash of what was added."""
        return self._kdf.digest(bytes(self._messages))


def signed_content(signer: Direction, transcript_hash: bytes) -> bytes:
    """What a CertificateVerify signs (section 4.4.3)."""
    return b" " * 64 + _CONTEXTS[signer] + b"\0" + transcript_hash
