"""A signer's socket and a node's end of it: who gets in, what a dead, hung or busy signer looks like."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from chain_core.codec import signed
from chain_core.codec.votes import encode_vote
from chain_core.crypto.private_key import PrivateKey
from chain_core.crypto.providers import generate_private_key, signing_provider
from chain_core.node.safe_signer import SigningRefused
from chain_core.node.signer import protocol as p
from chain_core.node.signer import server as server_module
from chain_core.node.signer.backend import FileKey
from chain_core.node.signer.client import CALL_WITHIN_S, RemoteSigner
from chain_core.node.signer.record import Record, create_record
from chain_core.node.signer.server import SignerServer, SocketRefused
from chain_core.node.signer.service import Desk
from chain_core.node.vote_keys import SignerAway
from chain_core.types.block import Phase, Vote
from tests.integration.signers import short_directory

pytestmark = pytest.mark.integration

CHAIN = b"c" * 32
ME = os.getuid()


def vote(height: int, digest: bytes = bytes(32)) -> bytes:
    return encode_vote(Vote(Phase.PREPARE, 0, 0, height, 0, 0, digest, 1))


class House:
    """A directory with a signer that can be started and stopped."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.path = directory, directory / "s"
        self.keys = [FileKey(PrivateKey(generate_private_key()))]
        create_record(directory / "record", CHAIN)
        self.server: SignerServer | None = None
        self.record: Record | None = None

    async def start(self, uids: tuple[int, ...] = (ME,)) -> None:
        self.record = Record(self.directory / "record", CHAIN)
        self.server = SignerServer(Desk(CHAIN, self.keys, self.record), self.path, uids)
        await self.server.start()

    async def stop(self) -> None:
        assert self.server is not None and self.record is not None
        await self.server.close()
        self.record.close()

    def remote(self, now: Callable[[], float] | None = None) -> RemoteSigner:
        more = {} if now is None else {"now": now}
        return RemoteSigner(self.path, CHAIN, self.directory / "cache", **more)  # type: ignore[arg-type]

    async def node(self) -> RemoteSigner:
        return await asyncio.to_thread(self.remote)

    async def sign(self, node: RemoteSigner, *bodies: bytes) -> list[bytes]:
        return await asyncio.to_thread(node.sign, self.keys[0].public_key, signed.VOTE, bodies)


@pytest.fixture
def house() -> Iterator[House]:
    with ExitStack() as stack:
        yield House(stack.enter_context(short_directory()))


