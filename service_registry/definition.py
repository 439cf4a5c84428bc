"""A service's definition: one canonical map, named by its SM3 (docs/spec/service-registry.md §1)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

from chain_core.codec.values import decode_map, encode_value
from chain_core.crypto.hashing import sm3
from chain_core.execution.arguments import Boolean, Choice, Integer, ListOf, Record, Text, wrong_argument
from chain_core.types.errors import MalformedBytes
from chain_core.types.values import Value
from service_registry.bodies import MAX_EXAMPLES
from service_registry.markets import MARKET

NO_PROOF, HOLDER_ROLL = "none", "holder-roll/v1"
JSON_SCHEMA, PROTOBUF = "json-schema", "protobuf"
"""Kinds of interfaces."""
OPEN, APPLY, LISTED = "open", "apply", "listed"
"""Who confirms an application: nobody has to (the first one); the publisher; he, and only listed markets may apply."""
EACH, BATCH = "each", "batch"
"""When a call is recorded on chain: before its answer leaves, or afterwards with others."""
MAX_DEADLINE_MS = 30_000
MAX_AT_ONCE = 256
_MESSAGE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*")
ENDPOINT = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252})|\[[0-9A-Fa-f:.]{2,45}\]):([1-9][0-9]{0,4})")
_MAX_PORT = 65_535

DEFINITION = Record(
    {
        "name": Text(128),
        "description": Text(4_096),
        "interface": Record(
            {
                "kind": Choice(frozenset((JSON_SCHEMA, PROTOBUF))),
                "request": Text(16_384),
                "response": Text(16_384),
                "descriptor": Text(32_768, 0),
            }
        ),
        "permissions": ListOf(Text(128), 16),
        "permission": Choice(frozenset((OPEN, APPLY, LISTED))),
        "markets": ListOf(MARKET, 64, distinct=True),
        "endpoints": ListOf(Text(300), 4, 1, distinct=True),
        "price_fen": Integer(),
        "quota": Record({"calls_a_day": Integer(0, 1_000_000_000), "at_once": Integer(1, MAX_AT_ONCE)}),
        "sla": Record({"deadline_ms": Integer(1, MAX_DEADLINE_MS), "available_permille": Integer(0, 1_000)}),
        "recording": Choice(frozenset((EACH, BATCH))),
        "streaming": Boolean(),
        "proof": Choice(frozenset((NO_PROOF, HOLDER_ROLL))),
        "examples": ListOf(Record({"request": Text(4_096)}), MAX_EXAMPLES, 1),
        "wrong_request": Text(4_096),
    }
)
"""Argument kind of a definition."""


@dataclass(frozen=True, slots=True)
class Definition:
    """A definition as its readers use it; ``hash`` names exactly these bytes, requests are as they are sent.

    ``request_schema``, ``response_schema``: JSON schemas, or names of messages in ``descriptor``, a FileDescriptorSet.
    ``calls_a_day``: of one consumer, 0 is no limit.
    """

    name: str
    kind: str
    request_schema: str
    response_schema: str
    descriptor: bytes
    permission: str
    markets: tuple[str, ...]
    endpoints: tuple[str, ...]
    price_fen: int
    calls_a_day: int
    at_once: int
    deadline_ms: int
    available_permille: int
    recording: str
    streaming: bool
    proof: str
    examples: tuple[bytes, ...]
    wrong_request: bytes
    hash: bytes


def bad_endpoint(endpoints: Sequence[str]) -> str | None:
    """The first that is not host:port."""
    for endpoint in endpoints:
        match = ENDPOINT.fullmatch(endpoint)
        if match is None or int(match[1]) > _MAX_PORT:
            return endpoint
    return None


def contradiction(row: Mapping[str, Value]) -> str | None:
    """The field of an admitted definition that does not go with another one; None when all do.

    What the contract can judge without reading an interface.
    """
    interface = cast(Mapping[str, str], row["interface"])
    protobuf = interface["kind"] == PROTOBUF
    if protobuf != bool(interface["descriptor"]) or unbase64(interface["descriptor"]) is None:
        return "interface.descriptor"
    if protobuf:
        for side in ("request", "response"):
            if _MESSAGE.fullmatch(interface[side]) is None:
                return f"interface.{side}"
    if protobuf and row["proof"] != NO_PROOF:
        return "proof"
    if bool(row["markets"]) != (row["permission"] == LISTED):
        return "markets"
    requests = [example["request"] for example in cast(Sequence[Mapping[str, str]], row["examples"])]
    if protobuf and any(unbase64(text) is None for text in requests):
        return "examples"
    return "wrong_request" if protobuf and unbase64(cast(str, row["wrong_request"])) is None else None


def unbase64(text: str) -> bytes | None:
    """The bytes, None for anything but their one encoding."""
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except (ValueError, binascii.Error):
        return None
    return raw if base64.b64encode(raw).decode("ascii") == text else None


def encode_definition(row: Mapping[str, Value]) -> bytes:
    """Canonical bytes. Raises MalformedBytes that names what is missing, unknown, out of bounds or contradictory."""
    wrong = wrong_argument(DEFINITION.fields, row)
    wrong = contradiction(row) if wrong is None else wrong
    if wrong is not None:
        raise MalformedBytes(
            "definition: a field is missing, unknown, out of bounds or contradicts another",
            where=f"definition, {wrong}",
            next_step="see docs/spec/service-registry.md §1",
        )
    return encode_value(row)


@lru_cache(maxsize=256)
def read_definition(raw: bytes) -> Definition:
    """Raises MalformedBytes."""
    row: dict[str, Any] = decode_map(raw, "definition")
    encode_definition(row)
    interface = row["interface"]
    protobuf = interface["kind"] == PROTOBUF

    def sent(text: str) -> bytes:
        return base64.b64decode(text) if protobuf else text.encode("utf-8")

    return Definition(
        name=row["name"],
        kind=interface["kind"],
        request_schema=interface["request"],
        response_schema=interface["response"],
        descriptor=base64.b64decode(interface["descriptor"]),
        permission=row["permission"],
        markets=tuple(row["markets"]),
        endpoints=tuple(row["endpoints"]),
        price_fen=row["price_fen"],
        calls_a_day=row["quota"]["calls_a_day"],
        at_once=row["quota"]["at_once"],
        deadline_ms=row["sla"]["deadline_ms"],
        available_permille=row["sla"]["available_permille"],
        recording=row["recording"],
        streaming=row["streaming"],
        proof=row["proof"],
        examples=tuple(sent(example["request"]) for example in row["examples"]),
        wrong_request=sent(row["wrong_request"]),
        hash=sm3(raw),
    )


USUAL: Mapping[str, Value] = {
    "permissions": [],
    "permission": APPLY,
    "markets": [],
    "price_fen": 0,
    "quota": {"calls_a_day": 0, "at_once": 8},
    "sla": {"deadline_ms": 5_000, "available_permille": 0},
    "recording": EACH,
    "streaming": False,
    "proof": NO_PROOF,
}
"""What a definition's file may leave out. On chain nothing is left out."""
