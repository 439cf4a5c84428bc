"""Whether a new version of a service breaks its consumers (docs/spec/service-registry.md §3; guideline art. 13, 14).

Requests: all that were valid are valid. Responses: all that may come were valid before. Pure, and on the safe side:
what cannot be told is a break.
"""

from __future__ import annotations

from service_registry import schema_order
from service_registry.bodies import MAX_BREAK_BYTES, MAX_BREAKS
from service_registry.definition import PROTOBUF, Definition
from service_registry.message_order import changed_fields
from service_registry.messages import message_type
from service_registry.schemas import read_json


def breaks(old: Definition, new: Definition) -> tuple[str, ...]:
    """What a consumer of ``old`` would trip over in ``new``, at most 16 texts of 256 bytes; none when compatible.

    Both interfaces have been found good. Raises BadSchema, MalformedBytes otherwise.
    """
    found = []
    if old.kind != new.kind:
        found.append(f"interface: {new.kind} instead of {old.kind}")
    elif old.kind == PROTOBUF:
        for side, before, now in _sides(old, new):
            one, other = message_type(old.descriptor, before), message_type(new.descriptor, now)
            found += [f"{side} {told}" for told in changed_fields(one, other, answered=side == "response")]
    else:
        for side, before, now in _sides(old, new):
            one, other = read_json(before.encode("utf-8")), read_json(now.encode("utf-8"))
            narrow, wide = (one, other) if side == "request" else (other, one)
            change = "allows less than before" if side == "request" else "allows more than before"
            found += [f"{side} {place}: {keyword} {change}" for place, keyword in schema_order.outside(narrow, wide)]
    if old.streaming != new.streaming:
        found.append("streaming: answers come otherwise than before")
    if old.proof != new.proof:
        found.append(f"proof: {new.proof} instead of {old.proof}")
    return tuple(clip(text, MAX_BREAK_BYTES) for text in found[:MAX_BREAKS])


def clip(text: str, size: int) -> str:
    """As much of the text as ``size`` bytes hold."""
    return text.encode("utf-8")[:size].decode("utf-8", "ignore")


def _sides(old: Definition, new: Definition) -> tuple[tuple[str, str, str], ...]:
    return (
        ("request", old.request_schema, new.request_schema),
        ("response", old.response_schema, new.response_schema),
    )
