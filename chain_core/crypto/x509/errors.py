"""Why a certificate, a request or a revocation list is refused."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from chain_core.crypto.errors import CryptoError

if TYPE_CHECKING:
    from chain_core.crypto.x509.verify import PeerCertificate


class Reason(StrEnum):
    """The reasons of docs/spec/certificates.md §5."""

    MALFORMED = "MALFORMED"
    TOO_LARGE = "TOO_LARGE"
    UNSUPPORTED = "UNSUPPORTED"
    UNTRUSTED = "UNTRUSTED"
    NOT_AN_AUTHORITY = "NOT_AN_AUTHORITY"
    PATH_TOO_LONG = "PATH_TOO_LONG"
    BAD_SIGNATURE = "BAD_SIGNATURE"
    WRONG_USAGE = "WRONG_USAGE"
    WRONG_ROLE = "WRONG_ROLE"
    NOT_YET_VALID = "NOT_YET_VALID"
    EXPIRED = "EXPIRED"
    CRL_MISSING = "CRL_MISSING"
    CRL_STALE = "CRL_STALE"
    REVOKED = "REVOKED"


_NEXT_STEP = {
    Reason.MALFORMED: "ask its issuer for a certificate of the profile in docs/spec/certificates.md",
    Reason.TOO_LARGE: "the limits stand in docs/spec/certificates.md §7",
    Reason.UNSUPPORTED: "only SM2 with SM3 and the extensions of docs/spec/certificates.md §2 are taken",
    Reason.UNTRUSTED: "send the whole chain, leaf first; or add the authority to security.anchors",
    Reason.NOT_AN_AUTHORITY: "have it issued by an authority (basicConstraints CA, keyUsage keyCertSign)",
    Reason.PATH_TOO_LONG: "have it issued nearer to the root",
    Reason.BAD_SIGNATURE: "fetch certificate and chain from the issuer again",
    Reason.WRONG_USAGE: "have one issued for this purpose: dualchain ca issue --help",
    Reason.WRONG_ROLE: "have one issued with this role: dualchain ca issue --help",
    Reason.NOT_YET_VALID: "check both machines' clocks",
    Reason.EXPIRED: "renew it: dualchain ca issue, or dualchain ca sign with a new request",
    Reason.CRL_MISSING: "fetch the issuer's revocation list to security.crl",
    Reason.CRL_STALE: "fetch the issuer's newest revocation list to security.crl (dualchain ca crl makes one)",
    Reason.REVOKED: "it is withdrawn for good; have a new one issued for a new key",
}


class CertificateRefused(CryptoError):
    """``reason`` says why; ``certificate`` is the leaf when only time or revocation refuse it."""

    code = "CERTIFICATE_REFUSED"

    def __init__(
        self,
        reason: Reason,
        what: str,
        *,
        where: str = "",
        next_step: str = "",
        certificate: PeerCertificate | None = None,
    ) -> None:
        super().__init__(f"{reason}: {what}", where=where, next_step=next_step or _NEXT_STEP[reason])
        self.reason = reason
        self.certificate = certificate
