"""The holder-roll look-up: a market answers with proofs, a consumer finds what is altered, old or incomplete."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from chain_core.codec.genesis import encode_genesis, genesis_hash
from chain_core.codec.signed import derive_id
from chain_core.codec.values import encode_value
from chain_core.node.chain_view import ChainView
from chain_core.types.errors import InvalidProof
from chain_core.types.values import Value
from crosschain.complete_lists import ListEvidence, decode_list, encode_list
from crosschain.following import Position
from local_chain.assembly import local_assembly
from service_registry import schemas
from service_registry.authority import Key
from service_registry.chain import RegistryChain
from service_registry.definition import encode_definition, read_definition
from service_registry.host import ServiceError
from service_registry.lookup import Lookup, check_answer, roll_definition
from tests.integration.served_chain import ServedNode
from tests.unit.crosschain.chains import Layers, account, local_genesis, op, security

HOLDERS = ("holder", "buyer", "issuer")


def registered(layers: Layers) -> bytes:
    """A security of 100 units with three holders of 1, 2 and 3."""
    local = layers.local
    assert local.one("operator", security("S1")).code == 0
    found = derive_id(local.hash, "security", account("operator"), "S1")
    rows: list[Value] = [
        {"account": account(name), "quantity": n + 1, "acquired_day": 0} for n, name in enumerate(HOLDERS)
    ]
    assert local.one("operator", op("kernel", "register_holding", security=found, rows=rows)).code == 0
    return found


@contextmanager
def nodes(layers: Layers, *lies: Callable[[str, bytes], bytes] | None) -> Iterator[Callable[[dict[str, str]], Any]]:
    """Asks a look-up over nodes of the local chain, of which some lie."""

    async def ask(request: dict[str, str]) -> Any:
        served = [ServedNode(layers.local, local_assembly(layers.local.genesis), lie) for lie in lies]
        for node in served:
            await node.start()
        lookup = Lookup(ChainView(layers.local.genesis_bytes), [node.address for node in served])
        try:
            return await lookup.answer(request)
        finally:
            await lookup.close()
            for node in served:
                await node.stop()

    yield lambda request: asyncio.run(ask(request))


def view_of(layers: Layers) -> ChainView:
    return ChainView(layers.local.genesis_bytes)


@pytest.fixture
def answered(layers: Layers) -> tuple[dict[str, str], dict[str, Any]]:
    request = {"security": registered(layers).hex()}
    with nodes(layers, None) as ask:
        return request, ask(request)


def test_a_roll_asked_for_and_verified(layers: Layers, answered: tuple[dict[str, str], dict[str, Any]]) -> None:
    request, answer = answered
    definition = read_definition(encode_definition(roll_definition("127.0.0.1:1", request["security"])))
    schemas.check(definition.request_schema, request)
    schemas.check(definition.response_schema, answer)
    roll = check_answer(view_of(layers), Position(), request, json.loads(schemas.write_json(answer)))
    assert [(name, holding.total) for name, holding in roll.holders] == [
        (account(name), n + 1) for n, name in enumerate(HOLDERS)
    ]
    with pytest.raises(schemas.NotOfSchema):
        schemas.check(definition.request_schema, json.loads(definition.wrong_request))


def test_a_node_that_lies_is_passed_over(layers: Layers) -> None:
    request = {"security": registered(layers).hex()}
    honest = view_of(layers)
    with nodes(layers, lambda method, data: data[:-1] + bytes([data[-1] ^ 1]), None) as ask:
        assert check_answer(honest, Position(), request, ask(request)).total == 6
    with nodes(layers, lambda method, data: data[:-1] + bytes([data[-1] ^ 1])) as ask:
        with pytest.raises(ServiceError) as told:
            ask(request)
        assert told.value.code == "NO_ANSWER"


def test_a_security_that_is_not_there(layers: Layers) -> None:
    layers.local.block()
    with nodes(layers, None) as ask, pytest.raises(ServiceError) as told:
        ask({"security": "00" * 16})
    assert told.value.code == "UNKNOWN_SECURITY"


def test_answers_about_something_else(layers: Layers, answered: tuple[dict[str, str], dict[str, Any]]) -> None:
    request, answer = answered
    for field, value in (
        ("genesis_hash", "00" * 32),
        ("security", "00" * 16),
        ("height", answer["height"] + 1),
        ("evidence", "no base64"),
        ("evidence", base64.b64encode(b"\0").decode()),
    ):
        with pytest.raises(InvalidProof):
            check_answer(view_of(layers), Position(), request, {**answer, field: value})
    with pytest.raises(InvalidProof):
        check_answer(view_of(layers), Position(), {"security": "00" * 16}, {**answer, "security": "00" * 16})
    strangers = ChainView(layers.supervisory.genesis_bytes)
    with pytest.raises(InvalidProof):
        check_answer(strangers, Position(), request, {**answer, "genesis_hash": strangers.genesis_hash.hex()})


def test_answers_older_than_what_the_regulator_has_seen(
    layers: Layers, answered: tuple[dict[str, str], dict[str, Any]]
) -> None:
    request, answer = answered
    roll = check_answer(view_of(layers), Position(), request, answer)
    at = Position(roll.header.height, b"", roll.header.time_ms, 1)
    check_answer(view_of(layers), at, request, answer)
    for later in (replace(at, height=at.height + 1), replace(at, time_ms=at.time_ms + 1)):
        with pytest.raises(InvalidProof):
            check_answer(view_of(layers), later, request, answer)


def test_any_altered_part_of_the_evidence_is_found(
    layers: Layers, answered: tuple[dict[str, str], dict[str, Any]]
) -> None:
    request, answer = answered
    evidence = decode_list(base64.b64decode(answer["evidence"]))

    def alter(changed: ListEvidence) -> dict[str, Any]:
        return {**answer, "evidence": base64.b64encode(encode_list(changed)).decode()}

    items = evidence.items
    shorter = replace(evidence, items=items[:-1])
    longer = replace(evidence, items=(*items, items[-1]))
    swapped = replace(evidence, items=(*items[:-2], items[-1], items[-2]))
    richer = replace(items[-1], value=bytes(7) + b"\xff" + (items[-1].value or b"")[8:])
    for changed in (shorter, longer, swapped, replace(evidence, items=(*items[:-1], richer))):
        with pytest.raises(InvalidProof):
            check_answer(view_of(layers), Position(), request, alter(changed))
    raw = base64.b64decode(answer["evidence"])
    for place in range(0, len(raw), 97):
        altered = raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]
        with pytest.raises(InvalidProof):
            check_answer(
                view_of(layers), Position(), request, {**answer, "evidence": base64.b64encode(altered).decode()}
            )


class Registered(RegistryChain):
    """Proven values of a supervisory chain, without a node."""

    def __init__(self, found: dict[Key, bytes]) -> None:
        self.found = found

    async def values(self, keys: Sequence[Key], *, not_below: int = 0) -> dict[Key, bytes | None]:
        return {key: self.found.get(key) for key in keys}


def test_the_publishers_chain_is_the_last_of_its_line() -> None:
    """A market moved to its successor: its services answer from the books there."""
    documents = [encode_genesis(local_genesis(name)) for name in ("first", "second", "third")]
    line = [genesis_hash(document) for document in documents]
    found: dict[Key, bytes] = {}
    for document, chain, after in zip(documents, line, [*line[1:], b""], strict=True):
        status = "succeeded" if after else "admitted"
        record: dict[str, Value] = {"document_bytes": len(document), "status": status, "successor": after}
        found |= {("chains", b"r" + chain): encode_value(record), ("chains", b"g" + chain + bytes(4)): document}
    for chain in line:
        view, _ = asyncio.run(Registered(found).market_chain(chain))
        assert view.genesis_hash == line[-1]
