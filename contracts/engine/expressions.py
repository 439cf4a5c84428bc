"""Turns expressions of a checked tree into closures over a frame (docs/spec/tpl-1.md §6).

A frame is a list: [meter, host, result, local, local, ...]. A closure takes the frame and gives the value. Fuel of the
nodes is charged by the statement they stand in; here only what grows with the size of values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

from contracts.engine.builtins import BUILTINS, make_range
from contracts.engine.host import Host, order
from contracts.engine.limits import INTEGER_BOUND
from contracts.engine.literals import constant_value
from contracts.engine.loops import iterable, lock, unlock
from contracts.engine.methods import METHODS
from contracts.engine.nodes import COMPARISONS, OPERATORS, Kind, Node, children
from contracts.engine.operators import BINARY, COMPARE, item_of, negate, slice_of
from contracts.engine.refusals import Abort
from contracts.engine.values import (
    DICT_BASE,
    ENTRY,
    FUEL,
    ITEM,
    ITEMS,
    LIST_BASE,
    LOCKS,
    MEMORY,
    SHORT_KEY,
    Datum,
    allocate,
    imported,
    look_up,
    new_list,
    spend,
)

Frame = list[Any]
Expression = Callable[[Frame], Any]

METER, HOST, RESULT, LOCALS = 0, 1, 2, 3
CALL_FUEL = 2
_BOUND, _LOW_BOUND = INTEGER_BOUND, -INTEGER_BOUND


@dataclass(slots=True)
class Body:
    """A compiled function: how many slots its frame has, what a call costs for them, and its block. Filled before
    anything runs.
    """

    parameters: int = 0
    slots: int = LOCALS
    fuel: int = CALL_FUEL
    run: Callable[[Frame], Any] | None = None


@dataclass(slots=True)
class Scope:
    """What names mean inside one function. ``used`` counts its frame's slots, those of comprehensions included."""

    constants: Mapping[str, Datum]
    bodies: Mapping[str, Body]
    host: Host
    slots: dict[str, int] = field(default_factory=dict)
    used: list[int] = field(default_factory=lambda: [LOCALS])

    def slot(self, name: str) -> int:
        """The frame's place of a local variable, a new one at its first mention."""
        if name not in self.slots:
            self.slots[name] = self.used[0]
            self.used[0] += 1
        return self.slots[name]

    def inner(self, name: str) -> Scope:
        """The scope of a comprehension: one more variable, which nobody outside can name."""
        slots = {known: place for known, place in self.slots.items() if known != name}
        return Scope(self.constants, self.bodies, self.host, slots, self.used)


def nodes_in(node: Node) -> int:
    """The fuel of an expression: its nodes, those of a comprehension's element and condition apart."""
    kind = node[0]
    if kind == Kind.COMPREHENSION:
        return 1 + nodes_in(node[4])
    return 1 + sum(nodes_in(part) for part in children(node))


def compile_expression(node: Node, scope: Scope) -> Expression:
    """The closure of an expression of a checked tree."""
    return _COMPILERS[node[0]](node, scope)


def _constant(node: Node, scope: Scope) -> Expression:
    value = constant_value(node)
    return lambda frame: value


def _name(node: Node, scope: Scope) -> Expression:
    name = node[2]
    if name in scope.slots:
        getter: Expression = itemgetter(scope.slots[name])
        return getter
    value = scope.constants[name]
    return lambda frame: value


def _list(node: Node, scope: Scope) -> Expression:
    items = tuple(compile_expression(item, scope) for item in node[2])
    line, size = node[1], LIST_BASE + ITEM * len(items)

    def run(frame: Frame) -> list[Datum]:
        meter = frame[METER]
        meter[MEMORY] -= size
        if meter[MEMORY] < 0:
            raise Abort("memory", line)
        return [item(frame) for item in items]

    return run


def _dict(node: Node, scope: Scope) -> Expression:
    keys = tuple(compile_expression(item, scope) for item in node[2][::2])
    values = tuple(compile_expression(item, scope) for item in node[2][1::2])
    pairs, line, size = tuple(zip(keys, values, strict=True)), node[1], DICT_BASE + ENTRY * len(keys)

    def run(frame: Frame) -> dict[Datum, Datum]:
        meter = frame[METER]
        allocate(meter, size, line)
        made: dict[Datum, Datum] = {}
        for key, value in pairs:
            name = key(frame)
            look_up(meter, made, name, line)
            if name in made:
                raise Abort("bad_key", line)
            made[name] = value(frame)
        return made

    return run


