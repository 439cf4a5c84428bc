"""What a forger changes in a demonstration's evidence: a file, and its new text."""

from __future__ import annotations

import json
from collections.abc import Callable


def _digit(text: str, field: str, place: int = -3) -> str:
    """One hexadecimal digit of a field changed, in the middle line that has the field."""
    lines = text.splitlines()
    number = len(lines) // 2
    row = json.loads(lines[number])
    digits = list(row[field])
    digits[place] = "0" if digits[place] != "0" else "1"
    row[field] = "".join(digits)
    lines[number] = json.dumps(row, ensure_ascii=False, sort_keys=True)
    return "\n".join(lines) + "\n"


def _another_quantity(text: str) -> str:
    lines = text.splitlines()
    cells = lines[1].split(",")
    cells[-2] = str(int(cells[-2]) + 1)
    return "\n".join([lines[0], ",".join(cells), *lines[2:]]) + "\n"


def _without_last(text: str, word: str) -> str:
    """Without the last line that has the word."""
    lines = text.splitlines(True)
    place = max(number for number, line in enumerate(lines) if word in line)
    return "".join([*lines[:place], *lines[place + 1 :]])


FORGERIES: list[tuple[str, Callable[[str], str]]] = [
    ("headers/BJ.jsonl", lambda text: _digit(text, "header", 700)),
    ("headers/supervisory.jsonl", lambda text: _digit(text, "certificate")),
    ("receipts/BJ.jsonl", lambda text: _digit(text, "receipt")),
    ("receipts/JS.jsonl", lambda text: _digit(text, "envelope")),
    ("receipts/JS.jsonl", lambda text: _digit(text, "proof")),
    ("state/BJ.jsonl", lambda text: _digit(text, "value")),
    ("state/supervisory.jsonl", lambda text: _digit(text, "proof")),
    ("packets/JS.jsonl", lambda text: _digit(text, "packet")),
    ("inputs/roll.csv", _another_quantity),
    ("inputs/orders.csv", _another_quantity),
    ("receipts/BJ.jsonl", lambda text: text.replace("BJ-ORD-0001 accepted", "BJ-ORD-0002 accepted", 1)),
    ("receipts/supervisory.jsonl", lambda text: text.replace("forged vote", "forged header", 1)),
    ("receipts/supervisory.jsonl", lambda text: text + text.splitlines()[-1] + "\n"),
    ("receipts/JS.jsonl", lambda text: "".join(text.splitlines(True)[1:])),
    ("inputs/calendar.csv", lambda text: "".join(text.splitlines(True)[:-1])),
    ("summary.json", lambda text: text.replace('"format": 1', '"format": true')),
    ("summary.json", lambda text: text.replace("forged vote", "forged header")),
    ("summary.json", lambda text: text.replace('"orders_settled": 1', '"orders_settled": 2')),
    ("receipts/BJ.jsonl", lambda text: _without_last(text, "-ORD-")),
    ("state/BJ.jsonl", lambda text: "\n".join(text.splitlines()[:-1]) + "\n"),
    ("headers/JS.jsonl", lambda text: ""),
    ("state/JS.jsonl", lambda text: "[]\n"),
]
