"""Hostile and mistaken files: each is refused at filing, with a reason and a line (docs/spec/tpl-1.md §9, §10)."""

from __future__ import annotations

import pytest

from contracts.engine.limits import MAX_SOURCE_BYTES
from contracts.engine.parser import parse_template
from contracts.engine.program import Program
from contracts.engine.refusals import TemplateRefused


def _in_main(*lines: str) -> str:
    return "def main(a):\n" + "".join(f"    {line}\n" for line in lines)


IN_MAIN: dict[str, tuple[str, str]] = {
    "a dunder": ("return a.__class__", "not_in_language"),
    "a dunder by call": ("return a.__class__()", "unknown_method"),
    "an attribute": ("return a.x", "not_in_language"),
    "a builtin of Python": ("return getattr(a, 'x')", "unknown_function"),
    "eval": ("return eval('1')", "unknown_function"),
    "exec": ("exec('x = 1')", "unknown_function"),
    "open": ("return open('f')", "unknown_function"),
    "type": ("return type(a)", "unknown_function"),
    "globals": ("return globals()", "unknown_function"),
    "print": ("print(a)", "unknown_function"),
    "id": ("return id(a)", "unknown_function"),
    "hash": ("return hash(a)", "unknown_function"),
    "format": ("return '{0.__class__}'.format(a)", "unknown_method"),
    "format_map": ("return '{a}'.format_map(a)", "unknown_method"),
    "encode": ("return 'x'.encode()", "unknown_method"),
    "translate": ("return 'x'.translate(a)", "unknown_method"),
    "zfill": ("return 'x'.zfill(1000000000)", "unknown_method"),
    "ljust": ("return 'x'.ljust(1000000000)", "unknown_method"),
    "sort": ("a.sort()", "unknown_method"),
    "popitem": ("return a.popitem()", "unknown_method"),
    "an f-string": ("return f'{a}'", "prefix"),
    "bytes": ("return b'x'", "prefix"),
    "raw text": ("return r'x'", "prefix"),
    "texts side by side": ("return 'a' 'b'", "joined_texts"),
    "an escape by number": ("return '\\x41'", "escape"),
    "an escape by name": ("return '\\N{DIGIT ONE}'", "escape"),
    "an escape by code": ("return '\\u0041'", "escape"),
    "a line joined": ("return a + \\\n1", "joined_line"),
    "a float": ("return 1.5", "number"),
    "an exponent": ("return 1e9", "number"),
    "a complex number": ("return 1j", "number"),
    "hexadecimal": ("return 0xff", "number"),
    "underscores": ("return 1_000", "number"),
    "a huge number": ("return " + "9" * 90, "number"),
    "above the range": ("return " + "9" * 78, "integer_range"),
    "a power": ("return a ** a", "operator"),
    "a shift": ("return 1 << a", "operator"),
    "bits": ("return a & 1", "operator"),
    "a real division": ("return a / 2", "operator"),
    "a matrix product": ("return a @ a", "operator"),
    "a walrus": ("return (b := 1)", "operator"),
    "two statements a line": ("b = 1; c = 2", "operator"),
    "unary plus": ("return +a", "not_in_language"),
    "chained comparison": ("return 1 < a < 3", "not_in_language"),
    "is": ("return a is None", "not_in_language"),
    "a lambda": ("return lambda: 1", "not_in_language"),
    "a tuple": ("return 1, 2", "not_in_language"),
    "a set": ("return {1, 2}", "not_in_language"),
    "a dict comprehension": ("return {x: 1 for x in a}", "not_in_language"),
    "a set comprehension": ("return {x for x in a}", "not_in_language"),
    "a generator": ("return any(x for x in a)", "not_in_language"),
    "two loops in one comprehension": ("return [x for x in a for y in a]", "not_in_language"),
    "yield": ("yield 1", "not_in_language"),
    "await": ("await a", "not_in_language"),
    "a star in a list": ("return [*a]", "not_in_language"),
    "a star in a call": ("return len(*a)", "not_in_language"),
    "two stars in a dict": ("return {**a}", "operator"),
    "a step": ("return a[::2]", "not_in_language"),
    "a slice assigned": ("a[0:1] = []", "not_in_language"),
    "an ellipsis": ("return ...", "operator"),
    "while": ("while True:\n        pass", "not_in_language"),
    "try": ("try:\n        pass\n    except:\n        pass", "not_in_language"),
    "with": ("with a:\n        pass", "not_in_language"),
    "raise": ("raise a", "not_in_language"),
    "assert": ("assert a", "not_in_language"),
    "del": ("del a", "not_in_language"),
    "global": ("global a", "not_in_language"),
    "import": ("import os", "not_in_language"),
    "import from": ("from os import path", "not_in_language"),
    "a function inside": ("def inner():\n        pass", "not_in_language"),
    "a class": ("class A:\n        pass", "not_in_language"),
    "match": ("match a:\n        case 1:\n            pass", "not_in_language"),
    "an annotation": ("b: int = 1", "not_in_language"),
    "several targets": ("b = c = 1", "not_in_language"),
    "unpacking": ("b, c = a", "not_in_language"),
    "an attribute set": ("a.x = 1", "not_in_language"),
    "a loop with else": ("for x in a:\n        pass\n    else:\n        pass", "not_in_language"),
    "a loop over a subscript": ("for a[0] in a:\n        pass", "not_in_language"),
    "a call by name": ("return len(value=a)", "not_in_language"),
    "a computed call": ("return a[0](1)", "not_in_language"),
    "a function as a value": ("return main", "unbound"),
    "a builtin as a value": ("return len", "unbound"),
    "a function in a dict": ("b = {'f': main}\n    return b", "unbound"),
    "ctx as a value": ("return ctx", "not_in_language"),
    "ctx without having it": ("return ctx.get('a')", "no_context"),
    "an unset name": ("return b", "unbound"),
    "set in one branch only": ("if a:\n        b = 1\n    return b", "unbound"),
    "set in a loop only": ("for x in a:\n        b = 1\n    return b", "unbound"),
    "a loop's variable afterwards": ("for x in a:\n        pass\n    return x", "unbound"),
    "augmenting what is unset": ("b += 1", "unbound"),
    "an unknown constant": ("return LIMIT", "unbound"),
    "a builtin shadowed": ("len = 1", "shadowed"),
    "its own name shadowed": ("main = 1", "shadowed"),
    "a variable shadowed": ("return [a for a in a]", "shadowed"),
    "a name in capitals": ("B = 1", "bad_name"),
    "a dunder name": ("__b = 1", "bad_name"),
    "a reserved name": ("load = 1", "bad_name"),
    "recursion": ("return main(a)", "recursion"),
    "too few arguments": ("return max()", "arity"),
    "too many arguments": ("return len(a, a)", "arity"),
    "a method's arity": ("a.append()", "arity"),
    "no effect": ("a + 1", "no_effect"),
    "behind a return": ("return 1\n    b = 2", "unreachable"),
    "break outside": ("break", "outside_loop"),
    "range elsewhere": ("return range(3)", "loop_only"),
    "items elsewhere": ("return a.items()", "unknown_method"),
    "one name for items": ("for x in a.items():\n        pass", "loop_names"),
    "three names": ("for x, y, z in a:\n        pass", "loop_names"),
    "a key twice": ("return {'a': 1, 'a': 2}", "key_twice"),
    "too deep": ("return " + "[" * 45 + "]" * 45, "nesting"),
    "too many prefixes": ("return " + "-" * 60 + "1", "nesting"),
    "too many nots": ("return " + "not " * 60 + "a", "nesting"),
    "a deep sum": ("return " + " + ".join(["a"] * 50), "nesting"),
    "a tab": ("\treturn 1", "bad_character"),
    "a carriage return": ("return 1\r", "bad_character"),
    "full-width letters": ("return '\uff21'", "bad_character"),
    "a Cyrillic a": ("return \u0430", "bad_character"),
    "right to left": ("return 'a\u202eb'", "bad_character"),
    "zero width": ("return 'a\u200bb'", "bad_character"),
    "an accent": ("return 'e\u0301'", "bad_character"),
    "a byte order mark": ("return '\ufeff'", "bad_character"),
    "a null": ("return '\0'", "bad_character"),
    "an emoji": ("return '\U0001f600'", "bad_character"),
    "a line too long": ("return '" + "x" * 500 + "'", "line_too_long"),
}

