"""The genesis document's canonical bytes and hash (docs/spec/formats.md §5)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

from chain_core.codec import signed
from chain_core.codec.block import HEADER_SIZE, decode_header, header_hash
from chain_core.codec.validator_set import MAX_LABEL_BYTES
from chain_core.codec.values import decode_map, encode_value
from chain_core.codec.wire import is_identifier
from chain_core.crypto.hashing import sm3
from chain_core.types.errors import MalformedBytes
from chain_core.types.genesis import DEFAULT_PARAMETERS, KINDS, Genesis, GenesisAccount, Predecessor
from chain_core.types.ids import (
    ACCOUNT_ID_SIZE,
    FORMAT_VERSION,
    HASH_SIZE,
    MAIN_LEDGER,
    MAX_U64,
    NO_ACCOUNT,
    PROTOCOL_VERSION,
    PUBLIC_KEY_SIZE,
    PURPOSES,
    ZERO_HASH,
)
from chain_core.types.validator_set import Validator, ValidatorSet
from chain_core.types.values import Value

MAX_GENESIS_BYTES = 8_000_000
_MARKET = re.compile(r"[A-Z]{2,3}\Z")
_CHAIN_ID = re.compile(r"[a-z][a-z0-9-]{2,47}\Z")
_FIELDS = {
    "format",
    "protocol",
    "chain_id",
    "kind",
    "market",
    "time_ms",
    "validators",
    "parameters",
    "flags",
    "accounts",
    "documents",
    "supervisory_genesis",
}
_PREDECESSOR = "predecessor"
_SIZES = {"header": HEADER_SIZE, "lineage": HASH_SIZE, "state_root": HASH_SIZE}


def encode_genesis(genesis: Genesis) -> bytes:
    """Canonical bytes of the document, checked by reading them back: MalformedBytes names what is wrong."""
    document: dict[str, Value] = {
        "format": FORMAT_VERSION,
        "protocol": PROTOCOL_VERSION,
        "chain_id": genesis.chain_id,
        "kind": genesis.kind,
        "market": genesis.market,
        "time_ms": genesis.time_ms,
        "validators": [
            {
                "name": v.name,
                "entity": v.entity,
                "consensus_key": v.consensus_key,
                "transport_key": v.transport_key,
            }
            for v in genesis.validators.validators
        ],
        "parameters": genesis.parameters,
        "flags": sorted(genesis.flags),
        "accounts": [
            {
                "account": a.account,
                "entity": a.entity,
                "roles": sorted(a.roles),
                "keys": {purpose: list(keys) for purpose, keys in a.keys.items()},
            }
            for a in genesis.accounts
        ],
        "documents": genesis.documents,
        "supervisory_genesis": genesis.supervisory_genesis,
    }
    if genesis.predecessor is not None:
        past = genesis.predecessor
        document[_PREDECESSOR] = {"header": past.header, "lineage": past.lineage, "state_root": past.state_root}
    try:
        raw = encode_value(document)
    except (ValueError, TypeError) as error:
        raise _refuse(str(error), "document") from error
    decode_genesis(raw)
    return raw


def lineage(before: Genesis, last_header: bytes) -> bytes:
    """Names a line of chains up to the last header of the latest one: H(lineage tag, what the document of that chain
    says of its own line or zeros || its genesis hash || hash of the header).
    """
    earlier = ZERO_HASH if before.predecessor is None else before.predecessor.lineage
    header = decode_header(last_header)
    return signed.tagged_hash(signed.LINEAGE, earlier + header.genesis_hash + header_hash(last_header))


def continues(document: Genesis, before: Genesis) -> bool:
    """Whether a successor's document is its predecessor's but for what a successor may change (successor.md §1)."""
    taken_over = replace(
        before,
        time_ms=document.time_ms,
        validators=document.validators,
        parameters=document.parameters,
        flags=document.flags,
        predecessor=document.predecessor,
    )
    return taken_over == document


def genesis_hash(raw: bytes) -> bytes:
    """SM3 of the canonical document: the chain's identity in every signature."""
    return sm3(raw)


def _refuse(reason: str, where: str) -> MalformedBytes:
    return MalformedBytes(f"genesis: {reason}", where=where, next_step="rebuild the document with `dualchain ... init`")


