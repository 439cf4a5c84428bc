"""X.509 with SM2 between this project and the system's openssl command, in both directions."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from chain_core.crypto.der import signature_from_der
from chain_core.crypto.keys import load_private_key, public_key_pem, write_private_key
from chain_core.crypto.providers import provider, signing_provider
from chain_core.crypto.x509 import pem
from chain_core.crypto.x509.certificate import parse_certificate
from chain_core.crypto.x509.crl import Crls, issue_crl, parse_crl
from chain_core.crypto.x509.errors import CertificateRefused, Reason
from chain_core.crypto.x509.files import load_certificates, load_crls, read_pem
from chain_core.crypto.x509.issue import Kind, Order, issue
from chain_core.crypto.x509.names import Subject
from chain_core.crypto.x509.request import make_request, parse_request
from chain_core.crypto.x509.roles import role_uri
from chain_core.crypto.x509.verify import Anchors, Usage, verify_chain

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "verify-with-openssl.md"
ID = "distid:1234567812345678"
CHAIN = "rem-beijing"
YEAR_MS = 365 * 86_400_000


def run(*arguments: str | Path, succeeds: bool = True) -> str:
    result = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, check=False)
    said = result.stdout + result.stderr
    assert (result.returncode == 0) is succeeds, said
    return said


@pytest.fixture(autouse=True, scope="module")
def _openssl_with_sm2() -> None:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl command on this machine")
    for what, listed in (("SM2", "-public-key-algorithms"), ("SM3", "-digest-algorithms")):
        said = subprocess.run(["openssl", "list", listed], capture_output=True, text=True, check=False).stdout
        if what not in said.upper():
            pytest.skip(f"this openssl has no {what}")


class Ours:
    """An authority of ours with an intermediate and a node below it, as files."""

    def __init__(self, directory: Path) -> None:
        now = time.time_ns() // 1_000_000
        self.now = now
        self.directory = directory
        self.keys = {name: (index + 7).to_bytes(32, "big") for index, name in enumerate(("root", "middle", "node"))}
        self.made = {}
        issuer = None
        for serial, (name, key) in enumerate(self.keys.items(), start=0x10):
            leaf = name == "node"
            order = Order(
                Kind.SIGNING if leaf else Kind.INTERMEDIATE if issuer else Kind.ROOT,
                Subject(name, "北京股权交易中心有限公司"),
                signing_provider().sm2_public_key(key),
                serial,
                now - 60_000,
                now + YEAR_MS,
                server=leaf,
                uris=(role_uri("peer", CHAIN),) if leaf else (),
                path_length=0 if name == "middle" else None,
            )
            der = issue(order, issuer, self.keys[issuer.name.common_name] if issuer else key)
            issuer = self.made[name] = parse_certificate(der)
            (directory / f"{name}.pem").write_text(pem.to_pem(pem.CERTIFICATE, der))
            write_private_key(directory / f"{name}.key", key)

    def crl(self, name: str, *serials: int) -> Path:
        der = issue_crl(
            self.made[name],
            self.keys[name],
            dict.fromkeys(serials, (self.now, "key-compromise")),
            number=1,
            this_update_ms=self.now - 1000,
            next_update_ms=self.now + YEAR_MS,
        )
        path = self.directory / f"{name}-{len(serials)}.crl"
        path.write_text(pem.to_pem(pem.REVOCATION_LIST, der))
        return path


def cut(source: Path, at: str, to: Path) -> None:
    """The element at one offset of a PEM file."""
    run("asn1parse", "-in", source, "-strparse", at, "-noout", "-out", to)


def verify_signature(signed: Path, issuer: Path) -> str:
    """What openssl says of the signature over a PEM file's first element under the default user id.

    `openssl verify` hands the id to the leaf alone, `openssl crl` to nobody: intermediates are verified one by one,
    lists and self-signed roots from their parts.
    """
    work = signed.parent
    listed = run("asn1parse", "-in", signed).splitlines()
    top = [line.split(":", 1)[0].strip() for line in listed if "d=1 " in line]
    cut(signed, top[0], work / "body")
    cut(signed, top[2], work / "signature")
    (work / "public.pem").write_text(run("x509", "-in", issuer, "-noout", "-pubkey"))
    check = ["pkeyutl", "-verify", "-rawin", "-digest", "sm3", "-pkeyopt", ID, "-pubin", "-inkey", work / "public.pem"]
    return run(*check, "-in", work / "body", "-sigfile", work / "signature")


def test_openssl_verifies_our_chain(tmp_path: Path) -> None:
    ours = Ours(tmp_path)
    root, middle, node = (tmp_path / f"{name}.pem" for name in ours.keys)
    by_id = ["verify", "-x509_strict", "-vfyopt", ID]
    for purpose in ("sslclient", "sslserver"):
        assert "OK" in run(*by_id, "-partial_chain", "-purpose", purpose, "-CAfile", middle, node)
    assert "OK" in run(*by_id, "-CAfile", root, middle)
    assert "Verified Successfully" in verify_signature(root, root)
    run(*by_id, "-partial_chain", "-CAfile", root, node, succeeds=False)
    said = run("x509", "-in", node, "-noout", "-text")
    assert "SM2-with-SM3" in said and "URI:dualchain://rem-beijing/role/peer" in said


def test_openssl_reads_our_revocation_list(tmp_path: Path) -> None:
    ours = Ours(tmp_path)
    revoked = ours.crl("middle", 0x12)
    said = run("crl", "-in", revoked, "-noout", "-text")
    assert "Key Compromise" in said and "Serial Number: 12" in said
    assert "Verified Successfully" in verify_signature(revoked, tmp_path / "middle.pem")


def test_the_guides_commands_do_it(tmp_path: Path) -> None:
    """docs/guides/verify-with-openssl.md, as it stands, with only openssl and a shell."""
    ours = Ours(tmp_path)
    for name, source in (("issuer", "middle.pem"), ("subject", "node.pem"), ("list", ours.crl("middle", 7).name)):
        (tmp_path / f"{name}.pem").write_text((tmp_path / source).read_text())
    section = GUIDE.read_text("utf-8").split("## A certificate and a revocation list")[1]
    blocks = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    said = subprocess.run(
        ["sh", "-e", "-c", "".join(blocks)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert said.returncode == 0 and "subject.pem: OK" in said.stdout, said
    assert "Signature Verified Successfully" in said.stdout


def test_openssl_verifies_our_request(tmp_path: Path) -> None:
    der = make_request(Subject("节点-1", "某机构"), (9).to_bytes(32, "big"), (role_uri("client"),))
    path = tmp_path / "request.pem"
    path.write_text(pem.to_pem(pem.REQUEST, der))
    said = run("req", "-in", path, "-verify", "-vfyopt", ID, "-noout", "-text")
    assert "verify OK" in said and "URI:dualchain://*/role/client" in said


# ---- the other direction

CONFIGURATION = """
[req]
distinguished_name = dn
prompt = no
utf8 = yes
string_mask = utf8only
[dn]
C = CN
O = 某某认证中心
CN = $ENV::CN
[root]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid,issuer
[middle]
basicConstraints = critical,CA:TRUE,pathlen:0
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid,issuer:always
certificatePolicies = 1.2.156.112600.1
crlDistributionPoints = URI:http://example.org/list.crl
[client]
basicConstraints = CA:FALSE
keyUsage = critical,digitalSignature,nonRepudiation
extendedKeyUsage = clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid,issuer:always
subjectAltName = URI:dualchain://rem-beijing/role/client,DNS:client.example.org
[ca]
default_ca = middle_ca
[middle_ca]
database = $ENV::DIR/index.txt
crlnumber = $ENV::DIR/crlnumber
default_md = sm3
default_crl_days = 30
crl_extensions = list
[list]
authorityKeyIdentifier = keyid
"""


class Theirs:
    """The same made by openssl alone."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.directory = directory
        monkeypatch.setenv("DIR", str(directory))
        self.config = directory / "openssl.cnf"
        self.config.write_text(CONFIGURATION)
        (directory / "index.txt").write_text("")
        (directory / "crlnumber").write_text("01\n")
        for name in ("root", "middle", "client"):
            monkeypatch.setenv("CN", name)
            key, request = self.path(name, "key"), self.path(name, "csr")
            run("genpkey", "-algorithm", "SM2", "-out", key)
            key.chmod(0o600)
            run("req", "-new", "-config", self.config, "-key", key, "-sm3", "-sigopt", ID, "-out", request)
        sign = ["-sm3", "-sigopt", ID, "-vfyopt", ID, "-extfile", self.config, "-days", "30", "-req"]
        run(
            "x509", *sign, "-extensions", "root", "-in", self.path("root", "csr"), "-signkey", self.path("root", "key"),
            "-out", self.path("root", "pem"),
        )  # fmt: skip
        for name, issuer in (("middle", "root"), ("client", "middle")):
            by = ["-CA", self.path(issuer, "pem"), "-CAkey", self.path(issuer, "key"), "-CAcreateserial"]
            out = ["-in", self.path(name, "csr"), "-out", self.path(name, "pem")]
            run("x509", *sign, "-extensions", name, *by, *out)

    def path(self, name: str, kind: str) -> Path:
        return self.directory / f"{name}.{kind}"

    def chain(self) -> list[bytes]:
        return [load_certificates(self.path(name, "pem"))[0].der for name in ("client", "middle")]

    def crl(self, name: str, *revoked: str) -> Path:
        by = ["-config", self.config, "-cert", self.path(name, "pem"), "-keyfile", self.path(name, "key")]
        by += ["-sigopt", ID]
        for one in revoked:
            run("ca", *by, "-revoke", self.path(one, "pem"), "-crl_reason", "keyCompromise")
        run("ca", *by, "-gencrl", "-out", self.path(name, "crl"))
        return self.path(name, "crl")


