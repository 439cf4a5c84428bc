"""Links to the other validators: one stream a direction, frames out through bounded queues, frames in to ``receive``.

Node i dials j and sends its frames on that stream; answers travel on j's own stream to i (docs/spec/network.md §3-§4).
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from chain_core._pb.dualchain.p2p.v1 import p2p_pb2 as pb
from chain_core.consensus.messages import Heartbeat, PrePrepare
from chain_core.network.channel_options import MAX_MESSAGE_BYTES
from chain_core.network.frame_codec import decode_frame, encode_frame
from chain_core.network.frames import BlocksFrame, ConsensusFrame, EnvelopesFrame, Frame, KeepBodies, SnapshotPart
from chain_core.network.hello import Hello, check_hello, decode_hello, encode_hello
from chain_core.network.identity import Caller
from chain_core.network.link_quality import SignatureQuality
from chain_core.network.link_queue import Entry, LinkQueue, Usefulness
from chain_core.network.raw_rpc import ClientStream, RawChannel, parse
from chain_core.network.refusals import Overloaded
from chain_core.network.roster import Roster
from chain_core.network.secured.security import PLAINTEXT, SM, ClientSecurity
from chain_core.types.errors import DualchainError, MalformedBytes, PeerFault

log = logging.getLogger(__name__)

LINK_METHOD: Final = "/dualchain.p2p.v1.PeerService/Link"

_FIRST_BACKOFF_S, _LAST_BACKOFF_S = 0.1, 5.0
_SETTLED_S = 5.0
_CUT_S = 30.0
_SHOWN = 80
_STREAMS_A_VALIDATOR = 8
_REMEMBERED = 1_024


class LinkCut(PeerFault):
    """The link is closed for a while because of what came over it."""

    code = "LINK_CUT"


class Alarm(Protocol):
    """Tells an operator: a stable code and plain facts."""

    def __call__(self, code: str, facts: dict[str, str | int]) -> None: ...


@dataclass(slots=True, eq=False)
class IncomingLink:
    """A stream from a peer that said it is ``name``. Verdicts on its signatures come back to ``judge``.

    ``peer`` is its index in the present epoch: another one in the next, perhaps.
    """

    peer: int
    caller: Caller
    on_cut: Callable[[IncomingLink, DualchainError], None]
    quality: SignatureQuality = field(default_factory=SignatureQuality)
    cut: LinkCut | None = None
    name: str = ""

    def judge(self, checked: int, bad: int) -> None:
        """Records verdicts; from a link with too many bad signatures nothing more is taken."""
        if self.quality.record(checked, bad) and self.cut is None:
            self.cut = LinkCut(
                "more than 1 % of its signatures are bad",
                where=self.name or f"validator {self.peer}",
                next_step="mend the sender, then wait",
            )
            self.on_cut(self, self.cut)


Receive = Callable[[IncomingLink, Frame], None]


@dataclass(slots=True, eq=False)
class _Outgoing:
    peer: int
    name: str
    address: str
    queue: LinkQueue = field(default_factory=LinkQueue)
    connected: bool = False
    complaint: str = ""
    channel: RawChannel | None = None
    task: asyncio.Task[None] | None = None


class PeerLinks:
    """All links of one node; implements the replica's Transport port.

    ``roster`` says who the others are, and where; ``adopt`` another one when that changes. ``receive`` gets each frame
    with its link, on the event loop; ``link_up`` is told when frames reach a peer (again). ``secure``: how the link to
    a peer is protected.
    """

    def __init__(
        self,
        hello: Hello,
        roster: Roster,
        *,
        receive: Receive,
        alarm: Alarm,
        link_up: Callable[[int], None],
        counters: Counter[str],
        secure: Callable[[str], ClientSecurity] = lambda _: PLAINTEXT,
    ) -> None:
        self._hello = hello
        self._roster = Roster((), {})
        self._receive = receive
        self._alarm = alarm
        self._link_up = link_up
        self._counters = counters
        self._secure = secure
        self._outgoing: dict[int, _Outgoing] = {}
        self._incoming: dict[str, list[IncomingLink]] = {}
        self._group: asyncio.TaskGroup | None = None
        self._cut_until: dict[str, float] = {}
        self._complained: set[tuple[str, str]] = set()
        self.adopt(roster)

    def adopt(self, roster: Roster) -> None:
        """From now on these are the others: links to who is among them still stay up, under their new indices."""
        kept = {link.name: link for link in self._outgoing.values()}
        self._outgoing = {}
        self._roster = roster
        for peer, name in enumerate(roster.names):
            address = roster.addresses.get(name)
            link = kept.get(name)
            if name == self._hello.node or address is None:
                continue
            if link is None or link.address != address:
                link = _Outgoing(peer, name, address)
            else:
                del kept[name]
            link.peer = peer
            self._outgoing[peer] = link
            self._keep_up(link)
        for gone in kept.values():
            if gone.task is not None:
                gone.task.cancel()
        for name, streams in self._incoming.items():
            index = roster.index(name)
            for stream in streams:
                if index is not None:
                    stream.peer = index
                elif stream.cut is None:
                    stream.cut = LinkCut(f"{name} is no validator any more", where="link", next_step="nothing")
        self._incoming = {name: streams for name, streams in self._incoming.items() if streams}

    def names(self) -> tuple[str, ...]:
        """Who is linked, or might be, by index; this node itself too."""
        return self._roster.names

    def judge_again(self) -> None:
        """Who is believed has changed: links to others end with the next frame, and are dialled anew."""
        for link in self._outgoing.values():
            if link.channel is not None:
                link.channel.judge_again()

    # ---- Transport

    def send(self, peer: int, frame: Frame) -> None:
        """Queue a frame for one peer; lost when there is no such link or no room."""
        link = self._outgoing.get(peer)
        entry = self._entry(frame)
        if link is not None and entry is not None:
            link.queue.put(entry)

    def broadcast(self, frame: Frame) -> None:
        """Queue a frame for all other validators; it is encoded once."""
        entry = self._entry(frame)
        if entry is not None:
            for link in self._outgoing.values():
                link.queue.put(entry)

    def _entry(self, frame: Frame) -> Entry | None:
        data = encode_frame(frame)
        if len(data) > MAX_MESSAGE_BYTES - 1_024:
            self._alarm("FRAME_TOO_LARGE", {"kind": type(frame).__name__, "bytes": len(data)})
            return None
        usefulness, urgent = _handling(frame)
        self._counters["frames_sent"] += 1
        return Entry(data, usefulness, urgent)

    # ---- state, for Status

    def connected_out(self, peer: int) -> bool:
        """Whether our frames reach the peer."""
        return peer in self._outgoing and self._outgoing[peer].connected

    def connected_in(self, peer: int) -> bool:
        """Whether somebody who says to be the peer sends to us."""
        names = self._roster.names
        return peer < len(names) and bool(self._incoming.get(names[peer]))

    def addresses(self) -> dict[int, str]:
        """Peer ports by validator index."""
        return {peer: link.address for peer, link in self._outgoing.items()}

    def frames_dropped(self) -> int:
        """Frames that found no room in a queue, since the start."""
        return sum(link.queue.dropped for link in self._outgoing.values())

    # ---- life

    async def run(self) -> None:
        """Keep all outgoing links up until cancelled; what it raises is a defect."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            for link in self._outgoing.values():
                self._keep_up(link)
            await asyncio.get_running_loop().create_future()  # links come and go; this task ends by being cancelled

    def _keep_up(self, link: _Outgoing) -> None:
        if self._group is not None and link.task is None:
            link.task = self._group.create_task(self._keep(link), name=f"link-{link.name}")

    # ---- outgoing

    async def _keep(self, link: _Outgoing) -> None:
        loop = asyncio.get_running_loop()
        backoff = _FIRST_BACKOFF_S
        channel = link.channel = RawChannel(link.address, self._secure(link.name))
        try:
            while True:
                opened = loop.time()
                stream = channel.stream(LINK_METHOD)
                try:
                    await self._session(link, stream)
                except DualchainError as refusal:
                    self._complain(link, refusal)
                finally:
                    stream.cancel()
                    link.connected = False
                    link.queue.link_down()
                settled = loop.time() - opened > _SETTLED_S
                await asyncio.sleep(_FIRST_BACKOFF_S if settled else backoff)
                backoff = _FIRST_BACKOFF_S if settled else min(2 * backoff, _LAST_BACKOFF_S)
        finally:
            await channel.close()

    async def _session(self, link: _Outgoing, stream: ClientStream) -> None:
        """One connection, from Hello until it breaks."""
        await stream.send(encode_hello(self._hello))
        theirs = decode_hello(await stream.receive())
        check_hello(theirs, self._hello, self._roster.names)
        if theirs.node != link.name:
            raise PeerFault(
                f"{theirs.node} answers where {link.name} should",
                where=link.address,
                next_step="compare the peer addresses in the configurations",
            )
        queue = link.queue
        stream.when_ended(queue.filled.set)
        link.connected, link.complaint = True, ""
        log.info("LINK_UP peer=%s address=%s", link.name, link.address)
        queue.link_up()
        self._link_up(link.peer)
        while not stream.ended:
            frames = queue.take()
            if frames:
                await stream.send(pb.LinkMessage(frames=frames).SerializeToString())
                self._counters["messages_sent"] += 1
            else:
                await queue.filled.wait()
        raise await stream.reason()

    def _complain(self, link: _Outgoing, refusal: DualchainError) -> None:
        """Each reason once in a row: a peer that is down for a day fills no log."""
        if link.complaint != refusal.code:
            link.complaint = refusal.code
            log.warning("LINK_DOWN peer=%s address=%s reason=%s", link.name, link.address, refusal)

    # ---- incoming

    async def serve(self, caller: Caller, theirs: Hello, requests: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """A link that somebody opened with ``theirs``; ``requests`` are the messages after it (``link_door``)."""
        loop = asyncio.get_running_loop()
        if self._cut_until.get(caller.name, 0.0) > loop.time():
            raise LinkCut("this link is cut for a while", where=caller.name, next_step="mend the sender, then wait")
        link = self._opened(caller, theirs)
        streams = self._incoming.setdefault(link.name, [])
        if len(streams) >= _STREAMS_A_VALIDATOR:
            raise Overloaded("too many links of this validator", where="hello.node", retry_after_ms=5_000)
        streams.append(link)
        try:
            yield encode_hello(self._hello)
            async for data in requests:
                self._take(link, data)
        except (MalformedBytes, PeerFault) as fault:
            if fault is not link.cut:
                self._cut(link, fault)
            raise
        finally:
            streams.remove(link)

    def _opened(self, caller: Caller, theirs: Hello) -> IncomingLink:
        try:
            check_hello(theirs, self._hello, self._roster.names)
            if caller.kind == SM and caller.name != theirs.node:
                what = f"{caller.name} says to be {theirs.node}"
                raise PeerFault(what, where="hello.node", next_step="a link is its session's validator's")
        except PeerFault as fault:
            self._alarm_once(caller, theirs, fault)
            raise
        return IncomingLink(self._roster.names.index(theirs.node), caller, self._cut, name=theirs.node)

    def _take(self, link: IncomingLink, data: bytes) -> None:
        if link.cut is not None:
            raise link.cut
        message = parse(pb.LinkMessage, data)
        if message.HasField("hello"):
            raise PeerFault("a second Hello", where="link", next_step="see docs/spec/network.md")
        for raw in message.frames:
            self._counters["frames_received"] += 1
            self._receive(link, decode_frame(raw))

    def _cut(self, link: IncomingLink, fault: DualchainError) -> None:
        if len(self._cut_until) >= _REMEMBERED:
            del self._cut_until[next(iter(self._cut_until))]
        self._cut_until[link.caller.name] = asyncio.get_running_loop().time() + _CUT_S
        self._counters["links_cut"] += 1
        facts: dict[str, str | int] = {"peer": link.name, "caller": link.caller.name, "reason": str(fault)}
        self._alarm("LINK_CUT", facts)

    def _alarm_once(self, caller: Caller, theirs: Hello, fault: PeerFault) -> None:
        """A stranger who keeps dialling is told each time, the operator once a reason and claimed validator."""
        reason = (theirs.node[:_SHOWN], fault.where)
        if reason not in self._complained and len(self._complained) < _REMEMBERED:
            self._complained.add(reason)
            self._alarm("PEER_FAULT", {"peer": theirs.node[:_SHOWN], "caller": caller.name, "reason": str(fault)})


def _handling(frame: Frame) -> tuple[Usefulness, bool]:
    """(what it is worth, whether it overtakes bodies). What names bodies does not overtake them."""
    match frame:
        case ConsensusFrame(message=Heartbeat()):
            return Usefulness.HEARTBEAT, True
        case ConsensusFrame(message=PrePrepare()):
            return Usefulness.VOTE, False
        case EnvelopesFrame() | BlocksFrame() | KeepBodies() | SnapshotPart():
            return Usefulness.BODIES, False
        case _:
            return Usefulness.VOTE, True
