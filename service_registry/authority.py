"""Who may call which version of a service now: one judgement for the contract, the gateway and publishers' hosts.

It reads state through a function, so that the contract judges its own state and the others proven values
(docs/spec/service-registry.md §7).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from chain_core.execution.account_records import ACCOUNTS, ACTIVE, AccountRecord, decode_record
from chain_core.types.validator_set import same_entity
from crosschain.packets import ALL_SERVICES
from service_registry.halts import halting, halts_key, left_key
from service_registry.records import (
    AUTHORITIES_KEY,
    CANCELLED,
    CONFIRMED,
    DRAFT,
    ONLINE,
    SERVICES,
    TESTED,
    Application,
    Certificate,
    Service,
    Version,
    application_key,
    certificate_key,
    consumers_key,
    decode,
    decode_consumers,
    definition_key,
    log_key,
    path_key,
    service_key,
    version_key,
)

Read: TypeAlias = Callable[[str, bytes], bytes | None]
"""(contract, key) -> value."""
Key: TypeAlias = tuple[str, bytes]

TESTER = "tester"


class Denied(Enum):
    """Why a known caller may not call."""

    CANCELLED = "the service is cancelled"
    SUSPENDED = "the regulator has halted the service"
    NOT_ONLINE = "the service is not online"
    WRONG_VERSION = "this version is not the one in force"
    MARKET_LEFT = "the consumer's market has left the network"
    NOT_CONFIRMED = "the publisher has not confirmed an application of this consumer"
    NOT_A_TESTER = "a version in test is called by an independent tester only"
    NO_PUBLISHER_KEY = "the publisher has no trusted key"


@dataclass(frozen=True, slots=True)
class Permit:
    """The call may be made; ``publisher_key`` signs its reply, ``testing`` says that the version is in test."""

    publisher_key: bytes
    testing: bool


def account_record(read: Read, account: bytes) -> AccountRecord | None:
    """The record of an account, None when there is none."""
    raw = read(ACCOUNTS, b"a" + account)
    return None if raw is None else decode_record(raw)


def trusted_key(read: Read, account: bytes) -> bytes | None:
    """The key of the account's certificate, while it is an active ``assertion`` key of an active account."""
    raw, record = read(SERVICES, certificate_key(account)), account_record(read, account)
    if raw is None or record is None or record.status != ACTIVE:
        return None
    key = decode(Certificate, raw).key
    return key if key in record.keys.get("assertion", ()) else None


def find_service(read: Read, service: bytes) -> Service | None:
    """The record of a service, None when there is none."""
    raw = read(SERVICES, service_key(service))
    return None if raw is None else decode(Service, raw)


def find_application(read: Read, service: bytes, consumer: bytes) -> Application | None:
    """An application, None when there is none."""
    raw = read(SERVICES, application_key(service, consumer))
    return None if raw is None else decode(Application, raw)


def is_independent(read: Read, service: bytes, found: Service, tester: bytes) -> bool:
    """Whether a tester's account and entity are neither the publisher's nor those of anybody who ever applied."""
    record = account_record(read, tester)
    if record is None or tester == found.publisher or same_entity(record.entity) == same_entity(found.entity):
        return False
    for consumer in decode_consumers(read(SERVICES, consumers_key(service))):
        application = find_application(read, service, consumer)
        if consumer == tester:
            return False
        if application is not None and same_entity(application.entity) == same_entity(record.entity):
            return False
    return True


def halted_by(read: Read, service: bytes, found: Service) -> str | None:
    """What halts a service, all services of its market, or those of a chain that left; None when nothing does."""
    for key in (left_key(found.chain), halts_key(ALL_SERVICES, found.market), halts_key(service, "")):
        halts = halting(read(SERVICES, key))
        if halts:
            return halts[0]
    return None


def judge(read: Read, service: bytes, found: Service, version: int, caller: bytes) -> Permit | Denied:
    """Whether ``caller``, whose trusted key was checked, may call ``version`` of the service now."""
    if found.status == CANCELLED:
        return Denied.CANCELLED
    if halted_by(read, service, found) is not None:
        return Denied.SUSPENDED
    publisher_key = trusted_key(read, found.publisher)
    if publisher_key is None:
        return Denied.NO_PUBLISHER_KEY
    if version and version == found.draft:
        raw, record = read(SERVICES, version_key(service, version)), account_record(read, caller)
        in_test = raw is not None and decode(Version, raw).status in (DRAFT, TESTED)
        tester = record is not None and record.status == ACTIVE and TESTER in record.roles
        if not (in_test and tester and is_independent(read, service, found, caller)):
            return Denied.NOT_A_TESTER
        return Permit(publisher_key, True)
    if version != found.version or not version:
        return Denied.WRONG_VERSION
    if found.status != ONLINE:
        return Denied.NOT_ONLINE
    application = find_application(read, service, caller)
    if application is None or application.status != CONFIRMED:
        return Denied.NOT_CONFIRMED
    if application.market in halting(read(SERVICES, left_key(caller))):
        return Denied.MARKET_LEFT
    return Permit(publisher_key, False)


def first_keys(service: bytes, version: int, caller: bytes) -> list[Key]:
    """What ``judge`` and ``trusted_key`` read of service and caller."""
    return [
        (SERVICES, service_key(service)),
        (SERVICES, definition_key(service, version)),
        (SERVICES, version_key(service, version)),
        (SERVICES, application_key(service, caller)),
        (SERVICES, left_key(caller)),
        (SERVICES, log_key(service, caller)),
        (SERVICES, b"q" + service + caller),  # usage.day_count_key
        (SERVICES, consumers_key(service)),
        (SERVICES, halts_key(service, "")),
        (SERVICES, AUTHORITIES_KEY),
        *account_keys(caller),
    ]


def account_keys(account: bytes) -> list[Key]:
    """What ``trusted_key`` and ``trust.certified`` read of an account."""
    return [(SERVICES, certificate_key(account)), (ACCOUNTS, b"a" + account), (SERVICES, path_key(account))]


def further_keys(service: bytes, found: Service, consumers: Iterable[bytes]) -> list[Key]:
    """What ``judge`` reads besides, known from the first values."""
    return [
        (SERVICES, left_key(found.chain)),
        (SERVICES, halts_key(ALL_SERVICES, found.market)),
        *account_keys(found.publisher),
        *((SERVICES, application_key(service, consumer)) for consumer in consumers),
    ]
