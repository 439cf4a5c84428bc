# ruff: noqa: E501 (a table reads by the line)
"""Hostile programs that a reviewer might let through: each spends its whole call on what the host does slowest or builds
largest for a unit of fuel. How each ends stands beside it; benchmarks/engine_attacks.py measures what it took.
"""

from __future__ import annotations

from collections.abc import Iterable

from chain_core.types.errors import MalformedBytes
from contracts.engine.host import Host, Operation
from contracts.engine.nodes import decode_tree
from contracts.engine.program import Program
from contracts.engine.refusals import Abort, TemplateRefused

FOREVER = "for i in range(2000000000):"
HUGE = "57896044618658097711785492504343953926634992332820282019728792003956564819967"
"""2^255 - 1, the largest integer."""


def in_main(statements: str, before: str = "") -> str:
    """A file with ``before`` and a function ``main`` of these lines."""
    return before + "def main():\n" + "".join(f"    {line}\n" for line in statements.split("\n"))


def again(statement: str, prepared: str = "", before: str = "") -> str:
    """``statement`` for ever, after what is prepared."""
    return in_main("\n".join((*([prepared] if prepared else []), "n = 0", FOREVER, f"    {statement}")), before)


def many(expression: str, prepared: str = "", before: str = "", joined: str = ", ") -> str:
    """The expression nine times a turn, for ever: the turn itself hardly counts."""
    body = joined.join([expression] * 9)
    return again(f"x = [{body}]" if joined == ", " else f"x = {body}", prepared, before)


def _needle(letter: str, odd: str, half: int) -> str:
    return f"{letter!r} * {half} + {odd!r} + {letter!r} * {half}"


def _searches() -> Iterable[tuple[str, str, str]]:
    """Texts in which a search begins anew at each place, of the sizes at which the host changes its ways."""
    for size, half in (
        (300, 75),
        (2_499, 600),
        (2_499, 49),
        (4_000, 1_000),
        (16_384, 2),
        (16_384, 49),
        (16_384, 7_180),
    ):
        prepared = f"t = 'a' * {size}\np = {_needle('a', 'b', half)}"
        yield f"find {2 * half + 1} in {size}", again("n += t.find(p)", prepared), "fuel"
    texts = f"t = 'a' * 2499\np = {_needle('a', 'b', 600)}"
    han = f"t = '股' * 2499\np = {_needle('股', '权', 600)}"
    yield "find Han", again("n += t.find(p)", han), "fuel"
    yield "find at the end", again("n += t.find('b' + p)", texts), "fuel"
    yield "count", again("n += t.count(p)", texts), "fuel"
    yield "count single letters", again("n += t.count('a')", "t = 'a' * 16384"), "fuel"
    yield "count pairs", again("n += t.count('aa')", "t = 'a' * 16384"), "fuel"
    yield "a part of a text", again("n += 1 if p in t or p in t else 0", texts), "fuel"
    yield "replace nothing", again("n += len(t.replace(p, 'x'))", texts), "fuel"
    yield "replace everything", again("x = t.replace('a', 'b')", "t = 'a' * 16384"), "fuel"
    yield "replace a little", many("t.replace('a', 'b')", "t = 'a' * 15"), "fuel"
    yield "replace by nothing", again("x = t.replace('a', '')", "t = 'a' * 16384"), "fuel"
    yield "replace grows", again("x = t.replace('a', 'b' * 16384)", "t = 'a' * 16384"), "too_long"
    yield "split nothing", again("x = t.split(p)", texts), "fuel"
    yield "split everything", again("x = t.split('a')", "t = 'a' * 4095"), "memory"
    yield "split too much", again("x = t.split('a')", "t = 'a' * 4096"), "too_long"
    yield "split a little", many("t.split('a')", "t = 'aaa'"), "fuel"
    yield "startswith", many("t.startswith(p)", "t = '股' * 31\np = '股' * 31"), "fuel"
    yield "startswith long", many("t.startswith(p)", "t = '股' * 16384\np = '股' * 16384"), "fuel"
    yield "endswith long", many("t.endswith(p)", "t = '股' * 16384\np = '股' * 16384"), "fuel"


