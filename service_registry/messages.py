"""Protobuf interfaces: the messages of a registered FileDescriptorSet (docs/spec/service-registry.md §7).

Publisher and consumer are strangers to the gateway, so each set has a pool of its own, must bring all that it imports,
and a message with fields that its type does not have is refused.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError, EncodeError, Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.unknown_fields import UnknownFieldSet

from chain_core.types.errors import MalformedBytes
from service_registry.schemas import BadSchema, NotOfSchema

MAX_FILES = 64
_MAX_SHOWN = 200
_BUILD = "protoc --include_imports --descriptor_set_out=FILE"


@lru_cache(maxsize=256)
def message_type(descriptor: bytes, name: str) -> Descriptor:
    """The message ``name`` of a FileDescriptorSet; remembered. Raises BadSchema."""
    files = FileDescriptorSet()
    try:
        files.ParseFromString(descriptor)
    except DecodeError as error:
        raise BadSchema("not a FileDescriptorSet", where="descriptor", next_step=f"make it by {_BUILD}") from error
    if not 0 < len(files.file) <= MAX_FILES:
        raise BadSchema(f"{len(files.file)} files, not 1 to {MAX_FILES}", where="descriptor", next_step="split it")
    pool = DescriptorPool()
    try:
        for file in files.file:
            pool.AddSerializedFile(file.SerializeToString())
        return pool.FindMessageTypeByName(name)
    except KeyError as error:
        raise BadSchema(
            "no such message in the descriptor", where=name, next_step="name one with its package"
        ) from error
    except (TypeError, ValueError) as error:
        where = "descriptor"
        raise BadSchema(str(error)[:_MAX_SHOWN], where=where, next_step=f"make it by {_BUILD}") from error


def read_message(found: Descriptor, data: bytes) -> Any:
    """The message as a JSON value, fields by their names in the file. Raises MalformedBytes, NotOfSchema."""
    message = GetMessageClass(found)()
    try:
        message.ParseFromString(data)
    except DecodeError as error:
        raise MalformedBytes(
            f"not a {found.full_name}", where="message", next_step="send it as the interface has it"
        ) from error
    place = _unknown(message, found.name)
    if place is not None:
        raise NotOfSchema("fields that the message does not have", where=place, next_step="send what the interface has")
    try:
        return json_format.MessageToDict(message, preserving_proto_field_name=True)
    except (TypeError, ValueError, RecursionError) as error:
        raise NotOfSchema(str(error)[:_MAX_SHOWN], where=found.full_name, next_step="send another value") from error


def write_message(found: Descriptor, value: Any) -> bytes:
    """The bytes of a JSON value. Raises NotOfSchema."""
    if not isinstance(value, dict):
        raise NotOfSchema("a message is an object", where=found.full_name, next_step="mend the value")
    message = GetMessageClass(found)()
    try:
        json_format.ParseDict(value, message, descriptor_pool=found.file.pool)
        return message.SerializeToString(deterministic=True)
    except (json_format.ParseError, EncodeError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise NotOfSchema(str(error)[:_MAX_SHOWN], where=found.full_name, next_step="mend the value") from error


def _unknown(message: Message, where: str) -> str | None:
    """Where the message, or one in it, has fields of no name."""
    if len(UnknownFieldSet(message)):
        return where
    for field, content in message.ListFields():
        if field.message_type is None:
            continue
        place = f"{where}.{field.name}"
        if field.message_type.GetOptions().map_entry:
            inner = [one for one in content.values() if isinstance(one, Message)]
        else:
            inner = [content] if isinstance(content, Message) else list(content)
        for one in inner:
            wrong = _unknown(one, place)
            if wrong is not None:
                return wrong
    return None
