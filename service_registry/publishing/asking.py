"""What a call needs to know of the version in force, for commands and clients."""

from __future__ import annotations

from service_registry.chain import NotRegistered, RegistryChain
from service_registry.definition import PROTOBUF, Definition, read_definition
from service_registry.interfaces import requests
from service_registry.records import SERVICES, definition_key
from service_registry.schemas import read_json


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
