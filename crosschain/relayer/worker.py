"""The relayer at work: told of news it reads both chains, asks the planner, submits; three loops."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from chain_core.codec.block import decode_header
from chain_core.codec.proofs import encode_inclusion
from chain_core.crypto.merkle import MerkleTree
from chain_core.node.answers import CertifiedHeader
from chain_core.node.log import event
from chain_core.node.metrics_port import MetricsPort
from chain_core.types.errors import DualchainError
from chain_core.types.packet import InclusionProof
from crosschain.following import Position, decode_position
from crosschain.packets import chosen_key, count_in, supervision_key
from crosschain.relayer import planner
from crosschain.relayer.config import Assignment
from crosschain.relayer.link import ChainLink, NotBegun, ProvenState
from crosschain.relayer.metrics import SERVICES, WAYS, RelayerMetrics
from crosschain.relayer.news import DECISIONS, HEADERS_ONLY, News
from crosschain.relayer.outboxes import Outboxes
from crosschain.relayer.pacing import AFTER_FAILURE_S, LONGEST_PAUSE_S, Pace, set_within
from crosschain.relayer.planner import Arrived, Closing, Emitted, Issued, Plan, Source
from crosschain.relayer.service_courier import ServiceCourier

log = logging.getLogger(__name__)

SELDOM = 10
"""While a node tells it of final blocks it looks without news only this many times less often."""
_GRACE_S = 2.0


def wall_clock_ms() -> int:
    """Milliseconds since the Unix epoch, UTC."""
    return time.time_ns() // 1_000_000


class Relayer:
    """Carries packets and headers up, directives down, until ``stop`` is called."""

    def __init__(self, assignment: Assignment, clock: Callable[[], int] = wall_clock_ms) -> None:
        self.supervisory = ChainLink("supervisory", assignment.supervisory, clock)
        self.local = ChainLink("local", assignment.local, clock)
        self._heartbeat_ms = assignment.heartbeat_ms
        self._outboxes = Outboxes(self.local, assignment.supervisory.genesis_hash)
        self._quiet_through = 0
        self._settled: tuple[int, int] | None = None
        self._history: MerkleTree | None = None
        self._agreed = (0, b"")
        self._said: dict[str, str] = {}
        self._stop = asyncio.Event()
        self.metrics = RelayerMetrics()
        self._up, self._down, self._serving = (
            Pace(way, partial(self._poll_s, way, assignment.poll_ms / 1_000), self._stop, self.metrics) for way in WAYS
        )
        self._news = self._make_news()
        self._metrics_address = assignment.metrics
        self._metrics_port = MetricsPort(self.metrics.text)
        for link in (self.supervisory, self.local):
            link.on_bad_answer = self.metrics.bad_answer
        self._services = ServiceCourier(self.supervisory, self.local, partial(self._carry, SERVICES))

    def stop(self) -> None:
        """Ends the loops after what they are doing."""
        self._stop.set()
        self._up.bell.set()
        self._down.bell.set()
        self._serving.bell.set()

    async def run(self, ready: Callable[[], None]) -> None:
        """Works until stopped; ``ready`` is called once both chains have answered.

        What is under way when it is stopped gets a moment to end; cut off, the next run carries it or finds it done.
        """
        tasks: list[asyncio.Task[object]] = []
        try:
            if self._metrics_address:
                await self._metrics_port.start(self._metrics_address)
            if await self._reach_both():
                ready()
                paces = ((self._up, self.step_up), (self._down, self.step_down), (self._serving, self._services.step))
                working: list[asyncio.Task[object]] = [
                    asyncio.create_task(pace.keep(step, self._turn, partial(self._say_of, pace.way)))
                    for pace, step in paces
                ]
                stopped = asyncio.create_task(self._stop.wait())
                listening = [asyncio.create_task(news.follow()) for news in self._news.values()]
                tasks += [*working, stopped, *listening]
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                if stopped in done:
                    await asyncio.wait(working, timeout=_GRACE_S)
                for task in done:
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._metrics_port.stop()
            await self.close()

    async def close(self) -> None:
        """Ends all connections."""
        self._outboxes.close()
        self._services.close()
        await asyncio.gather(self.supervisory.close(), self.local.close())

    def _make_news(self) -> dict[str, News]:
        """What happens on the local chain goes up; what the supervisory chain decides goes down, or lets packets up."""
        local = self.local.genesis_hash

        def decided() -> None:
            self._up.bell.set()
            self._down.bell.set()
            self._serving.bell.set()

        upward = News(self.local, HEADERS_ONLY, local, self._up.bell.set)
        return {"up": upward, "down": News(self.supervisory, DECISIONS, local, decided)}

    def _poll_s(self, way: str, poll_s: float) -> float:
        """Refunds of services fall due by time, which nobody tells of."""
        news = self._news.get(way)
        return poll_s * (SELDOM if news is not None and news.told else 1)

    def _turn(self) -> None:
        self.supervisory.turn()
        self.local.turn()

    async def _reach_both(self) -> bool:
        """Waits until a node of each chain answers; False when told to stop before."""
        for link in (self.supervisory, self.local):
            pause_s = AFTER_FAILURE_S
            while not await self._answers(link):
                if await set_within(self._stop, pause_s):
                    return False
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        return not self._stop.is_set()

    async def _answers(self, link: ChainLink) -> bool:
        try:
            await link.state([supervision_key()])
        except NotBegun:
            return True
        except DualchainError as error:
            self._say(f"reach {link.name}", "UNREACHED", error)
            return False
        return True

    # ---- up

    async def step_up(self) -> bool:
        """One transaction towards the supervisory chain, if one is due."""
        arrived, source = await asyncio.gather(self.read_arrived(), self.read_source())
        if source is None:
            return False
        self._saw_up(arrived, source)
        if not arrived.admitted or arrived.client.frozen >= 0:
            self._say_state("up", "NOT_ADMITTED" if not arrived.admitted else "FROZEN", arrived.client.frozen)
            return False
        other = await self._contradicted(arrived, source)
        if other is not None:
            return await self._carry("up", self.supervisory, planner.plan_contradiction(self.local.genesis_hash, other))
        if arrived.confirmed > arrived.client.height:
            return await self._carry("up", self.supervisory, await self._confirmed(arrived))
        closing = await self._closing(self.local, arrived.client, source.latest)
        if closing is not None:
            plan = planner.plan_epoch_up(self.local.genesis_hash, arrived, closing)
            return await self._carry("up", self.supervisory, plan)
        emitted = await self._emitted(arrived, source)
        plan = planner.plan_up(self.local.genesis_hash, arrived, source, emitted, self._heartbeat_ms)
        return await self._carry("up", self.supervisory, plan)

    async def read_arrived(self) -> Arrived:
        """What the supervisory chain has taken; before its first block, nothing."""
        keys = planner.arrived_keys(self.local.genesis_hash)
        try:
            return planner.read_arrived((await self.supervisory.state(keys)).values)
        except NotBegun:
            return planner.read_arrived([None] * len(keys))

    async def read_source(self) -> Source | None:
        """What the local chain has sent; None before its first block."""
        try:
            state = await self.local.state(planner.sent_keys(self.supervisory.genesis_hash))
        except NotBegun:
            return None
        return Source(state.answer.header, state.header.height, state.header.time_ms, planner.read_sent(state.values))

    async def _emitted(self, arrived: Arrived, source: Source) -> list[Emitted]:
        """The lowest blocks with packets that are pending, at most as many as one transaction takes."""
        if arrived.settled != self._settled:
            self._settled, self._quiet_through = arrived.settled, 0
        start = planner.scan_start(arrived, source, self._quiet_through)
        if start is None:
            self._quiet_through = max(self._quiet_through, source.height)
            return []
        found = await self._outboxes.pending(start, source.height, lambda block: self._wanted(arrived, block))
        if len(found) == planner.MAX_HEADERS:
            self._outboxes.read_ahead(found[-1].height + 1, source.height)
        return [await self._with_history(arrived, block) for block in found]

    async def _contradicted(self, arrived: Arrived, source: Source) -> CertifiedHeader | None:
        """The local chain's header of the client's height, where the client accepted another one."""
        followed = (arrived.client.height, arrived.client.header_hash)
        if followed == self._agreed or not 0 < arrived.client.height <= source.height:
            return None
        certified = self._outboxes.header_of(arrived.client.height)
        if certified is None:
            ((_, certified),) = await self.local.headers(arrived.client.height, 1)
        if planner.contradicts(arrived, certified.header):
            return certified
        self._agreed = followed
        return None

    async def _with_history(self, arrived: Arrived, emitted: Emitted) -> Emitted:
        """The block with the proof that its header is of the branch that the regulator chose, where it needs one."""
        count = planner.settled_below(arrived, emitted.height)
        if count is None:
            return emitted
        if self._history is None or self._history.count != count:
            self._history = await self.local.history(count)
        proof = InclusionProof(emitted.height, count, self._history.path(emitted.height))
        return replace(emitted, history=encode_inclusion(proof))

    async def _confirmed(self, arrived: Arrived) -> Plan:
        """What lets a stale client go on: the confirmed header, with the ends of the epochs before it."""
        (page,) = await self.local.headers(arrived.confirmed, 1)
        closings = []
        for epoch in range(arrived.client.epoch, page[0].epoch):
            closing = await self.local.closing(epoch)
            if closing is not None:
                closings.append(Closing(*closing))
        return planner.plan_confirmed(self.local.genesis_hash, closings, page[1])

    @staticmethod
    def _wanted(arrived: Arrived, emitted: Emitted) -> bool:
        following = {channel: sequence for channel, (sequence, _) in arrived.channels.items()}
        return any(
            packet.channel in following and packet.sequence >= following[packet.channel]
            for packet, _ in emitted.packets
        )

    # ---- down

    async def step_down(self) -> bool:
        """One ``update`` on the local chain, if one is due."""
        try:
            raw, chosen = (await self.local.state([supervision_key(), chosen_key()])).values
        except NotBegun:
            raw = chosen = None
        position = decode_position(raw)
        if position.frozen >= 0:
            self._say_state("down", "FROZEN", position.frozen)
            return False
        try:
            state = await self.supervisory.state(planner.issued_keys(self.local.genesis_hash, position.count))
        except NotBegun:
            return False
        self._saw_down(position, state)
        closing = await self._closing(self.supervisory, position, state.answer.header)
        if closing is not None:
            plan = planner.plan_epoch_down(position, closing)
            plan = await self._on_branch(chosen, closing.certified.header, plan)
            return await self._carry("down", self.local, plan)
        plan = planner.plan_down(position, issued_of(state), self._heartbeat_ms)
        plan = await self._on_branch(chosen, state.answer.header.header, plan)
        return await self._carry("down", self.local, plan)

    async def _on_branch(self, chosen: bytes | None, header: bytes, plan: Plan) -> Plan:
        """With the proof that its header comes after the one that a decision on a fork chose, while one is needed."""
        if not plan or chosen is None or chosen == header:
            return plan
        tree = await self.supervisory.history(decode_header(header).history_count)
        height = decode_header(chosen).height
        if height >= tree.count:
            return ()  # the nodes asked are not beyond it yet
        return planner.with_history(plan, encode_inclusion(InclusionProof(height, tree.count, tree.path(height))))

    # ---- both

    async def _closing(self, link: ChainLink, followed: Position, latest: CertifiedHeader) -> Closing | None:
        """What ends the epoch in which ``link``'s chain is followed, once its last block is final."""
        if planner.inside(latest, followed.epoch):
            return None
        found = await link.closing(followed.epoch)
        return None if found is None else Closing(*found)

    async def _carry(self, way: str, target: ChainLink, plan: Plan) -> bool:
        if not plan:
            return False
        began = time.monotonic()
        verified = await target.submit(plan)
        self.metrics.carried(way, plan, time.monotonic() - began)
        methods = ",".join(f"{operation.contract}.{operation.method}" for operation in plan)
        facts: dict[str, str | int] = {"way": way, "operations": methods, "height": verified.header.height}
        event(log, logging.INFO, "CARRIED", facts)
        return True

    def _saw_up(self, arrived: Arrived, source: Source) -> None:
        waiting = sum(planner.pending(arrived, source).values())
        self._saw("up", source.height, arrived.client, waiting)

    def _saw_down(self, position: Position, state: ProvenState) -> None:
        self._saw("down", state.header.height, position, count_in(state.values[0]) - position.count)

    def _saw(self, way: str, height: int, followed: Position, waiting: int) -> None:
        seen = {"source_height": height, "followed_height": followed.height, "pending": max(0, waiting)}
        self.metrics.saw(way, {**seen, "frozen": int(followed.frozen >= 0)})

    def _say_of(self, way: str, error: DualchainError | None) -> None:
        if error is None:
            self._said.pop(way, None)
        else:
            # What could not be carried is read anew: it may be of a branch that its chain gave up.
            self._outboxes.forget()
            self._services.forget()
            self._say(way, "NOT_CARRIED", error)

    def _say(self, way: str, name: str, error: DualchainError) -> None:
        """One line, and no second one while the same keeps happening."""
        if self._said.get(way) != str(error):
            self._said[way] = str(error)
            facts: dict[str, str | int] = {"way": way, "code": error.code, "reason": error.what, "where": error.where}
            event(log, logging.WARNING, name, {**facts, "next": error.next_step})

    def _say_state(self, way: str, name: str, height: int) -> None:
        if self._said.get(f"state {way}") != name:
            self._said[f"state {way}"] = name
            event(log, logging.WARNING, name, {"way": way, "height": height})


def issued_of(state: ProvenState) -> Issued:
    """What the answer to ``planner.issued_keys`` says."""
    following, *directives = state.answer.items
    present = [item for item in directives if item.value is not None]
    return Issued(state.answer.header, state.header.height, state.header.time_ms, following, present)


async def serve(assignment: Assignment, ready: Callable[[], None]) -> None:
    """Runs a relayer until SIGTERM or SIGINT."""
    relayer = Relayer(assignment)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, relayer.stop)
    await relayer.run(ready)
    event(log, logging.INFO, "STOPPED", {})
