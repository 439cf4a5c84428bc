"""The TOML file of owners, readers and custodians of data (docs/spec/data-tiers.md §11)."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from chain_core.crypto.keys import load_private_key
from chain_core.crypto.passphrase import Passphrase, Unlock, parse_source
from chain_core.crypto.x509.roles import CUSTODIAN, PEER
from chain_core.network.access import Records
from chain_core.network.secured.security import ClientSecurity
from chain_core.node.chain_view import ChainView
from chain_core.node.client_security import check_addresses, configured
from chain_core.node.config import ConfigRefused, read_genesis
from chain_core.node.revocation import RevocationLists
from chain_core.node.service_port import PLAINTEXT_PORT, PortSection, ServicePort, service_port
from chain_core.types.ids import ACCOUNT_ID_SIZE
from contracts.data.records import MAX_CUSTODIANS
from local_chain.data.chain import DataChain
from local_chain.data.key_ring import KeyRing
from local_chain.data.owner import Archive, Owner
from local_chain.data.reader import Reader
from local_chain.data.release import Custodian
from local_chain.data.store import ObjectStore
from local_chain.data.vault import MAX_KEY_DIRECTORIES, Vault
from service_registry.chain import Account
from service_registry.config import ChainSection, KeyPair, LogSection
from service_registry.config import load as load_file

S = TypeVar("S")
_SEE = "see docs/spec/data-tiers.md §11"
_ACCOUNT = rf"^[0-9a-f]{{{2 * ACCOUNT_ID_SIZE}}}$"


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ActorSection(_Section):
    """[actor]: who asks."""

    account: str = Field(pattern=_ACCOUNT)
    key: str
    """Path of its transaction key."""
    sealing_key: str = ""
    """Path of the sealing key in use."""
    former_sealing_keys: list[str] = Field(default=[], max_length=16)
    """Paths of former ones, for what was sealed to them."""


class CustodianSection(ActorSection, PortSection):
    """[custodian]: whose vault and layer it is, and where its service listens."""

    sealing_key: str = Field(min_length=1)
    listen: str = ""
    sweep_s: int = Field(default=60, ge=1, le=86_400)
    """How often the service looks for deletions that are ordered."""


class ReleaseSection(_Section):
    """[release]: custodians' services, and whom new objects name."""

    addresses: list[str] = Field(default=[], max_length=16)
    custodians: list[str] = Field(default=[], max_length=MAX_CUSTODIANS)

    @field_validator("custodians")
    @classmethod
    def _accounts(cls, value: list[str]) -> list[str]:
        for text in value:
            if len(text) != 2 * ACCOUNT_ID_SIZE or set(text) - set("0123456789abcdef"):
                raise ValueError(f"{text!r} is no account id")
        return value


class VaultSection(_Section):
    """[vault]: its folder, its key folders, its key."""

    directory: str
    key_directories: list[str] = Field(min_length=1, max_length=MAX_KEY_DIRECTORIES)
    key: str


class StoreSection(_Section):
    """[store]: a folder or a bucket."""

    directory: str = ""
    bucket: str = ""
    endpoint: str = ""
    region: str = ""

    @model_validator(mode="after")
    def _one(self) -> StoreSection:
        if bool(self.directory) == bool(self.bucket):
            raise ValueError("name either a directory or a bucket")
        if self.directory and (self.endpoint or self.region):
            raise ValueError("endpoint and region belong to a bucket")
        return self


class DataConfig(_Section):
    """data.toml."""

    chain: ChainSection
    passphrase_from: str = ""
    """Source of the passphrase of encrypted key files: prompt, file:PATH, credential:NAME."""
    actor: ActorSection | None = None
    release: ReleaseSection = ReleaseSection()
    custodian: CustodianSection | None = None
    vault: VaultSection | None = None
    store: StoreSection | None = None
    log: LogSection = LogSection()
    directory: Path = Field(default=Path(), exclude=True)
    """Where relative paths count from."""

    @field_validator("release")
    @classmethod
    def _reached(cls, value: ReleaseSection, info: ValidationInfo) -> ReleaseSection:
        if (chain := info.data.get("chain")) is not None:
            check_addresses(value.addresses, chain.credentials)
        return value

    @field_validator("custodian")
    @classmethod
    def _port(cls, value: CustodianSection | None, info: ValidationInfo) -> CustodianSection | None:
        if value is not None and value.listen and (chain := info.data.get("chain")) is not None:
            value.check(value.listen, chain.credentials, "chain.credentials")
        return value


def load(path: Path) -> DataConfig:
    """The file's content. Raises ConfigRefused that names file and key."""
    return load_file(DataConfig, path, _SEE)


