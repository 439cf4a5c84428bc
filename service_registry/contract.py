"""The contract ``services``: definitions, their life, applications (docs/spec/service-registry.md §3-§4; art. 21, 22).

It reads no JSON and no schema: whether a definition works is found by the joint test, whose report it checks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NoReturn, cast

from chain_core.codec.signed import derive_id
from chain_core.codec.values import encode_value
from chain_core.crypto.hashing import sm3
from chain_core.execution.arguments import ACCOUNT, HASH, PUBLIC_KEY, Kind, ListOf, Octets, Text
from chain_core.execution.context import CallContext
from chain_core.execution.contract import Arguments, Contract, Method
from chain_core.types.ids import SIGNATURE_SIZE
from chain_core.types.values import Value
from service_registry import records
from service_registry.access import GATEWAY, MAX_RECORDS, record_access
from service_registry.authority import TESTER, Read, find_application, find_service, halted_by, trusted_key
from service_registry.bodies import MAX_REPORT_BYTES, PASS, RECORD
from service_registry.definition import (
    DEFINITION,
    LISTED,
    OPEN,
    Definition,
    bad_endpoint,
    contradiction,
    read_definition,
)
from service_registry.markets import MARKET, require_market
from service_registry.records import (
    APPLIED,
    CANCELLED,
    CONFIRMED,
    DRAFT,
    MAX_CONSUMERS,
    OFFLINE,
    ONLINE,
    REFUSED,
    REGISTERED,
    REPLACED,
    REVOKED,
    SERVICES,
    TESTED,
    WITHDRAWN,
    Application,
    Certificate,
    FiledReport,
    Service,
    Version,
    decode,
    encode,
)
from service_registry.reports import check_report
from service_registry.rules import RULES

OPERATOR = "operator"
_ALIVE = frozenset((DRAFT, REGISTERED, ONLINE, OFFLINE))
_IN_FORCE = frozenset((REGISTERED, ONLINE, OFFLINE))
_SERVICE = Octets(16)
_REASON = Text(128)


def reader(ctx: CallContext) -> Read:
    """The contract's own view of state."""
    return ctx.read