def _binary(node: Node, scope: Scope) -> Expression:
    _, line, operator, left_node, right_node = node
    left, right = compile_expression(left_node, scope), compile_expression(right_node, scope)
    slow = BINARY[operator]
    if OPERATORS[operator] == "+":

        def add(frame: Frame) -> Datum:
            one, other = left(frame), right(frame)
            if type(one) is int and type(other) is int:
                total = one + other
                if _LOW_BOUND < total < _BOUND:
                    return total
                raise Abort("integer_range", line)
            return slow(frame[METER], one, other, line)

        return add
    if OPERATORS[operator] == "-":

        def subtract(frame: Frame) -> Datum:
            one, other = left(frame), right(frame)
            if type(one) is int and type(other) is int:
                total = one - other
                if _LOW_BOUND < total < _BOUND:
                    return total
                raise Abort("integer_range", line)
            raise Abort("wrong_type", line)

        return subtract
    return lambda frame: slow(frame[METER], left(frame), right(frame), line)


def _compare(node: Node, scope: Scope) -> Expression:
    _, line, operator, left_node, right_node = node
    left, right = compile_expression(left_node, scope), compile_expression(right_node, scope)
    slow, word = COMPARE[operator], COMPARISONS[operator]
    if word in ("==", "!="):
        same = word == "=="

        def equals(frame: Frame) -> bool:
            one, other = left(frame), right(frame)
            kind = type(one)
            if kind is int or kind is bool or one is None:
                return (kind is type(other) and one == other) is same
            return bool(slow(frame[METER], one, other, line))

        return equals
    if word in ("<", ">="):
        smaller = word == "<"

        def less(frame: Frame) -> bool:
            one, other = left(frame), right(frame)
            if type(one) is int and type(other) is int:
                return (one < other) is smaller
            return slow(frame[METER], one, other, line)

        return less
    if word in (">", "<="):
        larger = word == ">"

        def greater(frame: Frame) -> bool:
            one, other = left(frame), right(frame)
            if type(one) is int and type(other) is int:
                return (one > other) is larger
            return slow(frame[METER], one, other, line)

        return greater
    return lambda frame: slow(frame[METER], left(frame), right(frame), line)


def _and(node: Node, scope: Scope) -> Expression:
    parts = tuple(compile_expression(item, scope) for item in node[2])

    def run(frame: Frame) -> Datum:
        value = None
        for part in parts:
            value = part(frame)
            if not value:
                return value
        return value

    return run


def _or(node: Node, scope: Scope) -> Expression:
    parts = tuple(compile_expression(item, scope) for item in node[2])

    def run(frame: Frame) -> Datum:
        value = None
        for part in parts:
            value = part(frame)
            if value:
                return value
        return value

    return run


def _not(node: Node, scope: Scope) -> Expression:
    value = compile_expression(node[2], scope)
    return lambda frame: not value(frame)


def _negate(node: Node, scope: Scope) -> Expression:
    value, line = compile_expression(node[2], scope), node[1]
    return lambda frame: negate(value(frame), line)


def _condition(node: Node, scope: Scope) -> Expression:
    test, then, other = (compile_expression(part, scope) for part in node[2:])
    return lambda frame: then(frame) if test(frame) else other(frame)


def _index(node: Node, scope: Scope) -> Expression:
    line, container, index = node[1], compile_expression(node[2], scope), compile_expression(node[3], scope)
    if node[3][0] == Kind.TEXT and len(node[3][2]) <= SHORT_KEY:
        name = node[3][2]

        def field_of(frame: Frame) -> Datum:
            value = container(frame)
            if type(value) is dict and name in value:
                return value[name]
            return item_of(frame[METER], value, name, line)

        return field_of
    return lambda frame: item_of(frame[METER], container(frame), index(frame), line)


def _slice(node: Node, scope: Scope) -> Expression:
    line, value = node[1], compile_expression(node[2], scope)
    low, high = (_constant((Kind.NONE, line), scope) if n is None else compile_expression(n, scope) for n in node[3:])
    return lambda frame: slice_of(frame[METER], value(frame), low(frame), high(frame), line)


