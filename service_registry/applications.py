"""Who may use a service (docs/spec/service-registry.md §4; guideline art. 22)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

from chain_core.codec.values import encode_value
from chain_core.execution.arguments import ACCOUNT, Kind, Octets, Text
from chain_core.execution.context import CallContext
from chain_core.execution.contract import Arguments, Method
from chain_core.types.validator_set import same_entity
from service_registry import records
from service_registry.authority import find_application
from service_registry.definition import LISTED, OPEN
from service_registry.machines import APPLICATION, NONE, Step
from service_registry.markets import MARKET, require_market
from service_registry.owned import (
    after,
    definition_of,
    own_service,
    require_certificates,
    require_running,
    service_of,
    version_of,
    wrong_state,
)
from service_registry.records import (
    CANCELLED,
    DRAFT,
    MAX_CONSUMERS,
    Application,
    Service,
    encode,
)

_NOT_YET, _NO_MORE = frozenset((DRAFT, CANCELLED)), frozenset((CANCELLED,))


def apply(ctx: CallContext, args: Arguments) -> None:
    """Another market's operator asks to use the service; a first application to an open one is confirmed at once."""
    service, found = service_of(ctx, args)
    market, consumer = cast(str, args["market"]), ctx.principal
    require_market(ctx, market)
    if found.status in _NOT_YET:
        wrong_state(ctx, found.status, "apply")
    require_running(ctx, service, found)
    definition = definition_of(ctx, service, found.version)
    former = find_application(ctx.read, service, consumer)
    # Whoever was refused or revoked once is let in by the publisher alone, however open the service is.
    step = APPLICATION["join" if definition.permission == OPEN and former is None else "apply"]
    status = after(ctx, step, NONE if former is None else former.status)
    owner = ctx.record_of(consumer)
    assert owner is not None, "a chain's registrant is an account"
    entity = same_entity(owner.entity)
    if market == found.market or entity == same_entity(found.entity) or consumer == found.publisher:
        ctx.refuse("services.same_side")
    if definition.permission == LISTED and market not in definition.markets:
        ctx.refuse("services.not_listed", market)
    for number in filter(None, (found.version, found.draft)):
        if same_entity(version_of(ctx, service, number).tester_entity) == entity:
            ctx.refuse("services.tested_it", owner.entity)
    require_certificates(ctx, found, consumer)
    if former is None:
        _list_consumer(ctx, service, consumer)
    _store(ctx, service, consumer, Application(status, market, owner.entity, "", ctx.block.height))


def confirm(ctx: CallContext, args: Arguments) -> None:
    """The publisher lets an applicant call."""
    service, found, consumer = _asked(ctx, args, "confirm", _NOT_YET)
    require_running(ctx, service, found)
    require_certificates(ctx, found, consumer)
    _decide(ctx, service, consumer, APPLICATION["confirm"])


def refuse(ctx: CallContext, args: Arguments) -> None:
    """The publisher turns an applicant down, and says why."""
    service, _, consumer = _asked(ctx, args, "refuse", _NOT_YET)
    _decide(ctx, service, consumer, APPLICATION["refuse"], cast(str, args["reason"]))


def withdraw(ctx: CallContext, args: Arguments) -> None:
    """The consumer takes his application back, or gives up his use."""
    service, _ = service_of(ctx, args)
    _decide(ctx, service, ctx.principal, APPLICATION["withdraw"])


def revoke(ctx: CallContext, args: Arguments) -> None:
    """The publisher ends a consumer's use, and says why."""
    service, _, consumer = _asked(ctx, args, "revoke", frozenset())
    _decide(ctx, service, consumer, APPLICATION["revoke"], cast(str, args["reason"]))


def _asked(ctx: CallContext, args: Arguments, method: str, states: frozenset[str]) -> tuple[bytes, Service, bytes]:
    """The caller's own service, unless in one of ``states``, and the applicant."""
    service, found = own_service(ctx, args)
    if found.status in states:
        wrong_state(ctx, found.status, method)
    return service, found, cast(bytes, args["consumer"])


def _list_consumer(ctx: CallContext, service: bytes, consumer: bytes) -> None:
    listed = records.decode_consumers(ctx.get(records.consumers_key(service)))
    if len(listed) >= MAX_CONSUMERS:
        ctx.refuse("services.too_many_consumers", MAX_CONSUMERS)
    ctx.put(records.consumers_key(service), encode_value(sorted([*listed, consumer])))


def _decide(ctx: CallContext, service: bytes, consumer: bytes, step: Step, reason: str = "") -> None:
    application = find_application(ctx.read, service, consumer)
    if application is None:
        ctx.refuse("services.no_application", consumer)
    status = after(ctx, step, application.status)
    _store(ctx, service, consumer, replace(application, status=status, reason=reason, height=ctx.block.height))


def _store(ctx: CallContext, service: bytes, consumer: bytes, application: Application) -> None:
    ctx.put(records.application_key(service, consumer), encode(application))
    ctx.emit(application.status, service=service, consumer=consumer, market=application.market)


_ONE: Mapping[str, Kind] = {"service": Octets(16)}
_BOTH: Mapping[str, Kind] = {**_ONE, "consumer": ACCOUNT}
_REASONED: Mapping[str, Kind] = {**_BOTH, "reason": Text(128)}
_ROLES = {name: frozenset((step.role,)) for name, step in APPLICATION.items()}
METHODS: Mapping[str, Method] = {
    "apply": Method(apply, {**_ONE, "market": MARKET}, _ROLES["apply"]),
    "confirm": Method(confirm, _BOTH, _ROLES["confirm"]),
    "refuse": Method(refuse, _REASONED, _ROLES["refuse"]),
    "withdraw": Method(withdraw, _ONE, _ROLES["withdraw"]),
    "revoke": Method(revoke, _REASONED, _ROLES["revoke"]),
}
