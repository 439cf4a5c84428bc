"""A template's functions, ready to be called: compiled once from the checked tree (docs/spec/tpl-1.md §6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from contracts.engine.checker import CONTEXT, check_tree
from contracts.engine.expressions import RESULT, Body, Scope
from contracts.engine.freezing import containers_in
from contracts.engine.host import Host
from contracts.engine.limits import LIMITS, Limits
from contracts.engine.literals import constant_value
from contracts.engine.nodes import Kind, Node, Tree, children
from contracts.engine.stack import ensure_stack
from contracts.engine.statements import compile_function
from contracts.engine.values import FUEL, MEMORY, Datum, Meter, check_walk


class Program:
    """A checked tree with its functions compiled. Raises ``TemplateRefused`` for a tree that is no template."""

    def __init__(self, tree: Tree, host: Host) -> None:
        self._facts = check_tree(tree, host)
        ensure_stack()
        used = _names_read(tree.functions)
        self.constants: Mapping[str, Datum] = {node[2]: constant_value(node[3]) for node in tree.constants}
        visible = {name: value for name, value in self.constants.items() if name in used}
        self._frozen = {key: 1 for value in visible.values() for key in containers_in(value)}
        bodies = {name: Body() for name in self._facts.parameters}
        for node in tree.functions:
            parameters = self._facts.parameters[node[2]]
            plain = parameters[1:] if parameters[:1] == (CONTEXT,) else parameters
            compile_function(node, bodies[node[2]], Scope(visible, bodies, host), plain)
        self._bodies = bodies

    def parameters(self, function: str) -> tuple[str, ...] | None:
        """A function's parameters, ``ctx`` included; None when there is no such function."""
        return self._facts.parameters.get(function)

    def call(
        self,
        function: str,
        host: Any,
        arguments: list[Datum],
        limits: Limits = LIMITS,
        frozen: Mapping[int, int] | None = None,
    ) -> tuple[Datum, Meter]:
        """The value of a call and what is left on its meter. ``arguments`` are as many as the function takes beside
        ``ctx``; fresh, but for what ``frozen`` names. Raises ``Abort``; what the operations of ``host`` raise passes.
        """
        body = self._bodies[function]
        if len(arguments) != body.parameters:
            raise ValueError(f"{function} takes {body.parameters} arguments, not {len(arguments)}")
        meter: Meter = [limits.fuel, limits.memory, {**self._frozen, **frozen} if frozen else dict(self._frozen)]
        frame: list[Any] = [meter, host, None, *arguments]
        frame += [None] * (body.slots - len(frame))
        assert body.run is not None
        body.run(frame)
        value = frame[RESULT]
        check_walk(meter, value, 0)
        return value, meter


def spent(meter: Meter, limits: Limits = LIMITS) -> tuple[int, int]:
    """Fuel and memory that a call used."""
    return limits.fuel - meter[FUEL], limits.memory - meter[MEMORY]


def _names_read(nodes: Sequence[Node]) -> set[str]:
    found = {node[2] for node in nodes if node[0] == Kind.NAME}
    for node in nodes:
        found |= _names_read(children(node))
    return found