def _typed(row: Mapping[str, Value], name: str, kind: type, where: str) -> Value:
    value = row.get(name)
    if not isinstance(value, kind) or (kind is int and (isinstance(value, bool) or cast(int, value) < 0)):
        raise _refuse(f"field {name} is missing or not a {kind.__name__}", where)
    return value


def _number(row: Mapping[str, Value], name: str) -> int:
    value = cast(int, _typed(row, name, int, name))
    if value > MAX_U64:
        raise _refuse(f"{name} does not fit 64 bits", name)
    return value


def _text(row: Mapping[str, Value], name: str, where: str) -> str:
    return cast(str, _typed(row, name, str, where))


def _label(row: Mapping[str, Value], name: str, where: str) -> str:
    text = _text(row, name, where)
    if not 1 <= len(text.encode("utf-8")) <= MAX_LABEL_BYTES:
        raise _refuse(f"{name} is empty or longer than {MAX_LABEL_BYTES} bytes", where)
    return text


def _key(row: Mapping[str, Value], name: str, where: str) -> bytes:
    value = cast(bytes, _typed(row, name, bytes, where))
    if len(value) != PUBLIC_KEY_SIZE:
        raise _refuse(f"{name} has {len(value)} bytes, a public key has {PUBLIC_KEY_SIZE}", where)
    return value


def _rows(row: Mapping[str, Value], name: str) -> list[Mapping[str, Value]]:
    items = cast(Sequence[Value], _typed(row, name, list, name))
    for number, item in enumerate(items):
        if not isinstance(item, dict):
            raise _refuse("not a map", f"{name}[{number}]")
    return cast(list[Mapping[str, Value]], items)


def _exact(row: Mapping[str, Value], fields: set[str], where: str) -> None:
    if set(row) != fields:
        raise _refuse(f"fields {sorted(set(row) ^ fields, key=str)} are missing or unknown", where)


def _texts(row: Mapping[str, Value], name: str, where: str) -> tuple[str, ...]:
    items = cast(Sequence[Value], _typed(row, name, list, where))
    if not all(isinstance(item, str) for item in items):
        raise _refuse(f"{name} holds something that is not text", where)
    texts = tuple(cast(Sequence[str], items))
    if list(texts) != sorted(set(texts)):
        raise _refuse(f"{name} is not strictly ascending", where)
    return texts


def decode_genesis(raw: bytes) -> Genesis:
    """A genesis document from its one encoding; every field is checked, unknown ones are refused."""
    return _decode(raw, KINDS)


def _decode(raw: bytes, kinds: tuple[str, ...]) -> Genesis:
    if len(raw) > MAX_GENESIS_BYTES:
        raise _refuse(f"{len(raw)} bytes where at most {MAX_GENESIS_BYTES} are allowed", "document")
    row = decode_map(raw, "genesis")
    _exact(row, _FIELDS | ({_PREDECESSOR} & set(row)), "document")
    version = (_number(row, "format"), _number(row, "protocol"))
    if version != (FORMAT_VERSION, PROTOCOL_VERSION):
        raise _refuse(f"version {version[0]}.{version[1]} is unknown to this build", "format")
    chain_id, kind, market = (_text(row, name, name) for name in ("chain_id", "kind", "market"))
    if not _CHAIN_ID.match(chain_id):
        raise _refuse("a chain id is 3 to 48 lower-case letters, digits and hyphens", "chain_id")
    upward = cast(bytes, _typed(row, "supervisory_genesis", bytes, "supervisory_genesis"))
    if kind not in kinds or (kind == "local") != bool(market) or (kind == "local") != bool(upward):
        what = "a local chain has a market and a supervisory genesis, a supervisory chain has neither"
        raise _refuse(what, "kind")
    if kind == "local":
        _check_local(market, upward)
    documents = cast(dict[str, Value], _typed(row, "documents", dict, "documents"))
    if not all(isinstance(name, str) and is_identifier(name) for name in cast(dict[object, Value], documents)):
        raise _refuse("a document stands under the name of the contract that reads it", "documents")
    return Genesis(
        chain_id,
        kind,
        market,
        _number(row, "time_ms"),
        _validators(row),
        _parameters(row),
        _texts(row, "flags", "flags"),
        _accounts(row),
        documents,
        upward,
        _predecessor(row) if _PREDECESSOR in row else None,
    )


