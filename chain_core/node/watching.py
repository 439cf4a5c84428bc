"""One step of the core under the eyes of its watchers, who see a step that raises, too."""

from __future__ import annotations

from collections.abc import Sequence

from chain_core.consensus.effects import Effect
from chain_core.consensus.inputs import Input
from chain_core.consensus.pbft import Pbft
from chain_core.node.ports import Watcher


def watched_step(core: Pbft, watchers: Sequence[Watcher], event: Input, now_ms: int) -> list[Effect]:
    """``core.step``; the watchers are told before any effect is performed."""
    effects: list[Effect] | None = None
    try:
        effects = core.step(event, now_ms)
        return effects
    finally:
        for watcher in watchers:
            watcher.stepped(event, now_ms, effects)