def _texts() -> Iterable[tuple[str, str, str]]:
    """Texts made, compared and turned into numbers."""
    long = "a = 'x' * 16384\nb = 'x' * 16384"
    yield "doubled text", in_main("t = 'x'\nfor i in range(60):\n    t += t"), "too_long"
    yield "text by text", in_main(f"t = ''\n{FOREVER}\n    t += 'x'"), "memory"
    yield "texts of full length", again("x = 'x' * 16384"), "memory"
    yield "a count of texts", again("x = 'x' * 2000000000"), "too_long"
    yield "a text below zero times", many("'x' * -2000000000"), "fuel"
    yield "join", again("x = ''.join(t)", "t = ['x'] * 4096"), "fuel"
    yield "join of long texts", again("x = ''.join(t)", "t = ['x' * 16384] * 4096"), "too_long"
    yield "join with a long separator", again("x = t.join(['a', 'b'])", "t = 'x' * 16382"), "memory"
    yield "join of numbers", again("x = ''.join(t)", "t = [1] * 4096"), "wrong_type"
    yield "equal texts", many("a == b", long), "fuel"
    yield "unequal at the end", many("a == b", long + "\nb = b[:16383] + 'y'"), "fuel"
    yield "texts in order", many("a < b", long), "fuel"
    yield "texts of two widths in order", many("a < b", long + "\nb = b[:16383] + '股'"), "fuel"
    yield "upper", many("t.upper()", "t = 'x' * 63"), "fuel"
    yield "upper long", again("x = t.upper()", "t = 'x' * 16384"), "memory"
    yield "lower", many("t.lower()", "t = ''"), "fuel"
    yield "strip", many("t.strip()", "t = ' ' * 63"), "fuel"
    yield "strip long", many("t.strip()", "t = ' ' * 16384"), "fuel"
    yield "isdigit", many("t.isdigit()", "t = '1' * 15"), "fuel"
    yield "isdigit long", many("t.isdigit()", "t = '1' * 16384"), "fuel"
    yield "slices", many("t[1:]", "t = '股' * 15"), "fuel"
    yield "slices far out", many("t[-2000000000:2000000000]", "t = '股' * 15"), "fuel"
    yield "characters", many("t[0]", "t = '股' * 15"), "fuel"
    yield "str of a huge number", many("str(n)", f"n = {HUGE}"), "fuel"
    yield "int of a huge text", many("int(t)", f"t = '{HUGE}'"), "fuel"
    yield "int of zeros", many("int(t)", "t = '0' * 80"), "fuel"
    yield "int of too long a text", again("x = int(t)", "t = '1' * 81"), "not_a_number"
    yield "int of a megabyte", again("x = int(t)", "t = '1' * 16384"), "not_a_number"
    yield "there and back", again("x = int(str(n))", f"n = {HUGE}"), "fuel"


def _integers() -> Iterable[tuple[str, str, str]]:
    numbers = f"a = {HUGE}\nb = 340282366920938463463374607431768211455"
    for operator in ("//", "%", "-"):
        yield f"huge numbers: {operator}", many(f"a {operator} b", numbers), "fuel"
    yield "huge products", many("b * b // b", f"{numbers}\nb = b // 8"), "fuel"
    yield "products out of range", again("n = a * a", numbers), "integer_range"
    yield "squares", in_main("n = 3\nfor i in range(60):\n    n = n * n"), "integer_range"
    yield "sums", again("n += n + 1"), "integer_range"
    yield "negated", many("-a", numbers), "fuel"
    yield "compared", many("a < b", numbers), "fuel"
    yield "min of eight", many("min(1, 2, 3, 4, 5, 6, 7, 8)"), "fuel"
    yield "min of two", many("min(1, 2)"), "fuel"
    yield "abs", many("abs(n)"), "fuel"
    yield "bool", many("bool(n)"), "fuel"


