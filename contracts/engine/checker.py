"""The static rules of ``tpl/1``: which trees are templates (docs/spec/tpl-1.md §5).

Whatever passes runs without unbound names, wrong arities, recursion or a deep stack: what is left to run time are
values and counters. The filing tool and every node check the same tree with the same code.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from contracts.engine.builtins import BUILTINS
from contracts.engine.host import Host, order
from contracts.engine.limits import (
    INTEGER_BOUND,
    KEY_BOUND,
    LIMITS,
    MAX_CALL_CHAIN,
    MAX_NAME,
    MAX_NESTING,
    MAX_NODES,
    MAX_PARAMETERS,
    MAX_STACK,
)
from contracts.engine.methods import METHODS
from contracts.engine.nodes import COMPARISONS, OPERATORS, Kind, Node, Tree, children
from contracts.engine.refusals import refuse

CONTEXT = "ctx"
_LOCAL = re.compile(r"_?[a-z][a-z0-9]*(?:_[a-z0-9]+)*\Z")
_CONSTANT = re.compile(r"_?[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*\Z")
RESERVED = frozenset(
    (
        *("and", "as", "assert", "async", "await", "break", "case", "class", "continue", "def", "del", "elif", "else"),
        *("except", "finally", "for", "from", "global", "if", "import", "in", "is", "lambda", "load", "match"),
        *("nonlocal", "not", "or", "pass", "raise", "return", "struct", "try", "type", "while", "with", "yield", "ctx"),
    )
)
"""Words that Python or Starlark keep for themselves, and ``ctx``."""

_LITERALS = frozenset((Kind.NONE, Kind.TRUE, Kind.FALSE, Kind.INTEGER, Kind.TEXT, Kind.LIST, Kind.DICT, Kind.NEGATE))
_ITERATED = frozenset((Kind.RANGE, Kind.ITEMS, Kind.ENUMERATE))
_CALL_FRAMES = 3


@dataclass(frozen=True, slots=True)
class Facts:
    """What the checker found: functions with their parameters (``ctx`` included), callees before their callers."""

    order: tuple[str, ...]
    parameters: dict[str, tuple[str, ...]]


def check_tree(tree: Tree, host: Host) -> Facts:
    """The facts of a template's tree. Raises ``TemplateRefused`` for anything that is none."""
    _sizes(tree)
    constants = _constants(tree)
    parameters: dict[str, tuple[str, ...]] = {}
    for _, line, name, names, _ in tree.functions:
        _name(name, line, _LOCAL)
        if name in parameters or name in BUILTINS:
            refuse("name_twice", line, f"{name} is defined already")
        parameters[name] = names
    calls: dict[str, set[str]] = {}
    stacks: dict[str, int] = {}
    checks = {}
    for node in tree.functions:
        check = _Function(node, constants, parameters, host)
        check.run()
        calls[node[2]], checks[node[2]] = check.calls, check
    sequence = _callees_first(tree, calls)
    for name in sequence:
        stacks[name] = checks[name].stack(stacks)
        if stacks[name] > MAX_STACK:
            refuse("stack", checks[name].line, f"{name} would need {stacks[name]} frames, at most {MAX_STACK}")
    return Facts(tuple(sequence), parameters)


def _sizes(tree: Tree) -> None:
    """Refuses too many nodes, and nodes too deep, level by level."""
    level: list[Node] = [*tree.constants, *tree.functions]
    total = depth = 0
    while level:
        total += len(level)
        if total > MAX_NODES:
            refuse("too_many_nodes", 0, f"at most {MAX_NODES} nodes")
        if depth > MAX_NESTING:
            refuse("nesting", level[0][1], f"nested deeper than {MAX_NESTING}")
        level = [inner for node in level for inner in children(node)]
        depth += 1


def _constants(tree: Tree) -> frozenset[str]:
    names: set[str] = set()
    for _, line, name, value in tree.constants:
        _name(name, line, _CONSTANT)
        if name in names:
            refuse("name_twice", line, f"{name} is defined already")
        names.add(name)
        _literal(value)
    return frozenset(names)


