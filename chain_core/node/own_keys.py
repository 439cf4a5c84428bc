"""Opening a node's consensus keys as its configuration says: from files, or at a signer (docs/spec/keys.md §2, §5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chain_core.crypto.keys import load_private_key
from chain_core.crypto.passphrase import Source, Unlock
from chain_core.crypto.providers import signing_provider
from chain_core.node.signer.client import SCHEME, RemoteSigner
from chain_core.node.signer.patience import PatientKeys
from chain_core.node.vote_keys import FileKeys, SignerAway, VoteKeys
from chain_core.types.genesis import Genesis

if TYPE_CHECKING:
    from chain_core.node.config import NodeConfig

KEYS_FILE = "signer-keys"
"""In the data directory: public keys that the signer had when it was last seen."""


def own_keys(config: NodeConfig, genesis: Genesis, chain: bytes, unlock: Unlock) -> VoteKeys:
    """The keys by which this node votes. Raises KeyFileRefused, PassphraseRefused, SignerAway."""
    if config.node.signer:
        return _remote_keys(config, genesis, chain)
    return _file_keys(config, chain, unlock)


def unlock_of(config: NodeConfig, passphrase_from: Source | None = None) -> Unlock:
    """How this node's key files are opened: as the command line says, else the configuration."""
    node, source = config.node, passphrase_from
    if source is None and node.passphrase_file:
        source = Source("file", str(config.path(node.passphrase_file)))
    elif source is None and node.passphrase_credential:
        source = Source("credential", node.passphrase_credential)
    return Unlock(source, plain=node.plaintext_keys)


def _file_keys(config: NodeConfig, chain: bytes, unlock: Unlock) -> VoteKeys:
    paths = [path for path in (config.node.consensus_key, config.node.next_consensus_key) if path]
    private = [load_private_key(config.path(path), unlock) for path in paths]
    return FileKeys(chain, {signing_provider().sm2_public_key(key): key for key in private})


def _remote_keys(config: NodeConfig, genesis: Genesis, chain: bytes) -> VoteKeys:
    """A node starts without its signer, too, when it has seen it before or is of the genesis document."""
    names = [validator.name for validator in genesis.validators.validators]
    founder = not config.node.joining and config.node.name in names
    known = [genesis.validators.key(names.index(config.node.name))] if founder else []
    path = config.path(config.node.signer.removeprefix(SCHEME))
    signer = RemoteSigner(path, chain, config.path(config.node.data_dir) / KEYS_FILE, known)
    if not signer.public_keys:
        step = "start the signer: this node does not know its keys yet"
        raise SignerAway(signer.away, where=str(path), next_step=step)
    return PatientKeys(signer)
