"""The services of the registry that a node lists, each proven (docs/spec/service-registry.md §2)."""

from __future__ import annotations

from dataclasses import dataclass

from chain_core.codec.seen import state_key
from dualchain.guideline.asking import AskedChain, Place
from service_registry.records import (
    SERVICES,
    Application,
    Certificate,
    Service,
    Version,
    application_key,
    certificate_key,
    consumers_key,
    decode,
    decode_consumers,
    version_key,
)


@dataclass(frozen=True, slots=True)
class Published:
    """A service, where its record stands, its version in force (None before there is one), and all applications."""

    identity: bytes
    service: Service
    place: Place
    version: Version | None
    applications: dict[bytes, tuple[Application, Place]]


async def published(upper: AskedChain) -> list[Published]:
    """Every service that is listed."""
    prefix = state_key(SERVICES, b"s")
    found = []
    for key, (raw, place) in (await upper.listed(SERVICES, b"s")).items():
        identity, service = key[len(prefix) :], decode(Service, raw)
        keys = [state_key(SERVICES, part) for part in (version_key(identity, service.version), consumers_key(identity))]
        proven = await upper.state(keys)
        version = proven[keys[0]]
        applications = {}
        for consumer in decode_consumers(proven[keys[1]]):
            raw_application, where = await upper.value(state_key(SERVICES, application_key(identity, consumer)))
            if raw_application is not None:
                applications[consumer] = (decode(Application, raw_application), where)
        decoded = None if version is None else decode(Version, version)
        found.append(Published(identity, service, place, decoded, applications))
    return found


async def trusted(upper: AskedChain, account: bytes) -> Certificate | None:
    """An account's trusted certificate."""
    raw, _ = await upper.value(state_key(SERVICES, certificate_key(account)))
    return None if raw is None else decode(Certificate, raw)
