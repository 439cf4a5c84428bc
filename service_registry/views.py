"""The registry as people read it: services, one service, access records; all of it proven or said not to be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_map
from chain_core.node import render
from crosschain.packets import ALL_SERVICES
from service_registry.authority import Key
from service_registry.chain import NotRegistered, RegistryChain
from service_registry.halts import halting, halts_key, left_key
from service_registry.offers import decode_offer, offer_values
from service_registry.records import (
    APPLIED,
    SERVICES,
    AccessLog,
    Application,
    Service,
    Version,
    application_key,
    consumers_key,
    decode,
    decode_consumers,
    definition_key,
    offer_key,
    report_key,
    version_key,
)

_PAGE = 1_000


async def browse(chain: RegistryChain, prefix: bytes) -> list[bytes]:
    """Keys inside ``services`` below a prefix as one node lists them: each proven when read, the list itself is not."""
    full, found = state_key(SERVICES, prefix), list[bytes]()
    after = b""
    while True:
        page = await chain.client.nodes[0].scan(full, after, _PAGE)
        found += [key for key, _ in page.items]
        if not page.more or not page.items:
            return [key[len(state_key(SERVICES, b"")) :] for key in found]
        after = found[-1]


async def all_services(chain: RegistryChain) -> render.Row:
    """Every service with its state."""
    keys: list[Key] = [(SERVICES, key) for key in await browse(chain, b"s")]
    values = await chain.values(keys)
    services = {key[1:].hex(): decode(Service, raw) for (_, key), raw in values.items() if raw is not None}
    definitions = await chain.values(
        [(SERVICES, definition_key(bytes.fromhex(name), s.version or s.draft)) for name, s in services.items()]
    )
    rows = []
    for (name, service), raw in zip(services.items(), definitions.values(), strict=True):
        row = {"service": name, "status": service.status, "market": service.market, "entity": service.entity}
        shown = decode_map(raw)["name"] if raw is not None else ""
        rows.append(row | {"name": shown, "version": service.version, "in_test": service.draft})
    return {"services": rows, "each_proven": True, "list_complete": "as one node lists it, not proven"}


async def one_service(chain: RegistryChain, service: bytes) -> render.Row:
    """A service with its versions, the definition in force or in test, and all applications; proven."""
    found = await chain.service(service)
    numbers = [number for number in (found.version, found.draft) if number]
    kept = (version_key, definition_key, report_key, offer_key)
    keys = [(SERVICES, make(service, n)) for n in numbers for make in kept]
    halts: list[Key] = [(SERVICES, left_key(found.chain))]
    halts += [(SERVICES, halts_key(one, found.market)) for one in (ALL_SERVICES, service)]
    values = await chain.values([*keys, (SERVICES, consumers_key(service)), *halts])
    consumers = decode_consumers(values[SERVICES, consumers_key(service)])
    asked: list[Key] = [(SERVICES, application_key(service, consumer)) for consumer in consumers]
    applications = await chain.values(asked)
    return {
        "service": service.hex(),
        **fields(found),
        "halted_by": [directive for key in halts for directive in halting(values[key])],
        "versions": [_version(service, number, values) for number in numbers],
        "applications": [
            {"consumer": consumer.hex(), **fields(decode(Application, raw))}
            for consumer, raw in zip(consumers, applications.values(), strict=True)
            if raw is not None
        ],
        "proven": True,
    }


async def only_applicant(chain: RegistryChain, service: bytes) -> bytes:
    """The one account whose application waits for the publisher, proven. Raises NotRegistered for none or several."""
    key = (SERVICES, consumers_key(service))
    consumers = decode_consumers((await chain.values([key]))[key])
    asked: list[Key] = [(SERVICES, application_key(service, consumer)) for consumer in consumers]
    values = await chain.values(asked)
    waiting = [
        consumer
        for consumer, raw in zip(consumers, values.values(), strict=True)
        if raw is not None and decode(Application, raw).status == APPLIED
    ]
    if len(waiting) != 1:
        told = ", ".join(consumer.hex() for consumer in waiting) or "none"
        raise NotRegistered(
            f"not one application is waiting, but: {told}", where=service.hex(), next_step="name one: --consumer"
        )
    return waiting[0]


async def access_logs(chain: RegistryChain, service: bytes) -> render.Row:
    """How often each caller called: counters and digests, each proven."""
    found = await chain.service(service)
    callers = await browse(chain, b"l" + service)
    asked: list[Key] = [(SERVICES, key) for key in callers]
    values = await chain.values(asked)
    rows = []
    for (_, key), raw in values.items():
        if raw is not None:
            row = fields(decode(AccessLog, raw))
            row.pop("window")
            rows.append({"caller": key[17:].hex(), **row})
    return {"service": service.hex(), "since_height": found.height, "callers": rows, "each_proven": True}


def fields(record: Service | Version | Application | AccessLog) -> dict[str, Any]:
    """A record's fields with bytes in hexadecimal."""
    names = cast(Sequence[str], record.__slots__)
    return {name: render.plain(getattr(record, name)) for name in names}


def _version(service: bytes, number: int, values: dict[Key, bytes | None]) -> render.Row:
    raw = values[SERVICES, version_key(service, number)]
    definition = values[SERVICES, definition_key(service, number)]
    report = values[SERVICES, report_key(service, number)]
    row: render.Row = {"number": number}
    if raw is not None:
        row |= fields(decode(Version, raw))
    if definition is not None:
        row["definition"] = render.plain(decode_map(definition))
    offer = values[SERVICES, offer_key(service, number)]
    if offer is not None:
        row["source_mark"] = render.plain(dict(offer_values(decode_offer(offer).offer)))
    if report is not None:
        row["report"] = render.plain(decode_map(cast(bytes, decode_map(report)["report"])))
    return row
