"""Certificate revocation lists: reading, making, and asking whether a certificate stands on one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat import asn1

from chain_core.crypto.cache import BoundedCache
from chain_core.crypto.providers import provider
from chain_core.crypto.x509 import oids, structures
from chain_core.crypto.x509.certificate import LIBRARY_ERRORS, Certificate, KeyUsage, check_serial, milliseconds
from chain_core.crypto.x509.errors import CertificateRefused, Reason
from chain_core.crypto.x509.issue import encode_time, key_id

MAX_CRL_BYTES = 8 << 20
MAX_CRL_ENTRIES = 100_000
MAX_LISTS = 64
_VERSION_2 = 1
_VERSION_FIELD = b"\x02\x01\x01"

REASONS = {
    "unspecified": x509.ReasonFlags.unspecified,
    "key-compromise": x509.ReasonFlags.key_compromise,
    "ca-compromise": x509.ReasonFlags.ca_compromise,
    "affiliation-changed": x509.ReasonFlags.affiliation_changed,
    "superseded": x509.ReasonFlags.superseded,
    "cessation": x509.ReasonFlags.cessation_of_operation,
    "withdrawn": x509.ReasonFlags.privilege_withdrawn,
}
"""Reasons of revocation by the word the command line takes (RFC 5280 section 5.3.1)."""


@dataclass(frozen=True, slots=True)
class Crl:
    """One full list; whose it is, is proven only by ``Crls.check``. ``revoked``: revocation time in ms by serial."""

    body: bytes
    signature: bytes
    fingerprint: bytes
    issuer: x509.Name
    authority_key_id: bytes | None
    this_update_ms: int
    next_update_ms: int
    number: int
    revoked: Mapping[int, int]


def parse_crl(der: bytes) -> Crl:
    """The list in exactly these bytes. Raises CertificateRefused: MALFORMED, TOO_LARGE, UNSUPPORTED."""
    where = "revocation list"
    if len(der) > MAX_CRL_BYTES:
        raise CertificateRefused(Reason.TOO_LARGE, f"{len(der)} bytes, {MAX_CRL_BYTES} are taken", where=where)
    der = bytes(der)
    signed = structures.decoded(structures.Signed, der, where)
    # Its first fields: version 2, and the algorithm that stands outside the signature as well.
    if not signed.body.data[:64].tobytes().startswith(_VERSION_FIELD + asn1.encode_der(signed.algorithm)):
        raise CertificateRefused(Reason.MALFORMED, "no version 2 list under one algorithm", where=where)
    try:
        loaded = x509.load_der_x509_crl(der)
        if loaded.next_update_utc is None:
            raise ValueError("no next update")
        if len(loaded) > MAX_CRL_ENTRIES:
            what = f"{len(loaded)} entries, {MAX_CRL_ENTRIES} are taken"
            raise CertificateRefused(Reason.TOO_LARGE, what, where=where)
        return Crl(
            asn1.encode_der(signed.body),
            structures.signature_of(signed, where),
            provider().sm3(der),
            loaded.issuer,
            _authority_key_id(loaded.extensions),
            milliseconds(loaded.last_update_utc),
            milliseconds(loaded.next_update_utc),
            list_number(loaded.extensions),
            entries(loaded),
        )
    except LIBRARY_ERRORS as error:
        raise CertificateRefused(Reason.MALFORMED, f"not a revocation list: {error}", where=where) from error


def entries(rows: Iterable[x509.RevokedCertificate]) -> dict[int, int]:
    """Serial to time of revocation in ms.

    One by one: a declaration would decode 100,000 of them in one call, during which no other thread runs."""
    found: dict[int, int] = {}
    for row in rows:
        serial = row.serial_number
        check_serial(serial, "revocation list")
        for extension in row.extensions:
            if extension.critical:
                # An indirect list names other issuers' certificates in one; it is not taken (§6).
                what = f"an entry with the critical extension {extension.oid.dotted_string}"
                raise CertificateRefused(Reason.UNSUPPORTED, what, where="revocation list")
        found[serial] = milliseconds(row.revocation_date_utc)
    return found


def list_number(extensions: x509.Extensions) -> int:
    """The list's number, 0 without one. Delta and partitioned lists are marked critical, and refused."""
    number = 0
    for row in extensions:
        if isinstance(row.value, x509.CRLNumber):
            number = row.value.crl_number
        elif row.critical:
            what = f"critical extension {row.oid.dotted_string}: only full lists of one issuer are taken"
            raise CertificateRefused(Reason.UNSUPPORTED, what, where="revocation list")
    return number


