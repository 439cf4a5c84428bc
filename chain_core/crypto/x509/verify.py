"""Path validation (RFC 5280 section 6, cut to docs/spec/certificates.md §4): named checks, cheap ones first.

Time and revocation come last, on a path whose signatures hold: what they refuse is known to be genuine, and the refusal
carries it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from chain_core.crypto.providers import provider
from chain_core.crypto.x509 import oids
from chain_core.crypto.x509.certificate import Certificate, KeyUsage, parse_certificate
from chain_core.crypto.x509.crl import Crls
from chain_core.crypto.x509.errors import CertificateRefused, Reason
from chain_core.crypto.x509.roles import CLIENT, PEER, roles_of

MAX_CHAIN = 4
"""Certificates sent, the leaf and an unneeded root included."""
MAX_ANCHORS = 64


class Usage(StrEnum):
    """What the leaf is shown for."""

    PEER = "peer"
    """Either end of a link between validators' nodes."""
    CLIENT = "client"
    """The calling end of a session on a client port."""
    SERVER = "server"
    """The answering end."""
    SIGNATURE = "signature"
    """A document: received data, an offered service (art. 19)."""
    ENCRYPTION = "encryption"
    """A key is to be wrapped for it."""


@dataclass(frozen=True, slots=True)
class Anchors:
    """Whom a node trusts. Certificates under ``own`` carry roles; those under ``foreign`` have only ``grants``."""

    own: tuple[Certificate, ...]
    chain_id: str
    foreign: tuple[Certificate, ...] = ()
    grants: Mapping[bytes, tuple[str, ...]] = field(default_factory=dict)
    """Roles by fingerprint of a leaf."""

    def __post_init__(self) -> None:
        """Raises CertificateRefused: TOO_LARGE, NOT_AN_AUTHORITY."""
        if len(self.own) + len(self.foreign) > MAX_ANCHORS:
            raise CertificateRefused(Reason.TOO_LARGE, f"more than {MAX_ANCHORS} anchors", where="anchors")
        for one in (*self.own, *self.foreign):
            _check_authority(one)

    def holds(self, certificate: Certificate) -> bool:
        """It is one of the anchors itself."""
        return any(one.fingerprint == certificate.fingerprint for one in (*self.own, *self.foreign))


@dataclass(frozen=True, slots=True)
class PeerCertificate:
    """A leaf under a trusted path: ``public_key`` 64 bytes, ``subject`` common name, ``entity`` organisation,
    ``fingerprint`` SM3 of the DER."""

    public_key: bytes
    subject: str
    entity: str
    roles: tuple[str, ...]
    serial: int
    fingerprint: bytes
    not_before_ms: int
    not_after_ms: int


def verify_chain(
    certificates: Sequence[bytes], anchors: Anchors, now_ms: int, *, usage: Usage, crls: Crls | None
) -> PeerCertificate:
    """The leaf of ``certificates`` (DER, leaf first, each issued by the next) under one of ``anchors``.

    ``crls`` None: revocation is not asked about. Raises CertificateRefused; for EXPIRED, NOT_YET_VALID, REVOKED,
    CRL_STALE and CRL_MISSING its ``certificate`` is the leaf.
    """
    if not 1 <= len(certificates) <= MAX_CHAIN:
        raise CertificateRefused(
            Reason.TOO_LARGE, f"{len(certificates)} certificates; 1 to {MAX_CHAIN} are taken", where="chain"
        )
    path = _to_anchor([parse_certificate(der) for der in certificates], anchors)
    for one in path:
        _check_understood(one)
    for child, parent in zip(path, path[1:], strict=False):
        if child.issuer != parent.subject:
            what = "the certificate behind it in the chain is not its issuer's"
            raise CertificateRefused(Reason.UNTRUSTED, what, where=child.label)
    for below, authority in enumerate(path[1:]):
        _check_authority(authority)
        _check_length(authority, path[1 : 1 + below])
    path.append(_anchor_of(path, anchors))
    for child, parent in reversed(list(zip(path, path[1:], strict=False))):
        if not _signed_by(child, parent):
            raise CertificateRefused(Reason.BAD_SIGNATURE, f"{parent.label} did not sign it", where=child.label)
    _check_usage(path, usage)
    leaf = _leaf(path, anchors, usage)
    try:
        for one in path:
            _check_time(one, now_ms)
        if crls is not None:
            for child, parent in zip(path, path[1:], strict=False):
                crls.check(child, parent, now_ms)
    except CertificateRefused as refusal:
        refusal.certificate = leaf
        raise
    return leaf


