"""Notices of versions that break their consumers, as the contract ``desk`` keeps them for ``services``
(docs/spec/desk.md §1, docs/spec/service-registry.md §3; guideline art. 13, 14).
"""

from __future__ import annotations

from chain_core.codec.values import decode_map, encode_value
from chain_core.execution.context import CallContext

DESK = "desk"
IN_FORCE = "in_force"


def notice_key(service: bytes, definition_hash: bytes) -> bytes:
    """Key inside ``desk`` of the last notice that named this service and definition."""
    return b"v" + service + definition_hash


def encode_standing(number: int, state: str) -> bytes:
    """What stands there: the notice's number and its state."""
    return encode_value({"number": number, "state": state})


def require_notice(ctx: CallContext, service: bytes, definition_hash: bytes) -> None:
    """Refuses unless the version was announced and its notice has come into force."""
    raw = ctx.read(DESK, notice_key(service, definition_hash))
    if raw is None or decode_map(raw, "standing of a notice")["state"] != IN_FORCE:
        ctx.refuse("services.not_announced", definition_hash)