def _call(node: Node, scope: Scope) -> Expression:
    _, line, name, argument_nodes = node
    arguments = tuple(compile_expression(argument, scope) for argument in argument_nodes)
    if name not in scope.bodies:
        return _builtin(BUILTINS[name][2], arguments, line)
    body = scope.bodies[name]

    def call(frame: Frame) -> Datum:
        inner = [frame[METER], frame[HOST], None]
        spend(frame[METER], body.fuel, line)
        for argument in arguments:
            inner.append(argument(frame))
        inner += [None] * (body.slots - len(inner))
        body.run(inner)  # type: ignore[misc]
        return inner[RESULT]

    return call


def _builtin(function: Callable[..., Any], arguments: tuple[Expression, ...], line: int) -> Expression:
    if len(arguments) == 1:
        only = arguments[0]
        return lambda frame: function(frame[METER], line, only(frame))
    return lambda frame: function(frame[METER], line, *[argument(frame) for argument in arguments])


def _method(node: Node, scope: Scope) -> Expression:
    _, line, value_node, name, argument_nodes = node
    value = compile_expression(value_node, scope)
    arguments = tuple(compile_expression(argument, scope) for argument in argument_nodes)
    function = METHODS[name][2]
    if len(arguments) == 1:
        only = arguments[0]
        return lambda frame: function(frame[METER], line, value(frame), only(frame))
    return lambda frame: function(frame[METER], line, value(frame), *[argument(frame) for argument in arguments])


def _host(node: Node, scope: Scope) -> Expression:
    _, line, name, argument_nodes, named = node
    operation = scope.host[name]
    arguments = tuple(compile_expression(argument, scope) for argument in argument_nodes)
    run, fuel = operation.run, operation.fuel
    places = order(operation, len(arguments) - len(named), named)
    assert places is not None
    straight = places == tuple(range(len(arguments)))

    def call(frame: Frame) -> Datum:
        meter = frame[METER]
        meter[FUEL] -= fuel
        if meter[FUEL] < 0:
            raise Abort("fuel", line)
        given = [argument(frame) for argument in arguments]
        if not straight:
            given = [given[place] if place >= 0 else None for place in places]
        value = run(frame[HOST], meter, line, *given)
        kind = type(value)
        return value if kind is int or value is None or kind is bool else imported(meter, value, line)

    return call


def _range(node: Node, scope: Scope) -> Expression:
    arguments, line = tuple(compile_expression(argument, scope) for argument in node[2]), node[1]
    return lambda frame: make_range(tuple([argument(frame) for argument in arguments]), line)


def _comprehension(node: Node, scope: Scope) -> Expression:
    _, line, element_node, name, iterated_node, condition_node = node
    iterated = compile_expression(iterated_node, scope)
    inner = scope.inner(name)
    slot = inner.slot(name)
    element = compile_expression(element_node, inner)
    condition = None if condition_node is None else compile_expression(condition_node, inner)
    step = 1 + nodes_in(element_node) + (0 if condition_node is None else nodes_in(condition_node))

    def run(frame: Frame) -> list[Datum]:
        meter = frame[METER]
        made: list[Datum] = []
        items = iterable(iterated(frame), line)
        locked = lock(meter[LOCKS], items)
        for item in items:
            meter[FUEL] -= step
            if meter[FUEL] < 0:
                raise Abort("fuel", line)
            frame[slot] = item
            if condition is None or condition(frame):
                if len(made) >= ITEMS:
                    raise Abort("too_long", line)
                made.append(element(frame))
        if locked:
            unlock(meter[LOCKS], items)
        return new_list(meter, made, line)

    return run


_COMPILERS: dict[int, Callable[[Node, Scope], Expression]] = {
    Kind.NONE: _constant,
    Kind.TRUE: _constant,
    Kind.FALSE: _constant,
    Kind.INTEGER: _constant,
    Kind.TEXT: _constant,
    Kind.LIST: _list,
    Kind.DICT: _dict,
    Kind.NAME: _name,
    Kind.BINARY: _binary,
    Kind.COMPARE: _compare,
    Kind.AND: _and,
    Kind.OR: _or,
    Kind.NOT: _not,
    Kind.NEGATE: _negate,
    Kind.CONDITION: _condition,
    Kind.INDEX: _index,
    Kind.SLICE: _slice,
    Kind.CALL: _call,
    Kind.METHOD: _method,
    Kind.HOST: _host,
    Kind.COMPREHENSION: _comprehension,
    Kind.RANGE: _range,
}
