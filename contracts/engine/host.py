"""The operations ``ctx.…`` that a contract offers to its templates: a port of the engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation. ``run(host, meter, line, *arguments)`` takes values of the language and gives a fresh one.

    ``parameters`` in their order, of which the first ``required`` must be given; the others are None when left out.
    ``rest`` takes any further arguments. ``fuel`` is charged beside the nodes of the call.
    """

    parameters: tuple[str, ...]
    run: Callable[..., Any]
    required: int = -1
    rest: bool = False
    fuel: int = 10

    @property
    def least(self) -> int:
        """How many arguments must be given."""
        return len(self.parameters) if self.required < 0 else self.required


Host: TypeAlias = Mapping[str, Operation]


def order(operation: Operation, positional: int, named: tuple[str, ...]) -> tuple[int, ...] | None:
    """For each parameter the place of its argument, -1 for one left out; None when the call does not fit."""
    if positional > len(operation.parameters):
        return tuple(range(positional)) if operation.rest and not named else None
    places = list(range(positional)) + [-1] * (len(operation.parameters) - positional)
    for place, name in enumerate(named, positional):
        if name not in operation.parameters or places[operation.parameters.index(name)] >= 0:
            return None
        places[operation.parameters.index(name)] = place
    return tuple(places) if min(places[: operation.least], default=0) >= 0 else None
