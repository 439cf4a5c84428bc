"""Four nodes, and somebody on every wire between them: he reads nothing; what he changes ends links, not the chain."""

import asyncio
import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from chain_core.codec.transaction import decode_envelope
from chain_core.crypto.keys import load_private_key
from chain_core.crypto.providers import signing_provider
from chain_core.crypto.x509.authority import Wish, open_authority
from chain_core.crypto.x509.certificate import parse_certificate
from chain_core.crypto.x509.files import load_certificates
from chain_core.crypto.x509.issue import Kind
from chain_core.crypto.x509.names import Subject
from chain_core.crypto.x509.roles import role_uri
from chain_core.network.hello import Hello, encode_hello
from chain_core.network.links import LINK_METHOD
from chain_core.network.raw_rpc import RawChannel
from chain_core.network.secured.security import SmClient, identity_of
from chain_core.network.sm_session.binding import Binding, Role
from chain_core.network.sm_session.refused import Reason, SessionRefused
from chain_core.node.certify import now_ms
from chain_core.node.chain_view import VerifiedReceipt
from chain_core.node.client_security import client_security
from chain_core.node.verifying_client import VerifyingClient
from chain_core.types.errors import DualchainError
from tests.integration.network import NAMES, Network, lay_out
from tests.integration.secured import Wire
from tests.unit.network.sm_session.support import FakePeer

WAIT_S = 60.0


class Tapped(Network):
    """Every node dials the others through a wire of its own."""

    wires: dict[tuple[str, str], Wire]

    async def tap(self) -> None:
        self.wires = {}
        for name in NAMES:
            taps: dict[str, str] = {}
            for other, address in self.configs[name].peers.items():
                wire = self.wires[name, other] = Wire(address)
                taps[other] = await wire.start()
            self.configs[name] = self.configs[name].model_copy(update={"peers": taps})

    async def untap(self) -> None:
        for wire in self.wires.values():
            await wire.stop()


async def transferred(network: Network, amount: int, *names: str) -> bytes:
    alice, bob = network.wallets["alice"], network.wallets["bob"]
    raw = alice.transfer(bob.account, amount)
    (settled,) = await network.client(*names).submit_until_final([raw])
    assert isinstance(settled, VerifiedReceipt)
    return raw


def told(directory: Path, story: Callable[[Tapped], object]) -> None:
    async def main() -> None:
        network = Tapped(directory)
        await network.tap()
        await network.start()
        try:
            async with asyncio.timeout(WAIT_S):
                await story(network)  # type: ignore[misc]
        finally:
            await network.stop()
            await network.untap()

    asyncio.run(main())


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    lay_out(tmp_path / "net")
    return tmp_path / "net"


def test_no_plaintext_between_nodes(directory: Path) -> None:
    async def story(network: Tapped) -> None:
        raw = await transferred(network, 7, "one")
        envelope = decode_envelope(raw)
        await network.until(network.nodes["one"].store.final_height)
        seen = b"".join(bytes(wire.seen) for wire in network.wires.values())
        assert len(seen) > 20 * len(raw)  # the body went to three nodes, votes and blocks besides
        secrets = [raw[i : i + 16] for i in range(0, len(raw) - 16, 8)]
        secrets = [secret for secret in secrets if len(set(secret)) > 8]  # zeros stand everywhere
        assert len(secrets) > 20
        secrets += [envelope.transaction_id[:16], network.wallets["alice"].account, b"transfer"]
        assert not [secret for secret in secrets if secret in seen]
        for name in NAMES:
            certificates = load_certificates(directory / name / "transport.pem")
            assert not any(one.der[40:80] in seen for one in certificates)

    told(directory, story)


