"""The services that chains offer each other on the channel ``service`` (docs/spec/channels.md §1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from chain_core.codec.values import decode_map
from chain_core.execution.arguments import Choice, Integer, Kind, Octets, Record, Text
from chain_core.execution.context import CallContext
from chain_core.types.errors import MalformedBytes
from chain_core.types.ids import ACCOUNT_ID_SIZE, HASH_SIZE
from chain_core.types.values import Value
from contracts.codes.investor import CATEGORIES, investor_code_fault

LOCAL, SUPERVISORY = "local", "supervisory"
ROLL_HEAD, PARTY_STATUS, INVESTOR_CODE = "roll_head", "party_status", "investor_code"
MAX_SERVICE_NAME_BYTES = 64

Handler = Callable[[CallContext, Mapping[str, Value]], dict[str, Value]]
"""Answers from the state of the block being executed and refuses nothing; of them ``investor_code`` alone writes."""


@dataclass(frozen=True, slots=True)
class Service:
    """What it costs, who offers it, and the arguments that it takes."""

    offered_by: str
    units: int
    arguments: Kind


SERVICES: Mapping[str, Service] = {
    ROLL_HEAD: Service(LOCAL, 2, Record({"security": Octets(ACCOUNT_ID_SIZE)})),
    PARTY_STATUS: Service(SUPERVISORY, 1, Record({"entity": Text(255)})),
    INVESTOR_CODE: Service(
        SUPERVISORY, 1, Record({"category": Choice(frozenset(CATEGORIES)), "identity": Octets(HASH_SIZE)})
    ),
}
UNITS = Integer(1, 1_000_000_000)
"""Argument kind of a grant."""


def service_of(name: str, offered_by: str, arguments: Value) -> Service | None:
    """The service of that name at a chain of that kind, None when there is none or the arguments do not fit it."""
    found = SERVICES.get(name)
    if found is None or found.offered_by != offered_by or not found.arguments.admits(arguments):
        return None
    return found


def code_answered(response: bytes) -> str | None:
    """The investor code of an answer that another chain wrote; None when there is none in it."""
    try:
        code = decode_map(response, "answer").get("code")
    except MalformedBytes:
        return None
    return code if isinstance(code, str) and not investor_code_fault(code) else None
