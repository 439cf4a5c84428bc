"""probe.toml (docs/spec/drift.md §2)."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, field_validator

from chain_core.network.secured.security import ClientSecurity
from chain_core.node.client_security import configured
from contracts.codes.regions import REGIONS
from crosschain.jrt0314.endpoint import Credentials, read_token
from service_registry.config import ActorSection, UserConfig


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ProbeSection(_Section):
    """[probe]: how often all endpoints are asked, and how long one may take."""

    every_s: int = Field(default=60, ge=5, le=86_400)
    timeout_s: float = Field(default=5.0, gt=0, le=60)


class MarketSection(_Section):
    """[markets.X]: how this market's endpoints are asked."""

    credentials: str = ""
    interface: bool = False
    ca: str = ""
    token_file: str = ""


class ProbeConfig(UserConfig):
    """The whole file."""

    actor: ActorSection
    probe: ProbeSection = ProbeSection()
    markets: dict[str, MarketSection] = Field(default_factory=dict)

    @field_validator("markets")
    @classmethod
    def _regions(cls, value: dict[str, MarketSection]) -> dict[str, MarketSection]:
        for code in value:
            if code not in REGIONS:
                raise ValueError(f"{code} is no region of JR/T 0326 table 1")
        return value

    def of_market(self, code: str) -> MarketSection:
        """The section of a market, empty where there is none."""
        return self.markets.get(code) or MarketSection()

    def market_security(self, code: str, document: bytes) -> ClientSecurity:
        """How the market's nodes are talked to. Raises ConfigRefused, KeyFileRefused, CertificateFileRefused."""
        named = self.of_market(code).credentials
        return configured(self.path(named) if named else None, document, self.keys.unlock(self.directory))

    def interface_credentials(self, code: str) -> Credentials:
        """What is shown to the market's HTTPS interface. Raises LocalFault."""
        section = self.of_market(code)
        token = read_token(self.path(section.token_file)) if section.token_file else ""
        return Credentials(self.path(section.ca) if section.ca else None, token)
