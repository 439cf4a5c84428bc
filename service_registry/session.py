"""What a command of ``dualchain registry`` works with: the chain, and where needed account, keys and gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from chain_core.crypto.providers import signing_provider
from chain_core.crypto.x509.roles import GATEWAY
from chain_core.network.raw_rpc import RawChannel
from chain_core.node import render
from chain_core.node.chain_view import VerifiedReceipt
from chain_core.types.transaction import Operation
from chain_core.types.values import Value
from service_registry.chain import Account, RegistryChain
from service_registry.config import ActorSection, KeyPair, UserConfig, load, missing
from service_registry.consumer import Consumer
from service_registry.offers import offer_bytes, offer_message
from service_registry.records import SERVICES, Version, decode, version_key


@dataclass(frozen=True, slots=True)
class Session:
    """One command's connections. Raises ConfigRefused when the file lacks what the command needs."""

    config: UserConfig
    chain: RegistryChain

    @property
    def actor(self) -> ActorSection:
        """The [actor] of the file."""
        if self.config.actor is None:
            raise missing(("actor",), "sign")
        return self.config.actor

    @property
    def market(self) -> str:
        """The actor's market."""
        if not self.actor.market:
            raise missing(("actor", "market"), "draft or apply")
        return self.actor.market

    def account(self) -> Account:
        """The actor with its transaction key. Raises KeyFileRefused."""
        key = self.config.key(self.actor.key)
        return Account(bytes.fromhex(self.actor.account), key.private, key.public)

    def assertion_key(self) -> KeyPair:
        """The actor's assertion key. Raises KeyFileRefused."""
        if not self.actor.assertion_key:
            raise missing(("actor", "assertion_key"), "sign calls and reports")
        return self.config.key(self.actor.assertion_key)

    def consumer(self) -> Consumer:
        """The actor as a caller."""
        if self.config.gateway is None:
            raise missing(("gateway", "address"), "call")
        account = bytes.fromhex(self.actor.account)
        security = self.config.security(self.config.supervisory, GATEWAY)
        address, key = self.config.gateway.address, self.assertion_key()
        return Consumer(self.chain, address, account, key, security=security)

    def gateway(self) -> RawChannel:
        """The gateway's port, in the actor's sessions; whoever asks for it closes it."""
        if self.config.gateway is None:
            raise missing(("gateway", "address"), "ask the gateway")
        return RawChannel(self.config.gateway.address, self.config.security(self.config.supervisory, GATEWAY))

    async def register(self, service: bytes) -> VerifiedReceipt:
        """The version in test comes into force, with its source mark (art. 19) where the actor has an assertion key."""
        found = await self.chain.service(service)
        args: dict[str, Value] = {"service": service}
        key = (SERVICES, version_key(service, found.draft))
        raw = (await self.chain.values([key]))[key] if found.draft else None
        if raw is not None and self.actor.assertion_key:
            offer = offer_bytes(service, found, found.draft, decode(Version, raw).definition_hash)
            message = offer_message(self.chain.genesis_hash, offer)
            args["signature"] = signing_provider().sm2_sign(self.assertion_key().private, message)
        return await self.submit("register", **args)

    async def submit(self, method: str, **args: Value) -> VerifiedReceipt:
        """One operation of ``services`` by the actor, final. Raises RefusedByChain."""
        return await self.chain.submit(self.account(), [Operation(SERVICES, method, args)])


def run(path: Path, work: Callable[[Session], Awaitable[render.Row]]) -> render.Row:
    """What ``work`` returns, on the connections that the file names."""
    config = load(UserConfig, path)

    async def main() -> render.Row:
        chain = RegistryChain(
            config.view(config.supervisory, "supervisory"),
            config.supervisory.nodes,
            config.security(config.supervisory),
        )
        try:
            return await work(Session(config, chain))
        finally:
            await chain.close()

    return asyncio.run(main())