def _lists() -> Iterable[tuple[str, str, str]]:
    """Lists and what walks them."""
    numbers, other = "t = list(range(4000))", "t = list(range(4000))\no = list(range(4000))"
    yield "a count of lists", again("x = [0] * 2000000000"), "too_long"
    yield "lists of full length", again("x = [0] * 4096"), "fuel"
    yield "list by list", again("x += [0]", "x = []"), "too_long"
    yield "append", again("x.append(0)", "x = []"), "fuel"
    yield "append itself", again("x.append(x)", "x = []"), "fuel"
    yield "doubled list", in_main("x = [0]\nfor i in range(60):\n    x += x"), "too_long"
    yield "extend by itself", in_main("x = [0]\nfor i in range(60):\n    x.extend(x)"), "too_long"
    yield "insert in front", again("x.insert(0, 1)", "x = [0] * 2000"), "fuel"
    yield "insert and pop", again("x.insert(0, x.pop(0))", "x = [0] * 4000"), "fuel"
    yield "in a long list", many("4001 in t", numbers), "fuel"
    yield "a text in a long list", many("'abcdf' in t", "t = ['abcde'] * 4000"), "fuel"
    yield "a long text in a list", many("p in t", "t = ['x' * 16383 + 'y'] * 4000\np = 'x' * 16384"), "fuel"
    yield "a list in a long list", many("[2] in t", "t = [[1]] * 4000"), "fuel"
    yield "a longer list in a long list", many("[2, 3] in t", "t = [[1]] * 4000"), "fuel"
    yield "a dict in a long list", many("{'b': 1} in t", "t = [{'a': 1}] * 4000"), "fuel"
    yield "True in a long list", many("True in t", "t = [1] * 4000"), "fuel"
    yield "index", again("n += t.index(3999)", numbers), "fuel"
    yield "remove", again("t.remove(3999)\n    t.append(3999)", numbers), "fuel"
    yield "equal lists", many("t == o", other), "fuel"
    yield (
        "lists shared a thousandfold",
        in_main("x = [0]\nfor i in range(15):\n    x = [x, x]\nreturn x == [x[0], x[1]]"),
        "fuel",
    )
    yield "lists shared and returned", in_main("x = [0] * 64\nfor i in range(14):\n    x = [x] * 64\nreturn x"), "fuel"
    yield "wide and returned", in_main("x = [0] * 4096\nreturn [x] * 4096"), "fuel"
    yield "deep", in_main(f"x = []\n{FOREVER}\n    x = [x]"), "fuel"
    yield (
        "deep and equal",
        in_main("x = []\no = []\nfor i in range(900):\n    x = [x]\n    o = [o]\nreturn x == o"),
        "too_deep",
    )
    yield "deep and returned", in_main("x = []\nfor i in range(900):\n    x = [x]\nreturn x"), "too_deep"
    yield "two that hold each other", in_main("x = []\no = [x]\nx.append(o)\nreturn x == o"), "too_deep"
    yield "sorted numbers", again("x = sorted(t)", "t = [i * 7919 % 1009 for i in range(400)]"), "fuel"
    yield (
        "sorted teeth",
        again("x = sorted(t)", "t = [i * 200 + i % 2 * 40000 - i * i % 3 for i in range(400)]"),
        "fuel",
    )
    yield "sorted downwards", again("x = sorted(t)", "t = list(range(1000, 0, -1))"), "fuel"
    yield (
        "sorted long texts",
        again("x = sorted(t)", "t = ['x' * 1000 + str(i * 7919 % 101) for i in range(101)]"),
        "fuel",
    )
    yield "sorted little", many("sorted(t)", "t = [3, 1, 2]"), "fuel"
    yield "sorted much", again("x = sorted(t)", "t = list(range(4096))"), "fuel"
    yield "sorted unlike", again("x = sorted(t)", "t = [1, 'a']"), "wrong_type"
    yield "max of a long list", again("n = max(t)", numbers), "fuel"
    yield "any", again("x = any(t)", "t = [0] * 4096"), "fuel"
    yield "all", again("x = all(t)", "t = [[0]] * 4096"), "fuel"
    yield "slices of a list", again("x = t[1:]", numbers), "fuel"
    yield "list of a list", again("x = list(t)", numbers), "fuel"
    yield "list of a range", again("x = list(range(2000000000))"), "too_long"
    yield "empty lists", many("[]"), "fuel"
    yield "clear", many("n", "x = []\nx.clear()"), "fuel"