def _check_local(market: str, upward: bytes) -> None:
    if not _MARKET.match(market):
        raise _refuse("a market is named by its JR/T 0326 region code, two or three capitals", "market")
    try:
        _decode(upward, ("supervisory",))
    except MalformedBytes as error:
        raise _refuse(error.what, f"supervisory_genesis, {error.where}") from error


def _predecessor(row: Mapping[str, Value]) -> Predecessor:
    past = cast(Mapping[str, Value], _typed(row, _PREDECESSOR, dict, _PREDECESSOR))
    _exact(past, set(_SIZES), _PREDECESSOR)
    parts = {name: cast(bytes, _typed(past, name, bytes, _PREDECESSOR)) for name in _SIZES}
    for name, size in _SIZES.items():
        if len(parts[name]) != size:
            raise _refuse(f"{name} has {len(parts[name])} bytes, not {size}", _PREDECESSOR)
    try:
        header = decode_header(parts["header"])
    except MalformedBytes as error:
        raise _refuse(error.what, f"{_PREDECESSOR}.header") from error
    if header.ledger != MAIN_LEDGER or header.height == 0:
        raise _refuse("a successor begins from a certified header of ledger 0", f"{_PREDECESSOR}.header")
    if _number(row, "time_ms") <= header.time_ms:
        raise _refuse("the chain begins before the header that it continues", "time_ms")
    return Predecessor(parts["header"], parts["lineage"], parts["state_root"])


def _validators(row: Mapping[str, Value]) -> ValidatorSet:
    found = []
    for number, item in enumerate(_rows(row, "validators")):
        where = f"validators[{number}]"
        _exact(item, {"name", "entity", "consensus_key", "transport_key"}, where)
        found.append(
            Validator(
                _label(item, "name", where),
                _label(item, "entity", where),
                _key(item, "consensus_key", where),
                _key(item, "transport_key", where),
            )
        )
    keys = [key for v in found for key in (v.consensus_key, v.transport_key)]
    if len(set(keys)) != len(keys):
        raise _refuse("a key serves twice, or for consensus and for transport", "validators")
    return ValidatorSet(tuple(found))


def _parameters(row: Mapping[str, Value]) -> dict[str, int]:
    parameters = cast(dict[str, int], _typed(row, "parameters", dict, "parameters"))
    for name, value in cast(dict[object, object], parameters).items():
        number = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_U64
        if not number or not isinstance(name, str) or not is_identifier(name):
            raise _refuse("a parameter is a name with an integer from 0 to 2^64-1", f"parameters.{name}")
    missing = sorted(set(DEFAULT_PARAMETERS) - set(parameters))
    if missing:
        raise _refuse(f"parameters {missing} are missing", "parameters")
    return parameters


def _accounts(row: Mapping[str, Value]) -> tuple[GenesisAccount, ...]:
    found = []
    for number, item in enumerate(_rows(row, "accounts")):
        where = f"accounts[{number}]"
        _exact(item, {"account", "entity", "roles", "keys"}, where)
        account = cast(bytes, _typed(item, "account", bytes, where))
        if len(account) != ACCOUNT_ID_SIZE or account == NO_ACCOUNT:
            raise _refuse(f"an account id has {ACCOUNT_ID_SIZE} bytes, not all zero", where)
        keys: dict[str, tuple[bytes, ...]] = {}
        for purpose, listed in cast(dict[str, Value], _typed(item, "keys", dict, where)).items():
            if purpose not in PURPOSES or not isinstance(listed, list):
                raise _refuse(f"{purpose} is no key purpose or has no list", where)
            for key in listed:
                if not isinstance(key, bytes) or len(key) != PUBLIC_KEY_SIZE:
                    raise _refuse(f"a {purpose} key is not {PUBLIC_KEY_SIZE} bytes", where)
            keys[purpose] = tuple(cast(list[bytes], listed))
        found.append(GenesisAccount(account, _text(item, "entity", where), _texts(item, "roles", where), keys))
    if len({a.account for a in found}) != len(found):
        raise _refuse("an account id stands twice", "accounts")
    all_keys = [key for a in found for keys in a.keys.values() for key in keys]
    if len(set(all_keys)) != len(all_keys):
        raise _refuse("a key stands twice; a key belongs to one account and has one purpose", "accounts")
    return tuple(found)
