"""Making a chain: keys, the genesis document and one configuration file a node, in a folder per node.

A network directory holds ``genesis.bin``, ``accounts/<name>.key`` for the accounts of the genesis document, and
``<node>/{node.toml, consensus.key, transport.key, genesis.bin}``; a node's folder is all that its machine needs.
Certificates, the authority behind them and the clients' folders are ``certify``'s.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from chain_core.codec.genesis import decode_genesis, encode_genesis, genesis_hash
from chain_core.codec.signed import derive_id
from chain_core.crypto.keys import load_private_key, write_private_key
from chain_core.crypto.passphrase import Unlock
from chain_core.crypto.providers import generate_private_key, signing_provider
from chain_core.crypto.x509 import pem
from chain_core.crypto.x509.authority import Authority
from chain_core.crypto.x509.names import Subject
from chain_core.crypto.x509.request import make_request
from chain_core.node import certify
from chain_core.node.key_protection import PLAIN, Protection
from chain_core.types.errors import LocalFault
from chain_core.types.genesis import Genesis, GenesisAccount
from chain_core.types.ids import NO_ACCOUNT, ZERO_HASH
from chain_core.types.validator_set import Validator, ValidatorSet

GENESIS_FILE = "genesis.bin"
CONFIG_FILE = "node.toml"
NEXT_KEY_FILE = "next-consensus.key"
ACCOUNTS_DIRECTORY = "accounts"


class ProvisionRefused(LocalFault):
    """A network that cannot be laid out as asked."""

    code = "PROVISION_REFUSED"


@dataclass(frozen=True, slots=True)
class NodePlan:
    """One node to be: its name, the legal entity that runs it, and its two ports on ``host``."""

    name: str
    entity: str
    host: str
    peer_port: int
    client_port: int


@dataclass(frozen=True, slots=True)
class AccountPlan:
    """One account of the genesis document: its name (key file and reference), legal entity, roles."""

    name: str
    entity: str
    roles: tuple[str, ...]


def genesis_account_id(name: str) -> bytes:
    """The id of an account that the genesis document names; it depends on the name alone."""
    return derive_id(ZERO_HASH, "genesis", NO_ACCOUNT, name)


def new_directory(directory: Path) -> None:
    """An empty directory for a new network; ProvisionRefused when something stands there."""
    next_step = "name a new directory; nothing was changed"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if any(directory.iterdir()):
            raise ProvisionRefused("the directory is not empty", where=str(directory), next_step=next_step)
    except OSError as error:
        what = f"no directory can be made there: {error.strerror}"
        raise ProvisionRefused(what, where=str(directory), next_step=next_step) from error


@contextmanager
def new_network(directory: Path) -> Iterator[None]:
    """A new directory to lay a network out in. When that fails nothing is left in it, keys neither."""
    new_directory(directory)
    try:
        yield
    except BaseException:
        for entry in directory.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        raise


def make_validators(directory: Path, plans: Sequence[NodePlan], protection: Protection = PLAIN) -> ValidatorSet:
    """New consensus and transport keys for every node, written to its folder with mode 0600."""
    validators = []
    for plan in plans:
        folder = directory / plan.name
        folder.mkdir()
        public = [_new_key(folder / f"{purpose}.key", protection) for purpose in ("consensus", "transport")]
        validators.append(Validator(plan.name, plan.entity, *public))
    return ValidatorSet(tuple(validators))


def make_accounts(
    directory: Path, plans: Sequence[AccountPlan], protection: Protection = PLAIN
) -> tuple[GenesisAccount, ...]:
    """New transaction keys for the accounts of the genesis document."""
    folder = directory / ACCOUNTS_DIRECTORY
    folder.mkdir()
    return tuple(
        GenesisAccount(
            genesis_account_id(plan.name),
            plan.entity,
            tuple(sorted(plan.roles)),
            {"transaction": (_new_key(folder / f"{plan.name}.key", protection),)},
        )
        for plan in plans
    )


def _new_key(path: Path, protection: Protection) -> bytes:
    private = generate_private_key()
    write_private_key(path, private, protection.passphrase)
    return signing_provider().sm2_public_key(private)


def account_key(directory: Path, name: str, unlock: Unlock | None = None) -> tuple[bytes, bytes]:
    """(account id, private key) of a genesis account, read from the network directory."""
    return genesis_account_id(name), load_private_key(directory / ACCOUNTS_DIRECTORY / f"{name}.key", unlock)


def write_network(
    directory: Path,
    genesis: Genesis,
    plans: Sequence[NodePlan],
    protection: Protection = PLAIN,
    client_security: str = "sm",
) -> bytes:
    """Write the genesis document, the certificates and every node's folder; the genesis hash.

    ``client_security``: of the nodes' client ports, ``sm`` or ``plaintext``.
    """
    raw = encode_genesis(genesis)
    (directory / GENESIS_FILE).write_bytes(raw)
    keys = {one.name: one.transport_key for one in genesis.validators.validators}
    members = [certify.Member(plan.name, plan.entity, plan.host, keys[plan.name]) for plan in plans]
    accounts = _named_accounts(directory, genesis)
    certify.certify_network(directory, genesis.chain_id, members, accounts, protection.passphrase)
    for plan in plans:
        folder = directory / plan.name
        (folder / GENESIS_FILE).write_bytes(raw)
        peers = {other.name: f"{other.host}:{other.peer_port}" for other in plans if other.name != plan.name}
        text = _config(plan, peers, folder, protection, client_security=client_security)
        (folder / CONFIG_FILE).write_text(text, encoding="utf-8")
    for folder in (directory / certify.CLIENTS).iterdir():
        (folder / GENESIS_FILE).write_bytes(raw)
    return genesis_hash(raw)


def _named_accounts(directory: Path, genesis: Genesis) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Legal entity and roles of the accounts that ``make_accounts`` made keys for, by name."""
    by_id = {account.account: account for account in genesis.accounts}
    names = sorted(path.stem for path in (directory / ACCOUNTS_DIRECTORY).glob("*.key"))
    found = [(name, by_id.get(genesis_account_id(name))) for name in names]
    return {name: (account.entity, account.roles) for name, account in found if account is not None}


