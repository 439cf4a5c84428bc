"""A client's credentials: the folder that ``init`` writes for each of them (docs/spec/certificates.md §8).

``client.key``, ``client.pem`` (chain, leaf first) and ``anchors.pem``: whom it believes that a node is one. Without
anchors the transport keys of the genesis document are what it believes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

from chain_core.codec.genesis import decode_genesis, genesis_hash
from chain_core.crypto.keys import load_private_key
from chain_core.crypto.passphrase import Unlock, parse_source
from chain_core.crypto.providers import signing_provider
from chain_core.crypto.x509.certificate import parse_certificate
from chain_core.crypto.x509.errors import CertificateRefused
from chain_core.crypto.x509.errors import Reason as Why
from chain_core.crypto.x509.files import load_certificates
from chain_core.crypto.x509.roles import PEER, roles_of
from chain_core.crypto.x509.verify import Anchors, PeerCertificate, Usage, verify_chain
from chain_core.network.identity import require_address, require_loopback
from chain_core.network.secured.security import PLAINTEXT, ClientSecurity, SmClient, identity_of
from chain_core.network.sm_session.binding import Binding, Role
from chain_core.network.sm_session.ports import Identity, PeerIdentity, Verify
from chain_core.node.config import ConfigRefused, read_genesis
from chain_core.node.peer_security import ValidatorIdentity
from chain_core.node.tls import FOLDER as TLS_FOLDER
from chain_core.node.tls import tls_client
from chain_core.types.errors import LocalFault
from chain_core.types.genesis import Genesis

KEY, CERTIFICATE, ANCHORS, GENESIS = "client.key", "client.pem", "anchors.pem", "genesis.bin"
ENVIRONMENT_VARIABLE, PASSPHRASE_VARIABLE = "DUALCHAIN_CREDENTIALS", "DUALCHAIN_CREDENTIALS_PASSPHRASE_FROM"


def client_security(folder: Path, genesis_bytes: bytes, unlock: Unlock | None = None, *, role: str = PEER) -> SmClient:
    """Sessions with the client ports of a chain's nodes, or with whoever has ``role`` there.

    Only a node can be believed without anchors: the genesis document has its key. Raises CertificateFileRefused,
    KeyFileRefused; ConfigRefused when key and certificate do not belong together.
    """
    genesis = decode_genesis(genesis_bytes)
    identity = identity_in(folder, unlock)
    verify = _pinned(genesis)
    if (folder / ANCHORS).exists() or role != PEER:
        anchors = Anchors(tuple(load_certificates(folder / ANCHORS)), genesis.chain_id)
        verify = _anchored(anchors, role)
    return SmClient(identity, Binding(genesis_hash(genesis_bytes), Role.CLIENT), verify)


def identity_in(folder: Path, unlock: Unlock | None = None) -> Identity:
    """Key and certificates of a credentials folder. Raises as ``client_security``."""
    certificates = load_certificates(folder / CERTIFICATE)
    key = load_private_key(folder / KEY, unlock)
    if not certificates or signing_provider().sm2_public_key(key) != certificates[0].public_key:
        raise ConfigRefused(
            f"{CERTIFICATE} is not {KEY}'s", where=str(folder), next_step="have the key certified: dualchain ca issue"
        )
    return identity_of(tuple(one.der for one in certificates), key)


def from_environment(genesis_bytes: bytes | None) -> ClientSecurity:
    """What a command at a terminal uses: the folder that DUALCHAIN_CREDENTIALS names; plaintext without it.

    Without a genesis document it is the folder's own. DUALCHAIN_CREDENTIALS_PASSPHRASE_FROM says where an encrypted
    key's passphrase is read, as ``--passphrase-from`` does: at the terminal without it. Raises as ``client_security``,
    PassphraseRefused.
    """
    named = os.environ.get(ENVIRONMENT_VARIABLE, "")
    if not named:
        return PLAINTEXT
    folder = Path(named)
    source = parse_source(os.environ.get(PASSPHRASE_VARIABLE, "prompt"))
    raw = genesis_bytes or (b"" if (folder / TLS_FOLDER).is_dir() else read_genesis(folder / GENESIS)[1])
    return configured(folder, raw, Unlock(source, plain=True))


def configured(folder: Path | None, genesis_bytes: bytes, unlock: Unlock | None, *, role: str = PEER) -> ClientSecurity:
    """What a configuration's ``credentials`` means: a session with this folder's key, standard TLS with a node where
    it has a folder ``tls``; plaintext without one. Raises as ``client_security``."""
    if folder is None:
        return PLAINTEXT
    if role == PEER and (folder / TLS_FOLDER).is_dir():
        return tls_client(folder / TLS_FOLDER, unlock)
    return client_security(folder, genesis_bytes, unlock, role=role)


def check_addresses(addresses: Sequence[str], credentials: str) -> None:
    """ValueError for a node that these credentials do not reach: without any it is dialled in plaintext."""
    for address in addresses:
        try:
            require_address(address) if credentials else require_loopback(address)
        except LocalFault as fault:
            raise ValueError(f"{fault.what}: {fault.where!r}; {fault.next_step}") from fault


def _anchored(anchors: Anchors, role: str) -> Verify:
    def verify(certificates: Sequence[bytes]) -> PeerCertificate:
        now_ms = time.time_ns() // 1_000_000
        found = verify_chain(certificates, anchors, now_ms, usage=Usage.SERVER, crls=None)
        if role not in found.roles:
            what = f"{found.subject} does not have the role {role!r} on {anchors.chain_id}"
            raise CertificateRefused(Why.WRONG_ROLE, what, where=found.subject)
        return found

    return verify


def _pinned(genesis: Genesis) -> Verify:
    names = {one.transport_key: one.name for one in genesis.validators.validators}

    def verify(certificates: Sequence[bytes]) -> PeerIdentity:
        leaf = parse_certificate(certificates[0])
        if leaf.public_key not in names:
            what = f"{leaf.label}: its key is no transport key of the genesis document"
            raise CertificateRefused(Why.UNTRUSTED, what, where="certificate")
        roles = roles_of(leaf.extensions.uris, genesis.chain_id)
        return ValidatorIdentity(leaf.public_key, names[leaf.public_key], leaf.name.entity, roles, leaf.fingerprint)

    return verify
