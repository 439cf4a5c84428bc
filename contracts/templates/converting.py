"""Between values of the chain and values of the language: ids and hashes are hexadecimal text in templates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from chain_core.execution.arguments import AccountId, Integer, Kind, ListOf, Octets, Optional, Record
from chain_core.types.ids import ACCOUNT_ID_SIZE, NO_ACCOUNT
from chain_core.types.values import Value
from contracts.engine.refusals import Abort

Convert = Callable[[Any, int], Any]


def to_language(value: Value) -> Any:
    """A fresh value of the language: bytes become hexadecimal text."""
    kind = type(value)
    if kind is bytes:
        return value.hex()  # type: ignore[union-attr]
    if kind is list or kind is tuple:
        return [to_language(item) for item in value]  # type: ignore[union-attr]
    if kind is dict:
        return {key: to_language(item) for key, item in value.items()}  # type: ignore[union-attr]
    return value


def octets(value: Any, size: int, line: int) -> bytes:
    """Bytes of lower-case hexadecimal text of exactly that many bytes. Aborts with bad_argument."""
    if type(value) is str and len(value) == 2 * size:
        try:
            raw = bytes.fromhex(value)
        except ValueError:
            raise Abort("bad_argument", line) from None
        if raw.hex() == value:
            return raw
    raise Abort("bad_argument", line)


def converter(kind: Kind) -> Convert:
    """From a value of the language to one that ``kind`` admits. Aborts with bad_argument: what reaches the kernel has
    passed the same kinds as a caller's own arguments.
    """
    if isinstance(kind, Optional):
        return converter(kind.kind)
    if isinstance(kind, Integer):
        return _integer(kind.low, kind.high)
    if isinstance(kind, ListOf):
        each = converter(kind.item)
        return _admitted(kind, lambda value, line: [each(item, line) for item in _list(value, line)])
    if isinstance(kind, Record):
        fields = {name: converter(field) for name, field in kind.fields.items()}
        return _admitted(kind, lambda value, line: _record(fields, value, line))
    if isinstance(kind, AccountId):
        return _account
    if isinstance(kind, Octets):
        size = kind.low
        return _admitted(kind, lambda value, line: octets(value, size, line)) if kind.high >= 0 else _exactly(size)
    return _admitted(kind, lambda value, line: value)


def _integer(low: int, high: int) -> Convert:
    def run(value: Any, line: int) -> Any:
        if type(value) is int and low <= value <= high:
            return value
        raise Abort("bad_argument", line)

    return run


def _account(value: Any, line: int) -> bytes:
    made = octets(value, ACCOUNT_ID_SIZE, line)
    if made == NO_ACCOUNT:
        raise Abort("bad_argument", line)
    return made


def _exactly(size: int) -> Convert:
    return lambda value, line: octets(value, size, line)


def _admitted(kind: Kind, convert: Convert) -> Convert:
    admits = kind.admits

    def run(value: Any, line: int) -> Any:
        made = convert(value, line)
        if admits(made):
            return made
        raise Abort("bad_argument", line)

    return run


def _list(value: Any, line: int) -> list[Any]:
    if type(value) is not list:
        raise Abort("bad_argument", line)
    return value


def _record(fields: Mapping[str, Convert], value: Any, line: int) -> dict[str, Any]:
    if type(value) is not dict or not all(name in fields for name in value):
        raise Abort("bad_argument", line)
    return {name: fields[name](item, line) for name, item in value.items()}
