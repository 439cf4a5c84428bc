"""Golden certificates of docs/spec/certificates.md: ``python -m tests.vectors.x509.regenerate`` writes issued.pem anew.

SM2 signatures are randomised: what a test compares is the signed part, and that the stored signatures verify.
"""

from __future__ import annotations

from pathlib import Path

from chain_core.crypto.providers import signing_provider
from chain_core.crypto.x509 import pem
from chain_core.crypto.x509.certificate import Certificate, parse_certificate
from chain_core.crypto.x509.crl import issue_crl
from chain_core.crypto.x509.issue import Kind, Order, issue
from chain_core.crypto.x509.names import Subject
from chain_core.crypto.x509.request import make_request
from chain_core.crypto.x509.roles import role_uri

FILE = Path(__file__).parent / "issued.pem"
BEGIN_MS, END_MS, LATE_MS = 1_800_000_000_000, 1_860_000_000_000, 2_600_000_000_000
KEYS = {name: (0x51 + index).to_bytes(32, "big") for index, name in enumerate(("root", "issuing", "node", "sealed"))}
ENTITY = "北京股权交易中心有限公司"


def public(name: str) -> bytes:
    return signing_provider().sm2_public_key(KEYS[name])


def certificates() -> list[Certificate]:
    """Root, issuing authority, and the two halves of a node's pair."""
    peer = (role_uri("peer", "rem-beijing"),)
    begin = (1, BEGIN_MS, END_MS)
    orders = [
        Order(Kind.ROOT, Subject("root", ENTITY), public("root"), 0x80, BEGIN_MS, LATE_MS, path_length=1),
        Order(Kind.INTERMEDIATE, Subject("issuing", ENTITY), public("issuing"), *begin, path_length=0),
        Order(
            Kind.SIGNING, Subject("bj-0", ENTITY), public("node"), *begin,
            server=True, uris=peer, addresses=("127.0.0.1", "::1"),
        ),
        Order(Kind.ENCRYPTION, Subject("bj-0", ENTITY), public("sealed"), *begin, uris=peer),
    ]  # fmt: skip
    root = parse_certificate(issue(orders[0], None, KEYS["root"]))
    issuing = parse_certificate(issue(orders[1], root, KEYS["root"]))
    return [root, issuing, *(parse_certificate(issue(order, issuing, KEYS["issuing"])) for order in orders[2:])]


def crl(issuer: Certificate) -> bytes:
    revoked = {0x99: (BEGIN_MS, "key-compromise"), 0x07: (BEGIN_MS + 1_000, "unspecified")}
    return issue_crl(
        issuer, KEYS["issuing"], revoked, number=3, this_update_ms=BEGIN_MS, next_update_ms=BEGIN_MS + 604_800_000
    )


def request() -> bytes:
    return make_request(Subject("bj-0", ENTITY), KEYS["node"], (role_uri("peer", "rem-beijing"),))


def document() -> str:
    made = certificates()
    text = "".join(pem.to_pem(pem.CERTIFICATE, one.der) for one in made)
    return text + pem.to_pem(pem.REVOCATION_LIST, crl(made[1])) + pem.to_pem(pem.REQUEST, request())


if __name__ == "__main__":
    FILE.write_text(document(), "ascii")
