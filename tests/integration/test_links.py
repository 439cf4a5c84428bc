"""Links between validators on real ports: frames in order, who is refused, who is cut, what when one is away."""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from chain_core._pb.dualchain.p2p.v1 import p2p_pb2 as pb
from chain_core.consensus.messages import Heartbeat
from chain_core.crypto.hashing import sm3
from chain_core.network.channel_options import CLIENT_OPTIONS, SERVER_OPTIONS
from chain_core.network.frame_codec import encode_frame
from chain_core.network.frames import ConsensusFrame, EnvelopesFrame, Frame, WantBlocks
from chain_core.network.hello import Hello, check_hello, decode_hello, encode_hello
from chain_core.network.links import LINK_METHOD, IncomingLink, PeerLinks
from chain_core.network.raw_rpc import RawChannel, RawServer, RawStream
from chain_core.network.refusals import ServiceRefusal
from chain_core.network.roster import Roster
from chain_core.types.block import Phase
from chain_core.types.errors import MalformedBytes, PeerFault
from tests.integration.network import served
from tests.vectors.keys import Signatures
from tests.vectors.samples import Samples

S = Samples(Signatures(may_sign=False))
CHAIN = b"g" * 32
NAMES = ("one", "two", "three", "four")
VOTE_MESSAGE = S.vote(Phase.PREPARE, 1)
VOTE = ConsensusFrame(VOTE_MESSAGE)
TIMEOUT_S = 20


class Wake(logging.Handler):
    """A log line is an event one can wait for."""

    def __init__(self, event: asyncio.Event) -> None:
        super().__init__()
        self.event = event

    def emit(self, record: logging.LogRecord) -> None:
        asyncio.get_running_loop().call_soon(self.event.set)


class Station:
    """One node's links with its peer port; what it gets and is told is kept."""

    def __init__(self, me: int, *, hello: Hello | None = None) -> None:
        self.me = me
        self.hello = hello or Hello(CHAIN, 0, NAMES[me])
        self.frames: list[tuple[int, Frame]] = []
        self.sources: list[IncomingLink] = []
        self.alarms: list[tuple[str, dict[str, str | int]]] = []
        self.ups: list[int] = []
        self.counters: Counter[str] = Counter()
        self.changed = asyncio.Event()
        self.links = self.made({})
        self.server = RawServer(served(self.links))
        self.address = self.server.bind("127.0.0.1:0")
        self.task: asyncio.Task[None] | None = None

    def made(self, addresses: dict[int, str]) -> PeerLinks:
        return PeerLinks(
            self.hello,
            Roster(NAMES, {NAMES[peer]: address for peer, address in addresses.items()}),
            receive=self.receive,
            alarm=self.alarm,
            link_up=self.up,
            counters=self.counters,
        )

    def receive(self, link: IncomingLink, frame: Frame) -> None:
        self.frames.append((link.peer, frame))
        self.sources.append(link)
        self.changed.set()

    def alarm(self, code: str, facts: dict[str, str | int]) -> None:
        self.alarms.append((code, facts))
        self.changed.set()

    def up(self, peer: int) -> None:
        self.ups.append(peer)
        self.changed.set()

    async def serve(self) -> None:
        await self.server.start()

    def dial(self, addresses: dict[int, str]) -> None:
        """Outgoing links, beside the incoming ones that the port serves."""
        self.out = self.made(addresses)
        self.task = asyncio.create_task(self.out.run())

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(TIMEOUT_S):
            while not true():
                self.changed.clear()
                await self.changed.wait()

    async def close(self) -> None:
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)
        await self.server.stop(0)


def pair(story: Callable[[Station, Station], Awaitable[None]]) -> None:
    async def main() -> None:
        one, two = Station(0), Station(1)
        wake = Wake(one.changed)
        logging.getLogger("chain_core.network.links").addHandler(wake)
        try:
            await one.serve()
            await two.serve()
            await story(one, two)
        finally:
            logging.getLogger("chain_core.network.links").removeHandler(wake)
            await one.close()
            await two.close()

    asyncio.run(main())


async def opened(address: str, hello: Hello | None = None) -> tuple[RawChannel, RawStream]:
    """A hand-made link of validator 0."""
    channel = RawChannel(address)
    stream = channel.stream(LINK_METHOD)
    await stream.send(encode_hello(hello or Hello(CHAIN, 0, "one")))
    return channel, stream


def frames(*items: Frame) -> bytes:
    return pb.LinkMessage(frames=[encode_frame(item) for item in items]).SerializeToString()


def test_frames_arrive_in_order_and_votes_first() -> None:
    async def story(one: Station, two: Station) -> None:
        one.dial({1: two.address})
        await one.until(lambda: one.ups == [1])
        assert one.out.connected_out(1) and two.links.connected_in(0)
        sent = [WantBlocks(number, 1) for number in range(1, 400)]
        for frame in sent:
            one.out.send(1, frame)
        one.out.broadcast(EnvelopesFrame((S.envelope.raw,)))
        one.out.broadcast(VOTE)
        one.out.send(3, VOTE)
        await two.until(lambda: len(two.frames) == 401)
        assert two.frames == [(0, frame) for frame in [*sent, VOTE, EnvelopesFrame((S.envelope.raw,))]]
        assert one.counters["messages_sent"] < 20, "queued frames share a message"
        assert one.frames == []

    pair(story)


