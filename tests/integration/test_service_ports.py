"""Gateway and publisher behind SM sessions: nothing readable on either wire, and strangers are refused by name."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from chain_core.crypto.x509.authority import open_authority
from chain_core.crypto.x509.files import load_certificates
from chain_core.crypto.x509.roles import CUSTODIAN, GATEWAY, PUBLISHER
from chain_core.network.raw_rpc import RawChannel, RawServer
from chain_core.network.secured.security import PLAINTEXT, ClientSecurity, SmClient
from chain_core.node.certify import AUTHORITY, CLIENTS, CRL, ISSUING, write_clients
from chain_core.node.client_security import client_security
from chain_core.node.config import ConfigRefused
from chain_core.node.logged_refusals import LoggedRefusals
from chain_core.node.revocation import RevocationLists
from chain_core.node.service_port import ServicePort, service_port
from chain_core.types.errors import DualchainError
from service_registry.calls import GATEWAY_CALL, SERVICE_CALL
from service_registry.config import KeyPair
from service_registry.consumer import Consumer
from service_registry.gateway import Gateway
from service_registry.serving import RULES, Served
from tests.integration.network import lay_out
from tests.integration.secured import Wire
from tests.unit.execution.world import account
from tests.unit.service_registry.house import REQUEST, RESPONSE, SERVICE, private
from tests.unit.service_registry.stage import Stage

CHAIN_ID = "coins-of-four"


@dataclass(slots=True)
class Ports:
    """Gateway and publisher of one stage, each with somebody on the wire before it."""

    directory: Path
    stage: Stage
    lists: RevocationLists
    gateway: RawServer
    wires: tuple[Wire, Wire]
    addresses: tuple[str, str]

    def as_(self, name: str, role: str, directory: Path | None = None) -> SmClient:
        return security(directory or self.directory, name, role)

    async def refused(self, at: int, method: str, how: ClientSecurity) -> DualchainError:
        channel = RawChannel(self.addresses[at], how)
        try:
            with pytest.raises(DualchainError) as caught:
                await channel.unary(method, b"", timeout_s=10)
            return caught.value
        finally:
            await channel.close()


def security(directory: Path, name: str, role: str) -> SmClient:
    return client_security(directory / CLIENTS / name, (directory / "genesis.bin").read_bytes(), role=role)


def chain(directory: Path) -> Path:
    """A chain's folder; its authority certifies a publisher besides."""
    lay_out(directory)
    issuing, now_ms = open_authority(directory / AUTHORITY / ISSUING), time.time_ns() // 1_000_000
    write_clients(directory / CLIENTS, CHAIN_ID, issuing, {"house": ("House", (PUBLISHER,))}, now_ms, None)
    return directory


def port(directory: Path, name: str, role: str, lists: RevocationLists) -> ServicePort:
    raw = (directory / "genesis.bin").read_bytes()
    return service_port(directory / CLIENTS / name, raw, None, role, lists, LoggedRefusals())


@asynccontextmanager
async def ports(directory: Path) -> AsyncIterator[Ports]:
    lists = RevocationLists(directory / "one" / CRL, 24)
    async with Stage() as stage:
        gateway = Gateway(stage.chain, stage.recorder, stage.clock, security(directory, "gateway", PUBLISHER))
        served = (
            Served(gateway.methods(), RULES, "", port(directory, "gateway", GATEWAY, lists), LoggedRefusals()),
            Served(stage.methods(), RULES, "", port(directory, "house", PUBLISHER, lists), LoggedRefusals()),
        )
        servers = [one.server() for one in served]
        wires = tuple(Wire(server.bind("127.0.0.1:0")) for server in servers)
        addresses = tuple([await wire.start() for wire in wires])
        for server in servers:
            await server.start()
        stage.house.confirmed(endpoints=[addresses[1]])
        try:
            yield Ports(directory, stage, lists, servers[0], (wires[0], wires[1]), (addresses[0], addresses[1]))
        finally:
            await gateway.close()
            for server in servers:
                await server.stop(0)
            for wire in wires:
                await wire.stop()


