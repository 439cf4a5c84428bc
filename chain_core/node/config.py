"""A node's one configuration file, in TOML: read once, checked as a whole, frozen (docs/spec/node-config.md).

Every refusal names the file and the key.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_core import ErrorDetails

from chain_core.codec.genesis import decode_genesis, genesis_hash
from chain_core.crypto.passphrase import Source, Unlock
from chain_core.network.identity import require_address, require_loopback
from chain_core.node.config_quotas import QuotaSection
from chain_core.node.config_security import SecuritySection
from chain_core.node.own_keys import own_keys, unlock_of
from chain_core.node.signer.client import SCHEME
from chain_core.node.snapshot_exchange import SNAPSHOT_DISTANCE
from chain_core.node.snapshot_serving import SNAPSHOT_EVERY
from chain_core.node.vote_keys import VoteKeys
from chain_core.types.errors import DualchainError, LocalFault, MalformedBytes
from chain_core.types.genesis import Genesis
from chain_core.types.validator_set import ValidatorSet

MAX_CONFIG_BYTES = 1_000_000


class ConfigRefused(LocalFault):
    """A configuration this node cannot run with; ``where`` is the file and the key."""

    code = "CONFIG_REFUSED"


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ChainSection(_Section):
    """[chain]: which chain, which of its ledgers."""

    genesis: str
    """Path of the genesis document."""
    ledger: int = 0

    @field_validator("ledger")
    @classmethod
    def _only_the_main_one(cls, value: int) -> int:
        if value != 0:
            raise ValueError(f"ledger {value}: this release runs ledger 0 only")
        return value


class NodeSection(_Section):
    """[node]: who this node is, and where it keeps its data."""

    name: str = Field(min_length=1, max_length=64)
    """The validator's name: in the genesis document, or in the proposal by which it joins."""
    data_dir: str
    consensus_key: str = ""
    """Path of the consensus key: SM2 PKCS#8 PEM, mode 0600. It, or ``signer``."""
    signer: str = ""
    """Where the signer listens that holds the consensus key instead: unix:PATH (docs/spec/keys.md §5)."""
    passphrase_file: str = ""
    """Where the key files' passphrase stands (mode 0600); else ``passphrase_credential``, or the command line says."""
    passphrase_credential: str = ""
    """Name of the systemd credential that holds it."""
    plaintext_keys: bool = False
    """Whether key files may be unencrypted."""
    next_consensus_key: str = ""
    """Path of the key that a proposal names as this validator's next one, while it is being rotated."""
    joining: bool = False
    """Name and key are not, or no longer, those of the genesis document: a proposal decides or has decided on them."""

    @model_validator(mode="after")
    def _one_holder(self) -> NodeSection:
        if bool(self.consensus_key) == bool(self.signer):
            raise ValueError("either consensus_key or signer")
        if self.signer and (self.next_consensus_key or not self.signer.startswith(SCHEME)):
            raise ValueError(f"signer is {SCHEME}PATH, and holds the next key, too")
        if self.passphrase_file and self.passphrase_credential:
            raise ValueError("either passphrase_file or passphrase_credential")
        return self


class ListenSection(_Section):
    """[listen]: the two ports, as host:port; port 0 draws a free one. Plaintext stays on the loopback interface."""

    client_security: Literal["sm", "tls", "plaintext"] = "sm"
    """How the client port is protected; the peer port is so always."""
    peer: str
    client: str

    @field_validator("peer")
    @classmethod
    def _peer_address(cls, value: str) -> str:
        return _address(value)

    @field_validator("client")
    @classmethod
    def _client_address(cls, value: str, info: ValidationInfo) -> str:
        return _address(value, protected=info.data.get("client_security") in ("sm", "tls"))


class TlsSection(_Section):
    """[tls]: standard TLS on the client port (docs/spec/sm-session.md §7)."""

    certificate: str
    """RSA or ECDSA certificate and those above it, PEM, leaf first."""
    key: str
    """Its key: PKCS#8 PEM, mode 0600."""
    client_ca: str = ""
    """Authorities under which clients must show a certificate, which names their roles; or ``anonymous``."""
    anonymous: bool = False
    """Clients show nothing and have the role ``client`` alone."""
    crl: str = ""
    """Revocation lists of the authorities in ``client_ca``, PEM, read again when the file changes."""
    crl_grace_hours: int = Field(default=24, ge=0, le=8_760)
    """How long past its next update a list still counts."""

    @model_validator(mode="after")
    def _whom(self) -> TlsSection:
        if bool(self.client_ca) == self.anonymous:
            raise ValueError("either client_ca, or anonymous = true")
        if self.crl and not self.client_ca:
            raise ValueError("crl goes with client_ca: without certificates nothing can be revoked")
        return self


