"""Life of a service and its versions (docs/spec/service-registry.md §3; guideline art. 21, 22)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

from chain_core.codec.signed import derive_id
from chain_core.codec.values import encode_value
from chain_core.crypto.hashing import sm3
from chain_core.execution.arguments import PUBLIC_KEY, Kind, Octets, Optional, Text
from chain_core.execution.context import CallContext
from chain_core.execution.contract import Arguments, Method
from chain_core.types.ids import SIGNATURE_SIZE
from chain_core.types.values import Value
from service_registry import records
from service_registry.authority import find_service
from service_registry.bodies import MAX_REPORT_BYTES, PASS
from service_registry.definition import DEFINITION, bad_endpoint, contradiction
from service_registry.machines import NONE, SERVICE, VERSION
from service_registry.markets import MARKET, require_market
from service_registry.notices import require_notice
from service_registry.offers import put_offer
from service_registry.owned import (
    after,
    move,
    move_version,
    own_service,
    require_running,
    service_of,
    store_service,
    version_of,
)
from service_registry.records import TESTED, FiledReport, Service, Version, encode
from service_registry.reports import check_report

_SIGNATURE = Octets(SIGNATURE_SIZE)
_SERVICE: Mapping[str, Kind] = {"service": Octets(16)}
_REPORT: Mapping[str, Kind] = {
    **_SERVICE,
    "report": Octets(1, MAX_REPORT_BYTES),
    "key": PUBLIC_KEY,
    "signature": _SIGNATURE,
}


def draft(ctx: CallContext, args: Arguments) -> None:
    """A new service with its first version in test."""
    market, reference = cast(str, args["market"]), cast(str, args["reference"])
    chain = require_market(ctx, market)
    service = derive_id(ctx.block.genesis_hash, "service", ctx.principal, reference)
    if find_service(ctx.read, service) is not None:
        ctx.refuse("services.exists", service)
    owner = ctx.record_of(ctx.principal)
    assert owner is not None, "a chain's registrant is an account"
    status = after(ctx, SERVICE["draft"], NONE)
    found = Service(reference, ctx.principal, owner.entity, market, chain, status, 0, 0, 0, ctx.block.height)
    _put_draft(ctx, service, found, args)


def change(ctx: CallContext, args: Arguments) -> None:
    """A new version in test; what is in force stays in force until the new one is registered."""
    service, found = own_service(ctx, args)
    status = after(ctx, SERVICE["change"], found.status)
    require_market(ctx, found.market)
    if found.draft:
        move_version(ctx, service, found.draft, VERSION["drop"])
    _put_draft(ctx, service, replace(found, status=status), args)


def file_report(ctx: CallContext, args: Arguments) -> None:
    """A joint-test report of the version in test, by an independent tester."""
    service, found = service_of(ctx, args)
    after(ctx, SERVICE["file_report"], found.status)
    if not found.draft:
        ctx.refuse("services.no_draft")
    version = version_of(ctx, service, found.draft)
    filed = FiledReport(cast(bytes, args["report"]), cast(bytes, args["signature"]), cast(bytes, args["key"]))
    report = check_report(ctx, service, found, version, filed)
    changed = replace(
        version,
        status=after(ctx, VERSION["pass" if report.verdict == PASS else "fail"], version.status),
        tester=ctx.account,
        tester_entity=ctx.entity,
        report_hash=sm3(filed.report),
        compatible=not report.breaks,
        height=ctx.block.height,
    )
    ctx.put(records.version_key(service, found.draft), encode(changed))
    ctx.put(records.report_key(service, found.draft), encode(filed))
    told: dict[str, Value] = {
        "verdict": report.verdict,
        "report": changed.report_hash,
        "compatible": changed.compatible,
    }
    ctx.emit("reported", service=service, version=found.draft, **told)


def register(ctx: CallContext, args: Arguments) -> None:
    """The tested version comes into force."""
    service, found = own_service(ctx, args)
    step = SERVICE["renew" if found.version else "register"]
    status = after(ctx, step, found.status)
    require_market(ctx, found.market)
    if not found.draft:
        ctx.refuse("services.no_draft")
    version = version_of(ctx, service, found.draft)
    if version.status != TESTED:
        ctx.refuse("services.not_tested", found.draft)
    if found.version and not version.compatible:
        require_notice(ctx, service, version.definition_hash)
    if found.version:
        move_version(ctx, service, found.version, VERSION["leave"])
    move_version(ctx, service, found.draft, VERSION["enter"])
    signature = cast(bytes | None, args.get("signature"))
    put_offer(ctx, service, found, found.draft, version.definition_hash, signature)
    store_service(ctx, service, replace(found, status=status, version=found.draft, draft=0))
    ctx.emit("registered", service=service, version=found.draft)


def online(ctx: CallContext, args: Arguments) -> None:
    """The version in force can be called."""
    require_running(ctx, *service_of(ctx, args))
    move(ctx, args, "online")


def offline(ctx: CallContext, args: Arguments) -> None:
    """Nothing can be called; applications stay."""
    move(ctx, args, "offline")


def cancel(ctx: CallContext, args: Arguments) -> None:
    """The end of a service; its records stay."""
    move(ctx, args, "cancel")


def _put_draft(ctx: CallContext, service: bytes, found: Service, args: Arguments) -> None:
    definition = cast(dict[str, Value], args["definition"])
    wrong = bad_endpoint(cast(list[str], definition["endpoints"]))
    if wrong is not None:
        ctx.refuse("services.bad_endpoint", wrong)
    field = contradiction(definition)
    if field is not None:
        ctx.refuse("services.bad_definition", field)
    raw, number = encode_value(args["definition"]), found.versions + 1
    ctx.put(records.definition_key(service, number), raw)
    begun = after(ctx, VERSION["follow" if found.versions else "begin"], NONE)
    version = Version(sm3(raw), begun, b"", "", b"", False, ctx.block.height)
    ctx.put(records.version_key(service, number), encode(version))
    store_service(ctx, service, replace(found, draft=number, versions=number))
    ctx.emit("drafted", service=service, version=number, definition=version.definition_hash)


_DRAFT: Mapping[str, Kind] = {"market": MARKET, "reference": Text(64), "definition": DEFINITION}
_ROLES = {name: frozenset((step.role,)) for name, step in SERVICE.items()}
METHODS: Mapping[str, Method] = {
    "draft": Method(draft, _DRAFT, _ROLES["draft"]),
    "change": Method(change, {**_SERVICE, "definition": DEFINITION}, _ROLES["change"]),
    "file_report": Method(file_report, _REPORT, _ROLES["file_report"]),
    "register": Method(register, {**_SERVICE, "signature": Optional(_SIGNATURE)}, _ROLES["register"]),
    "online": Method(online, _SERVICE, _ROLES["online"]),
    "offline": Method(offline, _SERVICE, _ROLES["offline"]),
    "cancel": Method(cancel, _SERVICE, _ROLES["cancel"]),
}
