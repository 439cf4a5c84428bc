"""Hostile programs end, and nothing is cheaper than it is (docs/spec/tpl-1.md §7, §10)."""

from __future__ import annotations

import pytest

from contracts.engine.nodes import encode_tree
from contracts.engine.parser import parse_template
from contracts.engine.program import Program, spent
from tests.unit.engine.hostile import PROGRAMS, ends, in_main


def test_there_are_many() -> None:
    assert len(PROGRAMS) >= 100


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_hostile_program(name: str) -> None:
    source, reason = PROGRAMS[name]
    assert ends(encode_tree(parse_template(source.encode()))) == reason


PRICES: dict[str, tuple[str, str, int]] = {
    "a number": ("", "n = 1", 2),
    "a search": ("t = 'a' * 64\np = 'b' * 4", "n = t.find(p)", 4 + 4),
    "a search that may begin anew everywhere": (
        "t = 'a' * 2000\np = 'b' * 1000",
        "n = t.find(p)",
        4 + 125 + 62 + 1001 * 1000 // 256,
    ),
    "a part longer than the text": ("t = 'a' * 16\np = 'b' * 1000", "n = t.find(p)", 4 + 1 + 62),
    "in": ("t = 'a' * 2000\np = 'b' * 1000", "n = p in t", 4 + 125 + 62 + 1001 * 1000 // 256),
    "split searches twice": (
        "t = 'a' * 2000\np = 'b' * 1000",
        "n = t.split(p)",
        4 + 125 + 62 + 2 * (1001 * 1000 // 256) + (2000 >> 6),
    ),
    "replace searches three times": (
        "t = 'a' * 2000\np = 'b' * 1000",
        "n = t.replace(p, p)",
        5 + 125 + 62 + 3 * (1001 * 1000 // 256) + (2000 >> 6),
    ),
    "strip, whatever is left": ("t = ' ' * 1600", "n = t.strip()", 3 + 100),
    "a key of a small dict": ("t = {}\nfor i in range(127):\n    t[i] = 0", "n = t[5]", 4),
    "an integer key of a large dict": ("t = {}\nfor i in range(600):\n    t[i] = 0", "n = t.get(5)", 4 + 4),
    "a text key of a large dict": ("t = {}\nfor i in range(600):\n    t[i] = 0", "n = t.get('a')", 4),
    "an integer key set": ("t = {}\nfor i in range(600):\n    t[i] = 0", "t[5] = 1", 4 + 4),
    "a copy of a large dict": ("t = {}\nfor i in range(600):\n    t[i] = 0", "n = dict(t)", 3 + 300 + 600 * 4),
    "a long key": ("t = {}\nk = 'a' * 640", "n = t.get(k)", 4 + 10),
    "a short key": ("t = {}\nk = 'a' * 64", "n = t.get(k)", 4),
    "a call": ("", "n = small()", 2 + 2 + 2),
    "a call of a function of many variables": ("", "n = wide()", 2 + 2 + 2 + 2),
    "lists compared": ("t = [[1], [2]]", "n = t == t", 4 + 3 + 4),
}
"""What it is -> (what is prepared, a statement, its fuel)."""

HELPERS = (
    "def small():\n    return 1\n\ndef wide():\n    n = 1\n    if n == 2:\n"
    + "".join(f"        v{i} = 1\n" for i in range(130))
    + "    return 1\n\n"
)


def _fuel(statements: str) -> int:
    program = Program(parse_template(in_main(statements, HELPERS).encode()), {})
    return spent(program.call("main", None, [])[1])[0]


@pytest.mark.parametrize(("prepared", "statement", "fuel"), PRICES.values(), ids=PRICES.keys())
def test_what_a_step_costs(prepared: str, statement: str, fuel: int) -> None:
    before = prepared or "pass"
    extra = 6 if "wide" in statement else 0  # the two statements of its own: n = 1, and the head of the if
    assert _fuel(f"{before}\n{statement}") - _fuel(before) == fuel + extra
