"""A service's definition: one canonical map, named by its SM3 (docs/spec/service-registry.md §1)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chain_core.codec.values import decode_map, encode_value
from chain_core.crypto.hashing import sm3
from chain_core.execution.arguments import Choice, Integer, ListOf, Record, Text
from chain_core.types.errors import MalformedBytes
from chain_core.types.values import Value
from service_registry.bodies import MAX_EXAMPLES

NO_PROOF, HOLDER_ROLL = "none", "holder-roll/v1"
ENDPOINT = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252})|\[[0-9A-Fa-f:.]{2,45}\]):([1-9][0-9]{0,4})")
_MAX_PORT = 65_535

DEFINITION = Record(
    {
        "name": Text(128),
        "description": Text(4_096),
        "interface": Record({"request": Text(16_384), "response": Text(16_384)}),
        "permissions": ListOf(Text(128), 16),
        "endpoints": ListOf(Text(300), 4, 1, distinct=True),
        "price_fen": Integer(),
        "proof": Choice(frozenset((NO_PROOF, HOLDER_ROLL))),
        "examples": ListOf(Record({"request": Text(4_096)}), MAX_EXAMPLES, 1),
        "wrong_request": Text(4_096),
    }
)
"""Argument kind of a definition."""


@dataclass(frozen=True, slots=True)
class Definition:
    """A definition as its readers use it; ``hash`` names exactly these bytes."""

    name: str
    request_schema: str
    response_schema: str
    endpoints: tuple[str, ...]
    price_fen: int
    proof: str
    examples: tuple[str, ...]
    wrong_request: str
    hash: bytes


def bad_endpoint(endpoints: Sequence[str]) -> str | None:
    """The first that is not host:port."""
    for endpoint in endpoints:
        match = ENDPOINT.fullmatch(endpoint)
        if match is None or int(match[1]) > _MAX_PORT:
            return endpoint
    return None


def encode_definition(row: Mapping[str, Value]) -> bytes:
    """Canonical bytes. Raises MalformedBytes when a field is missing, unknown or out of bounds."""
    if not DEFINITION.admits(dict(row)):
        raise MalformedBytes(
            "definition: a field is missing, unknown or out of bounds",
            where="definition",
            next_step="see docs/spec/service-registry.md §1",
        )
    return encode_value(row)


def read_definition(raw: bytes) -> Definition:
    """Raises MalformedBytes."""
    row: dict[str, Any] = decode_map(raw, "definition")
    encode_definition(row)
    return Definition(
        row["name"],
        row["interface"]["request"],
        row["interface"]["response"],
        tuple(row["endpoints"]),
        row["price_fen"],
        row["proof"],
        tuple(example["request"] for example in row["examples"]),
        row["wrong_request"],
        sm3(raw),
    )
