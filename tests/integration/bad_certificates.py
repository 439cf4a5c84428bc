"""Certificates gone bad in a laid-out network: one that ended yesterday, one that is revoked."""

from __future__ import annotations

import time
from pathlib import Path

from chain_core.crypto.keys import load_private_key
from chain_core.crypto.providers import signing_provider
from chain_core.crypto.x509 import pem
from chain_core.crypto.x509.authority import CHAIN, DAY_MS, KEY, Authority, new_serial, open_authority
from chain_core.crypto.x509.files import load_certificates
from chain_core.crypto.x509.issue import Kind, Order, issue
from chain_core.crypto.x509.names import Subject


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def issuing(directory: Path) -> Authority:
    return open_authority(directory / "authority" / "issuing")


def expire(directory: Path, name: str) -> None:
    """The node's certificate ended yesterday."""
    folder, authority = directory / name, issuing(directory)
    public = signing_provider().sm2_public_key(load_private_key(folder / "transport.key"))
    ended = now_ms() - DAY_MS
    uris = load_certificates(folder / "transport.pem")[0].extensions.uris
    order = Order(Kind.SIGNING, Subject(name, "e"), public, new_serial(), ended - DAY_MS, ended, server=True, uris=uris)
    der = issue(order, authority.certificate, load_private_key(authority.directory / KEY))
    above = (authority.directory / CHAIN).read_text()
    (folder / "transport.pem").write_text(pem.to_pem(pem.CERTIFICATE, der) + above)


def revoke(directory: Path, name: str) -> None:
    """The node's certificate is on the list that the node itself reads."""
    authority = issuing(directory)
    leaf = load_certificates(directory / name / "transport.pem")[0]
    authority.revoke(leaf.serial, "key-compromise", now_ms())
    lists = authority.write_crl(30, now_ms()).read_text() + (directory / "authority" / "root" / "crl.pem").read_text()
    (directory / name / "crl.pem").write_text(lists)
