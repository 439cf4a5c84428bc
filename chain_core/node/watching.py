"""One step of the core under the eyes of its watchers, who see a step that raises, too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from chain_core.consensus.effects import Effect
from chain_core.consensus.inputs import Input
from chain_core.consensus.pbft import Pbft
from chain_core.node.ports import Watcher


class StepRecorder(Protocol):
    """The flight recorder's side of a step."""

    def before(self, core: Pbft) -> None:
        """The core is about to take an input."""

    def after(self, core: Pbft, event: Input, now_ms: int, effects: Sequence[Effect] | None) -> None:
        """It took it; None: it raised."""


class Watchers:
    """Who watches one replica's core."""

    def __init__(self) -> None:
        self.others: list[Watcher] = []
        self.recorder: StepRecorder | None = None

    def step(self, core: Pbft, event: Input, now_ms: int) -> list[Effect]:
        """``core.step``; the watchers are told before any effect is performed."""
        if self.recorder is not None:
            self.recorder.before(core)
        effects: list[Effect] | None = None
        try:
            effects = core.step(event, now_ms)
            return effects
        finally:
            if self.recorder is not None:
                self.recorder.after(core, event, now_ms, effects)
            for watcher in self.others:
                watcher.stepped(event, now_ms, effects)
