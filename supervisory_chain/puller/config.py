"""The puller's TOML file (docs/spec/node-interface.md §6)."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, model_validator

from chain_core.network.access import Records
from chain_core.network.identity import require_loopback
from chain_core.node.chain_view import ChainView
from chain_core.node.client_security import configured
from chain_core.node.config import read_genesis
from chain_core.node.key_protection import KeysSection
from chain_core.node.revocation import RevocationLists
from chain_core.node.service_port import PLAINTEXT_PORT, PortSection, ServicePort, service_port
from chain_core.types.errors import LocalFault
from crosschain.jrt0314.endpoint import Credentials, HttpEndpoint, read_token
from crosschain.jrt0314.service_names import CROSSLOG
from service_registry.chain import Account, RegistryChain
from service_registry.config import ActorSection, ChainSection, KeyPair, LogSection
from service_registry.config import load as load_file
from supervisory_chain.puller.log import KEEP_ENTRIES, Book
from supervisory_chain.puller.pulling import Market
from supervisory_chain.puller.reporting import Reporter

SEE = "see docs/spec/node-interface.md §6"


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ValidatorRow(_Section):
    """A consensus node of a chain of another make."""

    id: str = Field(min_length=1, max_length=128)
    pub_key: str = Field(pattern=r"^04[0-9a-f]{128}$")


class MarketSection(_Section):
    """[[chain]]: a market's chain, its endpoints, whom it is believed by."""

    network_id: str = Field(min_length=1, max_length=128)
    endpoints: list[str] = Field(min_length=2, max_length=8)
    genesis: str = ""
    """Path of the genesis document of a chain like ours."""
    validators: list[ValidatorRow] = Field(default=[], max_length=1_024)
    ca: str = ""
    token_file: str = ""
    certificate: str = ""
    certificate_key: str = ""
    entities: list[str] = Field(default=[], max_length=64)
    """Organisations whose certificates may read this chain's log."""

    @model_validator(mode="after")
    def _trust(self) -> MarketSection:
        if bool(self.genesis) == bool(self.validators):
            raise ValueError("name either genesis or validators: something has to be believed")
        if len(set(self.endpoints)) != len(self.endpoints):
            raise ValueError("endpoints: one stands twice")
        return self


class LogServiceSection(PortSection):
    """[log_service]: where markets ask what came of their snapshots."""

    listen: str
    genesis: str = ""
    """Path of the supervisory genesis document: whose credentials the folder holds."""
    credentials: str = ""

    @model_validator(mode="after")
    def _port(self) -> LogServiceSection:
        self.check(self.listen, self.credentials and self.genesis, "log_service.credentials and genesis")
        return self


class ReportSection(_Section):
    """[report]: the supervisory chain, and who tells it how the data stand (docs/spec/risk.md)."""

    supervisory: ChainSection
    actor: ActorSection
    every_s: int = Field(default=60, ge=5, le=86_400)


class PullerConfig(_Section):
    """puller.toml."""

    database: str
    chain: list[MarketSection] = Field(min_length=1, max_length=64)
    log_service: LogServiceSection | None = None
    report: ReportSection | None = None
    metrics: str = ""
    """Loopback address of the metrics page."""
    poll_ms: int = Field(default=1_000, ge=50, le=600_000)
    keep_entries: int = Field(default=KEEP_ENTRIES, ge=100, le=100_000_000)
    keys: KeysSection = KeysSection()
    log: LogSection = LogSection()
    directory: Path = Field(default=Path(), exclude=True)
    """Where relative paths count from."""

    @model_validator(mode="after")
    def _once(self) -> PullerConfig:
        names = [one.network_id for one in self.chain]
        if len(set(names)) != len(names):
            raise ValueError("chain: a network_id stands twice")
        if self.metrics:
            try:
                require_loopback(self.metrics)
            except LocalFault as fault:
                raise ValueError(f"metrics: {fault.what}") from fault
        return self

    def path(self, name: str) -> Path:
        """A path named in the file."""
        return self.directory / name

    def markets(self) -> list[Market]:
        """The chains with their endpoints. Raises ConfigRefused, LocalFault."""
        return [self._market(one) for one in self.chain]

    def _market(self, one: MarketSection) -> Market:
        credentials = Credentials(
            self.path(one.ca) if one.ca else None,
            read_token(self.path(one.token_file)) if one.token_file else "",
            self.path(one.certificate) if one.certificate else None,
            self.path(one.certificate_key) if one.certificate_key else None,
        )
        return Market(
            one.network_id,
            [HttpEndpoint(url, credentials) for url in one.endpoints],
            read_genesis(self.path(one.genesis))[1] if one.genesis else b"",
            {row.id: bytes.fromhex(row.pub_key)[1:] for row in one.validators},
        )

    def reporter(self, book: Book) -> Reporter | None:
        """Who reports, None without the section. Raises ConfigRefused, KeyFileRefused, CertificateFileRefused."""
        section = self.report
        if section is None:
            return None
        raw, unlock = read_genesis(self.path(section.supervisory.genesis))[1], self.keys.unlock(self.directory)
        named = section.supervisory.credentials
        security = configured(self.path(named) if named else None, raw, unlock)
        key = KeyPair.load(self.path(section.actor.key), unlock)
        who = Account(bytes.fromhex(section.actor.account), key.private, key.public)
        return Reporter(RegistryChain(ChainView(raw), section.supervisory.nodes, security), who, book, section.every_s)

    def port(self, records: Records) -> ServicePort:
        """How the log's port is protected. Raises ConfigRefused, KeyFileRefused, CertificateFileRefused."""
        section = self.log_service
        assert section is not None, "asked where the section is there"
        if section.security == "plaintext":
            return PLAINTEXT_PORT
        lists = RevocationLists(self.path(section.crl) if section.crl else None, section.crl_grace_hours)
        raw = read_genesis(self.path(section.genesis))[1]
        unlock = self.keys.unlock(self.directory)
        return service_port(self.path(section.credentials), raw, unlock, CROSSLOG, lists, records)


def load(path: Path) -> PullerConfig:
    """The file's content. Raises ConfigRefused that names file and key."""
    return load_file(PullerConfig, path, SEE)