def test_we_verify_openssls_chain_and_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = Theirs(tmp_path, monkeypatch)
    anchors = Anchors((load_certificates(theirs.path("root", "pem"))[0],), CHAIN)
    now = time.time_ns() // 1_000_000 + 5_000
    above = load_crls(theirs.crl("root"))
    fresh = Crls([*above, *load_crls(theirs.crl("middle"))])
    found = verify_chain(theirs.chain(), anchors, now, usage=Usage.CLIENT, crls=fresh)
    assert (found.subject, found.entity, found.roles) == ("client", "某某认证中心", ("client",))
    assert found.public_key == signing_provider().sm2_public_key(load_private_key(theirs.path("client", "key")))
    revoked = Crls([*above, *load_crls(theirs.crl("middle", "client"))])
    with pytest.raises(CertificateRefused) as refused:
        verify_chain(theirs.chain(), anchors, now, usage=Usage.CLIENT, crls=revoked)
    assert refused.value.reason is Reason.REVOKED


def test_what_openssl_signs_without_the_user_id_is_refused(tmp_path: Path) -> None:
    key, certificate = tmp_path / "k.pem", tmp_path / "c.pem"
    run("genpkey", "-algorithm", "SM2", "-out", key)
    run("req", "-x509", "-new", "-sm3", "-key", key, "-subj", "/CN=no id", "-days", "30", "-out", certificate)
    (made,) = load_certificates(certificate)
    assert not provider().sm2_verify(made.public_key, made.body, made.signature)
    with pytest.raises(CertificateRefused) as refused:
        verify_chain([made.der], Anchors((made,), CHAIN), made.not_before_ms, usage=Usage.SIGNATURE, crls=None)
    assert refused.value.reason is Reason.BAD_SIGNATURE


