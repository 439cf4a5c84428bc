"""Golden certificates: what is issued keeps its bytes, and the national root's chain is read and verified."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat import asn1

from chain_core.crypto.providers import provider
from chain_core.crypto.x509 import pem, structures
from chain_core.crypto.x509.certificate import KeyUsage
from chain_core.crypto.x509.crl import parse_crl
from chain_core.crypto.x509.errors import CertificateRefused, Reason
from chain_core.crypto.x509.files import load_certificates
from chain_core.crypto.x509.request import parse_request
from chain_core.crypto.x509.verify import Anchors, Usage, verify_chain
from tests.vectors.x509 import regenerate as golden

HERE = Path(golden.__file__).parent
STORED = golden.FILE.read_text("ascii")


def body(der: bytes) -> bytes:
    return asn1.encode_der(structures.decoded(structures.Signed, der, "").body)


def test_what_is_issued_keeps_its_bytes() -> None:
    stored, made = load_certificates(golden.FILE), golden.certificates()
    assert [one.body.hex() for one in made] == [one.body.hex() for one in stored]
    for label, der in ((pem.REVOCATION_LIST, golden.crl(stored[1])), (pem.REQUEST, golden.request())):
        assert body(der).hex() == body(pem.from_pem(STORED, label)[0]).hex()


def test_stored_signatures_verify() -> None:
    root, issuing, node, sealed = load_certificates(golden.FILE)
    anchors = Anchors((root,), "rem-beijing")
    for leaf, usage in ((node, Usage.PEER), (sealed, Usage.ENCRYPTION)):
        found = verify_chain([leaf.der, issuing.der], anchors, golden.BEGIN_MS, usage=usage, crls=None)
        assert (found.subject, found.entity, found.roles) == ("bj-0", golden.ENTITY, ("peer",))
    assert parse_request(pem.from_pem(STORED, pem.REQUEST)[0]).public_key == node.public_key
    listed = parse_crl(pem.from_pem(STORED, pem.REVOCATION_LIST)[0])
    assert provider().sm2_verify(issuing.public_key, listed.body, listed.signature)


def test_the_national_root_and_an_authority_below_it() -> None:
    """NULL behind the algorithm, basicConstraints not critical, CRL distribution points of three kinds."""
    (root,) = load_certificates(HERE / "nrcac-root.pem")
    (authority,) = load_certificates(HERE / "sheca-sm2.pem")
    assert (root.name.common_name, authority.name.entity) == ("ROOTCA", "UniTrust")
    assert provider().sm2_verify(root.public_key, root.body, root.signature)
    assert authority.extensions.key_usage == {KeyUsage.KEY_CERT_SIGN, KeyUsage.CRL_SIGN}
    # Trust, names and signatures hold; only then is it refused for what it is.
    with pytest.raises(CertificateRefused) as refused:
        verify_chain([authority.der], Anchors((root,), "x"), golden.BEGIN_MS, usage=Usage.CLIENT, crls=None)
    assert refused.value.reason is Reason.WRONG_USAGE
    assert Anchors((authority,), "x").holds(authority)