def _authority_key_id(extensions: x509.Extensions) -> bytes | None:
    return next(
        (row.value.key_identifier for row in extensions if isinstance(row.value, x509.AuthorityKeyIdentifier)), None
    )


def issue_crl(
    issuer: Certificate,
    private_key: bytes,
    revoked: Mapping[int, tuple[int, str]],
    *,
    number: int,
    this_update_ms: int,
    next_update_ms: int,
) -> bytes:
    """DER of a full list: serial -> (revocation time in ms, word of ``REASONS``). Raises InvalidKey, SigningFailed."""
    rows = [_entry(serial, at_ms, reason) for serial, (at_ms, reason) in sorted(revoked.items())]
    identifier = issuer.extensions.subject_key_id or key_id(issuer.public_key)
    body = structures.TbsCertList(
        version=_VERSION_2,
        signature=structures.sm2_algorithm(),
        issuer=structures.tlv(issuer.subject_der),
        this_update=encode_time(this_update_ms),
        next_update=encode_time(next_update_ms),
        revoked=rows or None,
        extensions=[
            _extension(oids.AUTHORITY_KEY_IDENTIFIER, x509.AuthorityKeyIdentifier(identifier, None, None)),
            _extension(oids.CRL_NUMBER, x509.CRLNumber(number)),
        ],
    )
    return structures.signed_der(asn1.encode_der(body), private_key)


def _entry(serial: int, at_ms: int, reason: str) -> structures.RevokedEntry:
    flag = REASONS[reason]
    # "unspecified" is said by saying nothing (RFC 5280 section 5.3.1).
    said = [] if flag is x509.ReasonFlags.unspecified else [_extension(oids.CRL_REASON, x509.CRLReason(flag))]
    return structures.RevokedEntry(serial=serial, revoked=encode_time(at_ms), extensions=said or None)


def _extension(identifier: x509.ObjectIdentifier, value: x509.ExtensionType) -> structures.Extension:
    return structures.Extension(identifier=identifier, critical=False, value=value.public_bytes())


class Crls:
    """The lists a node holds. ``grace_ms``: how long past its next update a list still counts."""

    def __init__(self, lists: Iterable[Crl], *, grace_ms: int = 0) -> None:
        """Raises CertificateRefused(TOO_LARGE)."""
        self.lists = tuple(lists)
        self.grace_ms = grace_ms
        if len(self.lists) > MAX_LISTS:
            raise CertificateRefused(Reason.TOO_LARGE, f"more than {MAX_LISTS} lists", where="revocation lists")
        # A list is hashed once for each key it was checked under, and those keys are authorities'.
        self._checked: BoundedCache[bool] = BoundedCache(2 * MAX_LISTS)

    def check(self, certificate: Certificate, issuer: Certificate, now_ms: int) -> None:
        """Raises CertificateRefused: REVOKED; CRL_STALE, CRL_MISSING when the issuer's word is too old or absent.

        ``issuer`` is verified as the issuer of ``certificate`` already.
        """
        found = self.of_issuer(issuer, now_ms)
        if found is None:
            raise CertificateRefused(
                Reason.CRL_MISSING, f"no revocation list of {issuer.label}", where=certificate.label
            )
        # What an old list revoked stays revoked: staleness matters for those that are not on it.
        if certificate.serial in found.revoked:
            raise CertificateRefused(Reason.REVOKED, "its issuer has revoked it", where=certificate.label)
        if now_ms >= found.next_update_ms + self.grace_ms:
            late_s = (now_ms - found.next_update_ms) // 1000
            what = f"the revocation list of {issuer.label} was to be renewed {late_s} s ago"
            raise CertificateRefused(Reason.CRL_STALE, what, where=certificate.label)

    def of_issuer(self, issuer: Certificate, now_ms: int) -> Crl | None:
        """The newest list that ``issuer`` signed and that is not of the future."""
        usage = issuer.extensions.key_usage
        if usage is not None and KeyUsage.CRL_SIGN not in usage:
            return None
        held = [one for one in self.lists if one.issuer == issuer.subject and one.this_update_ms <= now_ms]
        held.sort(key=lambda one: (one.number, one.this_update_ms), reverse=True)
        return next((one for one in held if self._signed_by(one, issuer.public_key)), None)

    def _signed_by(self, one: Crl, public_key: bytes) -> bool:
        key = one.fingerprint + public_key
        known = self._checked.get(key)
        if known is None:
            known = provider().sm2_verify(public_key, one.body, one.signature)
            self._checked.put(key, known)
        return known