def told(story: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(30):
            await story()

    asyncio.run(main())


def test_a_node_gets_signatures_and_the_keys_it_may_vote_with(house: House) -> None:
    async def story() -> None:
        await house.start()
        assert stat.S_IMODE(house.path.stat().st_mode) == 0o600
        node = await house.node()
        assert node.public_keys == (house.keys[0].public_key,) and node.away == ""
        bodies = [vote(height) for height in range(1, 131)]
        signatures = await house.sign(node, *bodies)
        messages = [signed.message(signed.VOTE, CHAIN, body) for body in bodies]
        verify = signing_provider().sm2_verify
        assert all(map(verify, [house.keys[0].public_key] * 130, messages, signatures))
        with pytest.raises(SigningRefused, match="another body"):
            await house.sign(node, vote(7, b"x" * 32))
        assert await house.sign(node, vote(7)) == [signatures[6]], "a refusal does not end the connection"
        node.close()
        await house.stop()
        assert not house.path.exists()

    told(story)


def test_one_node_at_a_time(house: House) -> None:
    async def story() -> None:
        await house.start()
        first, second = await house.node(), await house.node()
        assert "SIGNER_BUSY" in second.away and first.away == ""
        assert second.public_keys == (house.keys[0].public_key,), "from the cache"
        with pytest.raises(SignerAway, match="SIGNER_BUSY"):
            await house.sign(second, vote(1))
        await house.sign(first, vote(1))
        first.close()
        while True:
            try:
                with pytest.raises(SigningRefused):
                    await house.sign(second, vote(1, b"x" * 32))
                break
            except SignerAway:  # it has not seen yet that the first one is gone
                await asyncio.sleep(0)
        second.close()
        await house.stop()

    told(story)


def test_who_is_not_named_gets_no_word_in(house: House) -> None:
    async def story() -> None:
        await house.start((ME + 1,))
        stranger = await house.node()
        assert f"SIGNER_FORBIDDEN: user {ME}" in stranger.away and stranger.public_keys == ()
        await house.stop()

    told(story)


def test_a_signer_that_was_started_again_is_not_missed(house: House) -> None:
    """And the key that it was given meanwhile is known to the node with the next vote."""

    async def story() -> None:
        await house.start()
        node = await house.node()
        first = await house.sign(node, vote(1))
        await house.stop()
        with pytest.raises(SignerAway, match="No such file"):
            await house.sign(node, vote(2))
        house.keys.append(FileKey(PrivateKey(generate_private_key())))
        await house.start()
        assert await house.sign(node, vote(1)) == first
        assert node.public_keys == tuple(key.public_key for key in house.keys)
        await house.stop()
        await house.start()
        await house.sign(node, vote(2))
        node.close()
        await house.stop()
        assert house.remote().public_keys == node.public_keys, "known without the signer, too"

    told(story)


def test_a_signer_that_hangs_is_asked_ever_more_seldom(house: House) -> None:
    clock = [1_000.0]

    def now() -> float:
        return clock[0]

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as deaf:
        deaf.bind(str(house.path))
        deaf.listen(8)
        real = socket.socket.recv

        class Waits(socket.socket):
            def recv(self, *arguments: object) -> bytes:  # type: ignore[override]
                clock[0] += CALL_WITHIN_S
                raise TimeoutError("timed out")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("chain_core.node.signer.client.socket.socket", Waits)
            node = house.remote(now)
            assert "no answer within 2 s" in node.away
            asked: list[float] = []
            while len(asked) < 8:
                before = clock[0]
                with pytest.raises(SignerAway, match="no answer"):
                    node.sign(bytes(64), signed.VOTE, ())
                if clock[0] > before:
                    asked.append(before)
                clock[0] += 0.5
        assert real is socket.socket.recv
    pauses = [later - earlier - CALL_WITHIN_S for earlier, later in zip(asked, asked[1:], strict=False)]
    assert pauses == sorted(pauses) and pauses[0] == 2 and pauses[-1] == 16


def test_what_a_killed_signer_left_is_no_obstacle_and_a_living_one_is(house: House) -> None:
    async def story() -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
            dead.bind(str(house.path))
        await house.start()
        with pytest.raises(SocketRefused, match="a signer listens there"):
            await asyncio.to_thread(server_module.listening_socket, house.path, "")
        await house.stop()
        house.path.write_text("mine")
        with pytest.raises(SocketRefused, match="something else"):
            server_module.listening_socket(house.path, "")
        assert house.path.read_text() == "mine"
        with pytest.raises(SocketRefused, match="short path"):
            server_module.listening_socket(house.directory / ("x" * 120), "")
        with pytest.raises(SocketRefused, match="group"):
            server_module.listening_socket(house.directory / "g", "no such group")

    told(story)


@pytest.mark.parametrize(
    "sent",
    [
        b"\xff\xff\xff\xff",
        p.frame(b"\x09"),
        p.frame(p.encode_request(p.SignRequest(signed.VOTE, CHAIN, bytes(64), ()))),
        p.frame(p.encode_request(p.HelloRequest(bytes(32)))),
        p.frame(p.encode_request(p.HelloRequest(CHAIN))) + p.frame(b"\x02"),
        p.frame(p.encode_request(p.HelloRequest(CHAIN)))
        + p.frame(p.encode_request(p.SignRequest(signed.TX, CHAIN, bytes(64), (b"",)))),
    ],
    ids=["length", "unknown", "no hello", "another chain", "cut short", "a transaction"],
)
def test_a_frame_that_no_node_sends_ends_the_connection(house: House, sent: bytes) -> None:
    async def story() -> None:
        await house.start()
        reader, writer = await asyncio.open_unix_connection(str(house.path))
        writer.write(sent)
        await reader.read()
        writer.close()
        node = await house.node()
        assert node.away == ""
        node.close()
        await house.stop()

    told(story)


def test_a_frame_that_never_ends_does_not_hold_the_signer(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "FRAME_WITHIN_S", 0.05)

    async def story() -> None:
        await house.start()
        reader, writer = await asyncio.open_unix_connection(str(house.path))
        writer.write(b"\0\0")
        assert await reader.read() == b""
        writer.close()
        await house.stop()

    told(story)
