"""Certification requests (RFC 2986): whoever holds a key asks for a certificate without giving the key away."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat import asn1

from chain_core.crypto.providers import provider, signing_provider
from chain_core.crypto.x509 import oids, structures
from chain_core.crypto.x509.certificate import LIBRARY_ERRORS, Extensions, read_extensions
from chain_core.crypto.x509.errors import CertificateRefused, Reason
from chain_core.crypto.x509.names import Subject, encode_name, subject_of

MAX_REQUEST_BYTES = 8_192


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody who holds the private half of ``public_key`` asks for; the authority decides."""

    subject: Subject
    public_key: bytes
    extensions: Extensions


def make_request(subject: Subject, private_key: bytes, uris: tuple[str, ...] = ()) -> bytes:
    """DER of a request signed with the key it is about. Raises CertificateRefused(MALFORMED), InvalidKey."""
    attributes = []
    if uris:
        names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri) for uri in uris])
        asked = structures.Asked(
            extensions=[
                structures.Extension(
                    identifier=oids.SUBJECT_ALTERNATIVE_NAME, critical=False, value=names.public_bytes()
                )
            ]
        )
        attribute = structures.ExtensionRequest(
            identifier=oids.EXTENSION_REQUEST, values=asn1.SetOf([structures.tlv(structures.content(asked))])
        )
        attributes.append(structures.tlv(asn1.encode_der(attribute)))
    body = structures.RequestInfo(
        version=0,
        subject=structures.tlv(encode_name(subject)),
        public_key=structures.key_info(signing_provider().sm2_public_key(private_key)),
        attributes=asn1.SetOf(attributes),
    )
    return structures.signed_der(asn1.encode_der(body), private_key)


def parse_request(der: bytes) -> Request:
    """The request in exactly these bytes, its signature verified: the asker holds the key.

    Raises CertificateRefused: MALFORMED, TOO_LARGE, UNSUPPORTED, BAD_SIGNATURE.
    """
    where = "request"
    if len(der) > MAX_REQUEST_BYTES:
        raise CertificateRefused(Reason.TOO_LARGE, f"{len(der)} bytes, {MAX_REQUEST_BYTES} are taken", where=where)
    der = bytes(der)
    signed = structures.decoded(structures.Signed, der, where)
    body = asn1.encode_der(signed.body)
    inner = structures.decoded(structures.RequestInfo, body, where)
    public_key = structures.public_key_of(inner.public_key, where)
    signature = structures.signature_of(signed, where)
    try:
        loaded = x509.load_der_x509_csr(der)
        request = Request(subject_of(loaded.subject, "subject"), public_key, read_extensions(loaded.extensions))
    except LIBRARY_ERRORS as error:
        raise CertificateRefused(Reason.MALFORMED, f"not a request: {error}", where=where) from error
    if not provider().sm2_verify(public_key, body, signature):
        raise CertificateRefused(
            Reason.BAD_SIGNATURE, "its own key did not sign it", where=where, next_step="make the request again"
        )
    return request