def examine_peer(
    certificates: Sequence[bytes], anchors: Anchors, now_ms: int, *, crls: Crls | None
) -> tuple[PeerCertificate, CertificateRefused | None]:
    """What the leaf of a validator's chain says, and why it would not be believed if it had to be.

    Between validators the chain's own state decides by the key; a refusal only alarms. Raises CertificateRefused when
    the leaf is no certificate of the profile.
    """
    if not certificates:
        raise CertificateRefused(Reason.TOO_LARGE, "no certificate", where="chain")
    try:
        return verify_chain(certificates, anchors, now_ms, usage=Usage.PEER, crls=crls), None
    except CertificateRefused as refusal:
        leaf = parse_certificate(certificates[0])
        return _peer(leaf, roles_of(leaf.extensions.uris, anchors.chain_id)), refusal


def _to_anchor(chain: list[Certificate], anchors: Anchors) -> list[Certificate]:
    """The chain without an anchor that was sent along, and without what stands above one."""
    for index, one in enumerate(chain[1:], start=1):
        if anchors.holds(one):
            return chain[:index]
    return chain


def _check_understood(one: Certificate) -> None:
    if one.extensions.unknown_critical:
        names = ", ".join(one.extensions.unknown_critical)
        raise CertificateRefused(Reason.UNSUPPORTED, f"critical extension {names}", where=one.label)


def _check_authority(one: Certificate) -> None:
    usage = one.extensions.key_usage
    if not one.extensions.authority or (usage is not None and KeyUsage.KEY_CERT_SIGN not in usage):
        raise CertificateRefused(Reason.NOT_AN_AUTHORITY, "it may not issue certificates", where=one.label)
    _check_understood(one)


def _check_length(authority: Certificate, below: Sequence[Certificate]) -> None:
    """Self-issued ones do not count (RFC 5280 section 4.2.1.9)."""
    limit = authority.extensions.path_length
    counted = sum(one.issuer != one.subject for one in below)
    if limit is not None and counted > limit:
        what = f"{counted} authorities below it, {limit} allowed"
        raise CertificateRefused(Reason.PATH_TOO_LONG, what, where=authority.label)


def _anchor_of(path: Sequence[Certificate], anchors: Anchors) -> Certificate:
    last = path[-1]
    wanted = last.extensions.authority_key_id
    named = [one for one in (*anchors.own, *anchors.foreign) if one.subject == last.issuer]
    fitting = [one for one in named if wanted is None or one.extensions.subject_key_id in (None, wanted)]
    if not fitting:
        raise CertificateRefused(
            Reason.UNTRUSTED, f"no anchor here has issued it; its issuer is {_text(last)}", where=last.label
        )
    for one in fitting:
        if _signed_by(last, one):
            _check_length(one, path[1:])
            return one
    raise CertificateRefused(Reason.BAD_SIGNATURE, "no anchor of its issuer's name signed it", where=last.label)


def _text(one: Certificate) -> str:
    return one.issuer.rfc4514_string()[:200]


def _signed_by(child: Certificate, parent: Certificate) -> bool:
    return provider().sm2_verify(parent.public_key, child.body, child.signature)


