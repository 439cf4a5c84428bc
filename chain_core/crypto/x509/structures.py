"""The ASN.1 of RFC 5280 and RFC 2986 as far as SM2 needs it beside what ``cryptography.x509`` offers.

That library reads names, times and extensions of any certificate, yet knows no SM2: the key, the signature algorithm
and everything that is issued are read and written by these declarations. DER only; trailing bytes are refused.
"""

from __future__ import annotations

from typing import Annotated, TypeVar

from cryptography.hazmat import asn1
from cryptography.x509 import ObjectIdentifier

from chain_core.crypto.der import signature_from_der, signature_to_der
from chain_core.crypto.errors import MalformedSignature
from chain_core.crypto.provider import PUBLIC_KEY_SIZE
from chain_core.crypto.providers import signing_provider
from chain_core.crypto.sm2_domain import is_on_curve
from chain_core.crypto.x509.errors import CertificateRefused, Reason
from chain_core.crypto.x509.oids import EC_PUBLIC_KEY, SM2_CURVE, SM2_WITH_SM3

_UNCOMPRESSED = b"\x04"
T = TypeVar("T")


@asn1.sequence
class AlgorithmIdentifier:
    """``parameters``: absent, NULL, or a named curve."""

    algorithm: ObjectIdentifier
    parameters: ObjectIdentifier | asn1.Null | None


@asn1.sequence
class SubjectPublicKeyInfo:
    """A public key."""

    algorithm: AlgorithmIdentifier
    key: asn1.BitString


@asn1.sequence
class Extension:
    """One extension."""

    identifier: ObjectIdentifier
    critical: Annotated[bool, asn1.Default(False)]
    value: bytes


@asn1.sequence
class Validity:
    """UTCTime until 2049, GeneralizedTime after."""

    not_before: asn1.UTCTime | asn1.GeneralizedTime
    not_after: asn1.UTCTime | asn1.GeneralizedTime


@asn1.sequence
class TbsCertificate:
    """The signed part of a version 3 certificate; unique identifiers are not taken (GB/T 20518)."""

    version: Annotated[int, asn1.Explicit(0)]
    serial: int
    signature: AlgorithmIdentifier
    issuer: asn1.TLV
    validity: Validity
    subject: asn1.TLV
    public_key: SubjectPublicKeyInfo
    extensions: Annotated[list[Extension] | None, asn1.Explicit(3)]


@asn1.sequence
class RevokedEntry:
    """One revoked serial."""

    serial: int
    revoked: asn1.UTCTime | asn1.GeneralizedTime
    extensions: list[Extension] | None


@asn1.sequence
class TbsCertList:
    """The signed part of a version 2 revocation list."""

    version: int
    signature: AlgorithmIdentifier
    issuer: asn1.TLV
    this_update: asn1.UTCTime | asn1.GeneralizedTime
    next_update: asn1.UTCTime | asn1.GeneralizedTime
    revoked: list[RevokedEntry] | None
    extensions: Annotated[list[Extension] | None, asn1.Explicit(0)]


@asn1.sequence
class RequestInfo:
    """The signed part of a certification request (RFC 2986 section 4.1)."""

    version: int
    subject: asn1.TLV
    public_key: SubjectPublicKeyInfo
    attributes: Annotated[asn1.SetOf[asn1.TLV], asn1.Implicit(0)]


@asn1.sequence
class ExtensionRequest:
    """The one attribute our requests carry (RFC 2985 section 5.4.2)."""

    identifier: ObjectIdentifier
    values: asn1.SetOf[asn1.TLV]


@asn1.sequence
class Asked:
    """A list of extensions as a root: the library encodes decorated classes only, ``content`` unwraps it."""

    extensions: list[Extension]


@asn1.sequence
class Signed:
    """What certificate, revocation list and request have in common."""

    body: asn1.TLV
    algorithm: AlgorithmIdentifier
    signature: asn1.BitString


def decoded(structure: type[T], data: bytes, where: str) -> T:
    """``data`` as one ``structure``. Raises CertificateRefused(MALFORMED)."""
    try:
        return asn1.decode_der(structure, data)
    except ValueError as error:
        raise CertificateRefused(Reason.MALFORMED, f"not the DER it should be: {error}", where=where) from error


def sm2_algorithm() -> AlgorithmIdentifier:
    """SM2 with SM3, parameters absent (RFC 8998 section 3.2.1, GB/T 20518)."""
    return AlgorithmIdentifier(algorithm=SM2_WITH_SM3, parameters=None)


def check_algorithm(algorithm: AlgorithmIdentifier, where: str) -> None:
    """SM2 with SM3, parameters absent or NULL (some authorities write it). Raises CertificateRefused(UNSUPPORTED)."""
    if algorithm.algorithm != SM2_WITH_SM3 or isinstance(algorithm.parameters, ObjectIdentifier):
        name = algorithm.algorithm.dotted_string
        raise CertificateRefused(Reason.UNSUPPORTED, f"signature algorithm {name} is not SM2 with SM3", where=where)


def key_info(public_key: bytes) -> SubjectPublicKeyInfo:
    """SubjectPublicKeyInfo of a 64-byte key."""
    return SubjectPublicKeyInfo(
        algorithm=AlgorithmIdentifier(algorithm=EC_PUBLIC_KEY, parameters=SM2_CURVE),
        key=asn1.BitString(_UNCOMPRESSED + public_key, 0),
    )


def public_key_of(info: SubjectPublicKeyInfo, where: str) -> bytes:
    """The 64-byte SM2 key. Raises CertificateRefused: UNSUPPORTED for another algorithm, MALFORMED for no point."""
    algorithm = info.algorithm
    if algorithm.algorithm != EC_PUBLIC_KEY or algorithm.parameters != SM2_CURVE:
        raise CertificateRefused(Reason.UNSUPPORTED, "its public key is no SM2 key", where=where)
    point = info.key.as_bytes()
    key = point[1:]
    if info.key.padding_bits() or len(point) != 1 + PUBLIC_KEY_SIZE or point[:1] != _UNCOMPRESSED:
        raise CertificateRefused(Reason.MALFORMED, "its public key is no uncompressed point", where=where)
    if not is_on_curve(key):
        raise CertificateRefused(Reason.MALFORMED, "its public key is not on the SM2 curve", where=where)
    return key


def signature_of(signed: Signed, where: str) -> bytes:
    """The 64-byte signature. Raises CertificateRefused: UNSUPPORTED, MALFORMED."""
    check_algorithm(signed.algorithm, where)
    try:
        if signed.signature.padding_bits():
            raise MalformedSignature("a signature of broken bytes")
        return signature_from_der(signed.signature.as_bytes())
    except MalformedSignature as error:
        raise CertificateRefused(Reason.MALFORMED, error.what, where=where) from error


def signed_der(body: bytes, private_key: bytes) -> bytes:
    """``body`` with its SM2 signature under the default user id. Raises InvalidKey, SigningFailed."""
    signature = signature_to_der(signing_provider().sm2_sign(private_key, body))
    return asn1.encode_der(
        Signed(body=tlv(body), algorithm=sm2_algorithm(), signature=asn1.BitString(signature, 0)),
    )


def tlv(der: bytes) -> asn1.TLV:
    """Encoded bytes as a field of a structure."""
    return asn1.decode_der(asn1.TLV, der)


def content(wrapped: object) -> bytes:
    """Encoded bytes of the only field of a structure."""
    return bytes(asn1.decode_der(asn1.TLV, asn1.encode_der(wrapped)).data)
