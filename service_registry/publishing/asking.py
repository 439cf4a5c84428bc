"""One verified call with values instead of bytes, for commands and generated clients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from chain_core.node import render
from service_registry.chain import NotRegistered, RegistryChain
from service_registry.definition import PROTOBUF, Definition, read_definition
from service_registry.interfaces import requests
from service_registry.records import SERVICES, definition_key
from service_registry.schemas import read_json
from service_registry.session import Session, run


async def definition_in_force(chain: RegistryChain, service: bytes) -> Definition:
    """Proven. Raises NotRegistered."""
    number = (await chain.service(service)).version
    key = (SERVICES, definition_key(service, number))
    raw = (await chain.values([key]))[key] if number else None
    if raw is None:
        raise NotRegistered("no version is in force", where=service.hex(), next_step="wait until it is registered")
    return read_definition(raw)


async def request_bytes(chain: RegistryChain, service: bytes, text: str) -> bytes:
    """A request typed as JSON, as it is sent; whether it fits a schema is left to the gateway. Raises NotOfSchema."""
    definition = await definition_in_force(chain, service)
    raw = text.encode("utf-8")
    return requests(definition).write(read_json(raw)) if definition.kind == PROTOBUF else raw


def ask(config: Path, service: bytes, request: Any) -> Any:
    """The answer's value, as ``Consumer.call`` verifies it; ``request`` is what JSON can say."""

    async def work(session: Session) -> render.Row:
        definition = await definition_in_force(session.chain, service)
        consumer = session.consumer()
        try:
            answered = await consumer.call(service, requests(definition).write(request))
        finally:
            await consumer.close()
        return {"answer": answered.value}

    return run(config, work)["answer"]