class Services(Contract):
    """The register of services; the life of each, and who may use it."""

    name = SERVICES
    rules = RULES

    def __init__(self) -> None:
        operator = frozenset((OPERATOR,))
        one: Mapping[str, Kind] = {"service": _SERVICE}
        both: Mapping[str, Kind] = {**one, "consumer": ACCOUNT}
        self.methods = {
            "draft": Method(self.draft, {"market": MARKET, "reference": Text(64), "definition": DEFINITION}, operator),
            "change": Method(self.change, {**one, "definition": DEFINITION}, operator),
            "file_report": Method(
                self.file_report,
                {
                    **one,
                    "report": Octets(1, MAX_REPORT_BYTES),
                    "key": PUBLIC_KEY,
                    "signature": Octets(SIGNATURE_SIZE),
                },
                frozenset((TESTER,)),
            ),
            "register": Method(self.register, one, operator),
            "online": Method(self.online, one, operator),
            "offline": Method(self.offline, one, operator),
            "cancel": Method(self.cancel, one, operator),
            "upload_certificate": Method(
                self.upload_certificate, {"key": PUBLIC_KEY, "certificate": HASH}, frozenset((OPERATOR, TESTER))
            ),
            "apply": Method(self.apply, {**one, "market": MARKET}, operator),
            "confirm": Method(self.confirm, both, operator),
            "refuse": Method(self.refuse, {**both, "reason": _REASON}, operator),
            "withdraw": Method(self.withdraw, one, operator),
            "revoke": Method(self.revoke, {**both, "reason": _REASON}, operator),
            "record_access": Method(record_access, {"records": ListOf(RECORD, MAX_RECORDS, 1)}, frozenset((GATEWAY,))),
        }

    # ---- life of a service

    def draft(self, ctx: CallContext, args: Arguments) -> None:
        """A new service with its first version in test."""
        market, reference = cast(str, args["market"]), cast(str, args["reference"])
        chain = require_market(ctx, market)
        service = derive_id(ctx.block.genesis_hash, "service", ctx.principal, reference)
        if find_service(reader(ctx), service) is not None:
            ctx.refuse("services.exists", service)
        owner = ctx.record_of(ctx.principal)
        assert owner is not None, "a chain's registrant is an account"
        height = ctx.block.height
        found = Service(reference, ctx.principal, owner.entity, market, chain, DRAFT, 0, 0, 0, height)
        self._put_draft(ctx, service, found, args)

    def change(self, ctx: CallContext, args: Arguments) -> None:
        """A new version in test; what is in force stays in force until the new one is registered."""
        service, found = self._own(ctx, args, "change", _ALIVE)
        require_market(ctx, found.market)
        if found.draft:
            self._set_version(ctx, service, found.draft, REPLACED)
        self._put_draft(ctx, service, found, args)

    def file_report(self, ctx: CallContext, args: Arguments) -> None:
        """A joint-test report of the version in test, by an independent tester."""
        service, found = self._service(ctx, args)
        if found.status == CANCELLED:
            self._wrong_state(ctx, found.status, "file_report")
        if not found.draft:
            ctx.refuse("services.no_draft")
        version = self._version(ctx, service, found.draft)
        filed = FiledReport(cast(bytes, args["report"]), cast(bytes, args["signature"]), cast(bytes, args["key"]))
        report = check_report(ctx, service, found, version, filed)
        changed = replace(
            version,
            status=TESTED if report.verdict == PASS else DRAFT,
            tester=ctx.account,
            tester_entity=ctx.entity,
            report_hash=sm3(filed.report),
            height=ctx.block.height,
        )
        ctx.put(records.version_key(service, found.draft), encode(changed))
        ctx.put(records.report_key(service, found.draft), encode(filed))
        ctx.emit("reported", service=service, version=found.draft, verdict=report.verdict, report=changed.report_hash)

    def register(self, ctx: CallContext, args: Arguments) -> None:
        """The tested version comes into force."""
        service, found = self._own(ctx, args, "register", _ALIVE)
        require_market(ctx, found.market)
        if not found.draft:
            ctx.refuse("services.no_draft")
        if self._version(ctx, service, found.draft).status != TESTED:
            ctx.refuse("services.not_tested", found.draft)
        if found.version:
            self._set_version(ctx, service, found.version, REPLACED)
        self._set_version(ctx, service, found.draft, REGISTERED)
        status = REGISTERED if found.status == DRAFT else found.status
        self._store(ctx, service, replace(found, status=status, version=found.draft, draft=0))
        ctx.emit("registered", service=service, version=found.draft)

    def online(self, ctx: CallContext, args: Arguments) -> None:
        """The version in force can be called."""
        self._require_running(ctx, *self._service(ctx, args))
        self._move(ctx, args, "online", frozenset((REGISTERED, OFFLINE)), ONLINE)

    def offline(self, ctx: CallContext, args: Arguments) -> None:
        """Nothing can be called; applications stay."""
        self._move(ctx, args, "offline", frozenset((ONLINE,)), OFFLINE)

    def cancel(self, ctx: CallContext, args: Arguments) -> None:
        """The end of a service; its records stay."""
        self._move(ctx, args, "cancel", _ALIVE, CANCELLED)

    # ---- certificates and applications

    def upload_certificate(self, ctx: CallContext, args: Arguments) -> None:
        """The key by which the account signs calls, replies and tests, and SM3 of its certificate (art. 22)."""
        key, owner = cast(bytes, args["key"]), ctx.record_of(ctx.principal)
        if owner is None or key not in owner.keys.get("assertion", ()):
            ctx.refuse("services.not_assertion_key", sm3(key))
        certificate = Certificate(key, cast(bytes, args["certificate"]), ctx.block.height)
        ctx.put(records.certificate_key(ctx.principal), encode(certificate))
        ctx.emit("certified", account=ctx.principal, key=sm3(key), certificate=certificate.certificate)

    def apply(self, ctx: CallContext, args: Arguments) -> None:
        """Another market's operator asks to use the service."""
        service, found = self._service(ctx, args)
        market, consumer = cast(str, args["market"]), ctx.principal
        require_market(ctx, market)
        if found.status not in _IN_FORCE:
            self._wrong_state(ctx, found.status, "apply")
        self._require_running(ctx, service, found)
        owner = ctx.record_of(consumer)
        assert owner is not None, "a chain's registrant is an account"
        if market == found.market or owner.entity == found.entity or consumer == found.publisher:
            ctx.refuse("services.same_side")
        permission = self._definition(ctx, service, found.version)
        if permission.permission == LISTED and market not in permission.markets:
            ctx.refuse("services.not_listed", market)
        former = find_application(reader(ctx), service, consumer)
        if former is not None and former.status in (APPLIED, CONFIRMED):
            self._wrong_state(ctx, former.status, "apply")
        for number in filter(None, (found.version, found.draft)):
            if self._version(ctx, service, number).tester_entity == owner.entity:
                ctx.refuse("services.tested_it", owner.entity)
        self._require_certificates(ctx, found, consumer)
        if former is None:
            self._list_consumer(ctx, service, consumer)
        # Whoever was refused or revoked once is let in by the publisher alone, however open the service is.
        status = CONFIRMED if permission.permission == OPEN and former is None else APPLIED
        self._store_application(ctx, service, consumer, Application(status, market, owner.entity, "", ctx.block.height))

    def confirm(self, ctx: CallContext, args: Arguments) -> None:
        """The publisher lets an applicant call."""
        service, found = self._own(ctx, args, "confirm", _IN_FORCE)
        self._require_running(ctx, service, found)
        self._require_certificates(ctx, found, cast(bytes, args["consumer"]))
        self._decide(ctx, service, cast(bytes, args["consumer"]), "confirm", (APPLIED,), CONFIRMED)

    def refuse(self, ctx: CallContext, args: Arguments) -> None:
        """The publisher turns an applicant down, and says why."""
        service, _ = self._own(ctx, args, "refuse", _IN_FORCE)
        consumer, reason = cast(bytes, args["consumer"]), cast(str, args["reason"])
        self._decide(ctx, service, consumer, "refuse", (APPLIED,), REFUSED, reason)

    def withdraw(self, ctx: CallContext, args: Arguments) -> None:
        """The consumer takes his application back, or gives up his use."""
        service, _ = self._service(ctx, args)
        self._decide(ctx, service, ctx.principal, "withdraw", (APPLIED, CONFIRMED), WITHDRAWN)

    def revoke(self, ctx: CallContext, args: Arguments) -> None:
        """The publisher ends a consumer's use, and says why."""
        service, _ = self._own(ctx, args, "revoke", _ALIVE | {CANCELLED})
        consumer, reason = cast(bytes, args["consumer"]), cast(str, args["reason"])
        self._decide(ctx, service, consumer, "revoke", (CONFIRMED,), REVOKED, reason)

    # ---- what they share

    def _own(self, ctx: CallContext, args: Arguments, method: str, states: frozenset[str]) -> tuple[bytes, Service]:
        """The service, when the caller published it and it is in one of ``states``."""
        service, found = self._service(ctx, args)
        if found.publisher != ctx.principal:
            ctx.refuse("services.not_publisher", found.publisher)
        if found.status not in states:
            self._wrong_state(ctx, found.status, method)
        return service, found

    @staticmethod
    def _service(ctx: CallContext, args: Arguments) -> tuple[bytes, Service]:
        service = cast(bytes, args["service"])
        found = find_service(reader(ctx), service)
        if found is None:
            ctx.refuse("services.unknown", service)
        return service, found

    @staticmethod
    def _require_running(ctx: CallContext, service: bytes, found: Service) -> None:
        directive = halted_by(reader(ctx), service, found)
        if directive is not None:
            ctx.refuse("services.suspended", directive)

    @staticmethod
    def _wrong_state(ctx: CallContext, status: str, method: str) -> NoReturn:
        ctx.refuse("services.wrong_state", status, method)

    def _move(self, ctx: CallContext, args: Arguments, method: str, states: frozenset[str], to: str) -> None:
        service, found = self._own(ctx, args, method, states)
        self._store(ctx, service, replace(found, status=to))
        ctx.emit(to, service=service, version=found.version)

    def _put_draft(self, ctx: CallContext, service: bytes, found: Service, args: Arguments) -> None:
        definition = cast(dict[str, Value], args["definition"])
        wrong = bad_endpoint(cast(list[str], definition["endpoints"]))
        if wrong is not None:
            ctx.refuse("services.bad_endpoint", wrong)
        field = contradiction(definition)
        if field is not None:
            ctx.refuse("services.bad_definition", field)
        raw, number = encode_value(args["definition"]), found.versions + 1
        ctx.put(records.definition_key(service, number), raw)
        version = Version(sm3(raw), DRAFT, b"", "", b"", ctx.block.height)
        ctx.put(records.version_key(service, number), encode(version))
        self._store(ctx, service, replace(found, draft=number, versions=number))
        ctx.emit("drafted", service=service, version=number, definition=version.definition_hash)

    @staticmethod
    def _definition(ctx: CallContext, service: bytes, number: int) -> Definition:
        raw = ctx.get(records.definition_key(service, number))
        assert raw is not None, "a version's definition is in state"
        return read_definition(raw)

    @staticmethod
    def _version(ctx: CallContext, service: bytes, number: int) -> Version:
        raw = ctx.get(records.version_key(service, number))
        assert raw is not None, "a service's versions are in state"
        return decode(Version, raw)

    def _set_version(self, ctx: CallContext, service: bytes, number: int, status: str) -> None:
        changed = replace(self._version(ctx, service, number), status=status, height=ctx.block.height)
        ctx.put(records.version_key(service, number), encode(changed))

    @staticmethod
    def _store(ctx: CallContext, service: bytes, found: Service) -> None:
        ctx.put(records.service_key(service), encode(replace(found, height=ctx.block.height)))

    @staticmethod
    def _require_certificates(ctx: CallContext, found: Service, consumer: bytes) -> None:
        for account in (found.publisher, consumer):
            if trusted_key(reader(ctx), account) is None:
                ctx.refuse("services.no_certificate", account)

    @staticmethod
    def _list_consumer(ctx: CallContext, service: bytes, consumer: bytes) -> None:
        listed = records.decode_consumers(ctx.get(records.consumers_key(service)))
        if len(listed) >= MAX_CONSUMERS:
            ctx.refuse("services.too_many_consumers", MAX_CONSUMERS)
        ctx.put(records.consumers_key(service), encode_value(sorted([*listed, consumer])))

    def _decide(
        self,
        ctx: CallContext,
        service: bytes,
        consumer: bytes,
        method: str,
        states: tuple[str, ...],
        to: str,
        reason: str = "",
    ) -> None:
        application = find_application(reader(ctx), service, consumer)
        if application is None:
            ctx.refuse("services.no_application", consumer)
        if application.status not in states:
            self._wrong_state(ctx, application.status, method)
        changed = replace(application, status=to, reason=reason, height=ctx.block.height)
        self._store_application(ctx, service, consumer, changed)

    @staticmethod
    def _store_application(ctx: CallContext, service: bytes, consumer: bytes, application: Application) -> None:
        ctx.put(records.application_key(service, consumer), encode(application))
        ctx.emit(application.status, service=service, consumer=consumer, market=application.market)