def _literal(node: Node) -> None:
    kind, line = node[0], node[1]
    if kind not in _LITERALS:
        refuse("not_literal", line, "a constant is made of literals")
    if kind == Kind.NEGATE:
        if node[2][0] != Kind.INTEGER:
            refuse("not_literal", line, "a constant is made of literals")
        _literal(node[2])
    elif kind in (Kind.LIST, Kind.DICT):
        _items(node)
        for key in node[2][::2] if kind == Kind.DICT else ():
            if key[0] != Kind.TEXT and (key[0] != Kind.INTEGER or key[2] >= KEY_BOUND):
                refuse("bad_key", key[1], "a dict's key is text, or an integer in 0..2^60-1")
        for item in node[2]:
            _literal(item)
    else:
        _scalar(node)


def _scalar(node: Node) -> None:
    kind, line = node[0], node[1]
    if kind == Kind.INTEGER and node[2] >= INTEGER_BOUND:
        refuse("integer_range", line, "an integer stays below 2^255")
    if kind == Kind.TEXT and len(node[2]) > LIMITS.characters:
        refuse("too_long", line, f"a text has at most {LIMITS.characters} characters")


def _items(node: Node) -> None:
    """Of a list or dict; a dict's literal keys are keys, and each stands once."""
    kind, line, items = node[0], node[1], node[2]
    if len(items) > LIMITS.items:
        refuse("too_long", line, f"at most {LIMITS.items} items")
    if kind != Kind.DICT:
        return
    if len(items) % 2:
        refuse("malformed", line, "a dict has a value for each key")
    literal = [(key[0], key[2]) for key in items[::2] if key[0] in (Kind.TEXT, Kind.INTEGER)]
    if len(set(literal)) != len(literal):
        refuse("key_twice", line, "a dict names a key twice")


def _name(name: str, line: int, pattern: re.Pattern[str]) -> None:
    if len(name) > MAX_NAME or not pattern.match(name) or name in RESERVED:
        refuse(
            "bad_name",
            line,
            f"{name[:MAX_NAME]!r} is no name here: lower_case, CONSTANTS in capitals, nothing reserved",
        )


def _callees_first(tree: Tree, calls: dict[str, set[str]]) -> list[str]:
    """Functions so that callees come first. Refuses recursion and too long a chain of calls."""
    lines = {node[2]: node[1] for node in tree.functions}
    chain: dict[str, int] = {}
    sequence: list[str] = []
    for root in lines:
        path: list[tuple[str, list[str]]] = [(root, sorted(calls[root]))] if root not in chain else []
        entered = {root}
        while path:
            name, open_calls = path[-1]
            if open_calls:
                callee = open_calls.pop()
                if callee in entered:
                    refuse("recursion", lines[callee], f"{callee} comes back to itself by its calls")
                if callee not in chain:
                    entered.add(callee)
                    path.append((callee, sorted(calls[callee])))
                continue
            path.pop()
            entered.discard(name)
            chain[name] = 1 + max((chain[callee] for callee in calls[name]), default=0)
            if chain[name] > MAX_CALL_CHAIN:
                refuse("call_chain", lines[name], f"{name} heads a chain of more than {MAX_CALL_CHAIN} calls")
            sequence.append(name)
    return sequence


