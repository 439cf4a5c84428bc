"""Trees that lie are refused or run: nothing else ever comes of them (docs/spec/tpl-1.md §6, §10)."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain_core.types.errors import MalformedBytes
from contracts.engine.checker import check_tree
from contracts.engine.limits import MAX_NESTING, MAX_NODES
from contracts.engine.nodes import FIELDS, Kind, Node, Tree, children, decode_tree, encode_tree
from contracts.engine.parser import parse_template
from contracts.engine.refusals import TemplateRefused
from contracts.engine.stack import ensure_stack
from contracts.templates.catalogue import catalogue
from contracts.templates.compiled import compile_tree
from tests.unit.engine.hostile import HOST, PROGRAMS, ends, in_main

ensure_stack()  # before hypothesis looks at the limit

# ---- trees that lie

SAMPLES: dict[int, Node] = {
    Kind.CONSTANT: (Kind.CONSTANT, 1, "LIMIT", (Kind.NONE, 1)),
    Kind.FUNCTION: (Kind.FUNCTION, 1, "other", (), ((Kind.PASS, 1),)),
    Kind.ASSIGN: (Kind.ASSIGN, 1, "b", (Kind.NONE, 1)),
    Kind.SET_ITEM: (Kind.SET_ITEM, 1, (Kind.NAME, 1, "a"), (Kind.INTEGER, 1, 0), (Kind.NONE, 1)),
    Kind.AUGMENT: (Kind.AUGMENT, 1, "a", 0, (Kind.INTEGER, 1, 1)),
    Kind.AUGMENT_ITEM: (Kind.AUGMENT_ITEM, 1, (Kind.NAME, 1, "a"), (Kind.INTEGER, 1, 0), 0, (Kind.INTEGER, 1, 1)),
    Kind.EXPRESSION: (Kind.EXPRESSION, 1, (Kind.CALL, 1, "str", ((Kind.INTEGER, 1, 1),))),
    Kind.IF: (Kind.IF, 1, (Kind.TRUE, 1), ((Kind.PASS, 1),), ()),
    Kind.FOR: (Kind.FOR, 1, ("z",), (Kind.LIST, 1, ()), ((Kind.PASS, 1),)),
    Kind.RETURN: (Kind.RETURN, 1, (Kind.NONE, 1)),
    Kind.INTEGER: (Kind.INTEGER, 1, 5),
    Kind.TEXT: (Kind.TEXT, 1, "t"),
    Kind.LIST: (Kind.LIST, 1, ((Kind.TRUE, 1),)),
    Kind.DICT: (Kind.DICT, 1, ((Kind.TEXT, 1, "k"), (Kind.FALSE, 1))),
    Kind.NAME: (Kind.NAME, 1, "a"),
    Kind.BINARY: (Kind.BINARY, 1, 0, (Kind.INTEGER, 1, 1), (Kind.INTEGER, 1, 2)),
    Kind.COMPARE: (Kind.COMPARE, 1, 0, (Kind.INTEGER, 1, 1), (Kind.INTEGER, 1, 2)),
    Kind.AND: (Kind.AND, 1, ((Kind.TRUE, 1), (Kind.FALSE, 1))),
    Kind.OR: (Kind.OR, 1, ((Kind.TRUE, 1), (Kind.FALSE, 1))),
    Kind.NOT: (Kind.NOT, 1, (Kind.TRUE, 1)),
    Kind.NEGATE: (Kind.NEGATE, 1, (Kind.INTEGER, 1, 1)),
    Kind.CONDITION: (Kind.CONDITION, 1, (Kind.TRUE, 1), (Kind.NONE, 1), (Kind.NONE, 1)),
    Kind.INDEX: (Kind.INDEX, 1, (Kind.TEXT, 1, "t"), (Kind.INTEGER, 1, 0)),
    Kind.SLICE: (Kind.SLICE, 1, (Kind.TEXT, 1, "t"), (Kind.INTEGER, 1, 0), None),
    Kind.CALL: (Kind.CALL, 1, "len", ((Kind.TEXT, 1, "t"),)),
    Kind.METHOD: (Kind.METHOD, 1, (Kind.TEXT, 1, "t"), "upper", ()),
    Kind.HOST: (Kind.HOST, 1, "get", ((Kind.TEXT, 1, "t"),), ()),
    Kind.COMPREHENSION: (Kind.COMPREHENSION, 1, (Kind.NAME, 1, "y"), "y", (Kind.LIST, 1, ()), None),
    Kind.RANGE: (Kind.RANGE, 1, ((Kind.INTEGER, 1, 3),)),
    Kind.ITEMS: (Kind.ITEMS, 1, (Kind.DICT, 1, ())),
    Kind.ENUMERATE: (Kind.ENUMERATE, 1, (Kind.LIST, 1, ())),
    **{kind: (kind, 1) for kind in (Kind.BREAK, Kind.CONTINUE, Kind.PASS, Kind.NONE, Kind.TRUE, Kind.FALSE)},
}


def whole(node: Node) -> Tree:
    """A tree that is right but for ``node``, wherever it belongs."""
    kind = node[0]
    if kind == Kind.CONSTANT:
        return Tree((node,), ())
    if kind == Kind.FUNCTION:
        return Tree((), (node,))
    if kind in (Kind.BREAK, Kind.CONTINUE):
        node = (Kind.FOR, 1, ("x",), (Kind.LIST, 1, ()), (node,))
    elif kind >= Kind.NONE:
        node = (Kind.ASSIGN, 1, "b", node)
    return Tree((), ((Kind.FUNCTION, 1, "main", ("ctx", "a"), (node,)),))


def with_field(node: Node, place: int, value: Any) -> Node:
    return (*node[:place], value, *node[place + 1 :])


@pytest.mark.parametrize("kind", SAMPLES, ids=lambda kind: Kind(kind).name)
def test_every_kind_in_every_place(kind: int) -> None:
    assert set(SAMPLES) == set(Kind)
    for place, code in enumerate(FIELDS[kind], 2):
        for other in SAMPLES.values():
            if code in "e?":
                ends(encode_tree(whole(with_field(SAMPLES[kind], place, other))))
            elif code in "EB":
                for nodes in ((), (other,), (other, other), (other,) * 3):
                    ends(encode_tree(whole(with_field(SAMPLES[kind], place, nodes))))


@pytest.mark.parametrize("kind", [k for k in SAMPLES if "o" in FIELDS[k]], ids=lambda kind: Kind(kind).name)
def test_unknown_operators(kind: int) -> None:
    found = [ends(encode_tree(whole(with_field(SAMPLES[kind], 2 + FIELDS[kind].index("o"), o)))) for o in range(256)]
    known = 8 if kind == Kind.COMPARE else 5
    assert "malformed" not in found[:known] and set(found[known:]) == {"malformed"}


NAMES = ("", "ctx", "len", "main", "LIMIT", "__class__", "a" * 65, "a" * 255, "range", "items", "1", "_", "A", "get")
RAW_NAMES = (b"a b", b"a.b", b"\xff", b"\0", "\u0430".encode(), b"a\n", b"-")


@pytest.mark.parametrize("kind", [k for k in SAMPLES if set("nN") & set(FIELDS[k])], ids=lambda k: Kind(k).name)
def test_odd_names(kind: int) -> None:
    for place, code in enumerate(FIELDS[kind], 2):
        for name in NAMES if code in "nN" else ():
            values = [name] if code == "n" else [(name,), (name, name), (name, "z"), (name,) * 3]
            for value in values:
                try:
                    raw = encode_tree(whole(with_field(SAMPLES[kind], place, value)))
                except (ValueError, MalformedBytes):  # the codec does not write such a name
                    continue
                ends(raw)
    known = encode_tree(whole(with_field(SAMPLES[Kind.ASSIGN], 2, "odd")))
    for raw_name in RAW_NAMES:
        assert ends(known.replace(b"\x03odd", bytes([len(raw_name)]) + raw_name)) in ("malformed bytes", "bad_name")


def _nested(depth: int) -> Tree:
    node: Node = (Kind.NONE, 1)
    for _ in range(depth):
        node = (Kind.LIST, 1, (node,))
    return whole(node)


BYTES: dict[str, bytes] = {
    "nothing": b"",
    "another version": b"\x02" + bytes(4),
    "a count of constants": b"\x01\xff\xff",
    "a count of functions": b"\x01\0\0\xff\xff",
    "a huge list": b"\x01\0\x01\x01\0\x01\x01A" + bytes([Kind.LIST]) + b"\0\x01\xff\xff",
    "a huge text": b"\x01\0\x01\x01\0\x01\x01A" + bytes([Kind.TEXT]) + b"\0\x01\xff\xff\xff\xff",
    "a huge integer": b"\x01\0\x01\x01\0\x01\x01A"
    + bytes([Kind.INTEGER])
    + b"\0\x01\0\0\0\x21"
    + b"\x01" * 33
    + b"\0\0",
    "a leading zero": b"\x01\0\x01\x01\0\x01\x01A" + bytes([Kind.INTEGER]) + b"\0\x01\0\0\0\x02\0\x01\0\0",
    "text that is not UTF-8": b"\x01\0\x01\x01\0\x01\x01A" + bytes([Kind.TEXT]) + b"\0\x01\0\0\0\x01\xff\0\0",
    "half a surrogate": b"\x01\0\x01\x01\0\x01\x01A" + bytes([Kind.TEXT]) + b"\0\x01\0\0\0\x03\xed\xa0\x80\0\0",
    "something behind": encode_tree(whole(SAMPLES[Kind.ASSIGN])) + b"\0",
    "too long": b"\x01" + bytes(70_000),
    "a flag of two": encode_tree(whole(SAMPLES[Kind.RETURN]))[:-4] + b"\x02" + bytes([Kind.NONE]) + b"\0\x01",
    "too deep for the decoder": encode_tree(_nested(MAX_NESTING + 1)),
    "very deep": encode_tree(_nested(800)),
    "too many nodes": encode_tree(Tree((), ((Kind.FUNCTION, 1, "f", (), ((Kind.PASS, 1),) * (MAX_NODES + 1)),))),
}


@pytest.mark.parametrize("raw", BYTES.values(), ids=BYTES.keys())
def test_bytes_that_are_no_tree(raw: bytes) -> None:
    assert ends(raw) == "malformed bytes"


def test_a_tree_cut_anywhere() -> None:
    raw = encode_tree(
        parse_template(in_main("t = {'a': [1, -2]}\nfor k, v in t.items():\n    t = {}\nreturn t").encode())
    )
    assert ends(raw) == ""
    for size in range(len(raw)):
        assert ends(raw[:size]) == "malformed bytes"


CHECKED: dict[str, tuple[Tree, str]] = {
    "deeper than a decoder would let through": (_nested(5_000), "nesting"),
    "more nodes than it would": (whole((Kind.LIST, 1, ((Kind.NONE, 1),) * (MAX_NODES + 1))), "too_many_nodes"),
    "a negative key": (
        Tree(
            (((Kind.CONSTANT, 1, "A", (Kind.DICT, 1, ((Kind.NEGATE, 1, (Kind.INTEGER, 1, 0)), (Kind.NONE, 1))))),), ()
        ),
        "bad_key",
    ),
    "a key that is a list": (
        Tree(((Kind.CONSTANT, 1, "A", (Kind.DICT, 1, ((Kind.LIST, 1, ()),) * 2)),), ()),
        "bad_key",
    ),
    "a key above its range": (
        Tree(((Kind.CONSTANT, 1, "A", (Kind.DICT, 1, ((Kind.INTEGER, 1, 1 << 60), (Kind.NONE, 1)))),), ()),
        "bad_key",
    ),
    "a key without a value": (
        Tree(((Kind.CONSTANT, 1, "A", (Kind.DICT, 1, ((Kind.TEXT, 1, "a"),))),), ()),
        "malformed",
    ),
    "a name on a negative line": (whole((Kind.NAME, -1, "b")), "unbound"),
}


@pytest.mark.parametrize(("tree", "reason"), CHECKED.values(), ids=CHECKED.keys())
def test_a_tree_given_straight_to_the_checker(tree: Tree, reason: str) -> None:
    with pytest.raises(TemplateRefused) as caught:
        check_tree(tree, HOST)
    assert caught.value.reason == reason


# ---- mutated trees


def _all_nodes(tree: Tree) -> list[Node]:
    found, level = [], [*tree.constants, *tree.functions]
    while level:
        found += level
        level = [inner for node in level for inner in children(node)]
    return found


TREES = [decode_tree(shipped.tree) for shipped in catalogue()]
TREES += [parse_template(source.encode()) for source, _ in list(PROGRAMS.values())[::9] if len(source) < 2_000]
TREES += [whole(node) for node in SAMPLES.values()]
POOL = [node for tree in TREES for node in _all_nodes(tree)] + list(SAMPLES.values())


class Mutator:
    """Changes a tree at random: another node of its class or of any, another text, operator, name; parts swapped."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)

    def trees(self) -> Iterator[bytes]:
        """Some trees, each changed a little, as bytes; half of them changed as bytes as well."""
        for _ in range(6):
            tree = self.random.choice(TREES)
            self.left = self.random.randint(1, 4)
            self.rate = 3 / max(len(_all_nodes(tree)), 3)
            parts = [tuple(self.node(node) for node in part) for part in tree]
            try:
                raw = bytearray(encode_tree(Tree(*parts)))
            except (ValueError, MalformedBytes):
                continue
            for _ in range(self.random.choice((0, 0, 0, 1, 2))):
                place = self.random.randrange(len(raw))
                raw[place : place + self.random.choice((0, 1, 1))] = self.random.randbytes(
                    self.random.choice((0, 1, 1))
                )
            yield bytes(raw)

    def node(self, node: Node) -> Node:
        if self.left and self.random.random() < self.rate:
            self.left -= 1
            alike = [other for other in self.random.sample(POOL, 40) if (other[0] < 30) == (node[0] < 30)]
            return self.random.choice(alike or POOL)
        return (node[0], node[1], *(self.field(c, f) for c, f in zip(FIELDS[node[0]], node[2:], strict=True)))

    def field(self, code: str, field: Any) -> Any:
        if code in "EB":
            nodes = [self.node(item) for item in field]
            if self.left and nodes and self.random.random() < self.rate:
                self.random.shuffle(nodes)
                nodes = nodes[: self.random.randint(0, len(nodes))]
            return tuple(nodes)
        if code in "e?":
            return None if field is None else self.node(field)
        if self.left and self.random.random() < self.rate:
            self.left -= 1
            if code == "o":
                return self.random.randrange(9)
            if code == "i":
                return self.random.choice((0, 1, 1 << 60, (1 << 255) - 1, 1 << 255))
            others = [other[2] for other in POOL if len(other) > 2 and FIELDS[other[0]][0] == code]
            return self.random.choice(others)
        return field


SEEDS = st.integers(0, 2**32 - 1)


@given(SEEDS)
def test_a_mutated_tree_is_refused_or_runs(seed: int) -> None:
    for raw in Mutator(seed).trees():
        ends(raw)


@given(SEEDS)
def test_a_mutated_template_is_refused_or_ready(seed: int) -> None:
    """What approval does with a filed tree: its declarations are read as well, and nothing but a refusal may come."""
    for raw in Mutator(seed).trees():
        try:
            compile_tree(raw)
        except (TemplateRefused, MalformedBytes):
            continue
