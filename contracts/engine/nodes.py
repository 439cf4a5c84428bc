"""The canonical tree of a template: node kinds, and their one encoding (docs/spec/tpl-1.md §6).

A node is a tuple (kind, line, *fields). The encoding is a walk in preorder: kind u8, line u16, then the fields as
``FIELDS`` says. Decoding is strict; what decodes need not be a template yet: see ``checker``.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, NamedTuple, TypeAlias

from chain_core.codec.wire import Reader, Writer
from contracts.engine.limits import MAX_NESTING, MAX_NODES, MAX_TREE_BYTES

Node: TypeAlias = tuple[Any, ...]

VERSION = 1
_MAX_ITEMS = 4_096
_MAX_TEXT = 65_536
_MAX_INTEGER_BYTES = 32


class Kind(IntEnum):
    """Kinds of nodes. Numbers are never used again for another kind."""

    CONSTANT, FUNCTION = 1, 2
    ASSIGN, SET_ITEM, AUGMENT, AUGMENT_ITEM, EXPRESSION, IF, FOR, BREAK, CONTINUE, PASS, RETURN = range(10, 21)
    NONE, TRUE, FALSE, INTEGER, TEXT, LIST, DICT = range(30, 37)
    NAME, BINARY, COMPARE, AND, OR, NOT, NEGATE, CONDITION = range(40, 48)
    INDEX, SLICE, CALL, METHOD, HOST, COMPREHENSION, RANGE, ITEMS, ENUMERATE = range(50, 59)


FIELDS: dict[int, str] = {
    Kind.CONSTANT: "ne",
    Kind.FUNCTION: "nNB",
    Kind.ASSIGN: "ne",
    Kind.SET_ITEM: "eee",
    Kind.AUGMENT: "noe",
    Kind.AUGMENT_ITEM: "eeoe",
    Kind.EXPRESSION: "e",
    Kind.IF: "eBB",
    Kind.FOR: "NeB",
    Kind.BREAK: "",
    Kind.CONTINUE: "",
    Kind.PASS: "",
    Kind.RETURN: "?",
    Kind.NONE: "",
    Kind.TRUE: "",
    Kind.FALSE: "",
    Kind.INTEGER: "i",
    Kind.TEXT: "s",
    Kind.LIST: "E",
    Kind.DICT: "E",
    Kind.NAME: "n",
    Kind.BINARY: "oee",
    Kind.COMPARE: "oee",
    Kind.AND: "E",
    Kind.OR: "E",
    Kind.NOT: "e",
    Kind.NEGATE: "e",
    Kind.CONDITION: "eee",
    Kind.INDEX: "ee",
    Kind.SLICE: "e??",
    Kind.CALL: "nE",
    Kind.METHOD: "enE",
    Kind.HOST: "nEN",
    Kind.COMPREHENSION: "ene?",
    Kind.RANGE: "E",
    Kind.ITEMS: "e",
    Kind.ENUMERATE: "e",
}
"""Fields of each kind: e expression, ? one or none, E expressions, B a block, n a name, N names, i an integer, s text,
o an operator. COMPREHENSION is (element, name, iterated, condition); the last names of HOST are those of its last
arguments.
"""

STATEMENTS = frozenset(kind for kind in Kind if Kind.ASSIGN <= kind <= Kind.RETURN)
EXPRESSIONS = frozenset(kind for kind in Kind if kind >= Kind.NONE)

OPERATORS = ("+", "-", "*", "//", "%")
COMPARISONS = ("==", "!=", "<", "<=", ">", ">=", "in", "not in")


def children(node: Node) -> list[Node]:
    """The nodes right under a node, in order."""
    found: list[Node] = []
    for code, part in zip(FIELDS[node[0]], node[2:], strict=True):
        if code in "EB":
            found += part
        elif code in "e?" and part is not None:
            found.append(part)
    return found


class Tree(NamedTuple):
    """A module: CONSTANT nodes and FUNCTION nodes, each in the order of the file."""

    constants: tuple[Node, ...]
    functions: tuple[Node, ...]


def encode_tree(tree: Tree) -> bytes:
    """The canonical bytes. ValueError for a tree above the limits of the encoding."""
    writer = Writer().u8(VERSION)
    for part in tree:
        writer.u16(len(part))
        for node in part:
            _encode(writer, node)
    raw = writer.take()
    if len(raw) > MAX_TREE_BYTES:
        raise ValueError(f"a tree of {len(raw)} bytes, at most {MAX_TREE_BYTES} are allowed")
    return raw


def _encode(writer: Writer, node: Node) -> None:
    kind, line, *fields = node
    writer.u8(kind).u16(line)
    for code, field in zip(FIELDS[kind], fields, strict=True):
        if code == "e":
            _encode(writer, field)
        elif code in "EB":
            writer.u16(len(field))
            for item in field:
                _encode(writer, item)
        elif code == "?":
            writer.u8(field is not None)
            if field is not None:
                _encode(writer, field)
        elif code == "n":
            writer.name(field)
        elif code == "N":
            writer.u8(len(field))
            for name in field:
                writer.name(name)
        elif code == "s":
            writer.blob(field.encode("utf-8"))
        elif code == "i":
            size = (field.bit_length() + 7) // 8
            writer.blob(field.to_bytes(size, "big"))
        else:
            writer.u8(field)


def decode_tree(raw: bytes) -> Tree:
    """The tree of canonical bytes. Raises the codec's error for anything else, also for too many or too deep nodes."""
    reader = Reader(raw, "template tree")
    if len(raw) > MAX_TREE_BYTES:
        reader.fail(f"{len(raw)} bytes where at most {MAX_TREE_BYTES} are allowed")
    reader.version(VERSION)
    return _TreeReader(reader).module()


