"""Certificates of those who offer and use services, under the authorities that the regulator named on the chain
(docs/spec/service-registry.md §4; guideline art. 19, 22).

For gateway, publishers' hosts and consumers, over proven values. The contract keeps certificates and does not parse
them: no library of X.509 decides about state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

from chain_core.codec.values import decode_map, decode_value
from chain_core.codec.wire import malformed
from chain_core.crypto.x509.certificate import parse_certificate
from chain_core.crypto.x509.errors import CertificateRefused, Reason
from chain_core.crypto.x509.verify import Anchors, PeerCertificate, Usage, verify_chain
from chain_core.execution.arguments import Integer, ListOf, Octets, Record
from chain_core.types.validator_set import same_entity
from chain_core.types.values import Value
from service_registry.authority import Read, account_record
from service_registry.records import AUTHORITIES_KEY, SERVICES, Certificate, certificate_key, decode, path_key

MAX_AUTHORITIES, MAX_PATH, MAX_CERTIFICATE_BYTES = 8, 4, 4_096
_MINUTE_MS = 60_000


DER = Octets(1, MAX_CERTIFICATE_BYTES)
_PATH = ListOf(DER, MAX_PATH)
_AUTHORITIES = Record({"certificates": ListOf(DER, MAX_AUTHORITIES), "version": Integer(), "height": Integer()})


@dataclass(frozen=True, slots=True)
class Authorities:
    """Certificates (DER) of the authorities in force; none: certificates are not checked."""

    certificates: tuple[bytes, ...] = ()
    version: int = 0
    height: int = 0


def decode_authorities(raw: bytes | None) -> Authorities:
    """Raises MalformedBytes."""
    if raw is None:
        return Authorities()
    row: Mapping[str, Value] = decode_map(raw, "authorities")
    if not _AUTHORITIES.admits(dict(row)):
        malformed("authorities", 0, "not exactly its fields")
    certificates = tuple(cast(Sequence[bytes], row["certificates"]))
    return Authorities(certificates, cast(int, row["version"]), cast(int, row["height"]))


def decode_path(raw: bytes | None) -> tuple[bytes, ...]:
    """DER, the leaf first; empty when none was uploaded. Raises MalformedBytes."""
    path = [] if raw is None else decode_value(raw, "certificates")
    if not _PATH.admits(path):
        malformed("certificates", 0, "not a list of certificates")
    return tuple(cast(Sequence[bytes], path))


def certified(read: Read, account: bytes, now_ms: int) -> PeerCertificate | None:
    """The account's certificate: of its trusted key, its legal entity, under an authority in force, at this minute.

    None while the regulator has named no authorities. Raises CertificateRefused.
    """
    authorities = decode_authorities(read(SERVICES, AUTHORITIES_KEY)).certificates
    if not authorities:
        return None
    path, where = decode_path(read(SERVICES, path_key(account))), f"account {account.hex()}"
    if not path:
        raise CertificateRefused(Reason.UNTRUSTED, "no certificate was uploaded with its path", where=where)
    leaf = under(path, authorities, now_ms)
    raw, record = read(SERVICES, certificate_key(account)), account_record(read, account)
    if raw is None or leaf.public_key != decode(Certificate, raw).key:
        raise CertificateRefused(Reason.UNTRUSTED, "the certificate is not of the trusted key", where=where)
    if record is None or same_entity(leaf.entity) != same_entity(record.entity):
        raise CertificateRefused(Reason.UNTRUSTED, f"the certificate is of {leaf.entity}", where=where)
    return leaf


def under(path: tuple[bytes, ...], authorities: tuple[bytes, ...], at_ms: int) -> PeerCertificate:
    """The leaf of a path that signs documents, under one of the authorities. Raises CertificateRefused."""
    found = _judged(path, authorities, at_ms // _MINUTE_MS)
    if isinstance(found, CertificateRefused):
        raise CertificateRefused(found.reason, found.what.removeprefix(f"{found.reason}: "), where=found.where)
    return found


@lru_cache(maxsize=1_024)
def _judged(
    path: tuple[bytes, ...], authorities: tuple[bytes, ...], minute: int
) -> PeerCertificate | CertificateRefused:
    """Remembered: a call costs no path validation as long as others like it come."""
    try:
        anchors = Anchors(tuple(parse_certificate(der) for der in authorities), "")
        return verify_chain(path, anchors, minute * _MINUTE_MS, usage=Usage.SIGNATURE, crls=None)
    except CertificateRefused as refusal:
        return refusal
