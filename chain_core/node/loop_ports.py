"""The replica's clock, timers and observer on an asyncio event loop."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from chain_core.consensus.inputs import Timer
from chain_core.node.log import event
from chain_core.node.ports import FinalBlock

log = logging.getLogger(__name__)

KEPT_ALARMS = 64
HELD_MS = 20
ALARM = "alarm_"
"""Counters of alarms by code begin so."""


class SystemClock:
    """The machine's wall clock."""

    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch, UTC."""
        return time.time_ns() // 1_000_000


class LoopTimers:
    """One-shot timers; ``fire`` is called on the loop, later while ``held``: until then they can be cancelled."""

    def __init__(self, fire: Callable[[Timer], None], held: Callable[[], bool] = lambda: False) -> None:
        self._fire, self._held = fire, held
        self._running: dict[Timer, asyncio.TimerHandle] = {}

    def set(self, timer: Timer, after_ms: int) -> None:
        """(Re)start a timer."""
        self.cancel(timer)
        self._running[timer] = asyncio.get_running_loop().call_later(after_ms / 1_000, self._ended, timer)

    def cancel(self, timer: Timer) -> None:
        """Stop it; nothing happens when it does not run."""
        handle = self._running.pop(timer, None)
        if handle is not None:
            handle.cancel()

    def cancel_all(self) -> None:
        """Stop all of them."""
        for timer in list(self._running):
            self.cancel(timer)

    def _ended(self, timer: Timer) -> None:
        if self._held():
            self.set(timer, HELD_MS)
            return
        del self._running[timer]
        self._fire(timer)


def _nothing() -> None:
    return


@dataclass(slots=True)
class ShellObserver:
    """Writes down what the replica reports, and tells those who wait for final blocks."""

    counters: Counter[str]
    told: list[Callable[[FinalBlock], None]] = field(default_factory=list)
    alarms: deque[tuple[str, dict[str, str | int]]] = field(default_factory=lambda: deque(maxlen=KEPT_ALARMS))
    on_halt: Callable[[], None] = _nothing
    on_resume: Callable[[], None] = _nothing
    halt: str = ""
    last_final_monotonic: float = 0.0

    def finalised(self, block: FinalBlock) -> None:
        """A block is final and synced."""
        self.counters["blocks_final"] += 1
        self.counters["transactions_final"] += len(block.receipts)
        self.last_final_monotonic = time.monotonic()
        event(log, logging.DEBUG, "FINAL", {"height": block.height, "transactions": len(block.receipts)})
        for told in self.told:
            told(block)

    def alarm(self, code: str, facts: dict[str, str | int]) -> None:
        """Something an operator must know."""
        self.counters["alarms"] += 1
        self.counters[f"{ALARM}{code}"] += 1
        self.alarms.append((code, facts))
        event(log, logging.WARNING, code, facts)

    def halted(self, code: str, facts: dict[str, str | int]) -> None:
        """This node stopped voting."""
        reason = " ".join(f"{key}={value}" for key, value in facts.items())
        self.halt = f"{code} {reason}".strip()
        event(log, logging.ERROR, "HALTED", {"code": code, **facts})
        self.on_halt()

    def resumed(self) -> None:
        """It votes again."""
        self.halt = ""
        event(log, logging.WARNING, "RESUMED", {})
        self.on_resume()
