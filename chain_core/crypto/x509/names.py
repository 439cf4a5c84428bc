"""Distinguished names, and what a node reads in them."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.x509 import ObjectIdentifier

from chain_core.crypto.x509.errors import CertificateRefused, Reason
from chain_core.crypto.x509.oids import COMMON_NAME, COUNTRY, ORGANISATION
from chain_core.crypto.x509.structures import content

MAX_NAME_CHARACTERS = 64
"""ub-common-name and ub-organization-name of RFC 5280, in characters: legal names are longer in bytes."""
MAX_NAME_ATTRIBUTES = 16


@asn1.sequence
class _Attribute:
    identifier: ObjectIdentifier
    value: asn1.PrintableString | str


@asn1.sequence
class _Wrapped:
    """A root of its own: the library encodes decorated classes only."""

    name: list[asn1.SetOf[_Attribute]]


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a certificate is for: ``common_name`` (node or account), ``entity`` (legal name), ``country``."""

    common_name: str
    entity: str = ""
    country: str = "CN"


def encode_name(subject: Subject) -> bytes:
    """DER of C, O, CN in this order. Raises CertificateRefused(MALFORMED) for text no certificate may carry."""
    attributes: list[tuple[ObjectIdentifier, asn1.PrintableString | str]] = []
    if subject.country:
        if len(subject.country) != 2 or not subject.country.isascii() or not subject.country.isalpha():
            raise CertificateRefused(Reason.MALFORMED, f"{subject.country!r} is no country code", where="country")
        attributes.append((COUNTRY, asn1.PrintableString(subject.country)))
    if subject.entity:
        attributes.append((ORGANISATION, _checked(subject.entity, "organisation")))
    attributes.append((COMMON_NAME, _checked(subject.common_name, "common name")))
    rows = [asn1.SetOf([_Attribute(identifier=kind, value=value)]) for kind, value in attributes]
    return content(_Wrapped(name=rows))


def subject_of(name: x509.Name, where: str) -> Subject:
    """Common name, organisation, country of a parsed name. Raises CertificateRefused(MALFORMED) when one is doubled."""
    if len(list(name)) > MAX_NAME_ATTRIBUTES:
        raise CertificateRefused(Reason.TOO_LARGE, f"a name of more than {MAX_NAME_ATTRIBUTES} parts", where=where)
    return Subject(_only(name, COMMON_NAME, where), _only(name, ORGANISATION, where), _only(name, COUNTRY, where))


def _only(name: x509.Name, kind: ObjectIdentifier, where: str) -> str:
    found = name.get_attributes_for_oid(kind)
    if len(found) > 1:
        # Which of two names is meant would be for each reader to guess.
        raise CertificateRefused(Reason.MALFORMED, f"a name with {len(found)} of {kind.dotted_string}", where=where)
    if not found:
        return ""
    value = found[0].value
    if isinstance(value, bytes):
        raise CertificateRefused(Reason.MALFORMED, f"{kind.dotted_string} is no text", where=where)
    return _checked(value, where)


def _checked(text: str, where: str) -> str:
    """Names go to logs and pages: printable text only."""
    if not 0 < len(text) <= MAX_NAME_CHARACTERS or not text.isprintable():
        what = f"{text[:MAX_NAME_CHARACTERS]!r} is not 1 to {MAX_NAME_CHARACTERS} printable characters"
        raise CertificateRefused(Reason.MALFORMED, what, where=where)
    return text
