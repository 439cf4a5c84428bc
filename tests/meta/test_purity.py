"""Pure packages take time and randomness as input: no import and no built-in call brings them in."""

import ast
from pathlib import Path

import pytest

from tests.meta.sources import PURE, ROOT, modules

FORBIDDEN_MODULES = frozenset(
    [
        "asyncio",
        "concurrent",
        "ctypes",
        "grpc",
        "importlib",
        "io",
        "logging",
        "multiprocessing",
        "os",
        "pathlib",
        "plyvel",
        "random",
        "secrets",
        "shutil",
        "signal",
        "socket",
        "subprocess",
        "sys",
        "tempfile",
        "threading",
        "time",
        "uuid",
    ]
)
FORBIDDEN_CALLS = frozenset(
    ["__import__", "breakpoint", "compile", "eval", "exec", "hash", "id", "input", "open", "print"]
)
CLOCK_METHODS = {"now", "today", "utcnow"}


def impurities(source: str) -> list[str]:
    """Return 'line: what' for each thing in ``source`` that a pure module may not do, at any depth."""
    found: list[tuple[int, str]] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names if _top(alias.name) in FORBIDDEN_MODULES]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and _top(node.module or "") in FORBIDDEN_MODULES:
            found.append((node.lineno, str(node.module)))
        elif isinstance(node, ast.Call):
            match node.func:
                case ast.Name(id=name) if name in FORBIDDEN_CALLS:
                    found.append((node.lineno, f"{name}()"))
                case ast.Attribute(value=ast.Name(id="date" | "datetime"), attr=name) if name in CLOCK_METHODS:
                    found.append((node.lineno, f"{name}()"))
    return [f"{line}: {what}" for line, what in sorted(found)]


def _top(name: str) -> str:
    return name.partition(".")[0]


@pytest.mark.parametrize("path", modules(*PURE), ids=lambda path: str(path.relative_to(ROOT)))
def test_pure_module(path: Path) -> None:
    assert impurities(path.read_text("utf-8")) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import time", ["1: time"]),
        ("def f():\n    import os.path", ["2: os.path"]),
        ("class C:\n    def m(self):\n        from random import choice", ["3: random"]),
        ("__import__('time')", ["1: __import__()"]),
        ("import importlib", ["1: importlib"]),
        ("print(hash(key))", ["1: hash()", "1: print()"]),
        ("day = datetime.now(UTC)", ["1: now()"]),
        ("from chain_core.types import time", []),
        ("from . import random", []),
        ("def f(now): return now", []),
    ],
)
def test_the_judge_sees(source: str, found: list[str]) -> None:
    assert impurities(source) == found
