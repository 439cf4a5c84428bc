"""The canonical bytes of a validator set: what its hash is over, what state holds, what a light client is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import cast

from chain_core.codec import signed
from chain_core.codec.values import decode_value, encode_value
from chain_core.codec.wire import malformed
from chain_core.types.ids import PUBLIC_KEY_SIZE
from chain_core.types.validator_set import Validator, ValidatorSet
from chain_core.types.values import Value

MAX_LABEL_BYTES = 255
"""A validator's name and its entity's, in UTF-8."""
MAX_SET_BYTES = 60_000
"""An encoded set is one state value, and an argument beside a header: sets of 256 have short names."""

_LABELS = ("name", "entity")
_KEYS = ("consensus_key", "transport_key")
_RECORD = "validator set"


def encode_validator_set(validators: ValidatorSet) -> bytes:
    """Canonical list of the validators in their order: maps of name, entity, consensus_key, transport_key."""
    rows: list[Value] = [
        {
            "name": v.name,
            "entity": v.entity,
            "consensus_key": v.consensus_key,
            "transport_key": v.transport_key,
        }
        for v in validators.validators
    ]
    return encode_value(rows)


@lru_cache(maxsize=64)
def decode_validator_set(raw: bytes) -> ValidatorSet:
    """A set from its one encoding. Raises MalformedBytes (InvalidValidatorSet where the list cannot run PBFT)."""
    if len(raw) > MAX_SET_BYTES:
        malformed(_RECORD, 0, f"{len(raw)} bytes where at most {MAX_SET_BYTES} are allowed")
    rows = decode_value(raw, _RECORD)
    if not isinstance(rows, list):
        malformed(_RECORD, 0, "not a list")
    return ValidatorSet(tuple(_validator(row, number) for number, row in enumerate(cast(Sequence[Value], rows))))


def _validator(row: Value, number: int) -> Validator:
    if not isinstance(row, dict) or set(row) != {*_LABELS, *_KEYS}:
        malformed(_RECORD, 0, f"validator {number} is no map of {', '.join((*_LABELS, *_KEYS))}")
    fields = cast(Mapping[str, Value], row)
    for name in _LABELS:
        text = fields[name]
        if not isinstance(text, str) or not 1 <= len(text.encode("utf-8")) <= MAX_LABEL_BYTES:
            malformed(_RECORD, 0, f"{name} of validator {number} is no text of 1 to {MAX_LABEL_BYTES} bytes")
    for name in _KEYS:
        key = fields[name]
        if not isinstance(key, bytes) or len(key) != PUBLIC_KEY_SIZE:
            malformed(_RECORD, 0, f"{name} of validator {number} is not {PUBLIC_KEY_SIZE} bytes")
    name, entity = (cast(str, fields[field]) for field in _LABELS)
    consensus, transport = (cast(bytes, fields[field]) for field in _KEYS)
    return Validator(name, entity, consensus, transport)


def hash_of_encoded_set(raw: bytes) -> bytes:
    """SM3(tag || encoded set): what headers name."""
    return signed.tagged_hash(signed.VALIDATORS, raw)


@lru_cache(maxsize=64)
def validator_set_hash(validators: ValidatorSet) -> bytes:
    """SM3(tag || canonical list of validators in order)."""
    return hash_of_encoded_set(encode_validator_set(validators))