class _TreeReader:
    __slots__ = ("_nodes", "_reader")

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._nodes = 0

    def module(self) -> Tree:
        parts = []
        for kind in (Kind.CONSTANT, Kind.FUNCTION):
            count = self._reader.count(0, MAX_NODES, self._reader.u16())
            parts.append(tuple(self._node(frozenset((kind,)), 0) for _ in range(count)))
        self._reader.end()
        return Tree(*parts)

    def _node(self, allowed: frozenset[Kind], depth: int) -> Node:
        reader = self._reader
        self._nodes += 1
        if depth > MAX_NESTING or self._nodes > MAX_NODES:
            reader.fail(f"more than {MAX_NODES} nodes, or nested deeper than {MAX_NESTING}")
        kind = reader.u8()
        if kind not in allowed:
            reader.fail(f"a node of kind {kind} cannot stand here")
        line = reader.u16()
        return (kind, line, *(self._field(code, depth + 1) for code in FIELDS[kind]))

    def _field(self, code: str, depth: int) -> Any:
        reader = self._reader
        match code:
            case "e":
                return self._node(EXPRESSIONS, depth)
            case "E" | "B":
                allowed = EXPRESSIONS if code == "E" else STATEMENTS
                count = reader.count(0, _MAX_ITEMS, reader.u16())
                return tuple(self._node(allowed, depth) for _ in range(count))
            case "?":
                return self._node(EXPRESSIONS, depth) if reader.count(0, 1, reader.u8()) else None
            case "n":
                return reader.name()
            case "N":
                return tuple(reader.name() for _ in range(reader.u8()))
            case "s":
                return self._text()
            case "i":
                return self._integer()
            case _:
                return reader.u8()

    def _text(self) -> str:
        raw = self._reader.blob(_MAX_TEXT)
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            self._reader.fail("text that is not UTF-8")

    def _integer(self) -> int:
        raw = self._reader.blob(_MAX_INTEGER_BYTES)
        if raw[:1] == b"\0":
            self._reader.fail("an integer with a leading zero byte")
        return int.from_bytes(raw, "big")