def test_we_verify_openssls_request_and_certify_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs, ours = Theirs(tmp_path, monkeypatch), tmp_path / "ours"
    ours.mkdir()
    authority = Ours(ours)
    asked = parse_request(read_pem(theirs.path("client", "csr"), pem.REQUEST)[0])
    assert asked.subject == Subject("client", "某某认证中心", "CN")
    order = Order(Kind.SIGNING, asked.subject, asked.public_key, 0x99, authority.now, authority.now + YEAR_MS)
    der = issue(order, authority.made["middle"], authority.keys["middle"])
    certified = ours / "certified.pem"
    certified.write_text(pem.to_pem(pem.CERTIFICATE, der))
    assert "OK" in run("verify", "-vfyopt", ID, "-partial_chain", "-CAfile", ours / "middle.pem", certified)


def test_signatures_go_both_ways(tmp_path: Path) -> None:
    key, message, signature = tmp_path / "k.pem", tmp_path / "m", tmp_path / "s"
    run("genpkey", "-algorithm", "SM2", "-out", key)
    key.chmod(0o600)
    message.write_bytes(b"what is signed")
    run(
        "pkeyutl", "-sign", "-rawin", "-digest", "sm3", "-pkeyopt", ID, "-inkey", key, "-in", message, "-out", signature
    )
    public = signing_provider().sm2_public_key(load_private_key(key))
    assert provider().sm2_verify(public, message.read_bytes(), signature_from_der(signature.read_bytes()))
    (tmp_path / "p.pem").write_text(public_key_pem(public))
    check = ["pkeyutl", "-verify", "-rawin", "-digest", "sm3", "-pkeyopt", ID, "-pubin", "-inkey", tmp_path / "p.pem"]
    assert "Verified Successfully" in run(*check, "-in", message, "-sigfile", signature)


def test_openssls_list_is_read_to_the_last_field(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = Theirs(tmp_path, monkeypatch)
    listed = load_crls(theirs.crl("middle", "client"))[0]
    client = load_certificates(theirs.path("client", "pem"))[0]
    assert list(listed.revoked) == [client.serial]
    assert listed.next_update_ms - listed.this_update_ms == 30 * 86_400_000
    assert parse_crl(read_pem(theirs.path("middle", "crl"), pem.REVOCATION_LIST)[0]) == listed
