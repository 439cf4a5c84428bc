"""Whether every JSON value of one schema is one of another (the subset of docs/spec/service-registry.md §7).

Sound, not complete: what it takes for contained is contained; of what it does not, some may be.
A schema is held as the list of those that a value has to fit all at once (conjuncts).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from service_registry.schemas import validator_of

Found: TypeAlias = tuple[str, str]
"""(place, keyword) at which the one schema is not within the other."""

MAX_STEPS = 20_000
TYPES = frozenset(("object", "array", "string", "number", "boolean", "null"))
_LOWER = {"minLength": "string", "minItems": "array", "minimum": "number"}
_UPPER = {"maxLength": "string", "maxItems": "array", "maximum": "number"}
_PATTERN = re.compile(r"\^(\[[^\[\]]+\])(?:\{(\d+)(?:(,)(\d*))?\})?\$")


def outside(narrow: Any, wide: Any) -> list[Found]:
    """Where values of ``narrow`` may not be values of ``wide``; empty when each one is. Both are of the subset."""
    return list(_Comparison().within([narrow], wide, ""))


class _Comparison:
    def __init__(self) -> None:
        self._steps = 0

    def within(self, all_of: Sequence[Any], wide: Any, place: str) -> Iterator[Found]:
        self._steps += 1
        if self._steps > MAX_STEPS:
            yield place or "/", "(too involved to compare)"
            return
        if wide is True or any(one is False for one in all_of):
            return
        if wide is False:
            yield place or "/", "false"
            return
        conjuncts = [one for one in all_of if one is not True]
        if any(_plain(one) == _plain(wide) for one in conjuncts):
            return
        values = next((_values(one) for one in conjuncts if "enum" in one or "const" in one), None)
        if values is not None:
            self._steps += len(values)
            fit, fits_wide = [validator_of(one) for one in conjuncts], validator_of(wide)
            if not all(fits_wide.is_valid(v) for v in values if all(one.is_valid(v) for one in fit)):
                yield place or "/", "enum"
            return
        split = next((number for number, one in enumerate(conjuncts) if "anyOf" in one), None)
        if split is not None:
            yield from self._each_branch(conjuncts, split, wide, place)
            return
        types = _types(conjuncts)
        for keyword, content in wide.items():
            rule = _RULES.get(keyword)
            if rule is not None:
                yield from rule(self, conjuncts, types, wide, content, place)
            elif not _bounded(conjuncts, types, keyword, content):
                yield place or "/", keyword

    def _each_branch(self, conjuncts: list[Any], split: int, wide: Any, place: str) -> Iterator[Found]:
        rest = {key: content for key, content in conjuncts[split].items() if key != "anyOf"}
        others = [*conjuncts[:split], *conjuncts[split + 1 :], rest]
        for branch in conjuncts[split]["anyOf"]:
            yield from self.within([*others, branch], wide, place)

    def any_of(
        self, conjuncts: list[Any], types: frozenset[str], wide: Any, content: Any, place: str
    ) -> Iterator[Found]:
        if all(any(self.within(conjuncts, branch, place)) for branch in content):
            yield place or "/", "anyOf"

    def enum(self, conjuncts: list[Any], types: frozenset[str], wide: Any, content: Any, place: str) -> Iterator[Found]:
        if types:
            yield place or "/", "enum"

    def type(self, conjuncts: list[Any], types: frozenset[str], wide: Any, content: Any, place: str) -> Iterator[Found]:
        told = frozenset([content] if isinstance(content, str) else content)
        if not types <= told | ({"integer"} if "number" in told else set()):
            yield place or "/", "type"

    def required(
        self, conjuncts: list[Any], types: frozenset[str], wide: Any, content: Any, place: str
    ) -> Iterator[Found]:
        if "object" in types:
            there = {name for one in conjuncts for name in one.get("required", ())}
            for name in content:
                if name not in there:
                    yield f"{place}/{name}", "required"

    def properties(
        self, conjuncts: list[Any], types: frozenset[str], wide: Any, content: Any, place: str
    ) -> Iterator[Found]:
        if "object" in types:
            for name, schema in content.items():
                yield from self.within(_property(conjuncts, name), schema, f"{place}/{name}")

    def additional(
        self, conjuncts: list[Any], types: frozenset[str], wide: Any, content: Any, place: str
    ) -> Iterator[Found]:
        if "object" not in types:
            return
        named = {name for one in conjuncts for name in one.get("properties", {})}
        for name in sorted(named - wide.get("properties", {}).keys()):
            yield from self.within(_property(conjuncts, name), content, f"{place}/{name}")
        rest = [one["additionalProperties"] for one in conjuncts if "additionalProperties" in one]
        if any(self.within(rest, content, place)):
            yield place or "/", "additionalProperties"

    def items(
        self, conjuncts: list[Any], types: frozenset[str], wide: Any, content: Any, place: str
    ) -> Iterator[Found]:
        if "array" in types and not any(one.get("maxItems") == 0 for one in conjuncts):
            yield from self.within([one["items"] for one in conjuncts if "items" in one], content, f"{place}/items")

    def pattern(
        self, conjuncts: list[Any], types: frozenset[str], wide: Any, content: Any, place: str
    ) -> Iterator[Found]:
        if "string" in types and not any("pattern" in one and _fits(one["pattern"], content) for one in conjuncts):
            yield place or "/", "pattern"


_RULES: Mapping[str, Callable[[_Comparison, list[Any], frozenset[str], Any, Any, str], Iterator[Found]]] = {
    "anyOf": _Comparison.any_of,
    "enum": _Comparison.enum,
    "const": _Comparison.enum,
    "type": _Comparison.type,
    "required": _Comparison.required,
    "properties": _Comparison.properties,
    "additionalProperties": _Comparison.additional,
    "items": _Comparison.items,
    "pattern": _Comparison.pattern,
}


def _bounded(conjuncts: list[Any], types: frozenset[str], keyword: str, content: Any) -> bool:
    """Whether a bound follows from one at least as tight. Words about the schema bound nothing."""
    kind = _LOWER.get(keyword) or _UPPER.get(keyword)
    if kind is None or not types & ({"number", "integer"} if kind == "number" else {kind}):
        return True
    told = [one[keyword] for one in conjuncts if keyword in one]
    if keyword in _LOWER:
        return any(bound >= content for bound in told) or (kind != "number" and content <= 0)
    return any(bound <= content for bound in told)


def _types(conjuncts: list[Any]) -> frozenset[str]:
    """The types that values may have; ``integer`` stands for the integers when no other number may come."""
    found = TYPES
    for one in conjuncts:
        if "type" not in one:
            continue
        told = frozenset([one["type"]] if isinstance(one["type"], str) else one["type"])
        both = found & told
        if "integer" in told and "number" not in told and found & {"number", "integer"}:
            both |= {"integer"}
        if "number" in told and "integer" in found:
            both |= {"integer"}
        found = both
    return found


def _property(conjuncts: list[Any], name: str) -> list[Any]:
    """What bounds the property ``name``, if it is there."""
    found = []
    for one in conjuncts:
        if name in one.get("properties", {}):
            found.append(one["properties"][name])
        elif "additionalProperties" in one:
            found.append(one["additionalProperties"])
    return found


def _fits(pattern: str, wide: str) -> bool:
    """``^[class]{m,n}$`` within the same class of wider counts."""
    if pattern == wide:
        return True
    one, other = _PATTERN.fullmatch(pattern), _PATTERN.fullmatch(wide)
    if one is None or other is None or one[1] != other[1]:
        return False
    low, high = _counts(one)
    least, most = _counts(other)
    return least <= low and high <= most


def _counts(match: re.Match[str]) -> tuple[int, int]:
    low = int(match[2] or 1)
    return low, int(match[4]) if match[4] else low


def _values(schema: Mapping[str, Any]) -> list[Any]:
    return [schema["const"]] if "const" in schema else list(schema["enum"])


def _plain(schema: Any) -> str:
    """As text, in which 1 is not true, without the words that bound nothing."""
    if isinstance(schema, Mapping):
        schema = {key: content for key, content in schema.items() if key not in ("title", "description", "$schema")}
    return json.dumps(schema, sort_keys=True)
