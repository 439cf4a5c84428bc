"""TOML files of the government-data channel (docs/spec/government-data.md §8)."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator

from chain_core.crypto.x509.roles import PEER
from chain_core.network.secured.security import ClientSecurity
from chain_core.node.chain_view import ChainView
from chain_core.node.client_security import configured
from chain_core.node.config import ConfigRefused, read_genesis
from chain_core.node.key_protection import KeysSection
from service_registry.chain import Account, RegistryChain
from service_registry.config import ChainSection, KeyPair, LookupConfig, UserConfig
from service_registry.govdata.bureau import bad_url

SEE = "see docs/spec/government-data.md §8"
_ACCOUNT = "^[0-9a-f]{32}$"


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class OperatorSection(_Section):
    """[operator]: who counts the uses, on the market's chain."""

    account: str = Field(pattern=_ACCOUNT)
    key: str


class BureauSection(_Section):
    """[bureau]: where the data bureau answers, and which it is."""

    url: str
    credit_code: str = Field(min_length=18, max_length=18)
    ca: str = ""
    max_age_ms: int = Field(default=120_000, ge=1_000, le=86_400_000)

    @field_validator("url")
    @classmethod
    def _protected(cls, value: str) -> str:
        if bad_url(value):
            raise ValueError("https, or http on this machine")
        return value


class HostConfig(LookupConfig):
    """govdata.toml."""

    operator: OperatorSection
    bureau: BureauSection


class IdentitySection(_Section):
    """[identity] of a consumer: his DID and its did-auth key."""

    did: str
    key: str


class AskConfig(UserConfig):
    """A registry user's file, with his DID."""

    identity: IdentitySection | None = None


class PartySection(_Section):
    """[actor] on a market's chain: account, keys, DID."""

    account: str = Field(pattern=_ACCOUNT)
    key: str
    did: str = ""
    assertion_key: str = ""
    auth_key: str = ""


class PartyConfig(_Section):
    """A file of somebody on a market's chain: the enterprise that authorises, the market that names a bureau."""

    chain: ChainSection
    actor: PartySection
    keys: KeysSection = KeysSection()
    directory: Path = Field(default=Path(), exclude=True)

    def open(self) -> RegistryChain:
        """The market's chain. Raises ConfigRefused, KeyFileRefused, CertificateFileRefused."""
        genesis, raw = read_genesis(self.directory / self.chain.genesis)
        if genesis.kind != "local":
            raise ConfigRefused(f"of a {genesis.kind} chain", where=self.chain.genesis, next_step=SEE)
        return RegistryChain(ChainView(raw), self.chain.nodes, self._security(raw))

    def _security(self, raw: bytes) -> ClientSecurity:
        folder = self.directory / self.chain.credentials if self.chain.credentials else None
        return configured(folder, raw, self.keys.unlock(self.directory), role=PEER)

    def key(self, name: str, what: str) -> KeyPair:
        """A key file that the file names. Raises ConfigRefused when it names none, KeyFileRefused."""
        if not name:
            raise ConfigRefused("needed for this command", where=f"actor.{what}", next_step=SEE)
        return KeyPair.load(self.directory / name, self.keys.unlock(self.directory))

    def account(self) -> Account:
        """The actor with its transaction key."""
        key = self.key(self.actor.key, "key")
        return Account(bytes.fromhex(self.actor.account), key.private, key.public)

    def did(self) -> str:
        """The actor's DID. Raises ConfigRefused when the file has none."""
        if not self.actor.did:
            raise ConfigRefused("needed for this command", where="actor.did", next_step=SEE)
        return self.actor.did
