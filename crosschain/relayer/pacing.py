"""When a relayer's next step in one direction is due: at once on news, else after a while; later after failures."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

from chain_core.node.log import event
from chain_core.types.errors import DualchainError
from crosschain.relayer.link import Behind, Overtaken
from crosschain.relayer.metrics import FAILED, NEWS, OVERTAKEN, POLL, RelayerMetrics

log = logging.getLogger(__name__)

AFTER_FAILURE_S = 0.5
LONGEST_PAUSE_S = 15.0
BEHIND_S = 0.05
"""Nodes that are behind what is final elsewhere are asked again so soon."""
HEAD_START_S = 0.25
LONGEST_HEAD_START_S = 1.0
"""What a relayer leaves to others after they were faster, each time twice as long, until it carries something itself:
several of them do not all send everything, and when the first one dies, another is there within about a second.
"""


async def set_within(event: asyncio.Event, seconds: float) -> bool:
    """Waits for the event, no longer than that; whether it is set."""
    try:
        return await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False


class Pace:
    """One direction's rounds. ``bell`` is rung when there may be something to carry."""

    def __init__(
        self,
        way: str,
        poll_s: Callable[[], float],
        stop: asyncio.Event,
        metrics: RelayerMetrics,
        wait: Callable[[asyncio.Event, float], Awaitable[bool]] = set_within,
        draw: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self.bell = asyncio.Event()
        self.way, self._poll_s, self._stop, self._metrics = way, poll_s, stop, metrics
        self._wait, self._draw = wait, draw
        self._head_start_s = 0.0

    async def keep(
        self,
        step: Callable[[], Awaitable[bool]],
        turn: Callable[[], None],
        say: Callable[[DualchainError | None], None],
    ) -> None:
        """Steps until stopped. ``turn``: others are asked from now on; ``say``: a round failed, or None."""
        failure_s = AFTER_FAILURE_S
        while not self._stop.is_set():
            self.bell.clear()
            try:
                carried = await step()
            except Overtaken as error:
                self._metrics.missed(self.way, OVERTAKEN)
                event(log, logging.DEBUG, "OVERTAKEN", {"way": self.way, "reason": error.what})
                self._head_start_s = min(max(2 * self._head_start_s, HEAD_START_S), LONGEST_HEAD_START_S)
                await self._give_head_start()
            except Behind:
                turn()
                await self._wait(self._stop, BEHIND_S)
            except DualchainError as error:
                self._metrics.missed(self.way, FAILED)
                say(error)
                turn()
                await self._wait(self._stop, failure_s)
                failure_s = min(2 * failure_s, LONGEST_PAUSE_S)
            else:
                say(None)
                failure_s = AFTER_FAILURE_S
                if carried:
                    self._head_start_s = 0.0
                    continue  # more may wait
                turn()
                await self._called()

    async def _called(self) -> None:
        """Until there is news, or for as long as nobody tells any; then what others get as a head start."""
        by = NEWS if await self._wait(self.bell, self._poll_s()) else POLL
        self._metrics.woken(self.way, by)
        await self._give_head_start()

    async def _give_head_start(self) -> None:
        """Drawn, so that two that were overtaken together do not meet again."""
        if self._head_start_s:
            await self._wait(self._stop, self._head_start_s * self._draw(0.5, 1.0))
