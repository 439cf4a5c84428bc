"""Certificates for a new network: the operator's own authority, a certificate for each node and for each client.

Adds to a network directory: ``authority/{root,issuing}`` (crypto/x509/authority.py: keep it off the nodes' machines),
in each node's folder ``transport.pem``, ``anchors.pem``, ``crl.pem``, and for each account and service of the first day
``clients/<name>/{client.key, client.pem, anchors.pem}``: what the client's machine needs beside the genesis document.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from chain_core.crypto.keys import write_private_key
from chain_core.crypto.passphrase import Passphrase
from chain_core.crypto.providers import generate_private_key, signing_provider
from chain_core.crypto.x509.authority import Authority, Wish, create_intermediate, create_root
from chain_core.crypto.x509.certificate import Certificate
from chain_core.crypto.x509.issue import Kind
from chain_core.crypto.x509.names import Subject
from chain_core.crypto.x509.roles import CLIENT, CUSTODIAN, GATEWAY, PEER, PUBLISHER, role_uri

AUTHORITY, ROOT, ISSUING, CLIENTS = "authority", "root", "issuing", "clients"
CERTIFICATE, ANCHORS, CRL, REQUEST = "transport.pem", "anchors.pem", "crl.pem", "transport.csr"
ROOT_DAYS, ISSUING_DAYS, LEAF_DAYS, FIRST_CRL_DAYS = 7_300, 3_650, 730, 365
TERMINAL = "cli"
SERVICES: Mapping[str, tuple[str, ...]] = {TERMINAL: ("reader",), GATEWAY: (GATEWAY,)}
"""Clients of the first day beside the genesis document's accounts, with their roles: people at a terminal, who may read
whole blocks, and the registry's gateway."""
SERVING = frozenset((GATEWAY, PUBLISHER, CUSTODIAN))
"""Who has one of these roles answers calls, too: its certificate may stand at the answering end of a session."""


@dataclass(frozen=True, slots=True)
class Member:
    """A node to be certified: its transport public key, its legal entity, where it listens."""

    name: str
    entity: str
    host: str
    transport_key: bytes


def certify_network(
    directory: Path,
    chain_id: str,
    members: Sequence[Member],
    accounts: Mapping[str, tuple[str, tuple[str, ...]]],
    passphrase: Passphrase | None = None,
) -> None:
    """Everything above; ``accounts``: legal entity and roles by name. The first member's entity runs the authority."""
    at_ms, operator = now_ms(), members[0].entity
    (directory / AUTHORITY).mkdir(mode=0o700)
    root = create_root(
        directory / AUTHORITY / ROOT,
        Subject(f"{chain_id} root", operator),
        days=ROOT_DAYS,
        now_ms=at_ms,
        path_length=1,
        passphrase=passphrase,
    )
    issuing = create_intermediate(
        root,
        directory / AUTHORITY / ISSUING,
        Subject(f"{chain_id} issuing", operator),
        days=ISSUING_DAYS,
        now_ms=at_ms,
        passphrase=passphrase,
    )
    lists = "".join(one.write_crl(FIRST_CRL_DAYS, at_ms).read_text("ascii") for one in (root, issuing))
    made = issuing.issue_all([node_wish(chain_id, one) for one in members], at_ms)
    for member, certificate in zip(members, made, strict=True):
        write_node_files(directory / member.name, issuing, certificate, lists)
    clients = {**accounts, **{name: (operator, roles) for name, roles in SERVICES.items() if name not in accounts}}
    write_clients(directory / CLIENTS, chain_id, issuing, clients, at_ms, passphrase)


def node_wish(chain_id: str, member: Member) -> Wish:
    """A validator's node: both ends of a session, role ``peer``."""
    return Wish(
        Kind.SIGNING,
        Subject(member.name, member.entity),
        member.transport_key,
        LEAF_DAYS,
        server=True,
        uris=(role_uri(PEER, chain_id),),
        addresses=_addresses(member.host),
    )


def write_node_files(folder: Path, authority: Authority, certificate: Certificate, lists: str = "") -> None:
    """What a node reads: its chain, whom it trusts, the lists when there are any."""
    (folder / CERTIFICATE).write_text(authority.chain_pem(certificate), "ascii")
    (folder / ANCHORS).write_text(authority.anchors_pem(), "ascii")
    if lists:
        (folder / CRL).write_text(lists, "ascii")


def security_lines(folder: Path) -> list[str]:
    """The [security] section for what is in a node's folder."""
    named = {"certificate": CERTIFICATE, "anchors": ANCHORS, "crl": CRL}
    present = [f'{key} = "{name}"' for key, name in named.items() if (folder / name).exists()]
    return ["", "[security]", 'transport_key = "transport.key"', *present]


def write_clients(
    directory: Path,
    chain_id: str,
    authority: Authority,
    clients: Mapping[str, tuple[str, tuple[str, ...]]],
    at_ms: int,
    passphrase: Passphrase | None,
) -> None:
    """A folder for each of ``clients`` (legal entity and further roles by name): key, certificate, anchors."""
    directory.mkdir(exist_ok=True)
    wishes = []
    for name, (entity, roles) in clients.items():
        folder = directory / name
        folder.mkdir()
        private = generate_private_key()
        write_private_key(folder / "client.key", private, passphrase)
        uris = tuple(role_uri(role, chain_id) for role in dict.fromkeys((CLIENT, *roles)))
        public = signing_provider().sm2_public_key(private)
        server = bool(SERVING & set(roles))
        wishes.append(Wish(Kind.SIGNING, Subject(name, entity), public, LEAF_DAYS, server, uris))
    for name, certificate in zip(clients, authority.issue_all(wishes, at_ms), strict=True):
        (directory / name / "client.pem").write_text(authority.chain_pem(certificate), "ascii")
        (directory / name / ANCHORS).write_text(authority.anchors_pem(), "ascii")


def now_ms() -> int:
    """Certificates go by the wall clock, whatever time the genesis document says."""
    return time.time_ns() // 1_000_000


def _addresses(host: str) -> tuple[str, ...]:
    try:
        return (str(ipaddress.ip_address(host)),)
    except ValueError:
        return ()  # a host name: who dials checks the key that the chain lists, not the address
