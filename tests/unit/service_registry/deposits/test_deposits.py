"""A market deposits for others on its chain; who asked verifies the answer with the genesis document alone."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chain_core.crypto.hashing import sm3
from chain_core.node.chain_view import ChainView
from chain_core.types.errors import InvalidProof, MalformedBytes
from contracts.data.commitments import commitment
from crosschain.following import Position
from local_chain.assembly import local_assembly
from service_registry import schemas
from service_registry.bodies import Call
from service_registry.chain import Account, RegistryChain, wall_clock_ms
from service_registry.definition import encode_definition, read_definition
from service_registry.deposits.service import (
    REQUEST_SCHEMA,
    RESPONSE_SCHEMA,
    DepositService,
    check_deposit,
    deposit_definition,
)
from service_registry.deposits.slips import Slip, read_slip, require_document, write_slip
from service_registry.host import ANSWERING, ServiceError
from tests.integration.served_chain import ServedNode
from tests.unit.crosschain.chains import Layers, account, op, private_key, public_key

CONSUMER = account("consumer")
SALT, DOCUMENT = sm3(b"salt"), "合同正本".encode()
REQUEST = {"reference": "ab" * 16, "kind": "agreement", "commitment": commitment(SALT, DOCUMENT).hex()}

Ask = Callable[..., Awaitable[dict[str, Any]]]


def told(layers: Layers, story: Callable[[Ask], Awaitable[None]]) -> None:
    local = layers.local

    async def main() -> None:
        local.time_ms = wall_clock_ms()
        assert local.one("operator", op("accounts", "attach_key", purpose="transaction", key=public_key("operator")))
        node = ServedNode(local, local_assembly(local.genesis))
        await node.start()
        chain = RegistryChain(ChainView(local.genesis_bytes), [node.address])
        operator = Account(account("operator"), private_key("operator"), public_key("operator"))
        service = DepositService(chain, operator)

        async def ask(consumer: bytes = CONSUMER, **changes: Any) -> dict[str, Any]:
            ANSWERING.set(Call(bytes(16), 1, consumer, 1, wall_clock_ms(), bytes(32)))
            request = {**REQUEST, **changes}
            schemas.check(json.dumps(REQUEST_SCHEMA), request)
            response: dict[str, Any] = await service.answer(request)
            schemas.check(json.dumps(RESPONSE_SCHEMA), response)
            return response

        try:
            await story(ask)
        finally:
            await chain.close()
            await node.stop()

    asyncio.run(main())


def test_a_deposit_is_made_once_and_verified_offline(layers: Layers) -> None:
    view = ChainView(layers.local.genesis_bytes)

    async def story(ask: Ask) -> None:
        first, height = await ask(), layers.local.height
        found = check_deposit(view, Position(), CONSUMER, REQUEST, first)
        assert (found.depositor, found.owner, found.time_ms) == (CONSUMER, account("operator"), first["time_ms"])
        again = await ask()
        assert (again["deposit"], layers.local.height) == (first["deposit"], height), "asked again, nothing is new"
        for changes in ({"commitment": "00" * 32}, {"kind": "other"}):
            with pytest.raises(ServiceError) as refused:
                await ask(**changes)
            assert refused.value.code == "TAKEN"
        other = await ask(account("buyer"))
        assert other["deposit"] != first["deposit"], "another caller's references are his own"
        altered_answers(view, first)

    told(layers, story)


def altered_answers(view: ChainView, response: dict[str, Any]) -> None:
    raw = bytearray(base64.b64decode(response["evidence"]))
    raw[len(raw) // 2] ^= 1
    for field, value in (
        ("genesis_hash", "00" * 32),
        ("deposit", "00" * 16),
        ("time_ms", response["time_ms"] + 1),
        ("height", response["height"] + 1),
        ("evidence", base64.b64encode(bytes(raw)).decode()),
        ("evidence", "no base64"),
    ):
        with pytest.raises(InvalidProof):
            check_deposit(view, Position(), CONSUMER, REQUEST, {**response, field: value})
    for request in ({**REQUEST, "commitment": "00" * 32}, {**REQUEST, "reference": "cd" * 16}):
        with pytest.raises(InvalidProof):
            check_deposit(view, Position(), CONSUMER, request, response)
    with pytest.raises(InvalidProof):
        check_deposit(view, Position(), account("buyer"), REQUEST, response)
    with pytest.raises(InvalidProof):
        check_deposit(view, Position(response["height"] + 1, b"", 0, 1), CONSUMER, REQUEST, response)


def test_what_the_chain_refuses_is_said_in_its_words(layers: Layers) -> None:
    async def story(ask: Ask) -> None:
        assert layers.local.one("operator", op("accounts", "attach_key", purpose="sealing", key=public_key("s")))
        from chain_core.codec.seen import state_key
        from chain_core.codec.values import encode_value

        genuine, place = layers.local.executor.execute, state_key("agreements", b"q" + account("operator"))

        def execute(*args: Any, **kwargs: Any) -> Any:
            result = genuine(*args, **kwargs)
            day = (layers.local.time_ms + 8 * 3_600_000) // 86_400_000
            result.writes[place] = encode_value({"day": day, "deposits": 1_000, "proposals": 0})
            return result

        layers.local.executor.execute = execute  # type: ignore[method-assign]
        layers.local.block()
        with pytest.raises(ServiceError) as refused:
            await ask()
        assert refused.value.code == "NOT_DEPOSITED" and "上限" in refused.value.what

    told(layers, story)


def test_the_definition_is_one() -> None:
    definition = read_definition(encode_definition(deposit_definition("127.0.0.1:1")))
    schemas.check(json.dumps(REQUEST_SCHEMA), json.loads(definition.examples[0]))
    with pytest.raises(schemas.NotOfSchema):
        schemas.check(json.dumps(REQUEST_SCHEMA), json.loads(definition.wrong_request))


def test_slips(tmp_path: Path) -> None:
    slip = Slip(bytes(32), "deposit", bytes(16), SALT, commitment(SALT, DOCUMENT), len(DOCUMENT), {"a": 1})
    path = tmp_path / "slip.json"
    write_slip(path, slip)
    assert read_slip(path) == slip and path.stat().st_mode & 0o077 == 0
    with pytest.raises(MalformedBytes):
        write_slip(path, slip)
    require_document(slip, DOCUMENT)
    for wrong in (replace(slip, salt=bytes(32)), replace(slip, size=1)):
        with pytest.raises(MalformedBytes):
            require_document(wrong, DOCUMENT)
    for row in ({"kind": "other"}, {"salt": "00"}, {"id": 1}, {"bytes": "x"}):
        path.write_text(json.dumps({**json.loads(path.read_text()), **row}))
        with pytest.raises(MalformedBytes):
            read_slip(path)
        path.unlink()
        write_slip(path, slip)
