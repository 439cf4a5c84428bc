"""The exporter's TOML file (docs/spec/exporter.md §7)."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from chain_core.crypto.keys import load_private_key
from chain_core.network.secured.security import ClientSecurity
from chain_core.node.chain_view import ChainView
from chain_core.node.client_security import configured
from chain_core.node.config import ConfigRefused, read_genesis
from chain_core.node.key_protection import KeysSection
from chain_core.types.ids import ACCOUNT_ID_SIZE
from local_chain.data.config import StoreSection
from local_chain.data.store import ObjectStore
from local_chain.exporter.attributes import Attributes
from local_chain.exporter.core import SealKey
from local_chain.exporter.database import Database
from local_chain.exporter.working import Market
from service_registry.chain import Account
from service_registry.config import ChainSection, KeyPair, LogSection
from service_registry.config import load as load_file

_SEE = "see docs/spec/exporter.md §7"
_ACCOUNT = rf"^[0-9a-f]{{{2 * ACCOUNT_ID_SIZE}}}$"


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ExporterSection(_Section):
    """[exporter]: who anchors and seals, and where the books lie."""

    account: str = Field(pattern=_ACCOUNT)
    """The operator's account: anchors are its own."""
    key: str
    """Path of its transaction key."""
    assertion_key: str
    """Path of the key that seals snapshots, of purpose ``assertion``."""
    database: str
    attributes: str
    market: str = Field(pattern=_ACCOUNT)
    """Account of the operating institution: market and depository in the snapshots."""
    market_name: str = Field(min_length=1, max_length=128)


class ExporterConfig(_Section):
    """exporter.toml."""

    chain: ChainSection
    exporter: ExporterSection
    store: StoreSection
    keys: KeysSection = KeysSection()
    log: LogSection = LogSection()
    directory: Path = Field(default=Path(), exclude=True)
    """Where relative paths count from."""


def load(path: Path) -> ExporterConfig:
    """The file's content. Raises ConfigRefused that names file and key."""
    return load_file(ExporterConfig, path, _SEE)


class Bench:
    """What a configuration names, opened when it is asked for."""

    def __init__(self, config: ExporterConfig) -> None:
        self.config = config
        self._unlock = config.keys.unlock(config.directory)

    def path(self, name: str) -> Path:
        """A path named in the file."""
        return self.config.directory / name

    def view(self) -> ChainView:
        """The market's chain. Raises ConfigRefused for a document of another kind."""
        place = self.path(self.config.chain.genesis)
        genesis, raw = read_genesis(place)
        if genesis.kind != "local":
            raise ConfigRefused(f"the document is of a {genesis.kind} chain", where=str(place), next_step=_SEE)
        return ChainView(raw)

    def security(self) -> ClientSecurity:
        """How its nodes are talked to."""
        section = self.config.chain
        folder = self.path(section.credentials) if section.credentials else None
        return configured(folder, read_genesis(self.path(section.genesis))[1], self._unlock)

    def who(self) -> Account:
        """The account that anchors. Raises KeyFileRefused, PassphraseRefused."""
        pair = KeyPair.of(load_private_key(self.path(self.config.exporter.key), self._unlock))
        return Account(bytes.fromhex(self.config.exporter.account), pair.private, pair.public)

    def seal_key(self) -> SealKey:
        """The key that seals."""
        pair = KeyPair.of(load_private_key(self.path(self.config.exporter.assertion_key), self._unlock))
        return SealKey(pair.private, pair.public)

    def market(self) -> Market:
        """The operating institution."""
        return Market(bytes.fromhex(self.config.exporter.market), self.config.exporter.market_name)

    def database(self, *, writing: bool = False) -> Database:
        """The books; one process at a time writes them. Raises ExporterFault."""
        return Database(self.path(self.config.exporter.database), writing=writing)

    def attributes(self) -> Attributes:
        """The private attributes."""
        return Attributes(self.path(self.config.exporter.attributes))

    def store(self) -> ObjectStore:
        """The object store. Raises StoreFault."""
        section = self.config.store
        if section.directory:
            return ObjectStore.folder(self.path(section.directory))
        return ObjectStore.bucket(section.bucket, section.endpoint, section.region)
