"""A replica's steps: inputs to the core one after the other, each with all that the core asks for, in order.

An effect that waits for a signature stops everything behind it, and is performed anew when there is an answer
(docs/spec/keys.md §5); so "signed, logged, synced, sent" holds whoever signs, and nothing is overtaken.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from chain_core.consensus import effects as fx
from chain_core.consensus import inputs as inp
from chain_core.node.vote_keys import SignaturePending


class Steps:
    """``step`` gives the core an input, ``perform`` performs one effect, ``after`` is told when all of them are.

    ``perform`` may raise SignaturePending before it has done anything; what else it raises ends the node.
    """

    def __init__(
        self,
        step: Callable[[inp.Input], Sequence[fx.Effect]],
        perform: Callable[[fx.Effect], None],
        after: Callable[[inp.Input], None],
    ) -> None:
        self._step, self._perform, self._after = step, perform, after
        self.inputs: deque[inp.Input] = deque()
        self.parked = False
        self._event: inp.Input | None = None
        self._owed: deque[fx.Effect] = deque()
        """What the core asked for after ``_event`` and is not performed yet."""
        self._running = False

    def run(self) -> None:
        """Until nothing is left, or a signature is awaited. A call from within does nothing: the outer one goes on."""
        if self._running or self.parked:
            return
        self._running = True
        try:
            while self._event is not None or self.inputs:
                self._one()
        except SignaturePending:
            self.parked = True
        finally:
            self._running = False

    def _one(self) -> None:
        if self._event is None:
            self._event = self.inputs.popleft()
            self._owed.extend(self._step(self._event))
        while self._owed:
            self._perform(self._owed[0])
            self._owed.popleft()
        event, self._event = self._event, None
        self._after(event)

    def go_on(self) -> None:
        """There may be an answer: the effect that waited is performed anew."""
        if self.parked:
            self.parked = False
            self.run()