def _loops() -> Iterable[tuple[str, str, str]]:
    """Loops, comprehensions, calls."""
    yield "nothing, for ever", again("pass"), "fuel"
    yield "loops in loops", again("for j in range(2000000000):\n        pass"), "fuel"
    yield "empty loops", again("for j in []:\n        pass"), "fuel"
    yield "a comprehension for ever", in_main("return [0 for i in range(2000000000)]"), "too_long"
    yield "a comprehension of nothing for ever", in_main("return [0 for i in range(2000000000) if i < 0]"), "fuel"
    yield (
        "nested comprehensions",
        in_main("return [[[[0 for i in range(9)] for j in range(9)] for k in range(9)] for m in range(9)]"),
        "fuel",
    )
    yield "empty comprehensions", many("[j for j in range(0)]"), "fuel"
    yield "conditions", many("(1 if n else 2)"), "fuel"
    yield "and", many("n", "", "", " or "), "fuel"
    yield "calls", many("f()", "", "def f():\n    pass\n\n", " or "), "fuel"
    tree = "".join(f"def f{i}():\n    f{i + 1}()\n    f{i + 1}()\n\n" for i in range(100)) + "def f100():\n    pass\n\n"
    yield "calls doubled a hundredfold", again("f0()", "", tree), "fuel"
    chain = "".join(f"def f{i}():\n    return f{i + 1}()\n\n" for i in range(118)) + "def f118():\n    pass\n\n"
    yield "a long chain of calls", again("f0()", "", chain), "fuel"
    wide = "def f(x):\n    if x:\n" + "".join(f"        v{i} = 1\n" for i in range(2_200)) + "    return 1\n\n"
    yield "a function of many variables", many("f(0)", "", wide, " + "), "fuel"
    yield "a loop over what it makes longer", in_main("x = [0]\nfor i in x:\n    x.append(i)"), "locked"
    yield "a loop over a dict that grows", in_main("x = {'a': 1}\nfor i in x:\n    x['b'] = 1"), "locked"
    yield "thousands of constants", again("x = TABLE", "", "TABLE = [" + ("[], " * 65 + "\n") * 60 + "]\n"), "fuel"


def _slots(count: int) -> list[int]:
    """The places of a dict of 8,192 in the order in which a search for an unlucky key walks them."""
    found, place = [], 0
    for _ in range(count):
        found.append(place)
        place = (place * 5 + 1) & 8_191
    return found


UNLUCKY = 1_161_092_425_913
"""An integer that meets the places of ``_slots(3_900)`` one after the other, nearly from the first."""


def _dict_literal(name: str, keys: Iterable[int]) -> str:
    rows, line = [], ""
    for key in keys:
        line += f"{key}:0,"
        if len(line) > 300:
            rows.append(line)
            line = ""
    return f"{name} = {{" + "\n".join([*rows, line]) + "}\n"


