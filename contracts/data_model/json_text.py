"""JSON as it comes from outside, and RFC 8785 canonical JSON as it goes out (docs/spec/data-objects.md §3).

Numbers are doubles in RFC 8785. Integers beyond 2^53 and decimals that no double carries are refused in both
directions: they travel as strings.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NoReturn

import rfc8785

from contracts.data_model.faults import refuse

Json = dict[str, Any]

MAX_BYTES = 8_000_000
"""A snapshot's; a block of JR/T 0314 §6.1 has at most 16 MB."""
MAX_SAFE = (1 << 53) - 1


def parse(raw: bytes) -> Json:
    """The one object in ``raw``. Raises SnapshotRefused: no UTF-8, no JSON, a member twice, a number no double is."""
    if len(raw) > MAX_BYTES:
        raise refuse("", "size", f"{len(raw)} bytes, a snapshot has at most {MAX_BYTES}")
    try:
        found = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_object,
            parse_float=_number,
            parse_int=_integer,
            parse_constant=_constant,
        )
    except (ValueError, RecursionError) as error:
        raise refuse("", "json", f"no JSON text in UTF-8: {error}") from error
    if not isinstance(found, dict):
        raise refuse("", "type", "the text is no JSON object")
    return found


_encode = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), check_circular=False).encode


def canonical(value: object) -> bytes:
    """RFC 8785 bytes. Raises SnapshotRefused for what has none. Names are strings.

    Where there are no floats, no integers beyond 2^53 and no characters beyond 2^16, the standard library's text is the
    same, ten times as fast; the text itself shows whether there are.
    """
    try:
        if type(value) is dict or type(value) is list:
            text = _encode(value)
            if _UNSURE.search(text) is None and (text.isascii() or len(text.encode("utf-16-le")) == 2 * len(text)):
                return text.encode("utf-8")
        return rfc8785.dumps(value)  # type: ignore[arg-type]
    except (rfc8785.CanonicalizationError, RecursionError, UnicodeEncodeError) as error:
        raise refuse("", "canonical", str(error)) from error


_UNSURE = re.compile(r"[:\[,]-?(?:[0-9]+[.eE]|[0-9]{16}|[IN])")
"""A float, or an integer of 16 digits, or something in a string that looks like one: let the library decide."""


def _object(pairs: list[tuple[str, Any]]) -> Json:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise refuse("", "duplicate", "a member stands twice in an object")
    return found


def _number(text: str) -> float:
    if len(text) > 64:
        raise refuse("", "number", "a number of more than 64 characters")
    value = float(text)
    if Decimal(text) != Decimal(repr(value)):
        raise refuse("", "number", f"{text} is not what a double carries: write it as a string")
    return value


def _integer(text: str) -> int:
    value = int(text) if len(text) <= 17 else MAX_SAFE + 1
    if abs(value) > MAX_SAFE:
        raise refuse("", "number", f"{text[:40]} is beyond 2^53: write it as a string")
    return value


def _constant(text: str) -> NoReturn:
    raise refuse("", "number", f"{text} is no JSON number")


def scaled(units: int, decimals: int) -> int | str:
    """``units`` of 10^-``decimals`` as a JSON value: a whole number where it is one a double carries, else a string."""
    whole, rest = divmod(abs(units), int(10**decimals))
    if not rest and whole <= MAX_SAFE:
        return whole if units >= 0 else -whole
    text = f"{whole}.{rest:0{decimals}d}".rstrip("0") if rest else str(whole)
    return text if units >= 0 else f"-{text}"


def decimal_of(value: int | float | str) -> Decimal:
    """An amount in a body as a decimal, however it is written."""
    return Decimal(repr(value) if isinstance(value, float) else value)


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7396: objects merge, null removes, everything else replaces. Neither argument changes."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        elif type(value) is dict:
            merged[name] = merge_patch(merged.get(name), value)
        else:
            merged[name] = value
    return merged


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> Json:
    """The merge patch that makes ``after`` of ``before``; neither holds a null."""
    patch: Json = {name: None for name in before if name not in after}
    for name, value in after.items():
        old = before.get(name)
        if isinstance(old, dict) and isinstance(value, dict):
            deeper = difference(old, value)
            if deeper:
                patch[name] = deeper
        elif name not in before or old != value or type(old) is not type(value):
            patch[name] = value
    return patch


def without_nulls(value: Any) -> Any:
    """Members that are null in a full body are left out (digest of JR/T 0314 §3.1)."""
    if isinstance(value, dict):
        return {name: without_nulls(inner) for name, inner in value.items() if inner is not None}
    if isinstance(value, list | tuple):
        return [without_nulls(inner) for inner in value]
    return value
