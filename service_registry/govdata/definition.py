"""The service's definition: what it is asked and what it answers (docs/spec/government-data.md §3, §6)."""

from __future__ import annotations

import json
from typing import Any

from chain_core.types.values import Value
from crosschain.identity.authorisation import MAX_ITEMS, MAX_TEXT
from service_registry.definition import JSON_SCHEMA, MAX_DEADLINE_MS, USUAL

_TEXT = {"type": "string", "minLength": 1, "maxLength": MAX_TEXT}
_HASH = {"type": "string", "pattern": "^[0-9a-f]{64,64}$"}
_TIME = {"type": "integer", "minimum": 1}
_ABOUT_REQUEST = {
    "type": "object",
    "required": ["about"],
    "additionalProperties": False,
    "properties": {"about": {"const": True}},
}
_DATA_REQUEST = {
    "type": "object",
    "required": ["presentation", "items", "purpose", "reference", "time_ms"],
    "additionalProperties": False,
    "properties": {
        "presentation": {"type": "string", "maxLength": 60_000},
        "items": {"type": "array", "minItems": 1, "maxItems": MAX_ITEMS, "items": _TEXT},
        "purpose": _TEXT,
        "reference": {"type": "string", "pattern": "^[0-9a-f]{32,32}$"},
        "time_ms": _TIME,
    },
}
_MARK = ["market", "genesis_hash", "bureau", "bureau_name"]
_SOURCE: dict[str, Any] = {
    "type": "object",
    "required": _MARK,
    "additionalProperties": False,
    "properties": {
        "market": {"type": "string"},
        "genesis_hash": _HASH,
        "bureau": {"type": "string", "minLength": 18, "maxLength": 18},
        "bureau_name": {"type": "string"},
        "time_ms": _TIME,
    },
}
_BASE64 = {"type": "string"}
_DATA_RESPONSE = {
    "type": "object",
    "required": ["authorisation", "number", "uses", "data", "receipt", "signature", "source", "height", "evidence"],
    "additionalProperties": False,
    "properties": {
        "authorisation": {"type": "string"},
        "number": {"type": "integer", "minimum": 1},
        "uses": {"type": "integer", "minimum": 1},
        "data": {"type": "string", "description": "JSON text, one member an item"},
        "receipt": _BASE64,
        "signature": _BASE64,
        "source": {**_SOURCE, "required": [*_MARK, "time_ms"]},
        "height": {"type": "integer", "minimum": 1},
        "evidence": {"type": "string", "description": "base64 of header, certificate, values with proofs"},
    },
}
REQUEST_SCHEMA: dict[str, Any] = {"anyOf": [_DATA_REQUEST, _ABOUT_REQUEST]}
RESPONSE_SCHEMA: dict[str, Any] = {
    "anyOf": [
        _DATA_RESPONSE,
        {
            "type": "object",
            "required": ["about"],
            "additionalProperties": False,
            "properties": {"about": _SOURCE},
        },
    ]
}


def govdata_definition(endpoint: str, price_fen: int = 0) -> dict[str, Value]:
    """The definition of a government-data channel at ``endpoint``. Its example asks for the source alone: data are
    given for an authorisation only, and a joint test has none.
    """
    return {
        **USUAL,
        "name": "政务数据通道 government-data channel",
        "description": "Data of an enterprise from the region's data bureau, by the enterprise's own authorisation.",
        "interface": {
            "kind": JSON_SCHEMA,
            "request": json.dumps(REQUEST_SCHEMA, ensure_ascii=False),
            "response": json.dumps(RESPONSE_SCHEMA, ensure_ascii=False),
            "descriptor": "",
        },
        "permissions": ["government-data:read"],
        "endpoints": [endpoint],
        "price_fen": price_fen,
        "sla": {"deadline_ms": MAX_DEADLINE_MS, "available_permille": 0},
        "examples": [{"request": json.dumps({"about": True})}],
        "wrong_request": json.dumps({"items": ["basic"]}),
    }
