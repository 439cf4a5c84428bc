"""A relayer's one configuration file, in TOML (docs/spec/relayer.md)."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator

from chain_core.codec.genesis import genesis_hash
from chain_core.crypto.keys import load_private_key
from chain_core.crypto.passphrase import Unlock
from chain_core.network.secured.security import PLAINTEXT, ClientSecurity
from chain_core.node.client_security import check_addresses, configured
from chain_core.node.config import ConfigRefused, MetricsSection, read_genesis
from chain_core.node.key_protection import KeysSection
from chain_core.types.ids import ACCOUNT_ID_SIZE

MAX_CONFIG_BYTES = 1_000_000
_SEE = "see docs/spec/relayer.md"


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ChainSection(_Section):
    """[supervisory] and [local]: a chain, its nodes, and the relayer's own account there."""

    genesis: str
    """Path of the genesis document."""
    credentials: str = ""
    """Path of the folder with the relayer's key and certificates on this chain (docs/spec/certificates.md); empty: the
    nodes' client ports take plaintext, on this machine."""
    nodes: list[str] = Field(min_length=1, max_length=256)
    """Client ports, host:port. Transactions go to all of them, questions to any."""
    account: str = Field(pattern=rf"^[0-9a-f]{{{2 * ACCOUNT_ID_SIZE}}}$")
    """Account id, hexadecimal."""
    key: str
    """Path of the account's transaction key: SM2 PKCS#8 PEM, mode 0600."""

    @field_validator("nodes")
    @classmethod
    def _distinct(cls, value: list[str], info: ValidationInfo) -> list[str]:
        check_addresses(value, info.data.get("credentials", ""))
        if len(set(value)) != len(value):
            raise ValueError("a node's address stands twice")
        return value


class RelaySection(_Section):
    """[relay]: how often it looks without news, and how old the last header may become when idle."""

    poll_ms: int = Field(default=500, ge=50, le=60_000)
    heartbeat_ms: int = Field(default=30_000, ge=1_000, le=86_400_000)


class LogSection(_Section):
    """[log]: what is written to standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"


class RelayerConfig(_Section):
    """The whole file. Relative paths count from the file's directory."""

    supervisory: ChainSection
    local: ChainSection
    relay: RelaySection = RelaySection()
    metrics: MetricsSection = MetricsSection()
    log: LogSection = LogSection()
    keys: KeysSection = KeysSection()
    file: str = ""
    """Where it was read from."""

    @model_validator(mode="after")
    def _two_chains(self) -> RelayerConfig:
        shared = sorted(set(self.supervisory.nodes) & set(self.local.nodes))
        if shared:
            raise ValueError(f"{shared[0]} is a node of both chains")
        if self.metrics.listen in {*self.supervisory.nodes, *self.local.nodes}:
            raise ValueError(f"metrics.listen: {self.metrics.listen} is a node's port")
        return self


@dataclass(frozen=True, slots=True)
class Party:
    """One chain as the relayer deals with it."""

    genesis_bytes: bytes
    genesis_hash: bytes
    nodes: tuple[str, ...]
    account: bytes
    private_key: bytes = field(repr=False)
    security: ClientSecurity = PLAINTEXT


@dataclass(frozen=True, slots=True)
class Assignment:
    """What the configuration means: the two chains, and that one is the other's supervisor."""

    supervisory: Party
    local: Party
    poll_ms: int
    heartbeat_ms: int
    metrics: str = ""
    """Where the metrics page is served, host:port; empty: nowhere."""


def load_config(path: Path) -> RelayerConfig:
    """The configuration in ``path``. Raises ConfigRefused that names file and key."""
    where = str(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigRefused(f"cannot be read: {error.strerror}", where=where, next_step="name the file") from error
    if len(data) > MAX_CONFIG_BYTES:
        raise ConfigRefused(f"{len(data)} bytes are no configuration", where=where, next_step=_SEE)
    try:
        table = tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # undecodable, not TOML, a number too long, nested too deeply
        raise ConfigRefused(f"not TOML: {error}", where=where, next_step="mend the line it names") from error
    if "file" in table:
        raise ConfigRefused("unknown key", where=f"{where}, key file", next_step="remove it")
    try:
        return RelayerConfig.model_validate({**table, "file": where})
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        what = str(first["msg"]).removeprefix("Value error, ")
        raise ConfigRefused(what, where=f"{where}, key {key}" if key else where, next_step=_SEE) from error


def assign(config: RelayerConfig) -> Assignment:
    """Reads documents and keys; checks that the two chains belong together. Raises ConfigRefused, KeyFileRefused."""
    unlock = config.keys.unlock(Path(config.file).parent)
    supervisory, local = (_party(config, one, unlock) for one in (config.supervisory, config.local))
    above = read_genesis(_path(config, config.supervisory.genesis))[0]
    below = read_genesis(_path(config, config.local.genesis))[0]
    if (above.kind, below.kind) != ("supervisory", "local"):
        raise ConfigRefused(
            f"the documents are of a {above.kind} and a {below.kind} chain",
            where=f"{config.file}, keys supervisory.genesis and local.genesis",
            next_step="name the supervisory chain's document first, the local chain's second",
        )
    if below.supervisory_genesis != supervisory.genesis_bytes:
        raise ConfigRefused(
            f"{below.chain_id} was made for another supervisory chain than {above.chain_id}",
            where=f"{config.file}, key local.genesis",
            next_step="name the documents of two chains that belong together",
        )
    return Assignment(supervisory, local, config.relay.poll_ms, config.relay.heartbeat_ms, config.metrics.listen)


def _party(config: RelayerConfig, section: ChainSection, unlock: Unlock) -> Party:
    _, raw = read_genesis(_path(config, section.genesis))
    key = load_private_key(_path(config, section.key), unlock)
    security = configured(_path(config, section.credentials) if section.credentials else None, raw, unlock)
    return Party(raw, genesis_hash(raw), tuple(section.nodes), bytes.fromhex(section.account), key, security)


def _path(config: RelayerConfig, name: str) -> Path:
    return Path(config.file).parent / name
