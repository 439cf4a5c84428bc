"""The values of literals in a tree."""

from __future__ import annotations

from contracts.engine.nodes import Kind, Node
from contracts.engine.values import Datum


def constant_value(node: Node) -> Datum:
    """The value of a literal."""
    match node[0]:
        case Kind.NONE:
            return None
        case Kind.TRUE | Kind.FALSE:
            return node[0] == Kind.TRUE
        case Kind.NEGATE:
            return -node[2][2]
        case Kind.LIST:
            return [constant_value(item) for item in node[2]]
        case Kind.DICT:
            items = [constant_value(item) for item in node[2]]
            return dict(zip(items[::2], items[1::2], strict=True))
        case _:
            return node[2]