def test_altered_bytes_end_links_by_name_and_the_chain_goes_on(
    directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A bit of every large chunk between two nodes is turned over: their link never settles, the others agree."""

    async def story(network: Tapped) -> None:
        await transferred(network, 1, "one")
        turned: list[int] = []

        def spoil(data: bytes) -> bytes:
            if len(data) < 200:
                return data
            turned.append(len(data))
            place = len(data) - 60  # inside a record: what HTTP/2 frames it with stays whole
            return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]

        for pair in (("one", "four"), ("four", "one")):
            network.wires[pair].change = spoil
        for amount in range(2, 6):
            await transferred(network, amount, "two")
        assert turned
        for pair in (("one", "four"), ("four", "one")):
            network.wires[pair].change = lambda data: data
        await transferred(network, 9, "four")

    with caplog.at_level(logging.WARNING):
        told(directory, story)
    assert "BAD_RECORD" in caplog.text


def validator_one(directory: Path, network: Network) -> SmClient:
    """Its own link, by its key and certificate; it believes whom it dials."""
    key = load_private_key(directory / "one" / "transport.key")
    chain = tuple(one.der for one in load_certificates(directory / "one" / "transport.pem"))
    return SmClient(identity_of(chain, key), Binding(network.view.genesis_hash, Role.PEER), reading_any)


def strangers(directory: Path, network: Network) -> dict[str, tuple[SmClient, Reason]]:
    """Who dials node two's peer port, and the reason that he hears."""
    genesis_hash = network.view.genesis_hash
    binding = Binding(genesis_hash, Role.PEER)
    issuing = open_authority(directory / "authority" / "issuing")
    genuine = validator_one(directory, network)
    key, chain = load_private_key(directory / "one" / "transport.key"), genuine.identity.certificates
    public = signing_provider().sm2_public_key(key)
    chain_id = network.view.genesis.chain_id
    other_role = Wish(Kind.SIGNING, Subject("one", "entity one"), public, 30, uris=(role_uri("client", chain_id),))
    demoted = issuing.issue(other_role, now_ms())
    client = client_security(directory / "clients" / "alice", network.genesis)
    thief = load_private_key(directory / "clients" / "alice" / "client.key")
    return {
        "a client's certificate": (
            replace(client, binding=binding, verify=genuine.verify),
            Reason.NOT_A_VALIDATOR,
        ),
        "a validator's key with a certificate of another role": (
            replace(genuine, identity=identity_of((demoted.der,), key)),
            Reason.WRONG_ROLE,
        ),
        "a validator's certificate without its key": (
            replace(genuine, identity=identity_of(chain, thief)),
            Reason.BAD_CERTIFICATE_VERIFY,
        ),
        "a validator of another chain": (
            replace(genuine, binding=replace(binding, genesis_hash=bytes(32))),
            Reason.WRONG_CHAIN,
        ),
        "a lower version": (
            replace(genuine, binding=replace(binding, protocol_version=0)),
            Reason.WRONG_VERSION,
        ),
        "a client's role": (replace(genuine, binding=replace(binding, role=Role.CLIENT)), Reason.WRONG_ROLE),
    }


def reading_any(certificates: Sequence[bytes]) -> FakePeer:
    return FakePeer("two", ("peer",), parse_certificate(certificates[0]).public_key, b"", "entity two")


def test_strangers_at_the_peer_port(directory: Path) -> None:
    async def story(network: Tapped) -> None:
        address = network.configs["two"].listen.peer
        for name, (security, expected) in strangers(directory, network).items():
            channel = RawChannel(address, security)
            with pytest.raises(SessionRefused) as refused:
                await channel.stream(LINK_METHOD).send(b"")
            assert refused.value.reason is expected, name
            await channel.close()
        # a validator that claims to be another one
        channel = RawChannel(address, validator_one(directory, network))
        stream = channel.stream(LINK_METHOD)
        await stream.send(encode_hello(Hello(network.view.genesis_hash, 0, "three")))
        with pytest.raises(DualchainError, match="one says to be three"):
            await stream.receive()
        await channel.close()
        await transferred(network, 3, "two")

    told(directory, story)


def test_a_plaintext_caller_at_the_peer_port(directory: Path) -> None:
    async def story(network: Tapped) -> None:
        channel = RawChannel(network.configs["two"].listen.peer)
        stream = channel.stream(LINK_METHOD)
        await stream.send(encode_hello(Hello(network.view.genesis_hash, 0, "one")))
        with pytest.raises(DualchainError) as refused:
            await stream.receive()
        assert refused.value.code == "SESSION_REQUIRED"
        await channel.close()

    told(directory, story)


def test_a_client_port_with_sessions(directory: Path) -> None:
    """The configuration's ``sm``: a client of the chain is served, a stranger and a plaintext caller are not."""

    async def story(network: Network) -> None:
        security = client_security(directory / "clients" / "alice", network.genesis)
        alice, bob = network.wallets["alice"], network.wallets["bob"]
        client = VerifyingClient(network.view, network.addresses(), security)
        (settled,) = await client.submit_until_final([alice.transfer(bob.account, 1)])
        assert isinstance(settled, VerifiedReceipt)
        await client.close()
        plain = network.client("one")
        with pytest.raises(DualchainError) as refused:
            await plain.header()
        assert refused.value.code == "SESSION_REQUIRED"
        await plain.close()

    async def main() -> None:
        network = Network(directory)
        for name in NAMES:
            config = network.configs[name]
            listen = config.listen.model_copy(update={"client_security": "sm"})
            network.configs[name] = config.model_copy(update={"listen": listen})
        await network.start()
        try:
            async with asyncio.timeout(WAIT_S):
                await story(network)
        finally:
            await network.stop()

    asyncio.run(main())


def test_a_command_with_credentials(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``DUALCHAIN_CREDENTIALS`` names a client's folder: a command is served behind a session, and refused without."""

    async def story() -> None:
        network = Network(directory)
        config = network.configs["one"]
        listen = config.listen.model_copy(update={"client_security": "sm"})
        network.configs["one"] = config.model_copy(update={"listen": listen})
        await network.start("one")
        command = [sys.executable, "-m", "dualchain", "node", "status", "--node", config.listen.client]
        try:
            for folder, expected, word in (("", 1, "SESSION_REQUIRED"), (str(directory / "clients" / "cli"), 0, "one")):
                monkeypatch.setenv("DUALCHAIN_CREDENTIALS", folder)
                ran = await asyncio.create_subprocess_exec(
                    *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
                )
                said, _ = await ran.communicate()
                assert ran.returncode == expected and word in said.decode(), said.decode()
        finally:
            await network.stop()

    asyncio.run(story())
