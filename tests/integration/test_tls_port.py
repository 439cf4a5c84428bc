"""Standard TLS on a client port, with certificates that the system's openssl makes: who is served, and as whom."""

from __future__ import annotations

import datetime
import shutil
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from chain_core.codec.seen import state_key
from chain_core.network.refusals import PermissionDenied
from chain_core.network.secured.security import PLAINTEXT, ClientSecurity
from chain_core.network.sm_session.refused import SessionRefused
from chain_core.network.tls import TlsClient, TlsRefused
from chain_core.node.certify import CLIENTS
from chain_core.node.client import NodeClient
from chain_core.node.client_security import configured
from chain_core.node.config import ConfigRefused, load_config
from chain_core.types.errors import DualchainError
from tests.integration.network import Network, lay_out, run

ROLE = "URI:dualchain://coins-of-four/role/"
PREFIX = state_key("coins", b"")


def openssl(*words: str | Path) -> None:
    done = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


class Authority:
    """A root of openssl's, and what it signs; RSA or ECDSA."""

    def __init__(self, folder: Path, algorithm: str = "ec") -> None:
        self.folder = folder
        folder.mkdir()
        self.algorithm = {"ec": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "rsa": ["rsa:2048"]}[algorithm]
        self.pem = folder / "ca.pem"
        self._made("ca", "-subj", "/CN=root", "-x509", "-days", "10")

    def _made(self, name: str, *words: str | Path) -> None:
        key = self.folder / f"{name}.key"
        openssl(
            "req", "-newkey", *self.algorithm, "-nodes", "-keyout", key, "-out", self.folder / f"{name}.pem", *words
        )
        key.chmod(0o600)

    def issue(self, name: str, names: str, usage: str) -> tuple[Path, Path]:
        ours = ("-CA", self.pem, "-CAkey", self.folder / "ca.key", "-days", "5", "-x509")
        extensions = ("-addext", f"subjectAltName={names}", "-addext", f"extendedKeyUsage={usage}")
        self._made(name, "-subj", f"/O=House of {name}/CN={name}", *ours, *extensions)
        return self.folder / f"{name}.pem", self.folder / f"{name}.key"

    def revoke(self, target: Path, *certificates: Path, number: int = 1, ended: bool = False) -> None:
        """Write the authority's list."""
        now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
        begin = now - datetime.timedelta(days=3)
        root = x509.load_pem_x509_certificate(self.pem.read_bytes())
        builder = x509.CertificateRevocationListBuilder(root.subject, begin)
        builder = builder.next_update(now + datetime.timedelta(days=-1 if ended else 1))
        builder = builder.add_extension(x509.CRLNumber(number), critical=False)
        for path in certificates:
            serial = x509.load_pem_x509_certificate(path.read_bytes()).serial_number
            row = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(begin)
            builder = builder.add_revoked_certificate(row.build())
        key = serialization.load_pem_private_key((self.folder / "ca.key").read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey)
        signed = builder.sign(key, hashes.SHA256())
        fresh = target.with_suffix(".new")
        fresh.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        fresh.replace(target)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl command on this machine")
    lay_out(tmp_path / "network")
    return tmp_path / "network"


def protect(directory: Path, authority: Authority, rest: str) -> None:
    """Node ``one`` shows a certificate for 127.0.0.1; ``rest``: whom its port takes."""
    node = directory / "one"
    for source, target in zip(
        authority.issue("node", "IP:127.0.0.1", "serverAuth"), ("tls.pem", "tls.key"), strict=True
    ):
        shutil.copy(source, node / target)
    path = node / "node.toml"
    text = path.read_text("utf-8").replace('client_security = "plaintext"', 'client_security = "tls"')
    path.write_text(f'{text}\n[tls]\ncertificate = "tls.pem"\nkey = "tls.key"\n{rest}\n', "utf-8")


def folder(directory: Path, name: str, roots: Authority, own: tuple[Path, Path] | None = None) -> ClientSecurity:
    """Credentials as a user has them, read as a command or a configuration reads them."""
    made = directory / CLIENTS / name / "tls"
    made.mkdir()
    shutil.copy(roots.pem, made / "ca.pem")
    for source, target in zip(own or (), ("client.pem", "client.key"), strict=False):
        shutil.copy(source, made / target)
    return configured(made.parent, b"", None)


