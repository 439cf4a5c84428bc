"""JSON as services exchange it, and the schemas that definitions publish (docs/spec/service-registry.md §7).

Publisher and consumer are strangers to the gateway that checks the one's request against the other's schema, so a
schema is of a subset in which nothing is fetched, nothing recurses and no pattern runs for ever.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NoReturn

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from chain_core.types.errors import DualchainError, MalformedBytes

MAX_DEPTH = 32
_NAMES = "$schema type title description required enum const minItems maxItems minLength maxLength minimum maximum"
_PLAIN = frozenset(_NAMES.split(" "))
_PATTERN = re.compile(r"\^\[[^\[\]]+\](?:\{\d{1,5}(?:,\d{1,5})?\})?\$")
_MAX_SHOWN = 200

ERROR_SCHEMA = json.dumps(
    {
        "type": "object",
        "required": ["error"],
        "additionalProperties": False,
        "properties": {
            "error": {
                "type": "object",
                "required": ["code", "what"],
                "additionalProperties": False,
                "properties": {"code": {"type": "string", "maxLength": 64}, "what": {"type": "string"}},
            }
        },
    }
)
"""Schema of a typed error: what every service answers with code SERVICE_ERROR."""


class BadSchema(DualchainError):
    """A definition's schema that the gateway does not take."""

    code = "BAD_SCHEMA"


class NotOfSchema(DualchainError):
    """JSON that does not fit its schema; ``where`` is the place in it."""

    code = "NOT_OF_SCHEMA"


def read_json(data: bytes) -> Any:
    """The value. Raises MalformedBytes for anything but JSON in UTF-8, doubled keys, NaN, halves of surrogate pairs and
    deep nesting.
    """
    try:
        text = data.decode("utf-8")
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_constant, parse_float=_finite)
        if "\\u" in text:  # only an escape can name half a pair, which no UTF-8 has
            write_json(value)
    except (ValueError, RecursionError) as error:
        raise MalformedBytes(f"not JSON: {error}", where="JSON", next_step="send JSON in UTF-8") from error
    if not _depth_within(value, MAX_DEPTH):
        raise MalformedBytes(f"JSON nested deeper than {MAX_DEPTH}", where="JSON", next_step="send it flatter")
    return value


def write_json(value: Any) -> bytes:
    """Compact UTF-8."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def check(schema: str, value: Any) -> None:
    """Raises BadSchema, or NotOfSchema that names the first place that does not fit."""
    for error in validator(schema).iter_errors(value):
        raise NotOfSchema(
            error.message[:_MAX_SHOWN],
            where="/".join(str(part) for part in error.absolute_path)[:_MAX_SHOWN] or "JSON",
            next_step="see the service's definition: dualchain registry show",
        )


@lru_cache(maxsize=256)
def validator(schema: str) -> Draft202012Validator:
    """The schema, when it is one of the subset; remembered by its text. Raises BadSchema."""
    try:
        parsed = read_json(schema.encode("utf-8"))
        strict = _of_subset(parsed, "schema")
        Draft202012Validator.check_schema(parsed)
    except MalformedBytes as error:
        raise BadSchema(error.what, where="schema", next_step="mend the definition's interface") from error
    except SchemaError as error:
        raise BadSchema(error.message[:_MAX_SHOWN], where="schema", next_step="mend the interface") from error
    return Draft202012Validator(strict)


def validator_of(schema: Any) -> Draft202012Validator:
    """The validator of a schema of the subset, or of a part of one. Raises BadSchema."""
    return Draft202012Validator(_of_subset(schema, "schema"))


def _of_subset(schema: Any, where: str) -> Any:
    """The schema again, its patterns anchored at the very end: Python's ``$`` lets a line break pass behind it."""
    if isinstance(schema, bool):
        return schema
    if not isinstance(schema, Mapping):
        _refuse("a schema is an object or a boolean", where)
    return {keyword: _keyword(keyword, content, f"{where}/{keyword}") for keyword, content in schema.items()}


def _keyword(keyword: str, content: Any, place: str) -> Any:
    if keyword == "properties" and isinstance(content, Mapping):
        return {name: _of_subset(inner, f"{place}/{name}") for name, inner in content.items()}
    if keyword in ("items", "additionalProperties"):
        return _of_subset(content, place)
    if keyword == "anyOf" and isinstance(content, list):
        return [_of_subset(inner, f"{place}/{number}") for number, inner in enumerate(content)]
    if keyword == "pattern":
        if not isinstance(content, str) or not _PATTERN.fullmatch(content):
            _refuse("a pattern has the form ^[class]{m,n}$", place)
        return content[:-1] + r"\Z"
    if keyword not in _PLAIN:
        _refuse("not a keyword that registered services may use", place)
    return content


def _refuse(what: str, where: str) -> NoReturn:
    raise BadSchema(what, where=where[:_MAX_SHOWN], next_step="see docs/spec/service-registry.md §7")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text} is too large a number")
    return value


def _depth_within(value: Any, levels: int) -> bool:
    if not isinstance(value, (list, dict)):
        return True
    inner = value.values() if isinstance(value, dict) else value
    return levels > 0 and all(_depth_within(item, levels - 1) for item in inner)
