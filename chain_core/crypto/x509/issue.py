"""Making a certificate: what the profile of docs/spec/certificates.md §2 puts into each kind."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from cryptography import x509
from cryptography.hazmat import asn1

from chain_core.crypto.providers import provider
from chain_core.crypto.x509 import oids, structures
from chain_core.crypto.x509.certificate import Certificate, check_serial
from chain_core.crypto.x509.errors import CertificateRefused, Reason
from chain_core.crypto.x509.names import Subject, encode_name

_LAST_UTC_TIME_YEAR = 2049
KEY_ID_SIZE = 20


class Kind(StrEnum):
    """What a certificate is made for."""

    ROOT = "root"
    INTERMEDIATE = "intermediate"
    SIGNING = "signing"
    """The signing half of a node's or a client's pair: handshakes and documents."""
    ENCRYPTION = "encryption"
    """The other half: keys are wrapped for it, nothing is signed with it."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be certified. Times in ms, cut to whole seconds; ``roles`` as URIs of ``roles.role_uri``."""

    kind: Kind
    subject: Subject
    public_key: bytes
    serial: int
    not_before_ms: int
    not_after_ms: int
    server: bool = False
    """It may stand at the answering end of a session too (a node, the gateway)."""
    uris: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    path_length: int | None = None
    """Authorities: how many further ones may stand below."""


def key_id(public_key: bytes) -> bytes:
    """Key identifier: the first 20 bytes of SM3 of the point, uncompressed (RFC 5280 leaves it open)."""
    return provider().sm3(b"\x04" + public_key)[:KEY_ID_SIZE]


def issue(order: Order, issuer: Certificate | None, private_key: bytes) -> bytes:
    """DER of the certificate, signed with ``private_key``; ``issuer`` None: self-signed.

    Raises CertificateRefused(MALFORMED) when the order makes no sense; InvalidKey, SigningFailed.
    """
    if order.not_after_ms <= order.not_before_ms:
        raise CertificateRefused(Reason.MALFORMED, "it would end before it begins", where="validity")
    check_serial(order.serial, "serial")
    name = encode_name(order.subject)
    signer_key = order.public_key if issuer is None else issuer.public_key
    signer_id = issuer.extensions.subject_key_id if issuer is not None else None
    body = structures.TbsCertificate(
        version=2,
        serial=order.serial,
        signature=structures.sm2_algorithm(),
        issuer=structures.tlv(name if issuer is None else issuer.subject_der),
        validity=structures.Validity(
            not_before=encode_time(order.not_before_ms), not_after=encode_time(order.not_after_ms)
        ),
        subject=structures.tlv(name),
        public_key=structures.key_info(order.public_key),
        extensions=[
            _extension(oids.AUTHORITY_KEY_IDENTIFIER, _authority_id(signer_id or key_id(signer_key))),
            _extension(oids.SUBJECT_KEY_IDENTIFIER, x509.SubjectKeyIdentifier(key_id(order.public_key))),
            *_purposes(order),
            *_alternative_names(order),
        ],
    )
    return structures.signed_der(asn1.encode_der(body), private_key)


def encode_time(at_ms: int) -> asn1.UTCTime | asn1.GeneralizedTime:
    """RFC 5280 section 4.1.2.5."""
    moment = datetime.fromtimestamp(at_ms // 1000, UTC)
    return asn1.UTCTime(moment) if moment.year <= _LAST_UTC_TIME_YEAR else asn1.GeneralizedTime(moment)


def _purposes(order: Order) -> list[structures.Extension]:
    authority = order.kind in (Kind.ROOT, Kind.INTERMEDIATE)
    rows = [
        _extension(
            oids.BASIC_CONSTRAINTS,
            x509.BasicConstraints(authority, order.path_length if authority else None),
            critical=True,
        ),
        _extension(oids.KEY_USAGE, _key_usage(order.kind), critical=True),
    ]
    if order.kind is Kind.SIGNING:
        usages = [oids.CLIENT_AUTH, *([oids.SERVER_AUTH] if order.server else [])]
        rows.append(_extension(oids.EXTENDED_KEY_USAGE, x509.ExtendedKeyUsage(usages)))
    return rows


def _key_usage(kind: Kind) -> x509.KeyUsage:
    """GB/T 20518 and GB/T 38636: one key signs, another one is encrypted to; never the same."""
    signs, encrypts = kind is Kind.SIGNING, kind is Kind.ENCRYPTION
    return x509.KeyUsage(
        digital_signature=signs,
        content_commitment=signs,
        key_encipherment=encrypts,
        data_encipherment=encrypts,
        key_agreement=encrypts,
        key_cert_sign=not signs and not encrypts,
        crl_sign=not signs and not encrypts,
        encipher_only=False,
        decipher_only=False,
    )


def _alternative_names(order: Order) -> list[structures.Extension]:
    try:
        hosts: Sequence[x509.GeneralName] = [x509.IPAddress(ipaddress.ip_address(one)) for one in order.addresses]
        names = [*(x509.UniformResourceIdentifier(uri) for uri in order.uris), *hosts]
    except ValueError as error:
        raise CertificateRefused(Reason.MALFORMED, str(error), where="subjectAltName") from error
    return [_extension(oids.SUBJECT_ALTERNATIVE_NAME, x509.SubjectAlternativeName(names))] if names else []


def _authority_id(identifier: bytes) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier(identifier, None, None)


def _extension(
    identifier: x509.ObjectIdentifier, value: x509.ExtensionType, *, critical: bool = False
) -> structures.Extension:
    return structures.Extension(identifier=identifier, critical=critical, value=value.public_bytes())
