"""The types of parameters and arguments, as a template's ``TEMPLATE`` writes them (docs/spec/templates.md §2.2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from chain_core.execution.arguments import (
    ACCOUNT,
    HASH,
    MAX_INTEGER,
    Boolean,
    Choice,
    Integer,
    Kind,
    ListOf,
    Octets,
    Optional,
    Record,
    Text,
)
from chain_core.types.ids import ACCOUNT_ID_SIZE
from contracts.engine.refusals import refuse
from contracts.kernel.calendar import MAX_DAY
from contracts.kernel.records import MAX_QUANTITY, MAX_ROWS

_MAX_TEXT = 4_096
_MAX_LEVELS = 3
Declared = Mapping[str, Any]


def kind_of(declared: Any, where: str, levels: int = _MAX_LEVELS) -> Kind:
    """The kind that a declaration {"type": ..., ...} stands for. Raises ``TemplateRefused``."""
    named = declared.get("type") if isinstance(declared, dict) else None
    if not isinstance(named, str) or named not in _KINDS:
        refuse("bad_declaration", 0, f"{where} has no type of {', '.join(_KINDS)}")
    if levels == 0:
        refuse("bad_declaration", 0, f"{where} is nested deeper than {_MAX_LEVELS} levels")
    allowed, make = _KINDS[named]
    unknown = set(declared) - {"type", "note", "optional", *allowed}
    if unknown:
        refuse("bad_declaration", 0, f"{where} says {min(map(str, unknown))}, which a {named} has not")
    kind = make(declared, where, levels)
    return Optional(kind) if declared.get("optional") is True else kind


def _number(declared: Declared, name: str, default: int, low: int, high: int, where: str) -> int:
    value = declared.get(name, default)
    if type(value) is not int or not low <= value <= high:
        refuse("bad_declaration", 0, f"{where}: {name} is an integer in {low}..{high}")
    return value


def _integer(declared: Declared, where: str, levels: int) -> Kind:
    low = _number(declared, "min", 0, -MAX_INTEGER, MAX_INTEGER, where)
    return Integer(low, _number(declared, "max", MAX_INTEGER, low, MAX_INTEGER, where))


def _quantity(declared: Declared, where: str, levels: int) -> Kind:
    low = _number(declared, "min", 1, 0, MAX_QUANTITY, where)
    return Integer(low, _number(declared, "max", MAX_QUANTITY, low, MAX_QUANTITY, where))


def _text(declared: Declared, where: str, levels: int) -> Kind:
    low = _number(declared, "min", 1, 0, _MAX_TEXT, where)
    return Text(_number(declared, "max", 64, max(low, 1), _MAX_TEXT, where), low)


def _choice(declared: Declared, where: str, levels: int) -> Kind:
    texts = declared.get("of")
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        refuse("bad_declaration", 0, f"{where}: of is a list of texts")
    return Choice(frozenset(texts))


def _list(declared: Declared, where: str, levels: int) -> Kind:
    item = kind_of(declared.get("of"), f"{where}.of", levels - 1)
    low = _number(declared, "min", 0, 0, MAX_ROWS, where)
    high = _number(declared, "max", MAX_ROWS, max(low, 1), MAX_ROWS, where)
    return ListOf(item, high, low, declared.get("distinct") is True)


def _record(declared: Declared, where: str, levels: int) -> Kind:
    fields = declared.get("fields")
    if not isinstance(fields, dict) or not fields:
        refuse("bad_declaration", 0, f"{where}: fields is a map of declarations")
    return Record({name: kind_of(field, f"{where}.{name}", levels - 1) for name, field in fields.items()})


_KINDS: dict[str, tuple[tuple[str, ...], Callable[[Declared, str, int], Kind]]] = {
    "account": ((), lambda declared, where, levels: ACCOUNT),
    "id": ((), lambda declared, where, levels: Octets(ACCOUNT_ID_SIZE)),
    "hash": ((), lambda declared, where, levels: HASH),
    "quantity": (("min", "max"), _quantity),
    "integer": (("min", "max"), _integer),
    "day": ((), lambda declared, where, levels: Integer(0, MAX_DAY)),
    "time": ((), lambda declared, where, levels: Integer()),
    "boolean": ((), lambda declared, where, levels: Boolean()),
    "text": (("min", "max"), _text),
    "choice": (("of",), _choice),
    "list": (("of", "min", "max", "distinct"), _list),
    "record": (("fields",), _record),
}
