"""Turns statements of a checked tree into closures over a frame (docs/spec/tpl-1.md §6).

A statement's closure gives None, or why its block ends: BREAK, CONTINUE, RETURN. Consecutive plain statements are one
run, whose fuel is charged when it is entered; heads of ``if`` and ``for`` are charged when they are evaluated.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from contracts.engine.expressions import (
    CALL_FUEL,
    LOCALS,
    METER,
    RESULT,
    Body,
    Frame,
    Scope,
    compile_expression,
    nodes_in,
)
from contracts.engine.loops import iterable, lock, unlock
from contracts.engine.nodes import Kind, Node
from contracts.engine.operators import BINARY, extend, item_of
from contracts.engine.refusals import Abort
from contracts.engine.values import FUEL, LOCKS, Datum, check_open, put, spend

Statement = Callable[[Frame], int | None]

BREAK, CONTINUE, RETURN = 1, 2, 3
_PLAIN = frozenset((Kind.ASSIGN, Kind.SET_ITEM, Kind.AUGMENT, Kind.AUGMENT_ITEM, Kind.EXPRESSION, Kind.PASS))
_ADD = 0


def compile_function(node: Node, body: Body, scope: Scope, parameters: tuple[str, ...]) -> None:
    """Fills ``body``. ``parameters`` are those of the frame: without ``ctx``."""
    for name in parameters:
        scope.slot(name)
    body.run = compile_block(node[4], scope)
    body.parameters = len(parameters)
    body.slots = scope.used[0]
    body.fuel = CALL_FUEL + ((body.slots - LOCALS) >> 6)


def compile_block(block: tuple[Node, ...], scope: Scope) -> Statement:
    """The closure of a block."""
    parts: list[Statement] = []
    plain: list[Node] = []
    for node in block:
        if node[0] in _PLAIN:
            plain.append(node)
            continue
        if node[0] == Kind.RETURN:
            parts.append(_return(plain, node, scope))
            plain = []
            continue
        if plain:
            parts.append(_run(plain, scope))
            plain = []
        parts.append(_CONTROL[node[0]](node, scope))
    if plain:
        parts.append(_run(plain, scope))
    if len(parts) == 1:
        return parts[0]
    whole = tuple(parts)

    def run(frame: Frame) -> int | None:
        for part in whole:
            signal = part(frame)
            if signal is not None:
                return signal
        return None

    return run


def _cost(nodes: list[Node]) -> int:
    return sum(nodes_in(node) for node in nodes)


def _run(nodes: list[Node], scope: Scope) -> Statement:
    """A run of plain statements, charged as a whole."""
    line, cost = nodes[0][1], _cost(nodes)
    steps = tuple(_compile_plain(node, scope) for node in nodes)
    if len(steps) == 1:
        only = steps[0]

        def one(frame: Frame) -> None:
            meter = frame[METER]
            meter[FUEL] -= cost
            if meter[FUEL] < 0:
                raise Abort("fuel", line)
            only(frame)

        return one

    def run(frame: Frame) -> None:
        meter = frame[METER]
        meter[FUEL] -= cost
        if meter[FUEL] < 0:
            raise Abort("fuel", line)
        for step in steps:
            step(frame)

    return run


def _return(plain: list[Node], node: Node, scope: Scope) -> Statement:
    """The plain statements before a return, and the return."""
    line = (plain or [node])[0][1]
    steps = tuple(_compile_plain(step, scope) for step in plain)
    cost = _cost([*plain, node]) if node[2] is not None else _cost(plain) + 1
    value = None if node[2] is None else compile_expression(node[2], scope)

    def run(frame: Frame) -> int:
        meter = frame[METER]
        meter[FUEL] -= cost
        if meter[FUEL] < 0:
            raise Abort("fuel", line)
        for step in steps:
            step(frame)
        if value is not None:
            frame[RESULT] = value(frame)
        return RETURN

    return run


def _compile_plain(node: Node, scope: Scope) -> Callable[[Frame], Any]:
    match node[0]:
        case Kind.ASSIGN:
            return _assign(node, scope)
        case Kind.SET_ITEM:
            return _set_item(node, scope)
        case Kind.AUGMENT:
            return _augment(node, scope)
        case Kind.AUGMENT_ITEM:
            return _augment_item(node, scope)
        case Kind.EXPRESSION:
            return compile_expression(node[2], scope)
        case _:
            return lambda frame: None


def _assign(node: Node, scope: Scope) -> Callable[[Frame], Any]:
    value = compile_expression(node[3], scope)
    slot = scope.slot(node[2])

    def assign(frame: Frame) -> None:
        frame[slot] = value(frame)

    return assign


def _set_item(node: Node, scope: Scope) -> Callable[[Frame], Any]:
    line = node[1]
    container, key, value = (compile_expression(part, scope) for part in node[2:])

    def set_item(frame: Frame) -> None:
        # The value first, then the target: the order of both languages.
        made = value(frame)
        put(frame[METER], container(frame), key(frame), made, line)

    return set_item


def _changed(operator: int) -> Callable[[list[Any], Datum, Datum, int], Datum]:
    """``+=`` and its like. A list grows in place, whoever else holds it."""
    plain = BINARY[operator]

    def change(meter: list[Any], value: Datum, more: Datum, line: int) -> Datum:
        if operator == _ADD and type(value) is list and type(more) is list:
            check_open(meter, value, line)
            extend(meter, value, more, line)
            return value
        return plain(meter, value, more, line)

    return change


def _augment(node: Node, scope: Scope) -> Callable[[Frame], Any]:
    _, line, name, operator, value_node = node
    value, change, slot = compile_expression(value_node, scope), _changed(operator), scope.slot(name)

    def augment(frame: Frame) -> None:
        before = frame[slot]
        frame[slot] = change(frame[METER], before, value(frame), line)

    return augment


def _augment_item(node: Node, scope: Scope) -> Callable[[Frame], Any]:
    _, line, container_node, key_node, operator, value_node = node
    container, key, value = (compile_expression(part, scope) for part in (container_node, key_node, value_node))
    change = _changed(operator)

    def augment(frame: Frame) -> None:
        meter, target, place = frame[METER], container(frame), key(frame)
        if type(target) is str:
            raise Abort("wrong_type", line)
        before = item_of(meter, target, place, line)
        put(meter, target, place, change(meter, before, value(frame), line), line)

    return augment


def _if(node: Node, scope: Scope) -> Statement:
    _, line, test_node, then_block, else_block = node
    cost, test = 1 + nodes_in(test_node), compile_expression(test_node, scope)
    then = compile_block(then_block, scope)
    other = compile_block(else_block, scope) if else_block else None

    def run(frame: Frame) -> int | None:
        meter = frame[METER]
        meter[FUEL] -= cost
        if meter[FUEL] < 0:
            raise Abort("fuel", line)
        if test(frame):
            return then(frame)
        return None if other is None else other(frame)

    return run


def _for(node: Node, scope: Scope) -> Statement:
    _, line, names, iterated_node, block = node
    kind = iterated_node[0]
    source = iterated_node[2] if kind in (Kind.ITEMS, Kind.ENUMERATE) else iterated_node
    iterated, cost = compile_expression(source, scope), 1 + nodes_in(iterated_node)
    slots = tuple(scope.slot(name) for name in names)
    first, second = slots[0], slots[-1]
    body = compile_block(block, scope)
    pairs, numbered = kind == Kind.ITEMS, kind == Kind.ENUMERATE

    def run(frame: Frame) -> int | None:
        meter = frame[METER]
        spend(meter, cost, line)
        items = iterable(iterated(frame), line)
        if (pairs and type(items) is not dict) or (numbered and type(items) is range):
            raise Abort("wrong_type", line)
        locked = lock(meter[LOCKS], items)
        signal = None
        for item in items.items() if pairs else enumerate(items) if numbered else items:
            meter[FUEL] -= 1
            if meter[FUEL] < 0:
                raise Abort("fuel", line)
            if first == second:
                frame[first] = item
            else:
                frame[first], frame[second] = item if pairs or numbered else _pair(item, line)
            signal = body(frame)
            if signal is not None and signal != CONTINUE:
                break
        if locked:
            unlock(meter[LOCKS], items)
        return RETURN if signal == RETURN else None

    return run


def _pair(item: Datum, line: int) -> list[Datum]:
    if type(item) is not list or len(item) != 2:
        raise Abort("wrong_type", line)
    return item


def _signal(signal: int) -> Callable[[Node, Scope], Statement]:
    def compiled(node: Node, scope: Scope) -> Statement:
        def run(frame: Frame) -> int:
            spend(frame[METER], 1, node[1])
            return signal

        return run

    return compiled


_CONTROL: dict[int, Callable[[Node, Scope], Statement]] = {
    Kind.IF: _if,
    Kind.FOR: _for,
    Kind.BREAK: _signal(BREAK),
    Kind.CONTINUE: _signal(CONTINUE),
}
