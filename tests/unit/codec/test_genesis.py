"""The genesis document: one encoding, every field checked, unknown ones refused (docs/spec/formats.md §5)."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from chain_core.codec.block import params_hash
from chain_core.codec.genesis import decode_genesis, encode_genesis, genesis_hash
from chain_core.codec.validator_set import validator_set_hash
from chain_core.codec.values import decode_value, encode_value
from chain_core.crypto.hashing import sm3
from chain_core.types.errors import MalformedBytes
from chain_core.types.genesis import DEFAULT_PARAMETERS, GenesisAccount
from chain_core.types.ids import MAX_U64, NO_ACCOUNT
from chain_core.types.validator_set import InvalidValidatorSet, ValidatorSet
from tests.vectors.samples import OPERATOR, Samples, local_genesis, supervisory_genesis

Row = dict[str, Any]


def put(name: str, value: Any) -> Callable[[Row], None]:
    def change(row: Row) -> None:
        row[name] = value

    return change


def inside(name: str, number: int, field: str, value: Any) -> Callable[[Row], None]:
    def change(row: Row) -> None:
        row[name][number][field] = value

    return change


def drop(name: str) -> Callable[[Row], None]:
    def change(row: Row) -> None:
        del row[name]

    return change


def account_twice(row: Row) -> None:
    row["accounts"].append({**row["accounts"][0], "keys": {}})


def same_key(first: str, second: str) -> Callable[[Row], None]:
    """Two validators' keys, or one's two keys, are the same."""

    def change(row: Row) -> None:
        row["validators"][1][second] = row["validators"][0][first]

    return change


def nested_local(row: Row) -> None:
    row["supervisory_genesis"] = encode_genesis(local_genesis())


REFUSED: list[tuple[str, Callable[[Row], None], str]] = [
    ("a missing field", drop("flags"), "flags"),
    ("an unknown field", put("extra", 1), "extra"),
    ("another format", put("format", 2), "version 2.1"),
    ("True for version 1", put("format", True), "format is missing or not a int"),
    ("True for protocol 1", put("protocol", True), "protocol is missing or not a int"),
    ("a capital in the chain id", put("chain_id", "Local-vectors"), "lower-case"),
    ("a newline after the chain id", put("chain_id", "local-vectors\n"), "lower-case"),
    ("an unknown kind", put("kind", "sidechain"), "a local chain has a market"),
    ("a local chain without market", put("market", ""), "a local chain has a market"),
    ("a local chain without its supervisor", put("supervisory_genesis", b""), "supervisory genesis"),
    ("a market that is no region code", put("market", "Beijing"), "region code"),
    ("a supervisor that is no document", put("supervisory_genesis", b"\x08"), "ends too early"),
    ("a local chain as supervisor", nested_local, "has neither"),
    ("a supervisory chain with a supervisor", put("kind", "supervisory"), "has neither"),
    ("a negative time", put("time_ms", -1), "time_ms"),
    ("a time of 65 bits", put("time_ms", MAX_U64 + 1), "64 bits"),
    ("flags not ascending", put("flags", ["b", "a"]), "ascending"),
    ("a flag twice", put("flags", ["a", "a"]), "ascending"),
    ("a flag that is a number", put("flags", [1]), "not text"),
    ("a document under no contract's name", put("documents", {"Kernel!": 1}), "name of the contract"),
    ("a document under a number", put("documents", {1: 1}), "name of the contract"),
    ("no validators", put("validators", []), "PBFT"),
    ("a validator that is a number", put("validators", [1, 2, 3, 4]), "not a map"),
    ("a validator with a field too many", inside("validators", 2, "weight", 2), "weight"),
    ("a validator without entity", inside("validators", 2, "entity", ""), "entity is empty"),
    ("a short consensus key", inside("validators", 2, "consensus_key", b"k" * 63), "63 bytes"),
    ("two validators of one name", inside("validators", 2, "name", "node-0"), "share a name"),
    ("two validators of one key", same_key("consensus_key", "consensus_key"), "serves twice"),
    ("a consensus key for transport too", same_key("consensus_key", "transport_key"), "serves twice"),
    ("an account twice", account_twice, "an account id stands twice"),
    ("keys in no list", inside("accounts", 0, "keys", {"sealing": b"k" * 64}), "has no list"),
    ("a key that is text", inside("accounts", 0, "keys", {"sealing": ["k" * 64]}), "64 bytes"),
    ("a parameter under a number", put("parameters", {1: 1}), "a parameter is a name"),
    ("the account of all zeros", inside("accounts", 0, "account", NO_ACCOUNT), "account id"),
    ("a short account id", inside("accounts", 0, "account", b"x"), "account id"),
    ("an unknown purpose", inside("accounts", 0, "keys", {"voting": []}), "voting"),
    ("a purpose under a number", inside("accounts", 0, "keys", {1: []}), "purpose"),
    ("a key of 65 bytes", inside("accounts", 0, "keys", {"sealing": [b"\x04" + b"k" * 64]}), "64 bytes"),
    (
        "a key with two purposes",
        inside("accounts", 0, "keys", {"sealing": [b"k" * 64], "assertion": [b"k" * 64]}),
        "one purpose",
    ),
    ("roles not ascending", inside("accounts", 0, "roles", ["operator", "admin"]), "ascending"),
]


def document(samples: Samples) -> Row:
    row = decode_value(samples.genesis_bytes)
    assert isinstance(row, dict)
    return row


@pytest.mark.parametrize(("change", "reason"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_refusals(samples: Samples, change: Callable[[Row], None], reason: str) -> None:
    row = document(samples)
    change(row)
    with pytest.raises(MalformedBytes, match=reason) as refusal:
        decode_genesis(encode_value(row))
    assert refusal.value.where


@pytest.mark.parametrize("wrong", [None, True, 1, "text", b"bytes", [], [1], {}, {"a": 1}, {1: 1}], ids=repr)
def test_a_field_of_another_type_is_refused(samples: Samples, wrong: Any) -> None:
    for name, right in document(samples).items():
        if type(right) is not type(wrong):
            row = document(samples) | {name: wrong}
            with pytest.raises(MalformedBytes):
                decode_genesis(encode_value(row))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("state_buckets", True),
        ("state_buckets", -1),
        ("state_buckets", MAX_U64 + 1),
        ("state_buckets", "4096"),
        ("X", 1),
    ],
)
def test_a_parameter_is_a_name_with_a_number(samples: Samples, name: str, value: Any) -> None:
    row = document(samples)
    row["parameters"][name] = value
    with pytest.raises(MalformedBytes, match=f"parameters.{name}"):
        decode_genesis(encode_value(row))


@pytest.mark.parametrize("name", DEFAULT_PARAMETERS)
def test_every_parameter_is_stated(samples: Samples, name: str) -> None:
    row = document(samples)
    del row["parameters"][name]
    with pytest.raises(MalformedBytes, match=name):
        decode_genesis(encode_value(row))


def test_a_document_nested_a_thousand_times_is_refused_not_followed(samples: Samples) -> None:
    """A local chain inside a local chain, and so on: only the first embedded document is read."""
    raw = samples.genesis_bytes
    for _ in range(1_000):
        row = document(samples)
        row["supervisory_genesis"] = raw
        raw = encode_value(row)
    with pytest.raises(MalformedBytes, match="has neither"):
        decode_genesis(raw)


def test_an_oversized_document_is_refused() -> None:
    with pytest.raises(MalformedBytes, match="at most 8000000"):
        decode_genesis(bytes(8_000_001))


def test_a_refused_document_is_not_written(samples: Samples) -> None:
    genesis = decode_genesis(samples.genesis_bytes)
    with pytest.raises(MalformedBytes, match="lower-case"):
        encode_genesis(replace(genesis, chain_id="X"))
    with pytest.raises(MalformedBytes, match="float"):
        encode_genesis(replace(genesis, documents={"kernel": 1.5}))  # type: ignore[dict-item]
    key = genesis.accounts[0].keys["transaction"]
    thief = GenesisAccount(b"t" * 16, "甲", (), {"transaction": key})
    with pytest.raises(MalformedBytes, match="belongs to one account"):
        encode_genesis(replace(genesis, accounts=(*genesis.accounts, thief)))


def test_what_it_says(samples: Samples) -> None:
    genesis = decode_genesis(samples.genesis_bytes)
    assert genesis == local_genesis()
    assert genesis_hash(samples.genesis_bytes) == sm3(samples.genesis_bytes) == samples.chain
    assert decode_genesis(genesis.supervisory_genesis) == supervisory_genesis()
    assert genesis.accounts[0].account == OPERATOR


def test_a_set_of_three_is_no_set(samples: Samples) -> None:
    with pytest.raises(InvalidValidatorSet, match="3 validators") as refusal:
        ValidatorSet(samples.validators.validators[:3])
    assert refusal.value.code == "INVALID_VALIDATOR_SET"


@pytest.mark.parametrize("name", ["consensus_key", "transport_key"])
def test_a_validator_has_whole_keys(samples: Samples, name: str) -> None:
    members = samples.validators.validators
    short = replace(members[3], **{name: b"k" * 63})
    with pytest.raises(InvalidValidatorSet, match="not 64 bytes"):
        ValidatorSet((*members[:3], short))


def test_hashes_of_set_and_parameters_commit_to_everything(samples: Samples) -> None:
    members = samples.validators.validators
    hashes = {validator_set_hash(samples.validators), validator_set_hash(ValidatorSet(members[::-1]))}
    for change in ({"name": "x"}, {"entity": "x"}, {"consensus_key": b"x" * 64}, {"transport_key": b"x" * 64}):
        hashes.add(validator_set_hash(ValidatorSet((replace(members[0], **change), *members[1:]))))
    assert len(hashes) == 6
    base = params_hash({"a": 1, "b": 2}, ("x", "y"))
    assert base == params_hash({"b": 2, "a": 1}, ("y", "x"))
    assert len({base, params_hash({"a": 1, "b": 3}, ("x", "y")), params_hash({"a": 1, "b": 2}, ("x",))}) == 3
