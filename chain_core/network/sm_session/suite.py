"""The constants of the one suite (docs/spec/sm-session.md section 1); there is nothing to choose from."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

VERSION: Final = 0x0304
LEGACY_VERSION: Final = 0x0303
CIPHER_SUITE: Final = 0x00C6
"""TLS_SM4_GCM_SM3 (RFC 8998 section 2)."""
GROUP: Final = 41
"""curveSM2."""
SCHEME: Final = 0x0708
"""sm2sig_sm3."""
SIGNER_ID: Final = b"TLSv1.3+GM+Cipher+Suite"
"""The identifier in Z_A of a CertificateVerify (RFC 8998 section 3.2.1)."""
KEY_SIZE, IV_SIZE, TAG_SIZE, POINT_SIZE, RANDOM_SIZE, HASH_SIZE = 16, 12, 16, 65, 32, 32

HELLO_RETRY_RANDOM: Final = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
"""A ServerHello with this random is a HelloRetryRequest (RFC 8446 section 4.1.3)."""
DOWNGRADES: Final = (b"DOWNGRD\x01", b"DOWNGRD\x00")

MAX_MESSAGE_BYTES: Final = 32_768
"""One of a handshake's four messages."""
MAX_CERTIFICATES: Final = 8
MAX_CERTIFICATE_BYTES: Final = 8_192
WINDOW_CALLS: Final = 4_096
SESSION_ID_SIZE: Final = 16
SESSION_ID_LABEL: Final = b"EXPORTER-dualchain-session-id"


class HandshakeType(IntEnum):
    """RFC 8446 section 4: those that occur here."""

    CLIENT_HELLO = 1
    SERVER_HELLO = 2
    ENCRYPTED_EXTENSIONS = 8
    CERTIFICATE = 11
    CERTIFICATE_REQUEST = 13
    CERTIFICATE_VERIFY = 15
    FINISHED = 20


class Extension(IntEnum):
    """RFC 8446 section 4.2: those that occur here, and ours from the range for private use."""

    SUPPORTED_GROUPS = 10
    SIGNATURE_ALGORITHMS = 13
    SUPPORTED_VERSIONS = 43
    KEY_SHARE = 51
    BINDING = 0xFFDC


class ContentType(IntEnum):
    """RFC 8446 section 5.1: what a sealed part carries."""

    ALERT = 21
    HANDSHAKE = 22


class Direction(IntEnum):
    """Who sealed it."""

    CLIENT = 0
    SERVER = 1
