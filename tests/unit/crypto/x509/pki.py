"""A small authority for tests: fixed keys, a fixed clock, every field open to be bent."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from cryptography import x509
from cryptography.hazmat import asn1

from chain_core.crypto.providers import signing_provider
from chain_core.crypto.x509 import structures
from chain_core.crypto.x509.certificate import Certificate, parse_certificate
from chain_core.crypto.x509.crl import Crl, issue_crl, parse_crl
from chain_core.crypto.x509.issue import Kind, Order, issue
from chain_core.crypto.x509.names import Subject
from chain_core.crypto.x509.roles import role_uri
from chain_core.crypto.x509.verify import Anchors

DAY_MS = 86_400_000
NOW_MS = 1_800_000_000_000
CHAIN = "rem-beijing"


def private(seed: int) -> bytes:
    return (0x1F3C_0000_0000_0000 + seed).to_bytes(32, "big")


def public(seed: int) -> bytes:
    return signing_provider().sm2_public_key(private(seed))


@dataclass(frozen=True)
class Holder:
    """A certificate with the key behind it."""

    certificate: Certificate
    key: bytes


def make(issuer: Holder | None, seed: int, order: Order, *, signer: bytes | None = None) -> Holder:
    key = private(seed)
    made = issue(order, issuer.certificate if issuer else None, signer or (issuer.key if issuer else key))
    return Holder(parse_certificate(made), key)


def order(kind: Kind, seed: int, name: str, **changes: Any) -> Order:
    base = Order(kind, Subject(name, "示例机构"), public(seed), 1000 + seed, NOW_MS - DAY_MS, NOW_MS + 365 * DAY_MS)
    return replace(base, **changes)


def root(seed: int = 1, name: str = "root", **changes: Any) -> Holder:
    return make(None, seed, order(Kind.ROOT, seed, name, **changes))


def intermediate(issuer: Holder, seed: int = 2, name: str = "intermediate", **changes: Any) -> Holder:
    return make(issuer, seed, order(Kind.INTERMEDIATE, seed, name, **({"path_length": 0} | changes)))


def leaf(
    issuer: Holder, *roles: str, seed: int = 3, name: str = "node-1", kind: Kind = Kind.SIGNING, **changes: Any
) -> Holder:
    uris = tuple(role_uri(role, CHAIN) for role in roles)
    return make(issuer, seed, order(kind, seed, name, **({"uris": uris} | changes)))


def rewritten(holder: Holder, signer: bytes, **fields: Any) -> Holder:
    """The same certificate with fields of its signed part replaced, or one extension's value, signed again."""
    inner = structures.decoded(structures.TbsCertificate, holder.certificate.body, "")
    for name, value in fields.items():
        setattr(inner, name, value)
    return Holder(parse_certificate(structures.signed_der(asn1.encode_der(inner), signer)), holder.key)


def with_extension(holder: Holder, signer: bytes, value: x509.ExtensionType, *, critical: bool = True) -> Holder:
    """With this extension in place of the one of its kind, or beside the others."""
    inner = structures.decoded(structures.TbsCertificate, holder.certificate.body, "")
    kept = [one for one in inner.extensions or [] if one.identifier != value.oid]
    added = structures.Extension(identifier=value.oid, critical=critical, value=value.public_bytes())
    return rewritten(holder, signer, extensions=[*kept, added])


def key_usage(*bits: str) -> x509.KeyUsage:
    names = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    names += ("key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
    return x509.KeyUsage(**{name: name in bits for name in names})


def crl(issuer: Holder, *serials: int, number: int = 1, days: tuple[float, float] = (-1, 6)) -> Crl:
    der = issue_crl(
        issuer.certificate,
        issuer.key,
        dict.fromkeys(serials, (NOW_MS - DAY_MS, "key-compromise")),
        number=number,
        this_update_ms=NOW_MS + int(days[0] * DAY_MS),
        next_update_ms=NOW_MS + int(days[1] * DAY_MS),
    )
    return parse_crl(der)


def anchors(*trusted: Holder, **changes: Any) -> Anchors:
    return Anchors(tuple(one.certificate for one in trusted), CHAIN, **changes)


def chain(*holders: Holder) -> list[bytes]:
    return [one.certificate.der for one in holders]
