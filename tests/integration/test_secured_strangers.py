"""Sessions that do not come about, or end early: strangers, revoked clients, floods, broken connections."""

import asyncio

import grpc
import grpc.aio
import pytest

from chain_core.crypto.hashing import sm3
from chain_core.network import refusals
from chain_core.network.raw_rpc import ClientStream, RawChannel, RawServer
from chain_core.network.refusals import DeadlinePassed, Unreachable
from chain_core.network.secured.security import Bounds
from chain_core.network.sm_session.binding import Binding, Role
from chain_core.network.sm_session.refused import Reason, SessionRefused
from chain_core.types.errors import DualchainError, PeerFault
from tests.integration.secured import Wire, channel, client_security, port, server_security, told
from tests.integration.secured_service import METHODS, SECRET, ask, reason
from tests.unit.network.sm_session.support import GENESIS, expecting, identity, reading

CASES: dict[str, tuple[dict[str, object], dict[str, object], Reason]] = {
    "another chain": ({}, {"binding": Binding(sm3(b"another"), Role.CLIENT)}, Reason.WRONG_CHAIN),
    "another ledger": ({}, {"binding": Binding(GENESIS, Role.CLIENT, 4)}, Reason.WRONG_LEDGER),
    "another role": ({}, {"binding": Binding(GENESIS, Role.PEER)}, Reason.WRONG_ROLE),
    "a lower version": ({}, {"binding": Binding(GENESIS, Role.CLIENT, protocol_version=0)}, Reason.WRONG_VERSION),
    "a foreign certificate": (
        {},
        {"who": identity("alice", "client", issuer="theirs")},
        Reason.CERTIFICATE_REFUSED,
    ),
    "a certificate of another role": ({}, {"who": identity("alice", "auditor")}, Reason.CERTIFICATE_REFUSED),
    "a server with a foreign certificate": (
        {"who": identity("node", "peer", issuer="theirs")},
        {},
        Reason.CERTIFICATE_REFUSED,
    ),
    "a server of another role": ({"who": identity("alice", "client")}, {}, Reason.CERTIFICATE_REFUSED),
}


@pytest.mark.parametrize("case", list(CASES))
def test_sessions_that_do_not_come_about(case: str) -> None:
    async def story() -> None:
        theirs, ours, expected = CASES[case]
        async with port(METHODS, server_security(**theirs)) as (server, address):  # type: ignore[arg-type]
            async with channel(address, client_security(**ours)) as one:  # type: ignore[arg-type]
                for _ in range(2):
                    assert await reason(lambda: ask(one)) is expected
                stream = one.stream("/test.Service/Double")
                assert await reason(lambda: stream.send(b"")) is expected
            assert server.secured is not None and len(server.secured.table) == 0

    told(story)


def test_a_man_in_the_middle_with_a_valid_certificate() -> None:
    """Mallory's port has a certificate of our own authority; a client that pins the node's key finds out."""

    async def story() -> None:
        def pinned(certificates: object) -> object:
            peer = expecting("peer")(certificates)  # type: ignore[arg-type]
            if peer.subject != "node":
                raise SessionRefused(Reason.NOT_A_VALIDATOR, f"{peer.subject}'s key is not the node's")
            return peer

        security = client_security(verify=pinned)  # type: ignore[arg-type]
        async with (
            port(METHODS, server_security(identity("mallory", "peer"))) as (_, address),
            channel(address, security) as one,
        ):
            assert await reason(lambda: ask(one)) is Reason.NOT_A_VALIDATOR

    told(story)


def test_a_client_revoked_meanwhile() -> None:
    """Its session ends with the next look at the lists, by name; the others' go on."""

    async def story() -> None:
        revoked: set[str] = set()

        def verify(certificates: object) -> object:
            peer = reading(certificates)  # type: ignore[arg-type]
            if peer.subject in revoked:
                raise PeerFault(f"{peer.subject} is revoked")
            return peer

        security = server_security(verify=verify)  # type: ignore[arg-type]
        async with (
            port(METHODS, security) as (server, address),
            channel(address) as alice,
            channel(address, client_security(identity("bob", "client"))) as bob,
        ):
            stream = alice.stream("/test.Service/Double")
            await stream.send(b"x")
            assert [await stream.receive(), await stream.receive()] == [b"hello alice", b"xx"]
            await ask(bob)
            assert server.secured is not None and len(server.secured.table) == 2
            revoked.add("alice")
            server.secured.table.verify_again(security.verify)  # as the port does every minute
            assert len(server.secured.table) == 1
            await stream.send(b"y")
            assert await reason(stream.receive) is Reason.CERTIFICATE_REFUSED
            assert await reason(lambda: ask(alice)) is Reason.CERTIFICATE_REFUSED
            assert await ask(bob) == SECRET

    told(story)