def test_both_directions_are_streams_of_their_own() -> None:
    async def story(one: Station, two: Station) -> None:
        one.dial({1: two.address})
        two.dial({0: one.address})
        await one.until(lambda: one.ups == [1])
        await two.until(lambda: two.ups == [0])
        one.out.send(1, VOTE)
        two.out.send(0, WantBlocks(1, 2))
        await one.until(lambda: one.frames == [(1, WantBlocks(1, 2))])
        await two.until(lambda: two.frames == [(0, VOTE)])

    pair(story)


def test_a_peer_that_is_away_gets_bodies_when_it_comes_back_and_no_stale_votes() -> None:
    async def story(one: Station, two: Station) -> None:
        one.dial({1: two.address})
        await one.until(lambda: one.ups == [1])
        await two.server.stop(0)
        await one.until(lambda: not one.out.connected_out(1))
        one.out.broadcast(VOTE)
        one.out.broadcast(EnvelopesFrame((S.envelope.raw,)))
        three = Station(1)
        try:
            three.server = RawServer(served(three.links))
            assert three.server.bind(two.address) == two.address
            await three.serve()
            await one.until(lambda: one.ups == [1, 1])
            await three.until(lambda: len(three.frames) == 1)
            assert three.frames == [(0, EnvelopesFrame((S.envelope.raw,)))]
        finally:
            await three.close()

    pair(story)


