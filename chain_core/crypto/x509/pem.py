"""PEM (RFC 7468): certificates, requests and lists in text files, several in one where that makes sense."""

from __future__ import annotations

import base64
import binascii
import re

from chain_core.crypto.x509.errors import CertificateRefused, Reason

CERTIFICATE = "CERTIFICATE"
REQUEST = "CERTIFICATE REQUEST"
REVOCATION_LIST = "X509 CRL"
MAX_BLOCKS = 64

_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]{1,40})-----\s([A-Za-z0-9+/=\s]*)-----END \1-----")


def to_pem(label: str, der: bytes) -> str:
    """One block, 64 characters a line."""
    encoded = base64.b64encode(der).decode()
    lines = [encoded[i : i + 64] for i in range(0, len(encoded), 64)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""])


def from_pem(text: str, label: str, where: str = "") -> list[bytes]:
    """DER of every block with this label, in order; text between blocks and other labels are passed over.

    Raises CertificateRefused: MALFORMED (none, or damaged base64), TOO_LARGE.
    """
    found: list[bytes] = []
    for match in _BLOCK.finditer(text):
        if match[1] != label and not (label == REQUEST and match[1] == "NEW CERTIFICATE REQUEST"):
            continue
        if len(found) == MAX_BLOCKS:
            raise CertificateRefused(Reason.TOO_LARGE, f"more than {MAX_BLOCKS} blocks", where=where)
        try:
            found.append(base64.b64decode("".join(match[2].split()), validate=True))
        except binascii.Error as error:
            raise CertificateRefused(Reason.MALFORMED, f"damaged base64: {error}", where=where) from error
    if not found:
        raise CertificateRefused(Reason.MALFORMED, f"no {label} in PEM here", where=where)
    return found
