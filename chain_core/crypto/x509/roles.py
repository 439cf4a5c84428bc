"""Roles in a certificate: URIs ``dualchain://<chain id or *>/role/<role>`` of the subject alternative name."""

from __future__ import annotations

import re
from collections.abc import Iterable

from chain_core.crypto.x509.errors import CertificateRefused, Reason

PEER = "peer"
"""A validator's node."""
CLIENT = "client"
"""Whoever calls the client port."""
GATEWAY, PUBLISHER, CUSTODIAN = "gateway", "publisher", "custodian"
"""A service beside the nodes: whoever calls it looks for its role in the certificate that it shows."""
EVERY_CHAIN = "*"
MAX_ROLES = 16

_ROLE = re.compile(r"[a-z][a-z0-9._-]{0,31}\Z")
_CHAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_PREFIX = "dualchain://"
_MIDDLE = "/role/"


def role_uri(role: str, chain_id: str = EVERY_CHAIN) -> str:
    """The URI that gives ``role`` on ``chain_id``. Raises CertificateRefused(MALFORMED)."""
    if not _ROLE.match(role):
        what = f"{role!r} is no role: a to z, digits and ._-, at most 32"
        raise CertificateRefused(Reason.MALFORMED, what, where="role")
    if chain_id != EVERY_CHAIN and not _CHAIN.match(chain_id):
        raise CertificateRefused(Reason.MALFORMED, f"{chain_id!r} is no chain id", where="chain")
    return f"{_PREFIX}{chain_id}{_MIDDLE}{role}"


def roles_of(uris: Iterable[str], chain_id: str) -> tuple[str, ...]:
    """The roles that ``uris`` give on ``chain_id``, sorted; other URIs are other people's.

    Raises CertificateRefused(MALFORMED) for a URI of ours that is not well-formed: a role half understood is none.
    """
    found: set[str] = set()
    for uri in uris:
        if not uri.startswith(_PREFIX):
            continue
        chain, middle, role = uri.removeprefix(_PREFIX).partition(_MIDDLE)
        if not middle or not _ROLE.match(role) or not (chain == EVERY_CHAIN or _CHAIN.match(chain)):
            raise CertificateRefused(Reason.MALFORMED, f"{uri[:128]!r} names no role", where="subjectAltName")
        if chain in (EVERY_CHAIN, chain_id):
            found.add(role)
    if len(found) > MAX_ROLES:
        raise CertificateRefused(Reason.TOO_LARGE, f"more than {MAX_ROLES} roles", where="subjectAltName")
    return tuple(sorted(found))
