"""A certificate as a value. Parsing proves nothing: who signed it and whether that counts is ``verify``'s business."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat import asn1

from chain_core.crypto.providers import provider
from chain_core.crypto.x509 import structures
from chain_core.crypto.x509.errors import CertificateRefused, Reason
from chain_core.crypto.x509.names import Subject, subject_of

MAX_CERTIFICATE_BYTES = 8_192
MAX_EXTENSIONS = 32
MAX_ALTERNATIVE_NAMES = 32
MAX_SERIAL_BITS = 159
"""20 octets with the sign bit clear (RFC 5280 section 4.1.2.2)."""

# The library counts a name's 64 in bytes, so that it would warn of most Chinese legal names; ours counts characters.
warnings.filterwarnings("ignore", message="Attribute's length must be")

LIBRARY_ERRORS = (
    ValueError,
    TypeError,  # a name's BIT STRING of the wrong kind
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
    UnsupportedAlgorithm,
)
"""What ``cryptography.x509`` raises on bytes it does not take."""


class KeyUsage(StrEnum):
    """Bits of keyUsage (RFC 5280 section 4.2.1.3)."""

    DIGITAL_SIGNATURE = "digital_signature"
    NON_REPUDIATION = "content_commitment"
    KEY_ENCIPHERMENT = "key_encipherment"
    DATA_ENCIPHERMENT = "data_encipherment"
    KEY_AGREEMENT = "key_agreement"
    KEY_CERT_SIGN = "key_cert_sign"
    CRL_SIGN = "crl_sign"


@dataclass(frozen=True, slots=True)
class Extensions:
    """The extensions path validation reads; ``None``: the certificate does not have it."""

    authority: bool = False
    path_length: int | None = None
    key_usage: frozenset[KeyUsage] | None = None
    extended_usage: frozenset[str] | None = None
    """Dotted object identifiers."""
    uris: tuple[str, ...] = ()
    dns_names: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    subject_key_id: bytes | None = None
    authority_key_id: bytes | None = None
    unknown_critical: tuple[str, ...] = ()
    """Critical extensions that nothing here understands: a path with one is refused."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """``public_key`` 64 bytes, ``signature`` 64 bytes r||s over ``body``, ``fingerprint`` SM3 of ``der``."""

    der: bytes
    body: bytes
    signature: bytes
    fingerprint: bytes
    serial: int
    issuer: x509.Name
    subject: x509.Name
    subject_der: bytes
    """As it stands in the certificate, and as what this authority issues has to name it."""
    name: Subject
    """What of ``subject`` a node reads."""
    not_before_ms: int
    not_after_ms: int
    public_key: bytes
    extensions: Extensions

    @property
    def label(self) -> str:
        """For refusals: common name and serial."""
        return f"certificate {self.name.common_name!r} serial {self.serial:x}"


def parse_certificate(der: bytes) -> Certificate:
    """The certificate in exactly these bytes. Raises CertificateRefused: MALFORMED, TOO_LARGE, UNSUPPORTED."""
    where = "certificate"
    if len(der) > MAX_CERTIFICATE_BYTES:
        raise CertificateRefused(Reason.TOO_LARGE, f"{len(der)} bytes, {MAX_CERTIFICATE_BYTES} are taken", where=where)
    der = bytes(der)
    signed = structures.decoded(structures.Signed, der, where)
    body = asn1.encode_der(signed.body)
    inner = structures.decoded(structures.TbsCertificate, body, where)
    # Outside the signature: it must say what the signed copy says (RFC 5280 section 4.1.1.2).
    if asn1.encode_der(inner.signature) != asn1.encode_der(signed.algorithm):
        raise CertificateRefused(Reason.MALFORMED, "two different signature algorithms", where=where)
    signature = structures.signature_of(signed, where)
    check_serial(inner.serial, where)
    try:
        loaded = x509.load_der_x509_certificate(der)  # of version 3: the declaration demands the field, the library 3
        extensions = read_extensions(loaded.extensions)
        return Certificate(
            der,
            body,
            signature,
            provider().sm3(der),
            inner.serial,
            loaded.issuer,
            loaded.subject,
            asn1.encode_der(inner.subject),
            subject_of(loaded.subject, "subject"),
            milliseconds(loaded.not_valid_before_utc),
            milliseconds(loaded.not_valid_after_utc),
            structures.public_key_of(inner.public_key, where),
            extensions,
        )
    except LIBRARY_ERRORS as error:
        raise CertificateRefused(Reason.MALFORMED, f"not a certificate: {error}", where=where) from error


def check_serial(serial: int, where: str) -> None:
    """Positive and of at most 20 octets. Raises CertificateRefused(MALFORMED)."""
    if not 0 < serial < 1 << MAX_SERIAL_BITS:
        raise CertificateRefused(Reason.MALFORMED, "a serial number is positive and has at most 20 octets", where=where)


def milliseconds(moment: datetime) -> int:
    """Unix time in ms; certificates count whole seconds."""
    return int(moment.timestamp()) * 1000


def read_extensions(listed: Iterable[x509.Extension[x509.ExtensionType]]) -> Extensions:
    """What validation reads of the extensions. Raises CertificateRefused(TOO_LARGE), ValueError."""
    rows = list(listed)
    if len(rows) > MAX_EXTENSIONS:
        raise CertificateRefused(Reason.TOO_LARGE, f"{len(rows)} extensions", where="extensions")
    found: dict[str, object] = {}
    unknown = []
    for row in rows:
        read = _read(row.value)
        if read is None:
            if row.critical:
                unknown.append(row.oid.dotted_string)
        else:
            found |= read
    return Extensions(**found, unknown_critical=tuple(unknown))  # type: ignore[arg-type]


def _read(value: x509.ExtensionType) -> dict[str, object] | None:
    """Fields of ``Extensions``; None when the extension means nothing here."""
    match value:
        case x509.BasicConstraints():
            return {"authority": value.ca, "path_length": value.path_length}
        case x509.KeyUsage():
            return {"key_usage": frozenset(bit for bit in KeyUsage if getattr(value, bit.value))}
        case x509.ExtendedKeyUsage():
            return {"extended_usage": frozenset(usage.dotted_string for usage in value)}
        case x509.SubjectKeyIdentifier():
            return {"subject_key_id": value.digest}
        case x509.AuthorityKeyIdentifier():
            return {"authority_key_id": value.key_identifier}
        case x509.SubjectAlternativeName():
            return _alternative_names(value)
        case _:
            return None


def _alternative_names(value: x509.SubjectAlternativeName) -> dict[str, object]:
    if len(list(value)) > MAX_ALTERNATIVE_NAMES:
        raise CertificateRefused(Reason.TOO_LARGE, "too many alternative names", where="subjectAltName")
    addresses = value.get_values_for_type(x509.IPAddress)
    return {
        "uris": tuple(value.get_values_for_type(x509.UniformResourceIdentifier)),
        "dns_names": tuple(value.get_values_for_type(x509.DNSName)),
        "addresses": tuple(str(address) for address in addresses),
    }
