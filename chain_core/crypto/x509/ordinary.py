"""Certificates and keys of standard TLS: RSA or ECDSA, for tools that know no SM (docs/spec/sm-session.md §7).

Paths are validated by the TLS library; here it is read who a certificate names, and that key and certificate fit.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from chain_core.crypto.errors import KeyFileRefused
from chain_core.crypto.providers import provider
from chain_core.crypto.x509.errors import CertificateRefused, Reason
from chain_core.crypto.x509.roles import roles_of

MIN_RSA_BITS = 2_048
_NAMED = (x509.NameOID.COMMON_NAME, x509.NameOID.ORGANIZATION_NAME)


@dataclass(frozen=True, slots=True)
class OrdinaryCertificate:
    """What is read of one; times in ms, ``spki``: its public key as SubjectPublicKeyInfo, names: DER."""

    name: str
    entity: str
    uris: tuple[str, ...]
    not_before_ms: int
    not_after_ms: int
    spki: bytes
    fingerprint: bytes
    serial: int
    subject: bytes
    issuer: bytes

    def roles(self, chain_id: str) -> tuple[str, ...]:
        """As of any certificate (docs/spec/certificates.md §3). Raises CertificateRefused."""
        return roles_of(self.uris, chain_id)


def parse_ordinary(der: bytes) -> OrdinaryCertificate:
    """Raises CertificateRefused."""
    try:
        found = x509.load_der_x509_certificate(der)
        name, entity = (
            next((str(one.value) for one in found.subject.get_attributes_for_oid(oid)), "") for oid in _NAMED
        )
        spki = found.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        ours = OrdinaryCertificate(
            name[:64],
            entity[:64],
            _uris(found),
            int(found.not_valid_before_utc.timestamp() * 1_000),
            int(found.not_valid_after_utc.timestamp() * 1_000),
            spki,
            provider().sm3(der),
            found.serial_number,
            found.subject.public_bytes(),
            found.issuer.public_bytes(),
        )
        _strong(found.public_key())
    except CertificateRefused:
        raise
    except Exception as error:  # the library raises many kinds for bytes that are no certificate
        raise CertificateRefused(Reason.MALFORMED, f"not a certificate: {error}", where="certificate") from error
    return ours


def _uris(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(names.get_values_for_type(x509.UniformResourceIdentifier))


def _strong(key: object) -> None:
    if isinstance(key, ec.EllipticCurvePublicKey) or (
        isinstance(key, rsa.RSAPublicKey) and key.key_size >= MIN_RSA_BITS
    ):
        return
    raise CertificateRefused(
        Reason.UNSUPPORTED, f"neither ECDSA nor RSA of {MIN_RSA_BITS} bits or more", where="certificate"
    )


@dataclass(frozen=True, slots=True)
class OrdinaryKey:
    """A private key: PEM for the TLS library, and its public half as ``OrdinaryCertificate.spki``."""

    pem: bytes
    spki: bytes

    def __repr__(self) -> str:
        return "OrdinaryKey(...)"


def read_ordinary_key(der: bytes, where: str) -> OrdinaryKey:
    """The key in a PrivateKeyInfo. Raises KeyFileRefused."""
    try:
        key = serialization.load_der_private_key(der, None)
    except Exception as error:  # as above
        raise KeyFileRefused(
            "no RSA or ECDSA key", where=where, next_step="make one with: openssl genpkey -algorithm EC"
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise KeyFileRefused(
            "no RSA or ECDSA key", where=where, next_step="make one with: openssl genpkey -algorithm EC"
        )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return OrdinaryKey(private, public)
