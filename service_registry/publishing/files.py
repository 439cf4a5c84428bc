"""definition.json: read into what goes on chain, or every fault of it (docs/spec/publishing.md §2)."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from chain_core.types.errors import DualchainError, LocalFault, MalformedBytes
from chain_core.types.values import Value
from service_registry.definition import (
    DEFINITION,
    JSON_SCHEMA,
    PROTOBUF,
    USUAL,
    Definition,
    bad_endpoint,
    contradiction,
    encode_definition,
    read_definition,
    unbase64,
)
from service_registry.interfaces import Side, requests, responses
from service_registry.messages import message_type, write_message
from service_registry.schemas import NotOfSchema, read_json

DEFINITION_FILE, HANDLER_FILE = "definition.json", "handler.py"
_SEE = "see docs/spec/service-registry.md §1"


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong with a definition."""

    where: str
    what: str
    next_step: str

    def row(self) -> dict[str, str]:
        """As commands print it."""
        return {"where": self.where, "what": self.what, "next": self.next_step}


def definition_path(place: Path) -> Path:
    """The definition of a folder, or the file itself."""
    return place / DEFINITION_FILE if place.is_dir() else place


def read_file(path: Path) -> bytes:
    """Raises MalformedBytes that names the file."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise MalformedBytes(f"cannot be read: {error.strerror}", where=str(path), next_step="name the file") from error


class CannotWrite(LocalFault):
    """A file that cannot be written."""

    code = "CANNOT_WRITE"


def write_file(path: Path, data: bytes) -> None:
    """Raises CannotWrite."""
    try:
        path.write_bytes(data)
    except OSError as error:
        raise CannotWrite(f"cannot be written: {error.strerror}", where=str(path), next_step="name another") from error


def read_definition_file(path: Path) -> dict[str, Value]:
    """The definition as it goes on chain. Raises MalformedBytes, BadSchema, NotOfSchema for the first fault."""
    row = written(path)
    encode_definition(row)
    definition = read_definition(encode_definition(row))
    requests(definition)
    responses(definition)
    return row


def written(path: Path) -> dict[str, Value]:
    """The file's map with what is usual filled in, schemas and requests as text; not judged. Raises MalformedBytes, and
    BadSchema, NotOfSchema for messages that cannot be made.
    """
    row = read_json(read_file(path))
    if not isinstance(row, dict):
        raise MalformedBytes("not a JSON object", where=str(path), next_step=_SEE)
    row = {**USUAL, **row}
    interface = row.get("interface")
    if isinstance(interface, dict):
        row["interface"] = _interface(interface, path.parent)
    side = _message_side(row.get("interface"))
    if isinstance(row.get("examples"), list):
        row["examples"] = [
            {"request": _request(one["request"], side)} if isinstance(one, dict) and set(one) == {"request"} else one
            for one in row["examples"]
        ]
    if "wrong_request" in row:
        row["wrong_request"] = _request(row["wrong_request"], side)
    return row


def faults_of(path: Path) -> list[Fault]:
    """Everything that is wrong, in the order of the file's fields; empty when it can be published."""
    try:
        row = written(path)
    except DualchainError as error:
        return [Fault(error.where, error.what, error.next_step)]
    found = [*_field_faults(row)]
    if found:
        return found
    wrong = bad_endpoint(cast(list[str], row["endpoints"]))
    if wrong is not None:
        found.append(Fault("endpoints", f"{wrong!r} is not host:port", "write 127.0.0.1:7400"))
    field = contradiction(row)
    if field is not None:
        return [*found, Fault(field, "does not go with the other fields", _SEE)]
    return [*found, *_interface_faults(read_definition(encode_definition(row)))]


def _field_faults(row: Mapping[str, Value]) -> Iterator[Fault]:
    for name, kind in DEFINITION.fields.items():
        if name not in row:
            yield Fault(name, "missing", "add it")
        elif not kind.admits(row[name]):
            shown = json.dumps(row[name], ensure_ascii=False)
            yield Fault(name, f"out of bounds: {shown[:80]}", _SEE)
    for name in row:
        if name not in DEFINITION.fields:
            yield Fault(name, "no field of a definition", "remove it")


def _interface_faults(definition: Definition) -> Iterator[Fault]:
    try:
        side: Side | None = requests(definition)
    except DualchainError as error:
        side = None
        yield Fault(f"interface/request, {error.where}", error.what, error.next_step)
    try:
        responses(definition)
    except DualchainError as error:
        yield Fault(f"interface/response, {error.where}", error.what, error.next_step)
    for number, example in enumerate(definition.examples):
        try:
            if side is not None:
                side.read(example)
        except DualchainError as error:
            where = f"examples/{number}, {error.where}"
            yield Fault(where, error.what, "write a request that fits the request schema")


def _interface(told: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    interface = {"kind": JSON_SCHEMA, "descriptor": "", **told}
    if "descriptor_file" in interface:
        name = interface.pop("descriptor_file")
        if not isinstance(name, str) or Path(name).name != name:
            raise MalformedBytes("not a file beside the definition", where="interface/descriptor_file", next_step=_SEE)
        interface["descriptor"] = base64.b64encode(read_file(folder / name)).decode("ascii")
    return {part: _text(content) for part, content in interface.items()}


def _message_side(interface: Any) -> tuple[bytes, str] | None:
    """Descriptor and request's message, where requests are messages."""
    if not isinstance(interface, dict) or interface.get("kind") != PROTOBUF:
        return None
    descriptor = unbase64(str(interface.get("descriptor", "")))
    return None if not descriptor else (descriptor, str(interface.get("request", "")))


def _request(told: Any, message: tuple[bytes, str] | None) -> str:
    if message is None or isinstance(told, str):
        return _text(told)
    try:
        return base64.b64encode(write_message(message_type(*message), told)).decode("ascii")
    except NotOfSchema as error:
        what = f"a request is not a {message[1]}: {error.what}"
        raise MalformedBytes(what, where="examples, wrong_request", next_step="mend it, or give base64") from error


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
