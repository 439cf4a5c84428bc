"""desk.toml: the regulator's desk (docs/spec/see-through.md §9)."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from chain_core.network.secured.security import ClientSecurity
from chain_core.node.client_security import check_addresses, configured
from contracts.codes.regions import REGIONS
from service_registry.config import ActorSection, UserConfig


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class LookSection(_Section):
    """[look]: how old an answer may be, how long a node may take, where genesis documents are kept."""

    fresh_within_s: int = Field(default=60, ge=1, le=86_400)
    ahead_s: int = Field(default=15, ge=0, le=3_600)
    timeout_s: float = Field(default=10.0, gt=0, le=120)
    documents: str = ""


class StoreSection(_Section):
    """[markets.X.store]: the object store of a market's exporter, a folder or a bucket."""

    directory: str = ""
    bucket: str = ""
    endpoint: str = ""
    region: str = ""

    @model_validator(mode="after")
    def _one(self) -> StoreSection:
        if bool(self.directory) == bool(self.bucket):
            raise ValueError("name either a directory or a bucket")
        return self


class MarketSection(_Section):
    """[markets.X]: addresses instead of the registered ones, and the desk's credentials there."""

    credentials: str = ""
    nodes: list[str] = Field(default=[], max_length=64)
    store: StoreSection | None = None

    @field_validator("nodes")
    @classmethod
    def _addresses(cls, value: list[str], info: ValidationInfo) -> list[str]:
        check_addresses(value, info.data.get("credentials", ""))
        return value


class DeskConfig(UserConfig):
    """The whole file."""

    actor: ActorSection
    look: LookSection = LookSection()
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
        folder = self.path(named) if named else None
        return configured(folder, document, self.keys.unlock(self.directory))

    def kept_document(self, chain: bytes) -> bytes | None:
        """A genesis document from the folder ``documents``; whoever uses it compares its hash."""
        place = self.path(self.look.documents) / f"{chain.hex()}.genesis"
        return place.read_bytes() if self.look.documents and place.is_file() else None

    def keep_document(self, chain: bytes, document: bytes) -> None:
        """Writes it there, when there is such a folder."""
        if self.look.documents:
            folder = self.path(self.look.documents)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{chain.hex()}.genesis").write_bytes(document)
