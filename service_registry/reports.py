"""Whether a joint-test report may be filed: about exactly this version, by an independent tester, borne out
(docs/spec/service-registry.md §3).
"""

from __future__ import annotations

from chain_core.crypto.hashing import sm3
from chain_core.crypto.providers import provider
from chain_core.execution.context import CallContext
from chain_core.types.errors import MalformedBytes
from chain_core.types.values import Value
from service_registry import records
from service_registry.authority import is_independent
from service_registry.bodies import PASS, AccessCode, Report, read_report, report_message
from service_registry.definition import read_definition
from service_registry.records import AccessLog, FiledReport, Service, Version, decode

_MAX_DETAIL = 120
REFUSED_PROPERLY = frozenset((AccessCode.SERVICE_ERROR, AccessCode.BAD_REQUEST))
"""Codes with which a wrong request should end."""


def check_report(ctx: CallContext, service: bytes, found: Service, version: Version, filed: FiledReport) -> Report:
    """The report, when it may be filed by the caller for the version in test; refuses otherwise."""
    try:
        report = read_report(filed.report)
    except MalformedBytes as error:
        ctx.refuse("services.report_malformed", error.what[:_MAX_DETAIL])
    if not is_independent(ctx.read, service, found, ctx.account):
        ctx.refuse("services.not_independent", ctx.account)
    raw = ctx.get(records.definition_key(service, found.draft))
    assert raw is not None, "a version's definition is in state"
    definition = read_definition(raw)
    expected: dict[str, tuple[Value, Value]] = {
        "service": (report.service, service),
        "version": (report.version, found.draft),
        "definition_hash": (report.definition_hash, version.definition_hash),
        "tester": (report.tester, ctx.account),
        "examples": (
            [trial.request_hash for trial in report.examples],
            [sm3(example) for example in definition.examples],
        ),
        "wrong": (report.wrong.request_hash, sm3(definition.wrong_request)),
    }
    for field, (told, wanted) in expected.items():
        if told != wanted:
            ctx.refuse("services.report_differs", field)
    _check_signature(ctx, filed)
    if report.verdict == PASS:
        _check_verdict(ctx, report)
    raw_log = ctx.get(records.log_key(service, ctx.account))
    log = AccessLog() if raw_log is None else decode(AccessLog, raw_log)
    if report.access_digest != log.digest or log.calls < len(report.examples) + 1:
        ctx.refuse("services.report_log")
    return report


def _check_signature(ctx: CallContext, filed: FiledReport) -> None:
    record = ctx.record_of(ctx.account)
    known = record is not None and filed.key in record.keys.get("assertion", ())
    message = report_message(ctx.block.genesis_hash, filed.report)
    if not known or not provider().sm2_verify(filed.key, message, filed.signature):
        ctx.refuse("services.report_signature")


def _check_verdict(ctx: CallContext, report: Report) -> None:
    for number, trial in enumerate(report.examples):
        if trial.code != AccessCode.OK:
            ctx.refuse("services.report_unfounded", f"example {number} ended with code {trial.code}")
    if report.wrong.code not in REFUSED_PROPERLY:
        ctx.refuse("services.report_unfounded", f"the wrong request ended with code {report.wrong.code}")
    if report.findings:
        ctx.refuse("services.report_unfounded", "it has findings")
