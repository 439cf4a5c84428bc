"""Room on the host's stack for what the checker lets through. A setting of the process, not an input of execution."""

from __future__ import annotations

import sys

from contracts.engine.limits import MAX_STACK

_HEADROOM = 400
"""Frames that the node may stand on when it calls a template, and what the engine's own functions need."""


def ensure_stack() -> None:
    """Lets this process recurse as deep as a checked template may. Frames of Python functions live on the heap."""
    sys.setrecursionlimit(max(sys.getrecursionlimit(), 2 * (MAX_STACK + _HEADROOM)))
