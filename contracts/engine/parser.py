"""From the source of a template to its canonical tree (docs/spec/tpl-1.md §5, §6). Off chain only: nodes never parse.

Python's own parser reads the text, then each of its nodes must be one that this file names: there is no other way into
the tree. Nothing of the text is ever compiled or evaluated by Python.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from contracts.engine.checker import CONTEXT
from contracts.engine.nodes import COMPARISONS, OPERATORS, Kind, Node, Tree
from contracts.engine.refusals import refuse
from contracts.engine.source import check_tokens, read_source

_OPERATORS: dict[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.FloorDiv: "//",
    ast.Mod: "%",
}
_COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.In: "in",
    ast.NotIn: "not in",
}


def parse_template(raw: bytes) -> Tree:
    """The tree of a source file, not yet checked. Raises ``TemplateRefused`` with a line number."""
    text = read_source(raw)
    check_tokens(text)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            module = ast.parse(text)
    except SyntaxError as error:
        refuse("syntax", error.lineno or 0, "the file does not read as the language")
    except (RecursionError, MemoryError, ValueError):
        refuse("syntax", 0, "the file is nested too deeply to be read")
    return _Parser().module(module)


def describe(raw: bytes) -> str:
    """The text for the reviewer at the head of a source file; empty when there is none."""
    body = ast.parse(read_source(raw)).body
    return str(body[0].value.value) if body and _is_text(body[0]) else ""  # type: ignore[attr-defined]


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _no(node: ast.AST, what: str) -> Any:
    refuse("not_in_language", getattr(node, "lineno", 0), what)


class _Parser:
    def __init__(self) -> None:
        self._functions: dict[str, ast.FunctionDef] = {}

    def module(self, module: ast.Module) -> Tree:
        constants, functions = [], []
        body = module.body[1:] if module.body and _is_text(module.body[0]) else module.body
        self._functions = {node.name: node for node in body if isinstance(node, ast.FunctionDef)}
        for node in body:
            if isinstance(node, ast.FunctionDef):
                functions.append(self._function(node))
            elif isinstance(node, ast.Assign):
                constants.append((int(Kind.CONSTANT), node.lineno, self._target(node), self._expression(node.value)))
            else:
                _no(node, "a file holds constants and functions")
        return Tree(tuple(constants), tuple(functions))

    def _target(self, node: ast.Assign) -> str:
        if len(node.targets) != 1 or not isinstance(node.targets[0], ast.Name):
            _no(node, "one name is assigned at a time")
        return str(node.targets[0].id)  # type: ignore[attr-defined]

    def _function(self, node: ast.FunctionDef) -> Node:
        wanted = node.args
        if node.decorator_list or node.returns or getattr(node, "type_params", None):
            _no(node, "functions have no decorators and no annotations")
        if wanted.posonlyargs or wanted.kwonlyargs or wanted.vararg or wanted.kwarg or wanted.defaults:
            _no(node, "parameters are plain names without defaults")
        if any(argument.annotation for argument in wanted.args):
            _no(node, "parameters have no annotations")
        body = node.body[1:] if _is_text(node.body[0]) else node.body
        block = self._block(body) if body else ((int(Kind.PASS), node.lineno),)
        return (int(Kind.FUNCTION), node.lineno, node.name, tuple(argument.arg for argument in wanted.args), block)

    # ---- statements

    def _block(self, nodes: Sequence[ast.stmt]) -> tuple[Node, ...]:
        return tuple(self._statement(node) for node in nodes)

    def _statement(self, node: ast.stmt) -> Node:
        line = node.lineno
        match node:
            case ast.Assign(targets=[ast.Subscript() as target]):
                return (int(Kind.SET_ITEM), line, *self._place(target), self._expression(node.value))
            case ast.Assign():
                return (int(Kind.ASSIGN), line, self._target(node), self._expression(node.value))
            case ast.AugAssign(target=ast.Name() as name):
                return (int(Kind.AUGMENT), line, name.id, self._operator(node), self._expression(node.value))
            case ast.AugAssign(target=ast.Subscript() as target):
                place = self._place(target)
                return (int(Kind.AUGMENT_ITEM), line, *place, self._operator(node), self._expression(node.value))
            case ast.Expr():
                return (int(Kind.EXPRESSION), line, self._expression(node.value))
            case ast.If():
                test = self._expression(node.test)
                return (int(Kind.IF), line, test, self._block(node.body), self._block(node.orelse))
            case ast.For(orelse=[]):
                names = self._loop_names(node.target)
                return (int(Kind.FOR), line, names, self._iterated(node.iter), self._block(node.body))
            case ast.Break():
                return (int(Kind.BREAK), line)
            case ast.Continue():
                return (int(Kind.CONTINUE), line)
            case ast.Pass():
                return (int(Kind.PASS), line)
            case ast.Return():
                return (int(Kind.RETURN), line, None if node.value is None else self._expression(node.value))
        return _no(node, f"there is no {type(node).__name__} statement in the language")  # type: ignore[no-any-return]

    def _place(self, target: ast.Subscript) -> tuple[Node, Node]:
        if isinstance(target.slice, ast.Slice):
            _no(target, "a slice cannot be assigned")
        return self._expression(target.value), self._expression(target.slice)

    def _operator(self, node: ast.AugAssign | ast.BinOp) -> int:
        if type(node.op) not in _OPERATORS:
            _no(node, f"there is no operator {type(node.op).__name__} in the language")
        return OPERATORS.index(_OPERATORS[type(node.op)])

    def _loop_names(self, target: ast.expr) -> tuple[str, ...]:
        names = target.elts if isinstance(target, ast.Tuple) else [target]
        if not all(isinstance(name, ast.Name) for name in names):
            _no(target, "a loop names plain variables")
        return tuple(name.id for name in names if isinstance(name, ast.Name))

    def _iterated(self, node: ast.expr) -> Node:
        match node:
            case ast.Call(func=ast.Attribute(attr="items", value=value), args=[], keywords=[]):
                return (int(Kind.ITEMS), node.lineno, self._expression(value))
            case ast.Call(func=ast.Name(id="enumerate"), args=[value], keywords=[]):
                return (int(Kind.ENUMERATE), node.lineno, self._expression(value))
        return self._expression(node)

    # ---- expressions

    def _expression(self, node: ast.expr) -> Node:
        handler = _EXPRESSIONS.get(type(node))
        if handler is None:
            return _no(node, f"there is no {type(node).__name__} in the language")  # type: ignore[no-any-return]
        return handler(self, node)

    def _all(self, nodes: Sequence[ast.expr]) -> tuple[Node, ...]:
        return tuple(self._expression(node) for node in nodes)

    def _constant(self, node: ast.Constant) -> Node:
        value, line = node.value, node.lineno
        if value is None:
            return (int(Kind.NONE), line)
        if isinstance(value, bool):
            return (int(Kind.TRUE if value else Kind.FALSE), line)
        if isinstance(value, int):
            return (int(Kind.INTEGER), line, value)
        if isinstance(value, str):
            return (int(Kind.TEXT), line, value)
        return _no(node, f"there is no {type(value).__name__} in the language")  # type: ignore[no-any-return]

    def _name(self, node: ast.Name) -> Node:
        if node.id == CONTEXT:
            _no(node, "ctx is not a value: it can only be asked, and handed on as a first argument")
        return (int(Kind.NAME), node.lineno, node.id)

    def _list(self, node: ast.List) -> Node:
        return (int(Kind.LIST), node.lineno, self._all(node.elts))

    def _dict(self, node: ast.Dict) -> Node:
        items: list[ast.expr] = []
        for key, value in zip(node.keys, node.values, strict=True):
            if key is None:
                _no(node, "there is no ** in the language")
            else:
                items += [key, value]
        return (int(Kind.DICT), node.lineno, self._all(items))

    def _binary(self, node: ast.BinOp) -> Node:
        operator = self._operator(node)
        return (int(Kind.BINARY), node.lineno, operator, self._expression(node.left), self._expression(node.right))

    def _compare(self, node: ast.Compare) -> Node:
        if len(node.ops) != 1 or type(node.ops[0]) not in _COMPARISONS:
            _no(node, "one comparison at a time, and no is")
        operator = COMPARISONS.index(_COMPARISONS[type(node.ops[0])])
        left, right = self._expression(node.left), self._expression(node.comparators[0])
        return (int(Kind.COMPARE), node.lineno, operator, left, right)

    def _logic(self, node: ast.BoolOp) -> Node:
        kind = Kind.AND if isinstance(node.op, ast.And) else Kind.OR
        return (int(kind), node.lineno, self._all(node.values))

    def _unary(self, node: ast.UnaryOp) -> Node:
        if isinstance(node.op, ast.Not):
            return (int(Kind.NOT), node.lineno, self._expression(node.operand))
        if isinstance(node.op, ast.USub):
            return (int(Kind.NEGATE), node.lineno, self._expression(node.operand))
        return _no(node, "the unary operators are - and not")  # type: ignore[no-any-return]

    def _condition(self, node: ast.IfExp) -> Node:
        parts = self._all((node.test, node.body, node.orelse))
        return (int(Kind.CONDITION), node.lineno, *parts)

    def _subscript(self, node: ast.Subscript) -> Node:
        value, line = self._expression(node.value), node.lineno
        if isinstance(node.slice, ast.Slice):
            if node.slice.step is not None:
                _no(node, "a slice has no step")
            ends = (node.slice.lower, node.slice.upper)
            return (int(Kind.SLICE), line, value, *(None if end is None else self._expression(end) for end in ends))
        return (int(Kind.INDEX), line, value, self._expression(node.slice))

    def _call(self, node: ast.Call) -> Node:
        line = node.lineno
        if any(isinstance(argument, ast.Starred) for argument in node.args):
            _no(node, "there is no * in calls")
        match node.func:
            case ast.Attribute(value=ast.Name(id="ctx"), attr=name):
                named = tuple(str(keyword.arg) for keyword in node.keywords if keyword.arg is not None)
                if len(named) != len(node.keywords):
                    _no(node, "there is no ** in calls")
                arguments = self._all([*node.args, *(keyword.value for keyword in node.keywords)])
                return (int(Kind.HOST), line, name, arguments, named)
            case ast.Attribute(value=value, attr=name):
                self._no_keywords(node)
                return (int(Kind.METHOD), line, self._expression(value), name, self._all(node.args))
            case ast.Name(id=name):
                self._no_keywords(node)
                if name == "range":
                    return (int(Kind.RANGE), line, self._all(node.args))
                return (int(Kind.CALL), line, name, self._all(self._without_context(node, name)))
        return _no(node, "only named functions, methods and operations of ctx are called")  # type: ignore[no-any-return]

    def _no_keywords(self, node: ast.Call) -> None:
        if node.keywords:
            _no(node, "only operations of ctx take arguments by name")

    def _without_context(self, node: ast.Call, name: str) -> list[ast.expr]:
        """The arguments after ``ctx``, which is handed on exactly to functions that take it."""
        function = self._functions.get(name)
        takes = function is not None and bool(function.args.args) and function.args.args[0].arg == CONTEXT
        given = bool(node.args) and isinstance(node.args[0], ast.Name) and node.args[0].id == CONTEXT
        if takes != given:
            _no(node, f"{name} {'takes' if takes else 'does not take'} ctx as its first argument")
        return node.args[1:] if given else node.args

    def _comprehension(self, node: ast.ListComp) -> Node:
        clause = node.generators[0]
        if len(node.generators) != 1 or len(clause.ifs) > 1 or not isinstance(clause.target, ast.Name):
            _no(node, "a comprehension has one for over one variable, and at most one if")
        name = clause.target.id if isinstance(clause.target, ast.Name) else ""
        condition = self._expression(clause.ifs[0]) if clause.ifs else None
        element = self._expression(node.elt)
        return (int(Kind.COMPREHENSION), node.lineno, element, name, self._iterated(clause.iter), condition)


_EXPRESSIONS: dict[type[ast.expr], Callable[[_Parser, Any], Node]] = {
    ast.Constant: _Parser._constant,
    ast.Name: _Parser._name,
    ast.List: _Parser._list,
    ast.Dict: _Parser._dict,
    ast.BinOp: _Parser._binary,
    ast.Compare: _Parser._compare,
    ast.BoolOp: _Parser._logic,
    ast.UnaryOp: _Parser._unary,
    ast.IfExp: _Parser._condition,
    ast.Subscript: _Parser._subscript,
    ast.Call: _Parser._call,
    ast.ListComp: _Parser._comprehension,
}
