"""What a version's requests and responses look like, of either kind: bytes to values and back, or a typed refusal
(docs/spec/service-registry.md §1, §7).

Values are what JSON can say; a typed error (code SERVICE_ERROR) is JSON in both kinds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from google.protobuf.descriptor import Descriptor

from service_registry import schemas
from service_registry.definition import PROTOBUF, Definition
from service_registry.messages import message_type, read_message, write_message


class Side(Protocol):
    """Requests, or responses, of one version."""

    def read(self, data: bytes) -> Any:
        """The value. Raises MalformedBytes, NotOfSchema."""
        ...

    def write(self, value: Any) -> bytes:
        """Its bytes. Raises NotOfSchema."""
        ...


@dataclass(frozen=True, slots=True)
class JsonSide:
    """JSON of a schema."""

    schema: str

    def read(self, data: bytes) -> Any:
        value = schemas.read_json(data)
        schemas.check(self.schema, value)
        return value

    def write(self, value: Any) -> bytes:
        schemas.check(self.schema, value)
        return schemas.write_json(value)


@dataclass(frozen=True, slots=True)
class MessageSide:
    """A protobuf message."""

    kind: Descriptor

    def read(self, data: bytes) -> Any:
        return read_message(self.kind, data)

    def write(self, value: Any) -> bytes:
        return write_message(self.kind, value)


ERROR: Side = JsonSide(schemas.ERROR_SCHEMA)
"""Typed errors, of services of either kind."""


def requests(definition: Definition) -> Side:
    """The version's requests. Raises BadSchema."""
    return _side(definition, definition.request_schema)


def responses(definition: Definition) -> Side:
    """The version's responses with code OK. Raises BadSchema."""
    return _side(definition, definition.response_schema)


def _side(definition: Definition, schema: str) -> Side:
    if definition.kind == PROTOBUF:
        return MessageSide(message_type(definition.descriptor, schema))
    schemas.validator(schema)
    return JsonSide(schema)