class _Function:
    """Checks one function; knows what it calls."""

    def __init__(
        self, node: Node, constants: frozenset[str], functions: dict[str, tuple[str, ...]], host: Host
    ) -> None:
        _, self.line, self.name, self.parameters, self.body = node
        self.constants = constants
        self.functions = functions
        self.host = host
        self.calls: set[str] = set()

    def run(self) -> None:
        names = self.parameters
        self.has_context = bool(names) and names[0] == CONTEXT
        plain = names[1:] if self.has_context else names
        if len(names) > MAX_PARAMETERS or len(set(names)) != len(names):
            refuse("parameters", self.line, f"at most {MAX_PARAMETERS} parameters, each once")
        for name in plain:
            self._local(name, self.line)
        self._block(self.body, self.line, frozenset(plain), False)

    def _local(self, name: str, line: int) -> None:
        _name(name, line, _LOCAL)
        if name in self.functions or name in BUILTINS:
            refuse("shadowed", line, f"{name} is a function's name")

    # ---- statements: a block gives the names that are bound for sure after it, None when it never ends normally

    def _block(self, block: tuple[Node, ...], line: int, bound: frozenset[str], loop: bool) -> frozenset[str] | None:
        if not block:
            refuse("malformed", line, "an empty block")
        after: frozenset[str] | None = bound
        for node in block:
            if after is None:
                refuse("unreachable", node[1], "nothing reaches this statement")
            after = self._statement(node, after, loop)
        return after

    def _statement(self, node: Node, bound: frozenset[str], loop: bool) -> frozenset[str] | None:
        kind, line = node[0], node[1]
        match kind:
            case Kind.ASSIGN:
                self._expression(node[3], bound)
                self._local(node[2], line)
                return bound | {node[2]}
            case Kind.AUGMENT:
                self._read(node[2], line, bound)
                self._local(node[2], line)
                self._operator(node[3], line)
                self._expression(node[4], bound)
            case Kind.SET_ITEM:
                self._expressions(node[2:], bound)
            case Kind.AUGMENT_ITEM:
                self._operator(node[4], line)
                self._expressions((node[2], node[3], node[5]), bound)
            case Kind.EXPRESSION:
                if node[2][0] not in (Kind.CALL, Kind.METHOD, Kind.HOST):
                    refuse("no_effect", line, "a statement is an assignment, a call or control")
                self._expression(node[2], bound)
            case Kind.IF:
                self._expression(node[2], bound)
                return self._branches(node, bound, loop)
            case Kind.FOR:
                self._for(node, bound)
            case Kind.BREAK | Kind.CONTINUE:
                if not loop:
                    refuse("outside_loop", line, "break and continue stand in loops")
                return None
            case Kind.RETURN:
                if node[2] is not None:
                    self._expression(node[2], bound)
                return None
        return bound

    def _branches(self, node: Node, bound: frozenset[str], loop: bool) -> frozenset[str] | None:
        then = self._block(node[3], node[1], bound, loop)
        other = self._block(node[4], node[1], bound, loop) if node[4] else bound
        if then is None or other is None:
            return other if then is None else then
        return then & other

    def _for(self, node: Node, bound: frozenset[str]) -> None:
        _, line, names, iterated, body = node
        pairs = iterated[0] in (Kind.ITEMS, Kind.ENUMERATE)
        if len(names) not in (1, 2) or len(set(names)) != len(names) or (pairs and len(names) != 2):
            refuse("loop_names", line, "a loop names one variable; two for items(), enumerate() or lists of pairs")
        if iterated[0] == Kind.RANGE and len(names) != 1:
            refuse("loop_names", line, "a loop over range() names one variable")
        for name in names:
            self._local(name, line)
        self._iterated(iterated, bound)
        self._block(body, line, bound | set(names), True)

    # ---- expressions

    def _expressions(self, nodes: Iterable[Node], bound: frozenset[str]) -> None:
        for node in nodes:
            self._expression(node, bound)

    def _iterated(self, node: Node, bound: frozenset[str]) -> None:
        """What a loop runs over: the only place of ``items()`` and ``enumerate()``."""
        if node[0] == Kind.RANGE:
            if not 1 <= len(node[2]) <= 3:
                refuse("arity", node[1], "range() takes 1 to 3 integers")
            self._expressions(node[2], bound)
        else:
            self._expression(node[2] if node[0] in _ITERATED else node, bound)

    def _read(self, name: str, line: int, bound: frozenset[str]) -> None:
        if name not in bound and name not in self.constants:
            known = "may be unset here" if _LOCAL.match(name) else "is no constant of this file"
            refuse("unbound", line, f"{name[:MAX_NAME]} {known}")

    def _operator(self, operator: int, line: int, known: int = len(OPERATORS)) -> None:
        if operator >= known:
            refuse("malformed", line, "an unknown operator")

    def _expression(self, node: Node, bound: frozenset[str]) -> None:
        kind, line = node[0], node[1]
        match kind:
            case Kind.INTEGER | Kind.TEXT:
                _scalar(node)
            case Kind.LIST | Kind.DICT:
                _items(node)
                self._expressions(node[2], bound)
            case Kind.NAME:
                self._read(node[2], line, bound)
            case Kind.BINARY | Kind.COMPARE:
                self._operator(node[2], line, len(OPERATORS if kind == Kind.BINARY else COMPARISONS))
                self._expressions(node[3:], bound)
            case Kind.AND | Kind.OR:
                if len(node[2]) < 2:
                    refuse("malformed", line, "and, or join two values or more")
                self._expressions(node[2], bound)
            case Kind.NOT | Kind.NEGATE | Kind.CONDITION | Kind.INDEX:
                self._expressions(node[2:], bound)
            case Kind.SLICE:
                self._expressions((part for part in node[2:] if part is not None), bound)
            case Kind.CALL:
                self._call(node, bound)
            case Kind.METHOD:
                self._method(node, bound)
            case Kind.HOST:
                self._host(node, bound)
            case Kind.COMPREHENSION:
                self._comprehension(node, bound)
            case Kind.RANGE | Kind.ITEMS | Kind.ENUMERATE:
                refuse("loop_only", line, "range(), items() and enumerate() stand in the head of a loop")

    def _call(self, node: Node, bound: frozenset[str]) -> None:
        _, line, name, arguments = node
        if name in BUILTINS:
            low, high, _ = BUILTINS[name]
            if not low <= len(arguments) <= high:
                refuse("arity", line, f"{name}() takes {low} to {high} arguments")
            if name == "list" and arguments[0][0] == Kind.RANGE:
                self._iterated(arguments[0], bound)
                return
            self._expressions(arguments, bound)
            return
        if name not in self.functions:
            refuse("unknown_function", line, f"there is no function {name[:MAX_NAME]}")
        self.calls.add(name)
        names = self.functions[name]
        context = bool(names) and names[0] == CONTEXT
        if context and not self.has_context:
            refuse("no_context", line, f"{name} takes ctx, which this function has not")
        if len(arguments) != len(names) - context:
            refuse("arity", line, f"{name}() takes {len(names)} arguments")
        self._expressions(arguments, bound)

    def _method(self, node: Node, bound: frozenset[str]) -> None:
        _, line, value, name, arguments = node
        if name not in METHODS:
            refuse("unknown_method", line, f"there is no method {name[:MAX_NAME]}")
        low, high, _ = METHODS[name]
        if not low <= len(arguments) <= high:
            refuse("arity", line, f".{name}() takes {low} to {high} arguments")
        self._expressions((value, *arguments), bound)

    def _host(self, node: Node, bound: frozenset[str]) -> None:
        _, line, name, arguments, named = node
        if not self.has_context:
            refuse("no_context", line, "ctx is the first parameter of a function that uses it")
        if name not in self.host:
            refuse("unknown_operation", line, f"there is no operation ctx.{name[:MAX_NAME]}")
        if len(named) > len(arguments) or order(self.host[name], len(arguments) - len(named), named) is None:
            refuse("arity", line, f"ctx.{name} takes ({', '.join(self.host[name].parameters)})")
        self._expressions(arguments, bound)

    def _comprehension(self, node: Node, bound: frozenset[str]) -> None:
        _, line, element, name, iterated, condition = node
        self._local(name, line)
        if name in bound:
            refuse("shadowed", line, f"{name} is a variable already")
        self._iterated(iterated, bound)
        if iterated[0] in (Kind.ITEMS, Kind.ENUMERATE):
            refuse("loop_only", line, "items() and enumerate() stand in the head of a for statement")
        inner = bound | {name}
        self._expressions((element,) if condition is None else (element, condition), inner)

    # ---- how deep the host's stack gets

    def stack(self, stacks: dict[str, int]) -> int:
        """Frames below a call of this function, when those of its callees are known."""
        return _CALL_FRAMES + max(_frames(node, stacks) for node in self.body)


def _frames(node: Node, stacks: dict[str, int]) -> int:
    deepest = max((_frames(part, stacks) for part in children(node)), default=0)
    if node[0] == Kind.CALL:
        deepest = max(deepest, stacks.get(node[2], 0))
    return deepest + (2 if node[0] in (Kind.IF, Kind.FOR) else 1)