def _dicts() -> Iterable[tuple[str, str, str]]:
    slots = _slots(3_900)
    tables = _dict_literal("ONE", slots[:1_950]) + _dict_literal("TWO", slots[1_950:])
    flood = "t = dict(ONE)\nt.update(TWO)"
    yield "a flood of colliding keys: in", many(f"{UNLUCKY} in t", flood, tables), "fuel"
    yield "a flood of colliding keys: get", many(f"t.get({UNLUCKY})", flood, tables), "fuel"
    yield "a flood of colliding keys: index", again("x = t[k]", f"{flood}\nk = {UNLUCKY}\nt[k] = 1", tables), "fuel"
    yield "a flood of colliding keys: setdefault", many(f"t.setdefault({UNLUCKY}, 1)", flood, tables), "fuel"
    yield "a flood of colliding keys: pop", many(f"t.pop({UNLUCKY}, 1)", flood, tables), "fuel"
    yield (
        "a flood of colliding keys: equal",
        again("x = t == o", f"{flood}\no = dict(TWO)\no.update(ONE)", tables),
        "fuel",
    )
    yield "a flood of colliding keys: copies", again("x = dict(t)", f"{flood}\nt.pop(0)", tables), "fuel"
    collide = _dict_literal("FAR", (i << 44 for i in range(1_900)))
    yield "keys alike in their low bits", again("x = dict(t)", "t = dict(FAR)\nt.pop(0)", collide), "fuel"
    yield "keys alike modulo 2^61 - 1", again("x = {k: 1}", "k = 2305843009213693951"), "bad_key"
    yield "a key of 2^60", again("t[1152921504606846976] = 1", "t = {}"), "bad_key"
    yield "a dict by entries", again("t[i] = 0", "t = {}"), "fuel"
    yield "a dict of texts", again("t[str(i)] = 0", "t = {}"), "fuel"
    long = "t = {'股' * 16384: 1}\nk = '股' * 16384"
    yield "a long key: get", many("t.get(k)", long), "fuel"
    yield "a long key: index", many("t[k]", long), "fuel"
    yield "a long key: in", many("k in t", long), "fuel"
    yield "a long key: equal", many("t == o", f"{long}\no = {{k: 1}}"), "fuel"
    yield "long keys made anew", again("x = k[1:] in t", long), "fuel"
    yield (
        "a long key written out",
        again("x = " + " and ".join([f"t['{'x' * 350}']"] * 1), f"t = {{'{'x' * 350}': 1}}"),
        "fuel",
    )
    yield "empty dicts", many("{}"), "memory"
    yield "small dicts", many("{'a': 1}"), "fuel"
    yield "update by itself", many("t.update(t)", "t = {'a': 1}"), "fuel"
    yield "update", again("t.update(o)", "t = {}\no = {}\nfor j in range(900):\n    o[j] = j"), "fuel"
    yield "keys", again("x = t.keys()", "t = {}\nfor j in range(900):\n    t[j] = j"), "fuel"
    yield "values", again("x = t.values()", "t = {}\nfor j in range(900):\n    t[j] = j"), "fuel"
    yield "a dict in itself", in_main("t = {}\nt['a'] = t\nreturn t == {'a': t}"), "too_deep"
    yield "a dict in itself returned", in_main("t = {}\nt['a'] = t\nreturn t"), "too_deep"
    yield "get and put a list", again("t.setdefault(i % 7, []).append(t)", "t = {}"), "fuel"


PROGRAMS: dict[str, tuple[str, str]] = {
    name: (source, reason)
    for family in (_searches, _texts, _integers, _lists, _loops, _dicts)
    for name, source, reason in family()
}
"""What it is -> (source, the reason with which the call ends)."""

HOST: Host = {
    "get": Operation(("key", "other"), lambda host, meter, line, key, other: key, required=1),
    "tell": Operation(("what",), lambda host, meter, line, *facts: len(facts), rest=True),
}


def ends(raw: bytes) -> str:
    """How a tree and a call of its ``main`` end; any other exception is a finding."""
    try:
        program = Program(decode_tree(raw), HOST)
    except MalformedBytes:
        return "malformed bytes"
    except TemplateRefused as refused:
        return refused.reason
    parameters = program.parameters("main")
    if parameters is None:
        return "no main"
    try:
        program.call("main", None, [0 for name in parameters if name != "ctx"])
    except Abort as end:
        return end.reason
    return ""