class Tap:
    """Passes a connection on to ``target`` and keeps what the dialler sent."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.sent = bytearray()
        self.tasks: list[asyncio.Task[None]] = []

    async def start(self) -> str:
        self.server = await asyncio.start_server(self.connected, "127.0.0.1", 0)
        return f"127.0.0.1:{self.server.sockets[0].getsockname()[1]}"

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = self.target.rpartition(":")
        onward_reader, onward_writer = await asyncio.open_connection(host, int(port))
        self.tasks.append(asyncio.create_task(self.copy(reader, onward_writer, self.sent)))
        self.tasks.append(asyncio.create_task(self.copy(onward_reader, writer, bytearray())))

    async def copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kept: bytearray) -> None:
        while data := await reader.read(65_536):
            kept += data
            writer.write(data)
            await writer.drain()

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.server.close()


def test_a_votes_signature_stands_on_the_wire_as_it_is_and_in_one_piece() -> None:
    """Between bodies of a megabyte too: who watches the socket finds each signature that the log holds."""

    async def story(one: Station, two: Station) -> None:
        tap = Tap(two.address)
        one.dial({1: await tap.start()})
        await one.until(lambda: one.ups == [1])
        signatures = [sm3(b"r%d" % number) + sm3(b"s%d" % number) for number in range(60)]
        for number, signature in enumerate(signatures):
            one.out.send(1, ConsensusFrame(replace(VOTE_MESSAGE, signature=signature)))
            if number % 6 == 0:
                one.out.send(1, EnvelopesFrame((bytes(100_003 + 2_311 * number),) * 5))
        await two.until(lambda: len(two.frames) == 70)
        missing = [number for number, signature in enumerate(signatures) if signature not in tap.sent]
        assert missing == []
        await tap.close()

    pair(story)


GENUINE = Hello(CHAIN, 0, "one")
STRANGERS = {
    "another chain": (replace(GENUINE, genesis_hash=b"h" * 32), "genesis_hash"),
    "no chain": (replace(GENUINE, genesis_hash=b""), "genesis_hash"),
    "another protocol": (replace(GENUINE, protocol_version=2), "protocol_version"),
    "no member": (replace(GENUINE, node="five"), "node"),
    "the node itself": (replace(GENUINE, node="two"), "node"),
}


@pytest.mark.parametrize(("hello", "field"), STRANGERS.values(), ids=STRANGERS)
def test_strangers_are_refused_and_reported_once(hello: Hello, field: str) -> None:
    async def story(one: Station, two: Station) -> None:
        for _ in range(2):
            channel, stream = await opened(two.address, hello)
            with pytest.raises(ServiceRefusal) as caught:
                await stream.receive()
            assert caught.value.code == "PEER_FAULT"
            assert caught.value.where == f"hello.{field}"
            assert caught.value.next_step
            await channel.close()
        assert [code for code, _ in two.alarms] == ["PEER_FAULT"]
        assert two.frames == []

    pair(story)


def test_a_dialler_looks_at_who_answers(caplog: pytest.LogCaptureFixture) -> None:
    async def story(one: Station, two: Station) -> None:
        one.dial({2: two.address})
        await one.until(lambda: "two answers where three" in caplog.text)
        assert not one.out.connected_out(2)
        assert one.ups == []

    pair(story)


def test_links_follow_the_roster() -> None:
    """One that left is cut, one that joined is let in and dialled; links to who stays stay up, under new indices."""

    async def story(one: Station, two: Station) -> None:
        one.dial({1: two.address})
        await one.until(lambda: one.out.connected_out(1))
        two.links.adopt(Roster(("two", "one", "five"), {}))
        channel, stream = await opened(two.address, replace(GENUINE, node="five"))
        assert decode_hello(await stream.receive()).node == "two"
        one.out.send(1, VOTE)
        await two.until(lambda: bool(two.frames))
        assert two.frames[0][0] == 1  # "one" has another index now, on the link that was up before
        two.links.adopt(Roster(("two", "three", "five"), {}))
        one.out.send(1, VOTE)
        await one.until(lambda: not one.out.connected_out(1))
        assert len(two.frames) == 1
        await channel.close()

    pair(story)


def test_hello_round_trip() -> None:
    assert decode_hello(encode_hello(GENUINE)) == GENUINE
    check_hello(GENUINE, Hello(CHAIN, 0, "two"), NAMES)
    for data in (frames(VOTE), b"", pb.LinkMessage(hello=pb.Hello(), frames=[b""]).SerializeToString()):
        with pytest.raises(PeerFault):
            decode_hello(data)
    with pytest.raises(MalformedBytes):
        decode_hello(b"\xff")


async def asked(stream: RawStream, data: bytes) -> bytes:
    """The answer; a refusal may already meet the sending."""
    await stream.send(data)
    return await stream.receive()


NONSENSE = {
    "no message": b"\xff\xff",
    "no frame": pb.LinkMessage(frames=[b"\xff"]).SerializeToString(),
    "an empty frame": pb.LinkMessage(frames=[b""]).SerializeToString(),
    "a second Hello": encode_hello(GENUINE),
}


@pytest.mark.parametrize("data", NONSENSE.values(), ids=NONSENSE)
def test_who_sends_nonsense_is_cut(data: bytes) -> None:
    async def story(one: Station, two: Station) -> None:
        channel, stream = await opened(two.address)
        await stream.receive()
        await stream.send(frames(VOTE))
        with pytest.raises((ServiceRefusal, MalformedBytes)):
            await asked(stream, data)
        assert [code for code, _ in two.alarms] == ["LINK_CUT"]
        assert two.frames == [(0, VOTE)]
        again = channel.stream(LINK_METHOD)
        with pytest.raises(ServiceRefusal) as caught:
            await asked(again, encode_hello(GENUINE))
        assert caught.value.code == "LINK_CUT"
        await channel.close()
        assert not two.links.connected_in(0)
        # Whoever else says to be this validator has not been judged.
        channel, stream = await opened(two.address)
        assert decode_hello(await stream.receive()).node == "two"
        await channel.close()

    pair(story)


def test_too_many_bad_signatures_cut_the_link() -> None:
    async def story(one: Station, two: Station) -> None:
        channel, stream = await opened(two.address)
        await stream.receive()
        await stream.send(frames(VOTE))
        await two.until(lambda: len(two.frames) == 1)
        two.sources[0].judge(checked=150, bad=2)
        assert two.alarms == []
        two.sources[0].judge(checked=1, bad=1)
        assert [code for code, _ in two.alarms] == ["LINK_CUT"]
        with pytest.raises(ServiceRefusal, match=r"more than 1 %|while writing"):
            await asked(stream, frames(VOTE))
        assert len(two.frames) == 1, "nothing more is taken from it"
        assert len(two.alarms) == 1
        await channel.close()

    pair(story)


def test_streams_of_one_validator_are_bounded() -> None:
    async def story(one: Station, two: Station) -> None:
        channels = [await opened(two.address) for _ in range(8)]
        for _, stream in channels:
            await stream.receive()
        channel, stream = await opened(two.address)
        with pytest.raises(ServiceRefusal) as caught:
            await stream.receive()
        assert caught.value.code == "RESOURCE_EXHAUSTED"
        for one_channel, _ in [*channels, (channel, stream)]:
            await one_channel.close()

    pair(story)


def test_a_frame_that_fits_no_message_is_not_sent() -> None:
    async def story(one: Station, two: Station) -> None:
        one.dial({1: two.address})
        await one.until(lambda: one.ups == [1])
        one.out.send(1, EnvelopesFrame(tuple(bytes(250_000) for _ in range(80))))
        assert [code for code, _ in one.alarms] == ["FRAME_TOO_LARGE"]
        one.out.send(1, ConsensusFrame(Heartbeat(0, 1, 0, 0, False)))
        await two.until(lambda: len(two.frames) == 1)

    pair(story)


def test_a_server_tolerates_the_pings_that_clients_send() -> None:
    client, server = dict(CLIENT_OPTIONS), dict(SERVER_OPTIONS)
    for option in ("grpc.max_receive_message_length", "grpc.max_send_message_length", "grpc.keepalive_time_ms"):
        assert client[option] == server[option]
    assert server["grpc.http2.min_recv_ping_interval_without_data_ms"] < client["grpc.keepalive_time_ms"]
    assert server["grpc.keepalive_permit_without_calls"] == client["grpc.keepalive_permit_without_calls"] == 1