class LogSection(_Section):
    """[log]: what is written to standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"


class MetricsSection(_Section):
    """[metrics]: a Prometheus page over HTTP; nothing listens when ``listen`` is empty."""

    listen: str = ""

    @field_validator("listen")
    @classmethod
    def _loopback(cls, value: str) -> str:
        return _address(value, protected=False) if value else value


class StorageSection(_Section):
    """[storage]: what is kept of old blocks, and when snapshots are taken and asked for (docs/spec/snapshot.md)."""

    keep_blocks: int = Field(default=0, ge=0)
    """Final heights whose bodies and receipts are kept, at least 128; 0: all."""
    snapshot_every: int = Field(default=SNAPSHOT_EVERY, ge=1)
    """Peers can help one another only with views of equal heights: the same on all nodes of a chain."""
    snapshot_distance: int = Field(default=SNAPSHOT_DISTANCE, ge=1)
    """A node further behind asks for a snapshot."""


class RecorderSection(_Section):
    """[recorder]: the flight recorder's ring in the data directory; 0 switches it off."""

    megabytes: int = Field(default=32, ge=0, le=65_536)


class NodeConfig(_Section):
    """The whole file. Relative paths count from the file's directory."""

    chain: ChainSection
    node: NodeSection
    listen: ListenSection
    peers: dict[str, str]
    """[peers]: the peer port of every other validator of the genesis document, by its name; of one that joins, those of
    the validators it turns to first. Where later ones are is on chain."""
    log: LogSection = LogSection()
    storage: StorageSection = StorageSection()
    metrics: MetricsSection = MetricsSection()
    recorder: RecorderSection = RecorderSection()
    security: SecuritySection = SecuritySection()
    quotas: QuotaSection = QuotaSection()
    tls: TlsSection | None = None
    file: str = ""
    """Where it was read from."""

    @field_validator("peers")
    @classmethod
    def _peer_addresses(cls, value: dict[str, str]) -> dict[str, str]:
        for name, address in value.items():
            try:
                _address(address)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from error
        return value

    @model_validator(mode="after")
    def _tls_where_it_is_asked_for(self) -> NodeConfig:
        if (self.listen.client_security == "tls") != (self.tls is not None):
            raise ValueError('the section tls goes with listen.client_security = "tls"')
        return self

    @model_validator(mode="after")
    def _ports_differ(self) -> NodeConfig:
        own = [self.listen.peer, self.listen.client, *filter(None, (self.metrics.listen,))]
        others = [address for name, address in self.peers.items() if name != self.node.name]
        taken = [address for address in [*own, *others] if not address.endswith(":0")]
        doubled = sorted({address for address in taken if taken.count(address) > 1})
        if doubled:
            raise ValueError(f"listen and peers: {', '.join(doubled)} stands twice")
        if self.peers.get(self.node.name, self.listen.peer) != self.listen.peer:
            raise ValueError(f"peers.{self.node.name} is this node itself and differs from listen.peer")
        return self

    def path(self, name: str) -> Path:
        """A path of the file, from the file's directory."""
        return Path(self.file).parent / name


def _address(value: str, *, protected: bool = True) -> str:
    try:
        return require_address(value) if protected else require_loopback(value)
    except LocalFault as fault:
        raise ValueError(f"{fault.what}: {fault.where!r}; {fault.next_step}") from fault


