"""The TOML file of the node interface over HTTPS (docs/spec/node-interface.md §5)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from chain_core.network.identity import require_address, require_loopback
from chain_core.network.secured.security import ClientSecurity
from chain_core.node.chain_view import ChainView
from chain_core.node.client_security import configured
from chain_core.node.config import ConfigRefused, read_genesis
from chain_core.node.key_protection import KeysSection
from chain_core.types.errors import LocalFault
from local_chain.data.config import StoreSection
from local_chain.data.store import ObjectStore
from local_chain.interface.callers import Token, read_tokens
from service_registry.config import ChainSection, LogSection
from service_registry.config import load as load_file

SEE = "see docs/spec/node-interface.md §5"


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class InterfaceSection(_Section):
    """[interface]: where it listens, with which certificate, and whom it answers."""

    listen: str
    data_dir: str
    """Folder of its audit record."""
    security: Literal["tls", "plaintext"] = "tls"
    certificate: str = ""
    """RSA or ECDSA certificate and those above it, PEM, leaf first."""
    key: str = ""
    """Its key: PKCS#8 PEM, mode 0600."""
    client_ca: str = ""
    """Authorities under which a client's certificate names its roles."""
    tokens: str = ""
    """File of bearer tokens, mode 0600."""

    @model_validator(mode="after")
    def _protected(self) -> InterfaceSection:
        tls = self.security == "tls"
        if tls != bool(self.certificate and self.key) or (self.client_ca and not tls):
            raise ValueError('certificate, key and client_ca go with security = "tls"')
        if tls and not (self.client_ca or self.tokens):
            raise ValueError("name client_ca or tokens: nobody could be told from anybody else")
        try:
            require_address(self.listen) if tls else require_loopback(self.listen)
        except LocalFault as fault:
            raise ValueError(f"listen: {fault.what}: {fault.where!r}; {fault.next_step}") from fault
        return self


class InterfaceConfig(_Section):
    """interface.toml."""

    chain: ChainSection
    interface: InterfaceSection
    store: StoreSection
    keys: KeysSection = KeysSection()
    log: LogSection = LogSection()
    directory: Path = Field(default=Path(), exclude=True)
    """Where relative paths count from."""

    @field_validator("chain")
    @classmethod
    def _one_node(cls, value: ChainSection) -> ChainSection:
        if len(value.nodes) != 1:
            raise ValueError("name exactly one node: two endpoints of a chain are two nodes")
        return value


def load(path: Path) -> InterfaceConfig:
    """The file's content. Raises ConfigRefused that names file and key."""
    return load_file(InterfaceConfig, path, SEE)


@dataclass(frozen=True, slots=True)
class Desk:
    """What a configuration names, opened when it is asked for."""

    config: InterfaceConfig

    def path(self, name: str) -> Path:
        """A path named in the file."""
        return self.config.directory / name

    def view(self) -> ChainView:
        """The market's chain. Raises ConfigRefused for a document of another kind."""
        place = self.path(self.config.chain.genesis)
        genesis, raw = read_genesis(place)
        if genesis.kind != "local":
            raise ConfigRefused(f"the document is of a {genesis.kind} chain", where=str(place), next_step=SEE)
        return ChainView(raw)

    def security(self) -> ClientSecurity:
        """How the node is talked to."""
        section = self.config.chain
        folder = self.path(section.credentials) if section.credentials else None
        unlock = self.config.keys.unlock(self.config.directory)
        return configured(folder, read_genesis(self.path(section.genesis))[1], unlock)

    def tokens(self) -> dict[bytes, Token]:
        """By their SM3. Raises ConfigRefused."""
        return read_tokens(self.path(self.config.interface.tokens)) if self.config.interface.tokens else {}

    def store(self) -> ObjectStore:
        """The object store. Raises StoreFault."""
        section = self.config.store
        if section.directory:
            return ObjectStore.folder(self.path(section.directory))
        return ObjectStore.bucket(section.bucket, section.endpoint, section.region)
