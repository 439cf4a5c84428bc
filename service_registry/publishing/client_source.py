"""A typed Python client of an interface, as source text (docs/spec/publishing.md §3)."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from service_registry.definition import PROTOBUF, Definition
from service_registry.messages import message_type
from service_registry.schemas import read_json

_PLAIN = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
_TEXTS = frozenset((FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_UINT64))
_NUMBERS = frozenset((FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_UINT32))
_FLOATS = frozenset((FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT))


class _Types:
    """The TypedDict classes of an interface, each name once."""

    def __init__(self) -> None:
        self.blocks: list[str] = []
        self._messages: dict[str, str] = {}
        self._names: set[str] = set()

    def _name(self, wanted: str) -> str:
        name, number = wanted, 2
        while name in self._names:
            name, number = f"{wanted}{number}", number + 1
        self._names.add(name)
        return name

    def _define(self, name: str, fields: Mapping[str, tuple[str, bool]]) -> None:
        """``fields``: type, and whether it is always there."""
        rows = [
            f"        {field!r}: {kind if there else f'NotRequired[{kind}]'},"
            for field, (kind, there) in fields.items()
        ]
        self.blocks.append("\n".join([f"{name} = TypedDict(", f"    {name!r},", "    {", *rows, "    },", ")"]))

    def of_schema(self, schema: Any, name: str) -> str:
        """The type of a JSON schema's values."""
        if not isinstance(schema, Mapping):
            return "Any"
        if "const" in schema or "enum" in schema:
            values = [schema["const"]] if "const" in schema else schema["enum"]
            fitting = all(value is None or isinstance(value, (str, int)) for value in values)
            return f"Literal[{', '.join(map(repr, values))}]" if fitting else "Any"
        if "anyOf" in schema:
            return " | ".join(dict.fromkeys(self.of_schema(one, name) for one in schema["anyOf"]))
        told = schema.get("type")
        kinds = told if isinstance(told, list) else [told]
        return " | ".join(dict.fromkeys(self._of_type(kind, schema, name) for kind in kinds))

    def _of_type(self, kind: Any, schema: Mapping[str, Any], name: str) -> str:
        if kind == "array":
            return f"list[{self.of_schema(schema.get('items'), name + 'Item')}]"
        if kind != "object":
            return _PLAIN.get(kind, "Any")
        if "properties" not in schema:
            return "dict[str, Any]"
        own, required = self._name(name), schema.get("required", [])
        self._define(
            own,
            {
                field: (self.of_schema(inner, own + class_name(field)), field in required)
                for field, inner in schema["properties"].items()
            },
        )
        return own

    def of_message(self, message: Descriptor, name: str) -> str:
        """The type of a message's JSON: what is not set is left out, 64-bit integers are texts."""
        if message.full_name.startswith("google.protobuf."):
            return "Any"
        if message.full_name not in self._messages:
            own = self._messages[message.full_name] = self._name(name)
            self._define(own, {field.name: (self._of_field(field), False) for field in message.fields})
        return repr(self._messages[message.full_name])

    def _of_field(self, field: FieldDescriptor) -> str:
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            return f"dict[str, {self._of_field(field.message_type.fields_by_name['value'])}]"
        one = self._of_one(field)
        return f"list[{one}]" if field.is_repeated else one

    def _of_one(self, field: FieldDescriptor) -> str:
        if field.message_type is not None:
            return self.of_message(field.message_type, field.message_type.name)
        if field.enum_type is not None:
            return f"Literal[{', '.join(repr(value.name) for value in field.enum_type.values)}]"
        if field.cpp_type in _NUMBERS:
            return "int"
        if field.cpp_type in _FLOATS:
            return "float"
        return "bool" if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL else "str"


def client_source(definition: Definition, service: str) -> str:
    """Source of a module with ``Request``, ``Response`` and a class ``Client``; ``service`` is the id, or empty."""
    types = _Types()
    aliases = []
    for side, told in (("Request", definition.request_schema), ("Response", definition.response_schema)):
        if definition.kind == PROTOBUF:
            kind = types.of_message(message_type(definition.descriptor, told), f"{side}Message").strip("'")
        else:
            kind = types.of_schema(read_json(told.encode("utf-8")), f"{side}Message")
        aliases.append(f"{side}: TypeAlias = {kind!r}")
    default = f" = {service!r}" if service else ""
    head = f"Client of the service {definition.name}, made from definition {definition.hash.hex()}."
    return _TEMPLATE.format(
        head=head.replace("\\", " ").replace('"', "'").replace("\n", " "),
        types="\n\n".join([*types.blocks, "\n".join(aliases)]),
        default=default,
    )


def class_name(text: str) -> str:
    """``price-index`` as ``PriceIndex``; ``Field`` where nothing is left."""
    found = "".join(part[:1].upper() + part[1:] for part in re.split(r"[^A-Za-z0-9]+", text))
    return found if found.isidentifier() and not keyword.iskeyword(found) else f"Field{found}"


_TEMPLATE = '''"""{head}

Do not edit: `dualchain registry generate-client` writes it.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NotRequired, TypeAlias, TypedDict, cast

from service_registry import client

{types}


class Client:
    """Calls the service as whoever ``config`` names; each answer is verified completely, or refused."""

    def __init__(self, config: Path | str, service: str{default}) -> None:
        self._client, self._service = client.Client(config), service

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def call(self, request: Request) -> Response:
        """The answer. Raises ServiceAnsweredError for a typed error, the gateway's refusals by their codes."""
        return cast(Response, self._client.call(self._service, request))
'''