FILES: dict[str, tuple[bytes, str]] = {
    "not UTF-8": (b"A = '\xff'\n", "not_utf8"),
    "too large": (b"#" * (MAX_SOURCE_BYTES + 1), "too_large"),
    "a statement outside": (b"if 1:\n    A = 1\n", "not_in_language"),
    "a call outside": (b"A = len([1])\n", "not_literal"),
    "an expression outside": (b"A = 1 + 1\n", "not_literal"),
    "a constant of a constant": (b"A = 1\nB = [A]\n", "not_literal"),
    "a constant twice": (b"A = 1\nA = 2\n", "name_twice"),
    "a function twice": (b"def f():\n    pass\ndef f():\n    pass\n", "name_twice"),
    "a constant in small letters": (b"limit = 1\n", "bad_name"),
    "a default": (b"def f(a=1):\n    pass\n", "not_in_language"),
    "rest parameters": (b"def f(*a):\n    pass\n", "not_in_language"),
    "parameters by name": (b"def f(*, a):\n    pass\n", "not_in_language"),
    "positional parameters": (b"def f(a, /):\n    pass\n", "operator"),
    "an annotated parameter": (b"def f(a: int):\n    pass\n", "not_in_language"),
    "an annotated result": (b"def f() -> int:\n    pass\n", "operator"),
    "a decorator": (b"@f\ndef g():\n    pass\n", "operator"),
    "async": (b"async def f():\n    pass\n", "not_in_language"),
    "a parameter twice": (b"def f(a, a):\n    pass\n", "parameters"),
    "too many parameters": (f"def f({', '.join(f'p{i}' for i in range(17))}):\n    pass\n".encode(), "parameters"),
    "a parameter shadows": (b"def f(f):\n    pass\n", "shadowed"),
    "mutual recursion": (b"def f():\n    g()\ndef g():\n    f()\n", "recursion"),
    "a chain of 121": (
        "".join(f"def f{i}():\n    f{i + 1}()\n" for i in range(120)).encode() + b"def f120():\n    pass\n",
        "call_chain",
    ),
    "a stack": (
        "".join(f"def f{i}():\n    return {'[' * 20}f{i + 1}(){']' * 20}\n" for i in range(60)).encode()
        + b"def f60():\n    pass\n",
        "stack",
    ),
    "too many nodes": (b"def f():\n" + b"    g = [1, 2, 3, 4, 5]\n" * 1500, "too_many_nodes"),
    "ctx not first": (b"def f(a, ctx):\n    pass\n", "bad_name"),
    "ctx withheld": (b"def f(ctx):\n    g()\ndef g(ctx):\n    pass\n", "not_in_language"),
    "ctx where it is not taken": (b"def f(ctx):\n    g(ctx)\ndef g(a):\n    pass\n", "not_in_language"),
    "ctx stored": (b"def f(ctx):\n    a = ctx\n", "not_in_language"),
    "ctx in a list": (b"def f(ctx):\n    a = [ctx]\n", "not_in_language"),
    "ctx as a second argument": (b"def f(ctx):\n    g(1, ctx)\ndef g(a, b):\n    pass\n", "not_in_language"),
    "an attribute of ctx": (b"def f(ctx):\n    return ctx.kernel\n", "not_in_language"),
    "an unknown operation": (b"def f(ctx):\n    ctx.set_balance(1)\n", "unknown_operation"),
    "an unclosed bracket": (b"A = [1,\n", "syntax"),
    "an unclosed text": (b'A = """x\n', "syntax"),
    "a bad indent": (b"def f():\n    a = 1\n  b = 2\n", "syntax"),
    "a question mark": (b"A = ?\n", "syntax"),
    "nothing but brackets": (b"(" * 300, "nesting"),
    "a forest of ifs": (
        b"def f(a):\n" + b"".join(b"    " * (i + 1) + b"if a:\n" for i in range(60)) + b"    " * 61 + b"pass\n",
        "nesting",
    ),
}


def _refused(raw: bytes) -> TemplateRefused:
    with pytest.raises(TemplateRefused) as caught:
        Program(parse_template(raw), {})
    return caught.value


@pytest.mark.parametrize(("line", "reason"), IN_MAIN.values(), ids=IN_MAIN.keys())
def test_a_refused_line(line: str, reason: str) -> None:
    found = _refused(_in_main(line).encode("utf-8", "surrogatepass"))
    assert found.reason == reason, str(found)
    assert found.line >= 1 or reason == "syntax"


@pytest.mark.parametrize(("raw", "reason"), FILES.values(), ids=FILES.keys())
def test_a_refused_file(raw: bytes, reason: str) -> None:
    found = _refused(raw)
    assert found.reason == reason, str(found)


def test_at_the_limits() -> None:
    chain = "".join(f"def f{i}():\n    return f{i + 1}()\n" for i in range(119)) + "def f119():\n    return 7\n"
    assert Program(parse_template(chain.encode()), {}).call("f0", None, [])[0] == 7
    deep = "def f():\n    return " + "[" * 15 + "]" * 15 + "\n"
    assert Program(parse_template(deep.encode()), {}).call("f", None, [])[0] is not None
