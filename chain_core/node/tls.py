"""The files of standard TLS on a client port: a node's section [tls], and a client's folder ``tls``
(docs/spec/sm-session.md §7).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from chain_core.crypto.keys import load_key_info
from chain_core.crypto.passphrase import Unlock
from chain_core.crypto.x509 import pem
from chain_core.crypto.x509.errors import CertificateRefused
from chain_core.crypto.x509.files import CertificateFileRefused, read_pem
from chain_core.crypto.x509.ordinary import OrdinaryCertificate, OrdinaryKey, parse_ordinary, read_ordinary_key
from chain_core.crypto.x509.roles import CLIENT
from chain_core.network.identity import Caller
from chain_core.network.tls import TLS, Shown, TlsClient, TlsServer
from chain_core.node.config import ConfigRefused, NodeConfig
from chain_core.node.tls_revocation import TlsRevocation

FOLDER: Final = "tls"
CA, CERTIFICATE, KEY = "ca.pem", "client.pem", "client.key"


def tls_revocation(config: NodeConfig, now_ms: Callable[[], int]) -> TlsRevocation | None:
    """The lists of ``tls.crl``, where there is one. Raises CertificateFileRefused."""
    section = config.tls
    if section is None or not section.crl:
        return None
    _, authorities = _bundle(config.path(section.client_ca))
    return TlsRevocation(config.path(section.crl), authorities, section.crl_grace_hours, now_ms)


def tls_server(
    config: NodeConfig,
    chain_id: str,
    unlock: Unlock | None,
    now_ms: Callable[[], int],
    revocation: TlsRevocation | None = None,
) -> TlsServer:
    """The client port of a node. Raises ConfigRefused, KeyFileRefused, CertificateFileRefused."""
    section = config.tls
    assert section is not None, "the configuration has been checked"
    chain, key = _pair(config.path(section.certificate), config.path(section.key), unlock)

    def read(certificate: bytes) -> Shown:
        (der,) = pem.from_pem(certificate.decode("ascii", "replace"), pem.CERTIFICATE)
        found = parse_ordinary(der)
        caller = Caller(TLS, found.name, found.roles(chain_id), fingerprint=found.fingerprint, entity=found.entity)
        if revocation is None:
            return Shown(caller, found.not_before_ms, found.not_after_ms)
        return Shown(caller, found.not_before_ms, found.not_after_ms, partial(revocation.check, found))

    client_ca = _bundle(config.path(section.client_ca))[0] if section.client_ca else None
    return TlsServer(chain, key.pem, client_ca, read, now_ms, (CLIENT,) if section.anonymous else ())


def tls_client(folder: Path, unlock: Unlock | None) -> TlsClient:
    """A client by its folder. Raises as ``tls_server``."""
    roots, _ = _bundle(folder / CA)
    if not (folder / CERTIFICATE).exists():
        return TlsClient(roots)
    chain, key = _pair(folder / CERTIFICATE, folder / KEY, unlock)
    return TlsClient(roots, chain, key.pem)


def _pair(certificate: Path, key: Path, unlock: Unlock | None) -> tuple[bytes, OrdinaryKey]:
    chain, (leaf, *_) = _bundle(certificate)
    private = load_key_info(key, unlock, read_ordinary_key)
    if private.spki != leaf.spki:
        raise ConfigRefused(
            f"{certificate.name} is not {key.name}'s", where=str(certificate), next_step="put the leaf first"
        )
    return chain, private


def _bundle(path: Path) -> tuple[bytes, list[OrdinaryCertificate]]:
    """The certificates of a file, as PEM and read."""
    ders = read_pem(path, pem.CERTIFICATE)
    try:
        found = [parse_ordinary(der) for der in ders]
    except CertificateRefused as refusal:
        raise CertificateFileRefused(
            refusal.what, where=str(path), next_step="name a PEM file with RSA or ECDSA certificates"
        ) from refusal
    return "".join(pem.to_pem(pem.CERTIFICATE, der) for der in ders).encode("ascii"), found