def load_config(path: Path) -> NodeConfig:
    """The configuration in ``path``. Raises ConfigRefused."""
    where = str(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise _refused(f"cannot be read: {error.strerror}", where, "name the node's configuration file") from error
    if len(data) > MAX_CONFIG_BYTES:
        raise _refused(f"{len(data)} bytes are no configuration", where, "name the node's configuration file")
    try:
        text = data.decode("utf-8")
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # undecodable, not TOML, a number too long, nested too deeply
        raise _refused(f"not TOML: {error}", where, "mend the line it names") from error
    if "file" in table:
        raise _refused("unknown key", f"{where}, key file", "remove it")
    try:
        return NodeConfig.model_validate({**table, "file": where})
    except ValidationError as error:
        first = error.errors()[0]
        raise _refused(_reason(first), _place(where, text, first), _next_step(first)) from error


def _reason(error: ErrorDetails) -> str:
    match error["type"]:
        case "extra_forbidden":
            return "unknown key"
        case "missing":
            return "this key is missing"
        case "value_error":
            return str(error["msg"]).removeprefix("Value error, ")
        case _:
            return f"{error['msg']}, not {error['input']!r}"


def _next_step(error: ErrorDetails) -> str:
    if error["type"] == "extra_forbidden":
        return "remove it, or mend its spelling (docs/spec/node-config.md lists all keys)"
    return "see docs/spec/node-config.md"


def _place(where: str, text: str, error: ErrorDetails) -> str:
    """File, key, and the line when the key stands in the file."""
    keys = [str(part) for part in error["loc"]]
    if not keys:
        return where
    line = _line_of(text, keys)
    return f"{where}{f', line {line}' if line else ''}, key {'.'.join(keys)}"


def _line_of(text: str, keys: list[str]) -> int:
    """The line of ``[a]`` or of ``b = ...`` below it; 0 when it is written in another way."""
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.split("#", 1)[0].strip()
        if bare.startswith("["):
            section = bare.strip("[] ").replace('"', "")
            if keys == section.split("."):
                return number
        elif "=" in bare:
            name = bare.split("=", 1)[0].strip().strip('"')
            if keys == [*([section] if section else []), name]:
                return number
    return 0


def _refused(what: str, where: str, next_step: str) -> ConfigRefused:
    return ConfigRefused(what, where=where, next_step=next_step)


@dataclass(frozen=True, slots=True)
class Membership:
    """What the configuration means on its chain: this node's name and keys, and where it finds the others at first.

    ``keys`` are its consensus keys, in files or at a signer: which of them counts, an epoch's set says.
    """

    genesis: Genesis
    genesis_bytes: bytes
    genesis_hash: bytes
    name: str
    keys: VoteKeys = field(repr=False)
    contacts: dict[str, str]
    unlock: Unlock | None = field(default=None, repr=False)
    """Opens the node's other key files; its passphrase is read once a process."""

    def key_in(self, validators: ValidatorSet) -> bytes | None:
        """This node's consensus key in a set, None where it is no member."""
        return next((key for key in self.keys.public_keys if validators.index_of_key(key) is not None), None)


def read_genesis(path: Path) -> tuple[Genesis, bytes]:
    """The genesis document in ``path`` and its bytes. Raises ConfigRefused."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise _refused(
            f"the genesis document cannot be read: {error.strerror}", str(path), "copy it from the chain's operator"
        ) from error
    try:
        return decode_genesis(raw), raw
    except (MalformedBytes, DualchainError) as error:
        raise _refused(f"no genesis document: {error.what}", f"{path}, {error.where}", error.next_step) from error


def join(config: NodeConfig, passphrase_from: Source | None = None) -> Membership:
    """Reads genesis and keys, and checks that they, the name and the peers belong together.

    ``passphrase_from``: in place of what the file says. Raises ConfigRefused, KeyFileRefused, PassphraseRefused,
    SignerAway.
    """
    genesis, raw = read_genesis(config.path(config.chain.genesis))
    others = {name: address for name, address in config.peers.items() if name != config.node.name}
    if not config.node.joining:
        _check_name(config, genesis)
    unlock = unlock_of(config, passphrase_from)
    keys = own_keys(config, genesis, genesis_hash(raw), unlock)
    if config.node.joining:
        _check_contacts(config, others)
    else:
        _check_founder(config, genesis, keys.public_keys, others)
    return Membership(genesis, raw, genesis_hash(raw), config.node.name, keys, others, unlock)


def _check_name(config: NodeConfig, genesis: Genesis) -> None:
    names = [validator.name for validator in genesis.validators.validators]
    if config.node.name not in names:
        raise _refused(
            f"{config.node.name} is no validator of {genesis.chain_id}, which has {', '.join(names)}",
            f"{config.file}, key node.name",
            "write this node's name as the genesis document does; one that joins by a proposal sets node.joining",
        )


def _check_contacts(config: NodeConfig, others: dict[str, str]) -> None:
    if not others:
        what = "a node that joins turns to validators of the chain first, and none is named"
        raise _refused(what, f"{config.file}, key peers", "name one or more of them with their peer ports")


def _check_founder(config: NodeConfig, genesis: Genesis, keys: Sequence[bytes], others: dict[str, str]) -> None:
    """A validator of the genesis document: its key and exactly its peers."""
    names = [validator.name for validator in genesis.validators.validators]
    if keys[0] != genesis.validators.key(names.index(config.node.name)):
        raise _refused(
            f"the key is not {config.node.name}'s consensus key of the genesis document",
            f"{config.file}, key node.consensus_key",
            "name the key file that was made for this validator; after a rotation set node.joining",
        )
    strangers, absent = sorted(others.keys() - set(names)), sorted(set(names) - others.keys() - {config.node.name})
    if strangers or absent:
        raise _refused(
            f"peers must be the other validators: unknown {strangers}, missing {absent}",
            f"{config.file}, key peers",
            f"name exactly {', '.join(name for name in names if name != config.node.name)}",
        )
