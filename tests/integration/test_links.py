"""Links between validators on real ports: frames in order, who is refused, who is cut, what when one is away."""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from chain_core._pb.dualchain.p2p.v1 import p2p_pb2 as pb
from chain_core.consensus.messages import Heartbeat
from chain_core.network.frame_codec import encode_frame
from chain_core.network.frames import ConsensusFrame, EnvelopesFrame, Frame, WantBlocks
from chain_core.network.hello import Hello, check_hello, decode_hello, encode_hello
from chain_core.network.links import LINK_METHOD, IncomingLink, PeerLinks
from chain_core.network.raw_rpc import RawChannel, RawServer, RawStream
from chain_core.network.refusals import ServiceRefusal
from chain_core.types.block import Phase
from chain_core.types.errors import MalformedBytes, PeerFault
from tests.vectors.keys import Signatures
from tests.vectors.samples import Samples

S = Samples(Signatures(may_sign=False))
CHAIN = b"g" * 32
NAMES = ("one", "two", "three", "four")
VOTE = ConsensusFrame(S.vote(Phase.PREPARE, 1))
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
        self.hello = hello or Hello(CHAIN, 0, me)
        self.frames: list[tuple[int, Frame]] = []
        self.sources: list[IncomingLink] = []
        self.alarms: list[tuple[str, dict[str, str | int]]] = []
        self.ups: list[int] = []
        self.counters: Counter[str] = Counter()
        self.changed = asyncio.Event()
        self.links = self.made({})
        self.server = RawServer(self.links.methods())
        self.address = self.server.bind("127.0.0.1:0")
        self.task: asyncio.Task[None] | None = None

    def made(self, addresses: dict[int, str]) -> PeerLinks:
        return PeerLinks(
            self.hello,
            NAMES,
            addresses,
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
    await stream.send(encode_hello(hello or Hello(CHAIN, 0, 0)))
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
            three.server = RawServer(three.links.methods())
            assert three.server.bind(two.address) == two.address
            await three.serve()
            await one.until(lambda: one.ups == [1, 1])
            await three.until(lambda: len(three.frames) == 1)
            assert three.frames == [(0, EnvelopesFrame((S.envelope.raw,)))]
        finally:
            await three.close()

    pair(story)


GENUINE = Hello(CHAIN, 0, 0)
STRANGERS = {
    "another chain": (replace(GENUINE, genesis_hash=b"h" * 32), "genesis_hash"),
    "no chain": (replace(GENUINE, genesis_hash=b""), "genesis_hash"),
    "another protocol": (replace(GENUINE, protocol_version=2), "protocol_version"),
    "another ledger": (replace(GENUINE, ledger=1), "ledger"),
    "no member": (replace(GENUINE, validator=4), "validator"),
    "the node itself": (replace(GENUINE, validator=1), "validator"),
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
        await one.until(lambda: "validator 1 answers where 2" in caplog.text)
        assert not one.out.connected_out(2)
        assert one.ups == []

    pair(story)


def test_hello_round_trip() -> None:
    assert decode_hello(encode_hello(GENUINE)) == GENUINE
    check_hello(GENUINE, Hello(CHAIN, 0, 1), 4)
    for data in (frames(VOTE), b"", pb.LinkMessage(hello=pb.Hello(), frames=[b""]).SerializeToString()):
        with pytest.raises(PeerFault):
            decode_hello(data)
    with pytest.raises(MalformedBytes):
        decode_hello(b"\xff")


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
        await stream.send(data)
        with pytest.raises((ServiceRefusal, MalformedBytes)):
            await stream.receive()
        assert [code for code, _ in two.alarms] == ["LINK_CUT"]
        assert two.frames == [(0, VOTE)]
        again = channel.stream(LINK_METHOD)
        await again.send(encode_hello(GENUINE))
        with pytest.raises(ServiceRefusal) as caught:
            await again.receive()
        assert caught.value.code == "LINK_CUT"
        await channel.close()
        assert not two.links.connected_in(0)
        # Whoever else says to be this validator has not been judged.
        channel, stream = await opened(two.address)
        assert decode_hello(await stream.receive()).validator == 1
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
        await stream.send(frames(VOTE))
        with pytest.raises(ServiceRefusal, match="more than 1 %"):
            await stream.receive()
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
