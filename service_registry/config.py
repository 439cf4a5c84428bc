"""TOML files of gateway, look-up and registry users (docs/spec/service-registry.md §11)."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator

from chain_core.crypto.keys import load_private_key
from chain_core.crypto.passphrase import Unlock
from chain_core.crypto.providers import signing_provider
from chain_core.crypto.x509.roles import PEER
from chain_core.network.access import Records
from chain_core.network.secured.security import ClientSecurity
from chain_core.node.chain_view import ChainView
from chain_core.node.client_security import check_addresses, configured
from chain_core.node.config import ConfigRefused, read_genesis
from chain_core.node.key_protection import KeysSection
from chain_core.node.revocation import RevocationLists
from chain_core.node.service_port import PLAINTEXT_PORT, PortSection, ServicePort, service_port
from chain_core.types.ids import ACCOUNT_ID_SIZE

MAX_CONFIG_BYTES = 1_000_000
_SEE = "see docs/spec/service-registry.md §11"
P = TypeVar("P", "GatewaySection", "PublisherSection")
_ACCOUNT = rf"^[0-9a-f]{{{2 * ACCOUNT_ID_SIZE}}}$"


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ChainSection(_Section):
    """[supervisory], [market]: a chain's genesis document and its nodes' client ports."""

    genesis: str
    credentials: str = ""
    """Path of the folder with the user's key and certificates on this chain (docs/spec/certificates.md); empty: the
    nodes' client ports take plaintext, on this machine."""
    nodes: list[str] = Field(min_length=1, max_length=256)

    @field_validator("nodes")
    @classmethod
    def _addresses(cls, value: list[str], info: ValidationInfo) -> list[str]:
        check_addresses(value, info.data.get("credentials", ""))
        return value


class LogSection(_Section):
    """[log]: what is written to standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"


class GatewaySection(PortSection):
    """[gateway]: where it listens, and the account that records accesses."""

    listen: str
    account: str = Field(pattern=_ACCOUNT)
    key: str
    """Path of the account's transaction key: SM2 PKCS#8 PEM, mode 0600."""
    store: str = ""
    """Path of the directory with records until, and for 31 days after, their batch is final."""
    assertion_key: str = ""
    """Path of the key that signs promises; with ``store``, for services that are recorded by batch."""

    @model_validator(mode="after")
    def _together(self) -> GatewaySection:
        if bool(self.store) != bool(self.assertion_key):
            raise ValueError("store and assertion_key go together: name both, or neither")
        return self


class PublisherSection(PortSection):
    """[publisher]: where its host listens, whose service it is, and the key that signs replies."""

    listen: str
    account: str = Field(pattern=_ACCOUNT)
    reference: str = Field(min_length=1, max_length=64)
    assertion_key: str


class ActorSection(_Section):
    """[actor]: who asks, with his keys."""

    account: str = Field(pattern=_ACCOUNT)
    key: str
    assertion_key: str = ""
    market: str = Field(default="", pattern=r"^([A-Z]{2,3})?$")


class GatewayAddress(_Section):
    """[gateway] of a user: where the gateway answers."""

    address: str