def test_a_session_that_the_port_forgot() -> None:
    """The call in question is not repeated; the next one shakes hands."""

    async def story() -> None:
        async with (
            port(METHODS, server_security(bounds=Bounds(sessions=1))) as (server, address),
            channel(address) as alice,
            channel(address, client_security(identity("bob", "client"))) as bob,
        ):
            await ask(alice)
            await ask(bob)
            assert server.secured is not None and len(server.secured.table) == 1
            with pytest.raises(Unreachable, match="no such session"):
                await ask(alice)
            assert await ask(alice) == SECRET

    told(story)


def test_the_connection_breaks_and_comes_back() -> None:
    """A session belongs to its connection: the client makes a new one without losing a call."""

    async def story() -> None:
        async with port(METHODS) as (server, address):
            wire = Wire(address)
            async with channel(await wire.start()) as one:
                await ask(one)
                wire.cut()
                stream = one.stream("/test.Service/Double")
                while True:
                    try:
                        assert await ask(one) == SECRET
                        break
                    except Unreachable:
                        await asyncio.sleep(0.01)
                await stream.send(b"x")
                assert await stream.receive() == b"hello alice"
                assert server.secured is not None and len(server.secured.table) == 2
            await wire.stop()

    told(story)


async def received_twice(stream: ClientStream) -> None:
    """One message may have been on its way."""
    await stream.receive()
    await stream.receive()


def test_a_stream_cut_short_is_not_its_end() -> None:
    async def story() -> None:
        async with port(METHODS) as (_, address):
            wire = Wire(address)
            async with channel(await wire.start()) as one:
                stream = one.stream("/test.Service/Double")
                await stream.send(b"x")
                await stream.receive()
                wire.cut()
                with pytest.raises(Unreachable):
                    await received_twice(stream)
            await wire.stop()

    told(story)


def test_handshakes_are_capped_and_the_client_waits_its_turn() -> None:
    async def story() -> None:
        seen: list[str] = []
        bounds = Bounds(half_open=2, half_open_an_address=2)
        async with port(METHODS, server_security(bounds=bounds, admit=seen.append)) as (server, address):
            channels = [RawChannel(address, client_security()) for _ in range(12)]
            assert await asyncio.gather(*(ask(one) for one in channels)) == [SECRET] * 12
            for one in channels:
                await one.close()
            assert server.secured is not None and server.secured.table.half_open == 0
            assert set(seen) == {"127.0.0.1"}

    told(story)


def test_an_address_that_is_not_admitted() -> None:
    def admit(address: str) -> None:
        raise SessionRefused(Reason.TOO_OLD, f"{address} has had enough")

    async def story() -> None:
        async with port(METHODS, server_security(admit=admit)) as (_, address), channel(address) as one:
            assert await reason(lambda: ask(one)) is Reason.TOO_OLD

    told(story)


def test_a_handshake_that_takes_too_long() -> None:
    async def story() -> None:
        async with (
            port(METHODS, server_security(bounds=Bounds(handshake_s=0.05))) as (_, address),
            grpc.aio.insecure_channel(address) as plain,
        ):
            call = plain.stream_stream("/dualchain.session.v1.Session/Handshake")()
            with pytest.raises(grpc.aio.AioRpcError):
                await call.read()
            said = dict(await call.trailing_metadata())[refusals.METADATA_KEY]  # type: ignore[call-overload]
            assert refusals.from_metadata(said).code == "TOO_SLOW"

    told(story)


def test_deadlines() -> None:
    async def story() -> None:
        async with port(METHODS) as (_, address), channel(address) as one:
            with pytest.raises(DeadlinePassed):
                await one.unary("/test.Service/Sleep", b"", timeout_s=0.2)
            assert await ask(one) == SECRET

    told(story)


def test_sm_client_and_plaintext_port() -> None:
    """No falling back in either direction."""

    async def story() -> None:
        server = RawServer(METHODS)
        address = server.bind("127.0.0.1:0")
        await server.start()
        async with channel(address) as one:
            assert await reason(lambda: ask(one)) is Reason.SESSION_REQUIRED
        await server.stop(0)
        async with port(METHODS) as (_, address):
            plain = RawChannel(address)
            with pytest.raises(DualchainError) as refused:
                await ask(plain)
            assert refused.value.code == "SESSION_REQUIRED"
            await plain.close()

    told(story)


def test_nobody_answers() -> None:
    async def story() -> None:
        async with channel("127.0.0.1:1") as one:
            with pytest.raises(Unreachable):
                await ask(one)

    told(story)


def test_protected_ports_may_leave_the_machine() -> None:
    async def story() -> None:
        server = RawServer(METHODS, security=server_security())
        assert server.bind("0.0.0.0:0").startswith("0.0.0.0:")
        await server.stop(0)

    told(story)
