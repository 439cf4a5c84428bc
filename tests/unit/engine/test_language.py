# ruff: noqa: E501 (a table reads by the line)
"""What programs of ``tpl/1`` mean, by table (docs/spec/tpl-1.md §2-§5)."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.engine.freezing import containers_in
from contracts.engine.nodes import decode_tree, encode_tree
from contracts.engine.parser import parse_template
from contracts.engine.program import Program, spent
from contracts.engine.refusals import ABORTS, Abort

VALUES: dict[str, tuple[str, Any]] = {
    "integers round down": ("[7 // 2, -7 // 2, 7 // -2, -7 % 3, 7 % -3]", [3, -4, -4, 2, -2]),
    "big integers": ("2 * 2 * 4611686018427387904", 1 << 64),
    "texts": ("'股权' + 'a' * 3", "股权aaa"),
    "types are told apart": ("[True == 1, 0 == False, '1' == 1, None == False]", [False] * 4),
    "an item is of its type": ("[1 in [True], True in [True], 'b' in 'abc', 2 in {2: 1}]", [False, True, True, True]),
    "lists compare by item": ("[[1, [2]] == [1, [2]], [1] != [1, 2]]", [True, True]),
    "dicts compare without order": ("{'a': 1, 'b': 2} == {'b': 2, 'a': 1}", True),
    "texts compare by code point": ("['Z' < 'a', '股' > 'z', 'a' < 'ab', 'b' >= 'b']", [True] * 4),
    "and, or give an operand": ("[0 or 'x', 'a' and [], None or 0]", ["x", [], 0]),
    "indices": ("[[1, 2, 3][-1], 'abc'[0], {'k': 5}['k'], {7: 8}[7]]", [3, "a", 5, 8]),
    "slices": ("['abcd'[1:3], 'abcd'[-2:], [1, 2, 3][:1], 'ab'[5:]]", ["bc", "cd", [1], ""]),
    "a comprehension": ("[x * x for x in range(5) if x % 2 == 1]", [1, 9]),
    "conditions": ("'yes' if 1 < 2 else 'no'", "yes"),
    "not in": ("[1 not in [1], not 1 in [1]]", [False, False]),
    "builtins": (
        "[abs(-2), len('股权'), int('-12'), int(True), str(None), max(1, 3, 2), min(['b', 'a']), sorted([3, 1])]",
        [2, 2, -12, 1, "None", 3, "a", [1, 3]],
    ),
    "any and all": ("[any([]), all([]), any([0, 1]), all([1, 0])]", [False, True, True, False]),
    "list of": ("[list({'b': 1, 'a': 2}), list(range(3))]", [["b", "a"], [0, 1, 2]]),
    "text methods": (
        "['a,b'.split(','), '-'.join(['x', 'y']), ' p '.strip(), 'aXa'.replace('a', 'bb'), '12'.isdigit()]",
        [["a", "b"], "x-y", "p", "bbXbb", True],
    ),
    "dict methods": ("[{'a': 1}.get('b'), {'a': 1}.get('b', 2), {1: 2}.keys(), {1: 2}.values()]", [None, 2, [1], [2]]),
}


def run(source: str, *arguments: Any, function: str = "main") -> Any:
    """The value of ``main``, after the tree has gone through its bytes."""
    tree = parse_template(source.encode())
    assert decode_tree(encode_tree(tree)) == tree
    return Program(decode_tree(encode_tree(tree)), {}).call(function, None, list(arguments))[0]


@pytest.mark.parametrize(("expression", "value"), VALUES.values(), ids=VALUES.keys())
def test_an_expression(expression: str, value: Any) -> None:
    found = run(f"def main():\n    return {expression}\n")
    assert (found, type(found)) == (value, type(value))
    assert repr(found) == repr(value), "True is not 1"


STATEMENTS: dict[str, tuple[str, Any]] = {
    "lists are shared": ("a = [1]\nb = a\nb.append(2)\nb += [3]\nreturn a", [1, 2, 3]),
    "a sum of lists is new": ("a = [1]\nb = a + [2]\nb.append(3)\nreturn a", [1]),
    "items are set": ("d = {}\nd['x'] = 1\nd['x'] += 4\nd[3] = []\nd[3] += [1]\nreturn d", {"x": 5, 3: [1]}),
    "loops": ("n = 0\nfor x in [1, 2, 3, 4]:\n    if x == 2:\n        continue\n    if x == 4:\n        break\n    n += x\nreturn n", 4),
    "two variables": ("o = []\nfor k, v in {'a': 1}.items():\n    o += [k, v]\nfor i, x in enumerate(['p']):\n    o += [i, x]\nfor a, b in [[1, 2]]:\n    o += [a, b]\nreturn o", ["a", 1, 0, "p", 1, 2]),
    "a range counts down": ("o = []\nfor i in range(3, 0, -1):\n    o.append(i)\nreturn o", [3, 2, 1]),
    "return leaves both loops": ("for i in range(3):\n    for j in range(3):\n        if i + j == 3:\n            return [i, j]\nreturn None", [1, 2]),
    "each branch binds": ("if 1 > 2:\n    x = 1\nelif 2 > 1:\n    x = 2\nelse:\n    x = 3\nreturn x", 2),
    "a branch that leaves need not bind": ("if 1 > 2:\n    return 0\nelse:\n    x = 3\nreturn x", 3),
    "lists change": ("a = [1, 2, 3]\na.insert(0, 9)\na.remove(2)\na.pop()\na.extend([7])\nreturn [a, a.index(7), a.pop(0)]", [[1, 7], 2, 9]),
    "dicts change": ("d = {'a': 1}\nd.update({'b': 2})\nd.setdefault('c', 3)\nx = d.pop('a')\nreturn [d, x, d.pop('z', 0)]", [{"b": 2, "c": 3}, 1, 0]),
    "nothing is None": ("pass", None),
    "a comprehension's name is its own": ("o = [x for x in [1, 2]]\nreturn [o, [x + 1 for x in o]]", [[1, 2], [2, 3]]),
}  # fmt: skip


def _body(statements: str) -> str:
    return "def main():\n" + "".join(f"    {line}\n" for line in statements.split("\n"))


@pytest.mark.parametrize(("statements", "value"), STATEMENTS.values(), ids=STATEMENTS.keys())
def test_statements(statements: str, value: Any) -> None:
    assert run(_body(statements)) == value


ENDS: dict[str, tuple[str, str, int]] = {
    "an endless loop of loops": ("for i in range(100000):\n    for j in range(100000):\n        pass", "fuel", 4),
    "memory that is dropped counts": ("for i in range(200):\n    x = 'a' * 16384", "memory", 3),
    "an integer too large": ("x = 2\nfor i in range(9):\n    x = x * x", "integer_range", 4),
    "a text too long": ("return 'a' * 16385", "too_long", 2),
    "a list too long": ("return [0] * 1000000000", "too_long", 2),
    "replace grows": ("return ('a' * 16000).replace('a', 'b' * 16000)", "too_long", 2),
    "join grows": ("return ('x' * 9000).join(['a', 'b', 'c'])", "too_long", 2),
    "a list in itself": ("x = []\nx.append(x)\nreturn x == [x]", "too_deep", 4),
    "a list in itself leaves": ("x = []\nx.append(x)\nreturn x", "too_deep", 0),
    "doubled by sharing": ("x = [0]\nfor i in range(15):\n    x = [x, x]\nreturn x", "fuel", 0),
    "text and number": ("return 'a' + 1", "wrong_type", 2),
    "order of unlike things": ("return 'a' < 1", "wrong_type", 2),
    "an index outside": ("return [1][1]", "no_such_item", 2),
    "a huge index": ("return [1][4611686018427387904]", "no_such_item", 2),
    "a key that is not there": ("return {'a': 1}['b']", "no_such_item", 2),
    "a key of a wrong type": ("x = {}\nx[True] = 1", "bad_key", 3),
    "a negative key": ("return {-1: 2}", "bad_key", 2),
    "a key twice at run time": ("k = 'a'\nreturn {k: 1, 'a': 2}", "bad_key", 3),
    "division": ("return 1 % 0", "division_by_zero", 2),
    "no number": ("return int(' 1')", "not_a_number", 2),
    "digits of another script": ("return int('一')", "not_a_number", 2),
    "letters of another script": ("return '股'.upper()", "not_ascii", 2),
    "a list changed by its loop": ("x = [1]\nfor i in x:\n    x.append(i)", "locked", 4),
    "a dict changed by its loop": ("x = {'a': 1}\nfor k, v in x.items():\n    x[k] = 2", "locked", 4),
    "a constant changed": ("NAMES.append('b')", "locked", 2),
    "inside a constant": ("MAP['k'].append(1)", "locked", 2),
    "a text as a loop": ("for c in 'abc':\n    pass", "wrong_type", 2),
    "a pair of three": ("for a, b in [[1, 2, 3]]:\n    pass", "wrong_type", 2),
    "an item of a text is set": ("x = 'ab'\nx[0] = 'c'", "wrong_type", 3),
    "a range that stands still": ("for i in range(1, 2, 0):\n    pass", "division_by_zero", 2),
}


@pytest.mark.parametrize(("statements", "reason", "line"), ENDS.values(), ids=ENDS.keys())
def test_how_a_call_ends_early(statements: str, reason: str, line: int) -> None:
    with pytest.raises(Abort) as caught:
        run(_body(statements) + "NAMES = ['a']\nMAP = {'k': [1]}\n")
    assert (caught.value.reason, caught.value.line) == (reason, line)
    assert reason in ABORTS


def test_loops_may_change_what_they_no_longer_run_over() -> None:
    statements = "x = [1, 2]\nfor i in x:\n    for j in x:\n        break\nx.append(3)\nfor i in x:\n    if i == 1:\n        break\nx.pop()\nreturn x"
    assert run(_body(statements)) == [1, 2]


def test_functions_call_functions() -> None:
    source = "def main(a, b):\n    return [twice(a), twice(b)]\n\ndef twice(x):\n    return x + x\n"
    assert run(source, 2, "b") == [4, "bb"]


def test_fuel_and_memory_are_exact() -> None:
    """The figures of docs/spec/tpl-1.md §7, counted by hand."""
    program = Program(parse_template(b"def main(a):\n    b = a + 1\n    c = [b, b]\n    return c\n"), {})
    _, meter = program.call("main", None, [1])
    # assign, binary, name, integer; assign, list, name, name; return, name; and the walk of the result: 3 values
    assert spent(meter) == (4 + 4 + 2 + 3, 32 + 2 * 8)


def test_what_a_caller_shares_is_not_changed() -> None:
    """An instance's parameters are converted once and shown to many calls."""
    program = Program(parse_template(b'def main(a):\n    a["rows"].append(1)\n'), {})
    shared = {"rows": [0]}
    with pytest.raises(Abort, match="locked"):
        program.call("main", None, [shared], frozen=containers_in(shared))
    assert shared == {"rows": [0]}
    program.call("main", None, [shared])
    assert shared == {"rows": [0, 1]}
