"""Making a chain: keys, the genesis document and one configuration file a node, in a folder per node.

A network directory holds ``genesis.bin``, ``accounts/<name>.key`` for the accounts of the genesis document, and
``<node>/{node.toml, consensus.key, transport.key, genesis.bin}``; a node's folder is all that its machine needs.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from chain_core.codec.genesis import encode_genesis, genesis_hash
from chain_core.codec.signed import derive_id
from chain_core.crypto.keys import load_private_key, write_private_key
from chain_core.crypto.providers import generate_private_key, signing_provider
from chain_core.types.errors import LocalFault
from chain_core.types.genesis import Genesis, GenesisAccount
from chain_core.types.ids import NO_ACCOUNT, ZERO_HASH
from chain_core.types.validator_set import Validator, ValidatorSet

GENESIS_FILE = "genesis.bin"
CONFIG_FILE = "node.toml"
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


def make_validators(directory: Path, plans: Sequence[NodePlan]) -> ValidatorSet:
    """New consensus and transport keys for every node, written to its folder with mode 0600."""
    validators = []
    for plan in plans:
        folder = directory / plan.name
        folder.mkdir()
        public = [_new_key(folder / f"{purpose}.key") for purpose in ("consensus", "transport")]
        validators.append(Validator(plan.name, plan.entity, *public))
    return ValidatorSet(tuple(validators))


def make_accounts(directory: Path, plans: Sequence[AccountPlan]) -> tuple[GenesisAccount, ...]:
    """New transaction keys for the accounts of the genesis document."""
    folder = directory / ACCOUNTS_DIRECTORY
    folder.mkdir()
    return tuple(
        GenesisAccount(
            genesis_account_id(plan.name),
            plan.entity,
            tuple(sorted(plan.roles)),
            {"transaction": (_new_key(folder / f"{plan.name}.key"),)},
        )
        for plan in plans
    )


def _new_key(path: Path) -> bytes:
    private = generate_private_key()
    write_private_key(path, private)
    return signing_provider().sm2_public_key(private)


def account_key(directory: Path, name: str) -> tuple[bytes, bytes]:
    """(account id, private key) of a genesis account, read from the network directory."""
    return genesis_account_id(name), load_private_key(directory / ACCOUNTS_DIRECTORY / f"{name}.key")


def write_network(directory: Path, genesis: Genesis, plans: Sequence[NodePlan]) -> bytes:
    """Write the genesis document and every node's folder; the genesis hash."""
    raw = encode_genesis(genesis)
    (directory / GENESIS_FILE).write_bytes(raw)
    for plan in plans:
        folder = directory / plan.name
        (folder / GENESIS_FILE).write_bytes(raw)
        (folder / CONFIG_FILE).write_text(_config(plan, plans), encoding="utf-8")
    return genesis_hash(raw)


def _config(plan: NodePlan, plans: Sequence[NodePlan]) -> str:
    quoted = json.dumps  # a JSON string is a TOML basic string
    lines = [
        "[chain]",
        f"genesis = {quoted(GENESIS_FILE)}",
        "",
        "[node]",
        f"name = {quoted(plan.name)}",
        'data_dir = "data"',
        'consensus_key = "consensus.key"',
        "",
        "[listen]",
        f"peer = {quoted(f'{plan.host}:{plan.peer_port}')}",
        f"client = {quoted(f'{plan.host}:{plan.client_port}')}",
        "",
        "[peers]",
        *(f"{quoted(p.name)} = {quoted(f'{p.host}:{p.peer_port}')}" for p in plans if p.name != plan.name),
    ]
    return "\n".join(lines) + "\n"