def told(directory: Path, story: Callable[[Callable[[ClientSecurity], NodeClient]], Awaitable[None]]) -> None:
    async def main(network: Network) -> None:
        def client(security: ClientSecurity) -> NodeClient:
            return NodeClient(network.addresses("one")[0], genesis_hash=network.view.genesis_hash, security=security)

        await story(client)

    run(directory, main, "one")


async def refusal(client: NodeClient) -> DualchainError:
    async with client as one:
        with pytest.raises(DualchainError) as caught:
            await one.status()
    return caught.value


@pytest.mark.parametrize("algorithm", ["ec", "rsa"])
def test_clients_with_certificates(directory: Path, tmp_path: Path, algorithm: str) -> None:
    """Their URIs are their roles; without ``client``, without a certificate, with a stranger's: no."""
    ours, theirs = Authority(tmp_path / "ours", algorithm), Authority(tmp_path / "theirs")
    protect(directory, ours, f'client_ca = "{ours.pem}"')
    reader = folder(directory, "cli", ours, ours.issue("reader", f"{ROLE}client,{ROLE}reader", "clientAuth"))
    plain = folder(directory, "alice", ours, ours.issue("plain", f"{ROLE}client", "clientAuth"))
    nobody = folder(directory, "bob", ours, ours.issue("nobody", "DNS:nobody", "clientAuth"))
    stranger = folder(directory, "gateway", ours, theirs.issue("eve", f"{ROLE}client", "clientAuth"))
    assert isinstance(reader, TlsClient)

    async def story(client: Callable[[ClientSecurity], NodeClient]) -> None:
        async with client(reader) as one:
            await one.status()
            await one.scan(PREFIX)
        async with client(plain) as one:
            await one.status()
            with pytest.raises(PermissionDenied, match="none of the roles"):
                await one.scan(PREFIX)
        assert isinstance(await refusal(client(nobody)), PermissionDenied)
        for how in (stranger, TlsClient(ours.pem.read_bytes())):
            assert (await refusal(client(how))).code in ("TLS_REFUSED", "UNREACHABLE")
        wrong = TlsClient(theirs.pem.read_bytes(), reader.chain_pem, reader.key_pem)
        assert isinstance(await refusal(client(wrong)), TlsRefused)
        assert (await refusal(client(PLAINTEXT))).code == "UNREACHABLE"

    told(directory, story)


@pytest.mark.parametrize("algorithm", ["ec", "rsa"])
def test_a_revoked_client_is_refused_at_its_next_call(directory: Path, tmp_path: Path, algorithm: str) -> None:
    """Also on a connection that stands already; the lists are read again as soon as they change."""
    ours, theirs = Authority(tmp_path / "ours", algorithm), Authority(tmp_path / "theirs", algorithm)
    lists = tmp_path / "lists.pem"
    protect(directory, ours, f'client_ca = "{ours.pem}"\ncrl = "{lists}"\ncrl_grace_hours = 2')
    good = ours.issue("good", f"{ROLE}client", "clientAuth")
    bad = ours.issue("bad", f"{ROLE}client", "clientAuth")
    ours.revoke(lists)
    first, second = folder(directory, "cli", ours, good), folder(directory, "alice", ours, bad)

    async def main(network: Network) -> None:
        (address, *_), genesis = network.addresses("one"), network.view.genesis_hash
        held = network.nodes["one"].tls_lists
        assert held is not None

        async def refused(client: NodeClient, reason: str) -> None:
            with pytest.raises(PermissionDenied, match=reason):
                await client.status()

        async with (
            NodeClient(address, genesis_hash=genesis, security=first) as one,
            NodeClient(address, genesis_hash=genesis, security=second) as other,
        ):
            await one.status()
            await other.status()
            ours.revoke(lists, bad[0], number=2)
            held.read()
            await refused(other, "REVOKED")
            await one.status()
            for attempt, wrong in (
                (lambda: ours.revoke(lists, number=1), ""),
                (lambda: theirs.revoke(lists, number=9), "no authority of client_ca signed"),
                (lambda: lists.unlink(), "cannot be read"),
            ):
                attempt()
                held.read()
                assert wrong in held.missing and bool(held.missing) is bool(wrong)
                await refused(other, "REVOKED")
                await one.status()
            ours.revoke(lists, bad[0], number=3, ended=True)
            held.read()
            await refused(one, "CRL_STALE")

    run(directory, main, "one")