def write_newcomer(
    folder: Path,
    plan: NodePlan,
    genesis: bytes,
    contacts: Mapping[str, str],
    authority: Authority | None = None,
    protection: Protection = PLAIN,
    client_security: str = "sm",
) -> Validator:
    """Keys and configuration, in a new folder, of a node that will join by a proposal; what the proposal says of it.

    ``contacts``: peer ports of validators of the chain, by name. ``authority`` certifies its transport key; without one
    a request for that is written.
    """
    new_directory(folder)
    public = [_new_key(folder / f"{purpose}.key", protection) for purpose in ("consensus", "transport")]
    (folder / GENESIS_FILE).write_bytes(genesis)
    if authority is None:
        transport = load_private_key(folder / "transport.key", protection.unlock)
        request = make_request(Subject(plan.name, plan.entity), transport)
        (folder / certify.REQUEST).write_text(pem.to_pem(pem.REQUEST, request), "ascii")
    else:
        member = certify.Member(plan.name, plan.entity, plan.host, public[1])
        made = authority.issue(certify.node_wish(decode_genesis(genesis).chain_id, member), certify.now_ms())
        certify.write_node_files(folder, authority, made)
    text = _config(plan, contacts, folder, protection, joining=True, client_security=client_security)
    (folder / CONFIG_FILE).write_text(text, encoding="utf-8")
    return Validator(plan.name, plan.entity, *public)


def write_next_key(folder: Path, protection: Protection = PLAIN) -> bytes:
    """A key for the rotation of a node's consensus key, and the line of its configuration; the public key.

    ``protection``: as its present keys have it, for a process reads one passphrase.
    """
    path = folder / CONFIG_FILE
    text = path.read_text(encoding="utf-8")
    mark = 'consensus_key = "consensus.key"\n'
    if mark not in text or "next_consensus_key" in text:
        raise ProvisionRefused(
            "the configuration names another key, or a next one already",
            where=str(path),
            next_step="make the key file and write node.next_consensus_key by hand (docs/spec/node-config.md)",
        )
    public = _new_key(folder / NEXT_KEY_FILE, protection)
    path.write_text(text.replace(mark, f'{mark}next_consensus_key = "{NEXT_KEY_FILE}"\n'), encoding="utf-8")
    return public


def _config(
    plan: NodePlan,
    peers: Mapping[str, str],
    folder: Path,
    protection: Protection,
    *,
    joining: bool = False,
    client_security: str = "sm",
) -> str:
    quoted = json.dumps  # a JSON string is a TOML basic string
    lines = [
        "[chain]",
        f"genesis = {quoted(GENESIS_FILE)}",
        "",
        "[node]",
        f"name = {quoted(plan.name)}",
        'data_dir = "data"',
        'consensus_key = "consensus.key"',
        *protection.lines,
        *(["joining = true"] if joining else []),
        "",
        "[listen]",
        f"peer = {quoted(f'{plan.host}:{plan.peer_port}')}",
        f"client = {quoted(f'{plan.host}:{plan.client_port}')}",
        f"client_security = {quoted(client_security)}",
        "",
        "[peers]",
        *(f"{quoted(name)} = {quoted(address)}" for name, address in peers.items()),
        *certify.security_lines(folder),
    ]
    return "\n".join(lines) + "\n"