_KEY_USAGES: Mapping[Usage, frozenset[KeyUsage]] = {
    Usage.PEER: frozenset({KeyUsage.DIGITAL_SIGNATURE}),
    Usage.CLIENT: frozenset({KeyUsage.DIGITAL_SIGNATURE}),
    Usage.SERVER: frozenset({KeyUsage.DIGITAL_SIGNATURE}),
    Usage.SIGNATURE: frozenset({KeyUsage.DIGITAL_SIGNATURE, KeyUsage.NON_REPUDIATION}),
    Usage.ENCRYPTION: frozenset({KeyUsage.KEY_ENCIPHERMENT, KeyUsage.DATA_ENCIPHERMENT, KeyUsage.KEY_AGREEMENT}),
}
"""One of these bits has to be set."""

_EXTENDED_USAGES: Mapping[Usage, frozenset[str]] = {
    Usage.PEER: frozenset({oids.CLIENT_AUTH.dotted_string, oids.SERVER_AUTH.dotted_string}),
    Usage.CLIENT: frozenset({oids.CLIENT_AUTH.dotted_string}),
    Usage.SERVER: frozenset({oids.SERVER_AUTH.dotted_string}),
    Usage.SIGNATURE: frozenset(),
    Usage.ENCRYPTION: frozenset(),
}
"""Where the extension stands, all of these have to be in it."""


def _check_usage(path: Sequence[Certificate], usage: Usage) -> None:
    leaf = path[0]
    bits = leaf.extensions.key_usage
    if leaf.extensions.authority or bits is None or not bits & _KEY_USAGES[usage]:
        what = "an authority's certificate" if leaf.extensions.authority else "its keyUsage does not allow this"
        raise CertificateRefused(Reason.WRONG_USAGE, f"{what} ({usage})", where=leaf.label)
    for one in path[:-1]:
        listed = one.extensions.extended_usage
        if listed is None or oids.ANY_EXTENDED_USAGE.dotted_string in listed:
            continue
        if not _EXTENDED_USAGES[usage] <= listed:
            raise CertificateRefused(
                Reason.WRONG_USAGE, f"its extendedKeyUsage does not allow this ({usage})", where=one.label
            )


_ROLES: Mapping[Usage, str] = {Usage.PEER: PEER, Usage.CLIENT: CLIENT}


def _leaf(path: Sequence[Certificate], anchors: Anchors, usage: Usage) -> PeerCertificate:
    leaf, anchor = path[0], path[-1]
    if not leaf.name.common_name:
        raise CertificateRefused(Reason.MALFORMED, "it names nobody: no common name", where=leaf.label)
    own = any(one.fingerprint == anchor.fingerprint for one in anchors.own)
    said = roles_of(leaf.extensions.uris, anchors.chain_id) if own else ()
    roles = tuple(sorted({*said, *anchors.grants.get(leaf.fingerprint, ())}))
    if (needed := _ROLES.get(usage)) is not None and needed not in roles:
        what = f"it does not have the role {needed!r} on {anchors.chain_id}"
        raise CertificateRefused(Reason.WRONG_ROLE, what, where=leaf.label)
    return _peer(leaf, roles)


def _peer(leaf: Certificate, roles: tuple[str, ...]) -> PeerCertificate:
    return PeerCertificate(
        leaf.public_key,
        leaf.name.common_name,
        leaf.name.entity,
        roles,
        leaf.serial,
        leaf.fingerprint,
        leaf.not_before_ms,
        leaf.not_after_ms,
    )


def _check_time(one: Certificate, now_ms: int) -> None:
    """Both ends of the validity belong to it (RFC 5280 section 4.1.2.5); the last second is whole."""
    if now_ms < one.not_before_ms:
        raise CertificateRefused(
            Reason.NOT_YET_VALID, f"it begins in {(one.not_before_ms - now_ms) // 1000} s", where=one.label
        )
    if now_ms >= one.not_after_ms + 1000:
        raise CertificateRefused(
            Reason.EXPIRED, f"it ended {(now_ms - one.not_after_ms) // 1000} s ago", where=one.label
        )
