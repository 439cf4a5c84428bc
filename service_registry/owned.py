"""What all methods of ``services`` do first: find the service, see whose it is and whether the step starts there."""

from __future__ import annotations

from dataclasses import replace
from typing import NoReturn, cast

from chain_core.execution.context import CallContext
from chain_core.execution.contract import Arguments
from service_registry import records
from service_registry.authority import find_service, halted_by, trusted_key
from service_registry.definition import Definition, read_definition
from service_registry.machines import SERVICE, Step
from service_registry.records import Service, Version, decode, encode


def service_of(ctx: CallContext, args: Arguments) -> tuple[bytes, Service]:
    """The service that the arguments name."""
    service = cast(bytes, args["service"])
    found = find_service(ctx.read, service)
    if found is None:
        ctx.refuse("services.unknown", service)
    return service, found


def own_service(ctx: CallContext, args: Arguments) -> tuple[bytes, Service]:
    """The service, when the caller published it."""
    service, found = service_of(ctx, args)
    if found.publisher != ctx.principal:
        ctx.refuse("services.not_publisher", found.publisher)
    return service, found


def after(ctx: CallContext, step: Step, status: str) -> str:
    """The state that a step comes to from ``status``; refused when it does not start there."""
    if status not in step.sources:
        wrong_state(ctx, status, step.method)
    return step.end(status)


def wrong_state(ctx: CallContext, status: str, method: str) -> NoReturn:
    """Refuses a step that does not start from the state."""
    ctx.refuse("services.wrong_state", status, method)


def move(ctx: CallContext, args: Arguments, name: str) -> None:
    """A step of the service that changes nothing but its state."""
    service, found = own_service(ctx, args)
    status = after(ctx, SERVICE[name], found.status)
    store_service(ctx, service, replace(found, status=status))
    ctx.emit(status, service=service, version=found.version)


def store_service(ctx: CallContext, service: bytes, found: Service) -> None:
    """Writes the record, changed at this height."""
    ctx.put(records.service_key(service), encode(replace(found, height=ctx.block.height)))


def version_of(ctx: CallContext, service: bytes, number: int) -> Version:
    """A version that the service's record names."""
    raw = ctx.get(records.version_key(service, number))
    assert raw is not None, "a service's versions are in state"
    return decode(Version, raw)


def definition_of(ctx: CallContext, service: bytes, number: int) -> Definition:
    """A version's definition."""
    raw = ctx.get(records.definition_key(service, number))
    assert raw is not None, "a version's definition is in state"
    return read_definition(raw)


def move_version(ctx: CallContext, service: bytes, number: int, step: Step) -> None:
    """A step of a version that changes nothing but its state."""
    found = version_of(ctx, service, number)
    changed = replace(found, status=after(ctx, step, found.status), height=ctx.block.height)
    ctx.put(records.version_key(service, number), encode(changed))


def require_running(ctx: CallContext, service: bytes, found: Service) -> None:
    """Refuses while a directive halts the service."""
    directive = halted_by(ctx.read, service, found)
    if directive is not None:
        ctx.refuse("services.suspended", directive)


def require_certificates(ctx: CallContext, found: Service, consumer: bytes) -> None:
    """Refuses unless publisher and consumer have trusted keys."""
    for account in (found.publisher, consumer):
        if trusted_key(ctx.read, account) is None:
            ctx.refuse("services.no_certificate", account)