def told(directory: Path, story: Callable[[Ports], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(60), ports(directory) as made:
            await story(made)

    asyncio.run(main())


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return chain(tmp_path / "net")


def test_a_call_leaves_nothing_readable_on_either_wire(directory: Path) -> None:
    async def story(made: Ports) -> None:
        key, how = KeyPair.of(private("consumer")), made.as_("alice", GATEWAY)
        consumer = Consumer(
            made.stage.chain, made.addresses[0], account("consumer"), key, made.stage.clock, security=how
        )
        answered = await consumer.call(SERVICE, REQUEST)
        await consumer.close()
        assert answered.value == {"answer": 2}
        for wire in made.wires:
            seen = bytes(wire.seen)
            assert len(seen) > 2_000
            secrets = (REQUEST, RESPONSE, SERVICE, account("consumer"), answered.answer.signature)
            assert not [secret for secret in secrets if secret in seen]
            for name in ("alice", "gateway", "house"):
                (leaf, *_) = load_certificates(directory / CLIENTS / name / "client.pem")
                assert leaf.der[40:80] not in seen

    told(directory, story)


def test_strangers_are_refused_by_name(directory: Path, tmp_path: Path) -> None:
    """A certificate of another authority, a role that is not the port's, a revoked one, and none at all."""
    other = chain(tmp_path / "other")

    async def story(made: Ports) -> None:
        how = made.as_("alice", GATEWAY, other)
        own = made.as_("alice", GATEWAY)
        foreign = SmClient(how.identity, own.binding, own.verify)
        refused = await made.refused(0, GATEWAY_CALL, foreign)
        assert refused.code == "CERTIFICATE_REFUSED" and "UNTRUSTED" in str(refused)
        refused = await made.refused(0, GATEWAY_CALL, how)
        assert refused.code == "WRONG_CHAIN"
        refused = await made.refused(1, SERVICE_CALL, made.as_("alice", PUBLISHER))
        assert refused.code == "PERMISSION_DENIED" and "gateway" in refused.what
        refused = await made.refused(0, GATEWAY_CALL, made.as_("alice", PUBLISHER))
        assert refused.code == "CERTIFICATE_REFUSED" and "does not have the role 'publisher'" in str(refused)

        authority = open_authority(directory / AUTHORITY / ISSUING)
        (leaf, *_) = load_certificates(directory / CLIENTS / "bob" / "client.pem")
        now_ms = time.time_ns() // 1_000_000
        authority.revoke(leaf.serial, "withdrawn", now_ms)
        root = open_authority(directory / AUTHORITY / "root")
        lists = [one.write_crl(1, now_ms).read_text("ascii") for one in (root, authority)]
        (directory / "one" / CRL).write_text("".join(lists), "ascii")
        made.lists.read()
        refused = await made.refused(0, GATEWAY_CALL, made.as_("bob", GATEWAY))
        assert refused.code == "CERTIFICATE_REFUSED" and "REVOKED" in str(refused)
        refused = await made.refused(0, GATEWAY_CALL, made.as_("alice", GATEWAY))
        assert refused.code == "MALFORMED"  # she is let in, and her empty call is none

    told(directory, story)


def test_a_plaintext_caller_is_told_what_it_lacks(directory: Path) -> None:
    async def story(made: Ports) -> None:
        refused = await made.refused(0, GATEWAY_CALL, PLAINTEXT)
        assert refused.code == "SESSION_REQUIRED" and "credentials" in refused.next_step

    told(directory, story)


@pytest.mark.parametrize(
    ("name", "role", "words"),
    [
        ("house", GATEWAY, "gateway is needed"),
        ("gateway", CUSTODIAN, "custodian is needed"),
        ("alice", GATEWAY, "no client would take this certificate"),
    ],
)
def test_a_service_without_its_certificate_does_not_start(directory: Path, name: str, role: str, words: str) -> None:
    with pytest.raises(ConfigRefused, match=words) as refused:
        port(directory, name, role, RevocationLists(None, 24))
    assert f"--role {role}" in refused.value.next_step
