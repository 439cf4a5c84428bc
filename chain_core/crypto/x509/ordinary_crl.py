"""Revocation lists of RSA and ECDSA authorities, for standard TLS (docs/spec/sm-session.md §7).

The same kind of list is taken as of SM2 authorities (docs/spec/certificates.md §6): full, of one issuer, version 2.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from chain_core.crypto.x509.certificate import milliseconds
from chain_core.crypto.x509.crl import MAX_CRL_BYTES, MAX_CRL_ENTRIES, MAX_LISTS, entries, list_number
from chain_core.crypto.x509.errors import CertificateRefused, Reason
from chain_core.crypto.x509.ordinary import OrdinaryCertificate

_WHERE = "revocation list"


@dataclass(frozen=True, slots=True)
class OrdinaryList:
    """A list that one of the authorities signed. ``issuer``: its name, DER."""

    issuer: bytes
    label: str
    number: int
    this_update_ms: int
    next_update_ms: int
    serials: frozenset[int]

    @property
    def age(self) -> tuple[int, int]:
        """Sorts lists of one authority, oldest first."""
        return self.number, self.this_update_ms


def parse_ordinary_crl(der: bytes, authorities: Iterable[OrdinaryCertificate]) -> OrdinaryList:
    """Raises CertificateRefused: TOO_LARGE, MALFORMED, UNSUPPORTED; BAD_SIGNATURE when no authority signed it."""
    if len(der) > MAX_CRL_BYTES:
        raise CertificateRefused(Reason.TOO_LARGE, f"{len(der)} bytes, {MAX_CRL_BYTES} are taken", where=_WHERE)
    try:
        loaded = x509.load_der_x509_crl(der)
        if loaded.next_update_utc is None:
            raise ValueError("no next update")
        if len(loaded) > MAX_CRL_ENTRIES:
            what = f"{len(loaded)} entries, {MAX_CRL_ENTRIES} are taken"
            raise CertificateRefused(Reason.TOO_LARGE, what, where=_WHERE)
        issuer = loaded.issuer.public_bytes()
        found = OrdinaryList(
            issuer,
            loaded.issuer.rfc4514_string(),
            list_number(loaded.extensions),
            milliseconds(loaded.last_update_utc),
            milliseconds(loaded.next_update_utc),
            frozenset(entries(loaded)),
        )
        signed = any(_signed_by(loaded, one) for one in authorities if one.subject == issuer)
    except CertificateRefused:
        raise
    except Exception as error:  # the library raises many kinds for bytes that are no list
        raise CertificateRefused(Reason.MALFORMED, f"not a revocation list: {error}", where=_WHERE) from error
    if not signed:
        raise CertificateRefused(
            Reason.BAD_SIGNATURE, f"no authority of client_ca signed the list of {found.label}", where=_WHERE
        )
    return found


def _signed_by(loaded: x509.CertificateRevocationList, authority: OrdinaryCertificate) -> bool:
    key = serialization.load_der_public_key(authority.spki)
    assert isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey)
    return loaded.is_signature_valid(key)


class OrdinaryLists:
    """The newest list of each authority. ``grace_ms``: how long past its next update a list still counts."""

    def __init__(self, lists: Iterable[OrdinaryList], *, grace_ms: int = 0) -> None:
        """Raises CertificateRefused(TOO_LARGE)."""
        self.newest = {one.issuer: one for one in sorted(lists, key=lambda one: one.age)}
        self._grace_ms = grace_ms
        if len(self.newest) > MAX_LISTS:
            raise CertificateRefused(Reason.TOO_LARGE, f"more than {MAX_LISTS} lists", where="revocation lists")

    def not_older_than(self, former: OrdinaryLists) -> OrdinaryLists:
        """These lists, but an older one takes nothing back that ``former`` has newer."""
        return OrdinaryLists([*former.newest.values(), *self.newest.values()], grace_ms=self._grace_ms)

    def check(self, certificate: OrdinaryCertificate, now_ms: int) -> None:
        """Raises CertificateRefused: REVOKED, CRL_STALE, CRL_MISSING; the TLS library has verified its path."""
        found = self.newest.get(certificate.issuer)
        if found is None or found.this_update_ms > now_ms:
            raise CertificateRefused(
                Reason.CRL_MISSING, "no revocation list of its issuer is in force", where=certificate.name
            )
        if certificate.serial in found.serials:
            raise CertificateRefused(Reason.REVOKED, "its issuer has revoked it", where=certificate.name)
        if now_ms >= found.next_update_ms + self._grace_ms:
            late_s = (now_ms - found.next_update_ms) // 1000
            what = f"the revocation list of {found.label} was to be renewed {late_s} s ago"
            raise CertificateRefused(Reason.CRL_STALE, what, where=certificate.name)
