"""Why a replica stopped voting, what it still does meanwhile, and how a halt for diverging execution ends."""

from __future__ import annotations

from chain_core.consensus import effects as fx
from chain_core.consensus.finality import DIVERGED
from chain_core.consensus.state import ReplicaState
from chain_core.node.block_builder import BuiltBlock
from chain_core.node.divergence import Divergence
from chain_core.node.ports import Observer
from chain_core.node.voting import Cast

KEY_USED_ELSEWHERE = "KEY_USED_ELSEWHERE"
UNKNOWN_FLAG = "UNKNOWN_FLAG"


class Halting:
    """The halt of one replica: ``code`` is empty while it votes, and the first one stays."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self.code = ""
        self.divergence = Divergence(observer)

    def halt(self, state: ReplicaState, code: str, facts: dict[str, str | int], built: BuiltBlock | None) -> None:
        """Stop voting. ``built``: the execution that went astray, if one is at hand."""
        if built is not None:
            self.divergence.suspect(built)
            facts |= {"keys": self.divergence.keys}
        if not self.code:
            self.code = code
            state.halted = True
            self._observer.halted(code, facts)

    def resume(self, state: ReplicaState) -> bool:
        """All have agreed how the height goes on at which execution diverged. False when something else halted it."""
        if self.code != DIVERGED:
            return False
        self.code, state.halted = "", False
        self.divergence = Divergence(self._observer)
        self._observer.resumed()
        return True

    @property
    def follows(self) -> bool:
        """Whether blocks are still executed: a node that only may not vote goes on serving what is final, one whose
        execution went astray tries again on certified blocks."""
        return self.code in ("", KEY_USED_ELSEWHERE) or (self.code == DIVERGED and not self.divergence.for_good)

    def allows(self, cast: Cast) -> bool:
        """Whether this may be cast: what settles a divergence may, in spite of it."""
        return not self.code or (self.code == DIVERGED and isinstance(cast, fx.CastStatement | fx.StoreReopening))
