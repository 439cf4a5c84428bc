"""Answers of the node interface as messages and as JSON values: one content, by the messages' descriptors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message

M = TypeVar("M", bound=Message)


def to_message(kind: type[M], answer: Mapping[str, Any]) -> M:
    """The message with this content; members that are null stay unset. A member it does not know is a defect."""
    return ParseDict(dict(answer), kind())


def to_json(message: Message) -> dict[str, Any]:
    """Every member, in the order of declaration: integers as integers, what is optional and unset as null."""
    found: dict[str, Any] = {}
    for field in message.DESCRIPTOR.fields:
        value = getattr(message, field.name)
        if field.is_repeated:
            found[field.name] = [to_json(one) if field.message_type else one for one in value]
        elif field.message_type:
            found[field.name] = to_json(value) if message.HasField(field.name) else None
        elif field.has_presence and not message.HasField(field.name):
            found[field.name] = None
        else:
            found[field.name] = value
    return found
