"""What the replica needs from the world outside, as small ports; each has a real and a simulated twin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from chain_core.consensus.effects import Effect
from chain_core.consensus.inputs import Input, Timer
from chain_core.network.frames import Frame


class Origin(Enum):
    """How a verified envelope came to this node."""

    CLIENT = "client"
    """Submitted here: this node pushes it to all others."""
    PEER = "peer"
    """Pushed by another node, or the answer to a question for bodies."""


class Admission(Enum):
    """What became of a submitted envelope; ACCEPTED means in this node's memory, nothing more."""

    ACCEPTED = "ACCEPTED"
    ALREADY_FINAL = "ALREADY_FINAL"
    NONCE_USED = "NONCE_USED"
    POOL_FULL = "POOL_FULL"
    NOT_SERVING = "NOT_SERVING"


@dataclass(frozen=True, slots=True)
class FinalBlock:
    """A block that just became final, for those who wait for it; receipts stand at the index of their envelope."""

    height: int
    header_bytes: bytes
    certificate_bytes: bytes
    envelope_ids: tuple[bytes, ...]
    receipts: tuple[bytes, ...]


class Transport(Protocol):
    """Frames to peers: never blocks, queues are bounded, frames may be lost."""

    def send(self, peer: int, frame: Frame) -> None:
        """Queue a frame for one peer (validator index)."""

    def broadcast(self, frame: Frame) -> None:
        """Queue a frame for all other validators."""


class Clock(Protocol):
    """Wall clock in milliseconds since the Unix epoch, UTC."""

    def now_ms(self) -> int:
        """The present time."""


class Timers(Protocol):
    """One-shot timers that lead to ``Replica.on_timer``."""

    def set(self, timer: Timer, after_ms: int) -> None:
        """(Re)start a timer."""

    def cancel(self, timer: Timer) -> None:
        """Stop it; nothing happens when it does not run."""


class Watcher(Protocol):
    """Who follows each step of the core: measures, summaries, the flight recorder. What it raises ends the node."""

    def stepped(self, event: Input, now_ms: int, effects: Sequence[Effect] | None) -> None:
        """The core took ``event`` and asks for ``effects``, which are not performed yet; None: the core raised."""


class Observer(Protocol):
    """Who is told what happens: API waiters, logs, metrics."""

    def finalised(self, block: FinalBlock) -> None:
        """A block is final and synced."""

    def alarm(self, code: str, facts: dict[str, str | int]) -> None:
        """Something an operator must know."""

    def halted(self, code: str, facts: dict[str, str | int]) -> None:
        """This node stopped voting."""

    def resumed(self) -> None:
        """It votes again: the height at which execution diverged was reopened, or became final."""


@dataclass(frozen=True, slots=True)
class Ports:
    """The world outside."""

    transport: Transport
    clock: Clock
    timers: Timers
    observer: Observer
