"""Descriptor sets as protoc writes them, made without it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet

Field = tuple[int, str]
"""(number, type): a scalar's name, a message's or enum's name, or ``repeated`` before either."""


def descriptor_set(
    messages: Mapping[str, Mapping[str, Field]],
    enums: Mapping[str, Sequence[str]] | None = None,
    *,
    syntax: str = "proto3",
    required: frozenset[str] = frozenset(),
    oneof: frozenset[str] = frozenset(),
) -> bytes:
    """A set of one file of package ``p``. ``oneof``: the fields that share one."""
    files = FileDescriptorSet()
    file = files.file.add(name="p.proto", package="p", syntax=syntax)
    for name, values in (enums or {}).items():
        enum = EnumDescriptorProto(name=name)
        for number, value in enumerate(values):
            enum.value.add(name=value, number=number)
        file.enum_type.append(enum)
    for name, fields in messages.items():
        message = DescriptorProto(name=name)
        if oneof & fields.keys():
            message.oneof_decl.add(name="choice")
        for field, (number, told) in fields.items():
            repeated, kind = told.startswith("repeated "), told.removeprefix("repeated ")
            made = message.field.add(name=field, number=number)
            made.label = FieldDescriptorProto.LABEL_REPEATED if repeated else FieldDescriptorProto.LABEL_OPTIONAL
            if field in required:
                made.label = FieldDescriptorProto.LABEL_REQUIRED
            if field in oneof:
                made.oneof_index = 0
            if kind in messages:
                made.type, made.type_name = FieldDescriptorProto.TYPE_MESSAGE, f".p.{kind}"
            elif kind in (enums or {}):
                made.type, made.type_name = FieldDescriptorProto.TYPE_ENUM, f".p.{kind}"
            else:
                made.type = getattr(FieldDescriptorProto, f"TYPE_{kind.upper()}")
        file.message_type.append(message)
    return files.SerializeToString(deterministic=True)
