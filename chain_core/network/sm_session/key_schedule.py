"""TLS 1.3's key schedule (RFC 8446 section 7) without a PSK, over any hash: public traces run with SHA-256."""

from __future__ import annotations

from dataclasses import dataclass, field

from chain_core.crypto.hkdf import KdfHash
from chain_core.network.sm_session.suite import IV_SIZE, KEY_SIZE


@dataclass(frozen=True, slots=True)
class TrafficKey:
    """What a direction seals with: ``key`` and ``iv`` (12 bytes)."""

    key: bytes = field(repr=False)
    iv: bytes = field(repr=False)

    def nonce(self, number: int) -> bytes:
        """iv XOR the record's number, padded on the left (RFC 8446 section 5.3)."""
        return (int.from_bytes(self.iv, "big") ^ number).to_bytes(IV_SIZE, "big")


@dataclass(frozen=True, slots=True)
class HandshakeSecrets:
    """Client's and server's handshake traffic secrets, and the master secret."""

    client: bytes = field(repr=False)
    server: bytes = field(repr=False)
    master: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ApplicationSecrets:
    """Client's and server's first application traffic secrets, and the exporter's."""

    client: bytes = field(repr=False)
    server: bytes = field(repr=False)
    exporter: bytes = field(repr=False)


def expand_label(kdf: KdfHash, secret: bytes, label: bytes, context: bytes, size: int) -> bytes:
    """HKDF-Expand-Label (section 7.1)."""
    full = b"tls13 " + label
    info = size.to_bytes(2, "big") + bytes([len(full)]) + full + bytes([len(context)]) + context
    return kdf.expand(secret, info, size)


def early_secret(kdf: KdfHash) -> bytes:
    """Without a PSK: a constant of the hash."""
    return kdf.extract(bytes(kdf.size), bytes(kdf.size))


def _derived(kdf: KdfHash, secret: bytes) -> bytes:
    return expand_label(kdf, secret, b"derived", kdf.digest(b""), kdf.size)


def handshake_secrets(kdf: KdfHash, shared: bytes, hello_hash: bytes) -> HandshakeSecrets:
    """From the ECDHE secret and the hash of ClientHello..ServerHello."""
    secret = kdf.extract(_derived(kdf, early_secret(kdf)), shared)
    return HandshakeSecrets(
        expand_label(kdf, secret, b"c hs traffic", hello_hash, kdf.size),
        expand_label(kdf, secret, b"s hs traffic", hello_hash, kdf.size),
        kdf.extract(_derived(kdf, secret), bytes(kdf.size)),
    )


def application_secrets(kdf: KdfHash, master: bytes, finished_hash: bytes) -> ApplicationSecrets:
    """From the master secret and the hash of ClientHello..server Finished."""
    return ApplicationSecrets(
        expand_label(kdf, master, b"c ap traffic", finished_hash, kdf.size),
        expand_label(kdf, master, b"s ap traffic", finished_hash, kdf.size),
        expand_label(kdf, master, b"exp master", finished_hash, kdf.size),
    )


def traffic_key(kdf: KdfHash, secret: bytes, *, key_size: int = KEY_SIZE) -> TrafficKey:
    """Key and iv of a traffic secret (section 7.3)."""
    return TrafficKey(expand_label(kdf, secret, b"key", b"", key_size), expand_label(kdf, secret, b"iv", b"", IV_SIZE))


def next_secret(kdf: KdfHash, secret: bytes) -> bytes:
    """Traffic secret N+1 (section 7.2)."""
    return expand_label(kdf, secret, b"traffic upd", b"", kdf.size)


def verify_data(kdf: KdfHash, traffic_secret: bytes, transcript_hash: bytes) -> bytes:
    """What a Finished carries (section 4.4.4)."""
    return kdf.hmac(expand_label(kdf, traffic_secret, b"finished", b"", kdf.size), transcript_hash)


def export(kdf: KdfHash, exporter_secret: bytes, label: bytes, context: bytes, size: int) -> bytes:
    """TLS-Exporter (section 7.5)."""
    secret = expand_label(kdf, exporter_secret, label, kdf.digest(b""), kdf.size)
    return expand_label(kdf, secret, b"exporter", kdf.digest(context), size)
