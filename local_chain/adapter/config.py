"""The adapter's TOML file (docs/spec/adapter.md §6)."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from chain_core.crypto.keys import load_private_key
from chain_core.node.chain_view import ChainView
from chain_core.node.client_security import configured
from chain_core.node.config import ConfigRefused, read_genesis
from chain_core.node.key_protection import KeysSection
from chain_core.types.ids import ACCOUNT_ID_SIZE
from local_chain.adapter.chain import AdapterChain
from local_chain.adapter.importer import Naming
from local_chain.adapter.journal import Journal
from local_chain.adapter.submitter import Submitter
from service_registry.chain import Account, wall_clock_ms
from service_registry.config import ChainSection, KeyPair
from service_registry.config import load as load_file

_SEE = "see docs/spec/adapter.md §6"


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class PartySection(_Section):
    """[operator], [registrar], [cosigner]: an account and its transaction key."""

    account: str = Field(pattern=rf"^[0-9a-f]{{{2 * ACCOUNT_ID_SIZE}}}$")
    key: str
    keys: KeysSection = KeysSection()
    """Where the passphrase of this key is read: a cosigner's is another person's."""


class OutboxSection(_Section):
    """[outbox]: the table of the business system."""

    url: str = Field(min_length=1)
    """SQLAlchemy's: sqlite:///book.db, postgresql+psycopg://... (the driver is installed beside)."""
    table: str = Field(default="dualchain_outbox", pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$")
    batch: int = Field(default=100, ge=1, le=500)


class AdapterConfig(_Section):
    """adapter.toml."""

    chain: ChainSection
    journal: str
    operator: PartySection
    registrar: PartySection | None = None
    cosigner: PartySection | None = None
    """A governor of another legal entity: legacy registers take both signatures."""
    outbox: OutboxSection | None = None
    directory: Path = Field(default=Path(), exclude=True)
    """Where relative paths count from."""


def load(path: Path) -> AdapterConfig:
    """The file's content. Raises ConfigRefused that names file and key."""
    return load_file(AdapterConfig, path, _SEE)


class Desk:
    """What a configuration names, opened when it is asked for."""

    def __init__(self, config: AdapterConfig) -> None:
        self.config = config

    def path(self, name: str) -> Path:
        """A path named in the file."""
        return self.config.directory / name

    def chain(self) -> AdapterChain:
        """The market's chain. Raises ConfigRefused for a document of another kind."""
        section = self.config.chain
        place = self.path(section.genesis)
        genesis, raw = read_genesis(place)
        if genesis.kind != "local":
            raise ConfigRefused(f"the document is of a {genesis.kind} chain", where=str(place), next_step=_SEE)
        folder = self.path(section.credentials) if section.credentials else None
        unlock = self.config.operator.keys.unlock(self.config.directory)
        return AdapterChain(ChainView(raw), section.nodes, configured(folder, raw, unlock))

    def journal(self) -> Journal:
        """What was handed in."""
        return Journal(self.path(self.config.journal))

    def naming(self, chain: AdapterChain) -> Naming:
        """How ids are derived."""
        registrar = self.config.registrar or self.config.operator
        return Naming(chain.genesis_hash, bytes.fromhex(registrar.account), bytes.fromhex(self.config.operator.account))

    def operator(self, chain: AdapterChain, journal: Journal) -> Submitter:
        """Hands in for the operator, with the cosigner where one is named."""
        cosigner = self._who(self.config.cosigner) if self.config.cosigner else None
        return Submitter(chain, journal, self._who(self.config.operator), wall_clock_ms, cosigner)

    def registrar(self, chain: AdapterChain, journal: Journal) -> Submitter | None:
        """Hands in for the registrar."""
        section = self.config.registrar
        return None if section is None else Submitter(chain, journal, self._who(section), wall_clock_ms)

    def _who(self, section: PartySection) -> Account:
        private = load_private_key(self.path(section.key), section.keys.unlock(self.config.directory))
        pair = KeyPair.of(private)
        return Account(bytes.fromhex(section.account), pair.private, pair.public)
