"""``publish``: whatever step comes next for a service's folder (docs/spec/publishing.md §3)."""

from __future__ import annotations

from collections.abc import Mapping

from chain_core.codec.values import encode_value
from chain_core.crypto.hashing import sm3
from chain_core.node import render
from chain_core.types.errors import LocalFault
from chain_core.types.values import Value
from service_registry.authority import Key
from service_registry.chain import RegistryChain
from service_registry.records import (
    CANCELLED,
    ONLINE,
    SERVICES,
    TESTED,
    Service,
    Version,
    decode,
    service_key,
    version_key,
)
from service_registry.serving import service_id
from service_registry.session import Session


class CannotPublish(LocalFault):
    """A service for which there is no next step."""

    code = "CANNOT_PUBLISH"


async def publish(session: Session, reference: str, definition: Mapping[str, Value]) -> render.Row:
    """Takes the next step and tells the one after it. Raises CannotPublish, RefusedByChain."""
    service = service_id(session.chain.genesis_hash, bytes.fromhex(session.actor.account), reference)
    wanted, done, height = sm3(encode_value(dict(definition))), list[str](), 0
    found = await _service(session.chain, service, 0)

    async def take(method: str, **args: Value) -> None:
        nonlocal height
        receipt = await (session.register(service) if method == "register" else session.submit(method, **args))
        height = receipt.header.height
        done.append(method)

    if found is not None and found.status == CANCELLED:
        raise CannotPublish(
            "the service was cancelled, for good", where=reference, next_step="publish under another --reference"
        )
    if found is None:
        args: dict[str, Value] = {"market": session.market, "reference": reference, "definition": dict(definition)}
        await take("draft", **args)
    else:
        in_force, in_test = await _versions(session.chain, service, found, 0)
        if in_test is not None and in_test.definition_hash == wanted:
            if in_test.status == TESTED:
                await take("register", service=service)
        elif in_force is None or in_force.definition_hash != wanted:
            await take("change", service=service, definition=dict(definition))
        if "change" not in done and (in_force is not None or "register" in done) and found.status != ONLINE:
            await take("online", service=service)
    return await _told(session.chain, service, wanted, done, height)


async def _told(chain: RegistryChain, service: bytes, wanted: bytes, done: list[str], height: int) -> render.Row:
    """The service as it is at ``height`` or later."""
    found = await _service(chain, service, height)
    assert found is not None, "it was there, or has been drafted"
    in_force, in_test = await _versions(chain, service, found, height)
    if in_test is not None and in_test.definition_hash == wanted:
        following = f"serve it; a tester runs: dualchain registry joint-test {service.hex()}; then publish again"
    elif in_force is not None and in_force.definition_hash == wanted and found.status == ONLINE:
        following = f"consumers run: dualchain registry apply {service.hex()}"
    else:
        following = "publish again"
    return {
        "service": service.hex(),
        "status": found.status,
        "in_force": found.version,
        "in_test": found.draft,
        "done": done or ["nothing"],
        "next": following,
    }


async def _service(chain: RegistryChain, service: bytes, height: int) -> Service | None:
    key: Key = (SERVICES, service_key(service))
    raw = (await chain.values([key], not_below=height))[key]
    return None if raw is None else decode(Service, raw)


async def _versions(
    chain: RegistryChain, service: bytes, found: Service, height: int
) -> tuple[Version | None, Version | None]:
    """In force and in test."""
    keys: dict[int, Key] = {n: (SERVICES, version_key(service, n)) for n in (found.version, found.draft) if n}
    values = await chain.values(list(keys.values()), not_below=height)

    def version(number: int) -> Version | None:
        raw = values[keys[number]] if number else None
        return None if raw is None else decode(Version, raw)

    return version(found.version), version(found.draft)
