"""Inputs that are kept: a small corpus for each harness, and every input that once was a find.

Text, one input a line: ``corpus/HARNESS.txt`` has target and base64; ``cases.txt`` target, hexadecimal, what it broke.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from pathlib import Path

HERE = Path(__file__).parent
CORPUS, CASES = HERE / "corpus", HERE / "cases.txt"
MAX_CORPUS_BYTES = 200_000
"""Of all corpus files together."""
MAX_HARNESS_BYTES = 10_500
"""Of one of them."""

Input = tuple[str, bytes]
"""Target and data."""


def corpus(harness: str) -> list[Input]:
    """The kept inputs of a harness."""
    path = CORPUS / f"{harness}.txt"
    return [(name, base64.b64decode(text)) for name, text in _lines(path)] if path.exists() else []


def write_corpus(harness: str, inputs: Iterable[Input]) -> int:
    """Keeps the smallest of the inputs, as many as fit; how many."""
    lines: list[str] = []
    room = MAX_HARNESS_BYTES
    for name, data in sorted(set(inputs), key=lambda one: (len(one[1]), one)):
        line = f"{name} {base64.b64encode(data).decode()}\n"
        room -= len(line)
        if room < 0:
            break
        if data:
            lines.append(line)
    CORPUS.mkdir(exist_ok=True)
    (CORPUS / f"{harness}.txt").write_text("".join(sorted(lines)), "ascii")
    return len(lines)


def cases() -> list[Input]:
    """The inputs that once were finds."""
    return [(name, bytes.fromhex(text)) for name, text in _lines(CASES)] if CASES.exists() else []


def add_case(name: str, data: bytes, what: str) -> None:
    """Keeps a find, once."""
    if (name, data) not in cases() and data:
        with CASES.open("a", encoding="utf-8") as file:
            file.write(f"{name} {data.hex()} {' '.join(what.split())[:160]}\n")


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    for line in path.read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            name, text, *_ = line.split(" ", 2)
            yield name, text