class Desk:
    """What a configuration names, opened when it is asked for. Raises ConfigRefused for what it does not name."""

    def __init__(self, config: DataConfig) -> None:
        self.config = config
        source = config.passphrase_from
        self._unlock = Unlock(parse_source(source), plain=True) if source else None

    def path(self, name: str) -> Path:
        """A path named in the file."""
        return self.config.directory / name

    def chain(self) -> DataChain:
        """The market's chain."""
        return DataChain(ChainView(self._genesis()), self.config.chain.nodes, self.security())

    def security(self, role: str = PEER) -> ClientSecurity:
        """How the chain's nodes are talked to, or whoever has ``role`` there."""
        named = self.config.chain.credentials
        return configured(self.path(named) if named else None, self._genesis(), self._unlock, role=role)

    def port(self, section: CustodianSection, records: Records) -> ServicePort:
        """How the custodian's own port is protected."""
        if section.security == "plaintext":
            return PLAINTEXT_PORT
        lists = RevocationLists(self.path(section.crl) if section.crl else None, section.crl_grace_hours)
        folder = self.path(self.config.chain.credentials)
        return service_port(folder, self._genesis(), self._unlock, CUSTODIAN, lists, records)

    def _genesis(self) -> bytes:
        return read_genesis(self.path(self.config.chain.genesis))[1]

    def pair(self, name: str) -> KeyPair:
        """A key file. Raises KeyFileRefused, PassphraseRefused."""
        return KeyPair.of(load_private_key(self.path(name), self._unlock))

    def passphrase(self) -> Passphrase | None:
        """For new key files."""
        return None if self._unlock is None else self._unlock.passphrase()

    @property
    def actor(self) -> ActorSection:
        """The [actor]."""
        return self._named(self.config.actor, "actor")

    def who(self, section: ActorSection) -> Account:
        """An account with its transaction key."""
        pair = self.pair(section.key)
        return Account(bytes.fromhex(section.account), pair.private, pair.public)

    def ring(self, section: ActorSection) -> KeyRing:
        """An account's sealing keys."""
        return KeyRing([self.pair(name) for name in (section.sealing_key, *section.former_sealing_keys)])

    def owner(self, chain: DataChain) -> Owner:
        """The actor as an owner."""
        sealing = self.ring(self.actor) if self.actor.sealing_key else None
        custodians = [bytes.fromhex(text) for text in self.config.release.custodians]
        return Owner(chain, self.who(self.actor), sealing, custodians)

    def reader(self, chain: DataChain) -> Reader:
        """The actor as a reader."""
        if not self.actor.sealing_key:
            raise _missing("actor.sealing_key")
        custodians = self.config.release.addresses, self.security(CUSTODIAN)
        return Reader(chain, self.who(self.actor), self.ring(self.actor), *custodians)

    def vault(self) -> Vault:
        """The vault that is there."""
        directory, folders, key = self.vault_parts()
        return Vault(directory, folders, self.pair(key))

    def vault_parts(self) -> tuple[Path, list[Path], str]:
        """Folder, key folders, and the key's name."""
        section = self._named(self.config.vault, "vault")
        own, folders = self.path(section.directory), [self.path(name) for name in section.key_directories]
        resolved = [folder.resolve() for folder in (own, *folders)]
        for index, folder in enumerate(resolved):
            if any(folder == other or other in folder.parents for other in resolved[:index] + resolved[index + 1 :]):
                raise ConfigRefused(
                    f"{folder} is not apart from the others: a backup of the vault would hold its keys",
                    where="vault.key_directories",
                    next_step="name separate folders, best on separate disks",
                )
        return own, folders, section.key

    def store(self) -> ObjectStore:
        """The object store. Raises StoreFault."""
        section = self._named(self.config.store, "store")
        if section.directory:
            return ObjectStore.folder(self.path(section.directory))
        return ObjectStore.bucket(section.bucket, section.endpoint, section.region)

    def archive(self) -> Archive:
        """Where private data goes: this custodian's store and vault."""
        account = bytes.fromhex(self._named(self.config.custodian, "custodian").account)
        return Archive(account, self.store(), self.vault())

    def custodian(self) -> Custodian:
        """The custodian with all that the file names; without [vault], of limited data only."""
        section = self._named(self.config.custodian, "custodian")
        private = self.config.vault is not None
        return Custodian(
            self.who(section),
            self.ring(section),
            self.vault() if private else None,
            self.store() if private else None,
        )

    @staticmethod
    def _named(section: S | None, name: str) -> S:
        if section is None:
            raise _missing(name)
        return section


def _missing(name: str) -> ConfigRefused:
    return ConfigRefused("needed for this command", where=name, next_step=_SEE)
