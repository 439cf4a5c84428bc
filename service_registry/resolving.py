"""The DID resolvers as processes: a market's own, and the global one of the regulator (docs/spec/identity.md §4)."""

from __future__ import annotations

import asyncio
import logging
import signal
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from chain_core.network.identity import require_address, require_loopback, split_address
from chain_core.network.quota import Limit
from chain_core.network.raw_rpc import PortTaken
from chain_core.network.refusals import Unavailable
from chain_core.node.chain_view import ChainView
from chain_core.node.client_security import configured
from chain_core.node.config import ConfigRefused, read_genesis
from chain_core.node.key_protection import KeysSection
from chain_core.node.verifying_client import VerifyingClient
from chain_core.types.errors import LocalFault
from contracts.codes.regions import REGIONS
from crosschain.identity.resolver import CALLER_LIMIT, Answered, Resolver
from service_registry.chain import wall_clock_ms
from service_registry.config import ChainSection, LogSection
from service_registry.config import load as load_file
from service_registry.serving import set_up_log
from service_registry.tls import tls_context

log = logging.getLogger(__name__)

SEE = "see docs/spec/identity.md §4"
GRACE_S = 2.0
_MAX_LINE_BYTES = 8_190


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ResolverSection(_Section):
    """[resolver]: where it listens, whom it asks about other labels, how old an answer may be."""

    listen: str
    security: Literal["tls", "plaintext"] = "tls"
    certificate: str = ""
    key: str = ""
    upstream: str = ""
    """URL of the global resolver; a global one has none."""
    max_age_ms: int = Field(default=120_000, ge=1_000, le=86_400_000)
    """How old the header may be under which an answer is proven. A chain at rest makes an idle block from time to
    time (``idle_block_ms``): this is longer than that."""

    caller_per_s: int = Field(default=CALLER_LIMIT.per_s, ge=1, le=10_000)
    """Requests a second of one caller (an address, of IPv6 its /64)."""
    caller_burst: int = Field(default=CALLER_LIMIT.burst, ge=1, le=100_000)

    @model_validator(mode="after")
    def _protected(self) -> ResolverSection:
        tls = self.security == "tls"
        if tls != bool(self.certificate and self.key):
            raise ValueError('certificate and key go with security = "tls"')
        try:
            require_address(self.listen) if tls else require_loopback(self.listen)
        except LocalFault as fault:
            raise ValueError(f"listen: {fault.what}: {fault.where!r}; {fault.next_step}") from fault
        return self

    @field_validator("upstream")
    @classmethod
    def _url(cls, value: str) -> str:
        parts = urlsplit(value)
        local = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1")
        if value and not (parts.scheme == "https" or local):
            raise ValueError("https, or http on this machine")
        return value.rstrip("/")


class ResolverConfig(_Section):
    """resolver.toml."""

    chain: ChainSection
    resolver: ResolverSection
    keys: KeysSection = KeysSection()
    log: LogSection = LogSection()
    directory: Path = Field(default=Path(), exclude=True)


def load(path: Path) -> ResolverConfig:
    """The file's content. Raises ConfigRefused that names file and key."""
    return load_file(ResolverConfig, path, SEE)


class ResolverPort:
    """Inside a running event loop: ``start`` once, ``stop`` once. ``address`` is where it listens."""

    def __init__(
        self,
        config: ResolverConfig,
        kind: Literal["local", "supervisory"],
        now_ms: Callable[[], int] = wall_clock_ms,
    ) -> None:
        """Raises ConfigRefused, KeyFileRefused, CertificateFileRefused."""
        section, chain = config.resolver, config.chain
        genesis, raw = read_genesis(config.directory / chain.genesis)
        if genesis.kind != kind:
            raise ConfigRefused(f"the document is of a {genesis.kind} chain", where=chain.genesis, next_step=SEE)
        unlock = config.keys.unlock(config.directory)
        folder = config.directory / chain.credentials if chain.credentials else None
        self._client = VerifyingClient(ChainView(raw), chain.nodes, configured(folder, raw, unlock))
        self._max_age_ms, self._now_ms = section.max_age_ms, now_ms
        self._listen = section.listen
        self._tls: ssl.SSLContext | None = None
        if section.security == "tls":
            certificate, key = config.directory / section.certificate, config.directory / section.key
            self._tls = tls_context(certificate, key, None, unlock)
        label = REGIONS[genesis.market].label if kind == "local" else ""
        limit = Limit(section.caller_per_s, section.caller_burst)
        resolver = Resolver(Answered(self._read, label, section.upstream), limit)
        self._runner = web.AppRunner(
            resolver.application(),
            handle_signals=False,
            access_log=None,
            shutdown_timeout=GRACE_S,
            max_line_size=_MAX_LINE_BYTES,
            max_field_size=_MAX_LINE_BYTES,
        )
        self.address = ""

    async def _read(self, key: bytes) -> bytes | None:
        """What is proven of the key under a header that is not too old. Raises Unavailable."""
        header, (value,) = await self._client.state([key])
        age_ms = self._now_ms() - header.time_ms
        if age_ms > self._max_age_ms:
            raise Unavailable(
                f"the newest header is {age_ms} ms old, at most {self._max_age_ms}",
                where="resolver.max_age_ms",
                next_step="look at the chain's nodes",
            )
        return value

    async def start(self) -> None:
        """Raises PortTaken."""
        await self._runner.setup()
        host, port = split_address(self._listen)
        site = web.TCPSite(self._runner, host, int(port), ssl_context=self._tls, backlog=128)
        try:
            await site.start()
        except OSError as error:
            raise PortTaken(
                f"cannot listen there: {error.strerror or error}",
                where=self._listen,
                next_step="choose another resolver.listen",
            ) from error
        self.address = f"{host}:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Running answers have two seconds."""
        await self._runner.cleanup()
        await self._client.close()


async def run(config: ResolverConfig, kind: Literal["local", "supervisory"], ready: Callable[[str], None]) -> None:
    """Until SIGTERM or Ctrl-C. Raises what ``ResolverPort`` raises."""
    set_up_log(config.log, "crosschain")
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    port = ResolverPort(config, kind)
    try:
        await port.start()
        scheme = "http" if config.resolver.security == "plaintext" else "https"
        ready(f"READY listen={port.address} url={scheme}://{port.address}")
        await stop.wait()
    finally:
        await port.stop()