class _File(_Section):
    supervisory: ChainSection
    log: LogSection = LogSection()
    keys: KeysSection = KeysSection()
    directory: Path = Field(default=Path(), exclude=True)
    """Where relative paths count from."""

    def path(self, name: str) -> Path:
        """A path named in the file."""
        return self.directory / name

    def key(self, name: str) -> KeyPair:
        """A key file named in the file. Raises KeyFileRefused, PassphraseRefused."""
        return KeyPair.load(self.path(name), self.keys.unlock(self.directory))

    def security(self, section: ChainSection, role: str = PEER) -> ClientSecurity:
        """How the chain's nodes are talked to, or whoever has ``role`` there.

        Raises ConfigRefused, KeyFileRefused, CertificateFileRefused.
        """
        folder = self.path(section.credentials) if section.credentials else None
        raw = read_genesis(self.path(section.genesis))[1]
        return configured(folder, raw, self.keys.unlock(self.directory), role=role)

    def port(self, section: PortSection, role: str, records: Records) -> ServicePort:
        """How this service's own port is protected. Raises as ``security``."""
        if section.security == "plaintext":
            return PLAINTEXT_PORT
        lists = RevocationLists(self.path(section.crl) if section.crl else None, section.crl_grace_hours)
        folder, raw = self.path(self.supervisory.credentials), read_genesis(self.path(self.supervisory.genesis))[1]
        return service_port(folder, raw, self.keys.unlock(self.directory), role, lists, records)

    def view(self, section: ChainSection, kind: str) -> ChainView:
        """A verifier of the chain's answers. Raises ConfigRefused for a document of another kind."""
        genesis, raw = read_genesis(self.path(section.genesis))
        if genesis.kind != kind:
            raise ConfigRefused(
                f"the document is of a {genesis.kind} chain, not of a {kind} one",
                where=str(self.path(section.genesis)),
                next_step="name the right document",
            )
        return ChainView(raw)


class GatewayConfig(_File):
    """gateway.toml."""

    gateway: GatewaySection

    @field_validator("gateway")
    @classmethod
    def _port(cls, value: GatewaySection, info: ValidationInfo) -> GatewaySection:
        return _checked(value, info)


class LookupConfig(_File):
    """lookup.toml."""

    market: ChainSection
    publisher: PublisherSection

    @field_validator("publisher")
    @classmethod
    def _port(cls, value: PublisherSection, info: ValidationInfo) -> PublisherSection:
        return _checked(value, info)


class UserConfig(_File):
    """A file of somebody who uses ``dualchain registry``."""

    actor: ActorSection | None = None
    gateway: GatewayAddress | None = None
    host: PortSection = PortSection()
    """Of ``registry serve`` alone."""

    @field_validator("gateway")
    @classmethod
    def _reached(cls, value: GatewayAddress | None, info: ValidationInfo) -> GatewayAddress | None:
        if value is not None and (chain := info.data.get("supervisory")) is not None:
            check_addresses([value.address], chain.credentials)
        return value


def _checked(value: P, info: ValidationInfo) -> P:
    """A service's port goes with the credentials on the supervisory chain."""
    if (chain := info.data.get("supervisory")) is not None:
        value.check(value.listen, chain.credentials, "supervisory.credentials")
    return value


C = TypeVar("C", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A private key read from a file, with its public half."""

    private: bytes = field(repr=False)
    public: bytes

    @classmethod
    def load(cls, path: Path, unlock: Unlock | None = None) -> KeyPair:
        """Raises KeyFileRefused, PassphraseRefused."""
        return cls.of(load_private_key(path, unlock))

    @classmethod
    def of(cls, private: bytes) -> KeyPair:
        """Raises InvalidKey."""
        return cls(private, signing_provider().sm2_public_key(private))


def load(kind: type[C], path: Path, see: str = _SEE) -> C:
    """The file's content, a model with a field ``directory``. Raises ConfigRefused that names file and key."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigRefused(f"cannot be read: {error.strerror}", where=str(path), next_step=see) from error
    if len(data) > MAX_CONFIG_BYTES:
        raise ConfigRefused(f"{len(data)} bytes are no configuration", where=str(path), next_step=see)
    try:
        table = tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # undecodable, not TOML, a number too long, nested too deeply
        raise ConfigRefused(f"not TOML: {error}", where=str(path), next_step="mend the line it names") from error
    if "directory" in table:
        raise ConfigRefused("unknown key", where=f"{path}, key directory", next_step="remove it")
    try:
        return kind.model_validate({**table, "directory": path.parent})
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        what = str(first["msg"]).removeprefix("Value error, ")
        raise ConfigRefused(what, where=f"{path}, key {key}", next_step=see) from error


def missing(path: Sequence[str], purpose: str) -> ConfigRefused:
    """A part of a user's file that a command needs."""
    return ConfigRefused(f"needed to {purpose}", where=".".join(path), next_step=_SEE)