def test_no_list_no_service(directory: Path, tmp_path: Path) -> None:
    ours = Authority(tmp_path / "ours")
    protect(directory, ours, f'client_ca = "{ours.pem}"\ncrl = "{tmp_path / "missing.pem"}"')
    client_of = folder(directory, "cli", ours, ours.issue("good", f"{ROLE}client", "clientAuth"))

    async def story(client: Callable[[ClientSecurity], NodeClient]) -> None:
        caught = await refusal(client(client_of))
        assert isinstance(caught, PermissionDenied) and "CRL_MISSING" in caught.what

    told(directory, story)


def test_anybody_where_the_configuration_says_so(directory: Path, tmp_path: Path) -> None:
    """Public reads and transactions, nothing that takes a role; on every interface."""
    ours = Authority(tmp_path / "ours")
    protect(directory, ours, "anonymous = true")
    guest = folder(directory, "cli", ours)

    async def story(client: Callable[[ClientSecurity], NodeClient]) -> None:
        async with client(guest) as one:
            await one.status()
            with pytest.raises(PermissionDenied):
                await one.scan(PREFIX)

    told(directory, story)


def test_a_tls_client_falls_back_to_nothing(directory: Path, tmp_path: Path) -> None:
    ours = Authority(tmp_path / "ours")

    async def story(client: Callable[[ClientSecurity], NodeClient]) -> None:
        assert isinstance(await refusal(client(TlsClient(ours.pem.read_bytes()))), TlsRefused)

    told(directory, story)


@pytest.mark.parametrize(
    ("change", "to", "words"),
    [
        ('client_ca = "ca.pem"', "", "either client_ca, or anonymous"),
        ('client_ca = "ca.pem"', 'client_ca = "ca.pem"\nanonymous = true', "either client_ca, or anonymous"),
        ('key = "tls.key"\n', "", "this key is missing"),
        ('client_security = "tls"', 'client_security = "sm"', "the section tls goes with"),
        ('[tls]\ncertificate = "tls.pem"\nkey = "tls.key"\nclient_ca = "ca.pem"', "", "the section tls goes with"),
    ],
)
def test_what_a_configuration_may_not_say(directory: Path, tmp_path: Path, change: str, to: str, words: str) -> None:
    protect(directory, Authority(tmp_path / "ours"), 'client_ca = "ca.pem"')
    path = directory / "one" / "node.toml"
    text = path.read_text("utf-8")
    assert change in text
    path.write_text(text.replace(change, to), "utf-8")
    with pytest.raises(ConfigRefused, match=words):
        load_config(path)


def test_files_that_do_not_belong_together(directory: Path, tmp_path: Path) -> None:
    ours = Authority(tmp_path / "ours")
    protect(directory, ours, "anonymous = true")
    own = directory / "one"

    async def starts(network: Network) -> None:
        raise AssertionError("it started")

    def refused() -> DualchainError:
        with pytest.raises(DualchainError) as caught:
            run(directory, starts, "one")
        return caught.value

    (own / "tls.key").chmod(0o644)
    assert "lets others at it" in refused().what
    shutil.copy(ours.folder / "ca.key", own / "tls.key")
    assert refused().what == "tls.pem is not tls.key's"
    shutil.copy(own / "transport.key", own / "tls.key")
    assert "no RSA or ECDSA key" in refused().what
    shutil.copy(own / "anchors.pem", own / "tls.pem")
    assert "RSA or ECDSA" in refused().next_step or "SM2" in refused().what


def test_an_sm_client_at_a_tls_port(directory: Path, tmp_path: Path) -> None:
    ours = Authority(tmp_path / "ours")
    sm = configured(directory / CLIENTS / "alice", (directory / "genesis.bin").read_bytes(), None)
    protect(directory, ours, "anonymous = true")

    async def story(client: Callable[[ClientSecurity], NodeClient]) -> None:
        told = await refusal(client(sm))
        assert told.code == "UNREACHABLE" or isinstance(told, SessionRefused)

    told(directory, story)
