"""What the evidence says of the service (赋能服务): its life, its joint test, and the one call between two markets."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from chain_core.codec.seen import state_key
from chain_core.crypto.hashing import sm3
from chain_core.types.ids import ZERO_HASH
from chain_core.types.values import Value
from crosschain.following import Position
from dualchain.demo.evidence import Evidence, EvidenceRefused
from dualchain.demo.layout import SUPERVISORY
from service_registry.bodies import AccessCode, next_digest, read_call, read_reply, read_report, record_hash
from service_registry.lookup import check_answer
from service_registry.records import (
    SERVICES,
    AccessLog,
    Application,
    Service,
    Version,
    application_key,
    decode,
    log_key,
    service_key,
    version_key,
)

NAME = "service"
ANSWER = "service-answer"
REFERENCE = "holder-roll"

Record = Mapping[str, Value]


def services_keys(service: bytes, tester: bytes, consumer: bytes) -> list[bytes]:
    """Full state keys of what is proven about the service."""
    own = [service_key(service), version_key(service, 1), application_key(service, consumer)]
    own += [log_key(service, tester), log_key(service, consumer)]
    return [state_key(SERVICES, key) for key in own]


def services_summary(evidence: Evidence) -> dict[str, Any]:
    """Life, test and calls of the one service; EvidenceRefused when its records contradict each other."""
    values = evidence.state[SUPERVISORY].get(NAME, {})
    if not values:
        return {}
    told = evidence.documents[ANSWER]
    service, tester, consumer = (bytes.fromhex(told[name]) for name in ("service", "tester", "consumer"))
    raws = [values.get(key) for key in services_keys(service, tester, consumer)]
    if None in raws:
        raise EvidenceRefused("a record of the service is missing", where=NAME)
    raw_service, raw_version, raw_application, *raw_logs = cast(list[bytes], raws)
    found, version = decode(Service, raw_service), decode(Version, raw_version)
    records = list(_records(evidence, service))
    for caller, raw in zip((tester, consumer), raw_logs, strict=True):
        _check_log(decode(AccessLog, raw), [r for r in records if read_call(cast(bytes, r["call"])).consumer == caller])
    request, response = (bytes.fromhex(told[name]) for name in ("request", "response"))
    roll = _answer(evidence, records, consumer, found.market, request, response)
    return {
        "service": service.hex(),
        "market": found.market,
        "status": found.status,
        "version": found.version,
        "joint_test": _verdict(evidence, version),
        "tester": version.tester_entity,
        "consumer_market": decode(Application, raw_application).market,
        "application": decode(Application, raw_application).status,
        "refused": _refused(evidence),
        "calls_recorded": len(records),
        "outcomes": sorted(AccessCode(cast(int, record["code"])).name for record in records),
        "answer_proves": roll,
    }


def _records(evidence: Evidence, service: bytes) -> Iterator[Record]:
    """Access records in the order in which they became final."""
    placed = sorted(evidence.transactions[SUPERVISORY], key=lambda t: (t.header.height, t.index))
    for transaction in placed:
        if transaction.receipt.code:
            continue
        for operation in transaction.envelope.body.operations:
            if (operation.contract, operation.method) == (SERVICES, "record_access"):
                for record in cast(Sequence[Record], operation.args["records"]):
                    if read_call(cast(bytes, record["call"])).service == service:
                        yield record


def _check_log(log: AccessLog, records: Sequence[Record]) -> None:
    """The caller's proven log counts and chains exactly these records: none was left out, none added."""
    digest = ZERO_HASH
    for record in records:
        digest = next_digest(digest, record_hash(record))
    if (log.calls, log.digest) != (len(records), digest):
        raise EvidenceRefused("the access records shown are not those that the chain counted", where=NAME)


def _verdict(evidence: Evidence, version: Version) -> str:
    """The verdict of the report that the version in force rests on."""
    for transaction in evidence.transactions[SUPERVISORY]:
        for operation in transaction.envelope.body.operations:
            if (operation.contract, operation.method) == (SERVICES, "file_report"):
                raw = cast(bytes, operation.args["report"])
                if sm3(raw) == version.report_hash:
                    report = read_report(raw)
                    if report.definition_hash != version.definition_hash:
                        raise EvidenceRefused("the report is about another definition", where=NAME)
                    return report.verdict
    raise EvidenceRefused("the report of the joint test is missing", where=NAME)


def _refused(evidence: Evidence) -> list[str]:
    """Rules that refused steps of the story."""
    return sorted(
        transaction.receipt.rule
        for transaction in evidence.transactions[SUPERVISORY]
        if transaction.receipt.code and transaction.envelope.body.operations[0].contract == SERVICES
    )


def _answer(
    evidence: Evidence, records: Sequence[Record], consumer: bytes, market: str, request: bytes, response: bytes
) -> dict[str, Any]:
    """Request and response are those whose hashes both sides signed and the chain recorded; the roll is proven."""
    answered = []
    for record in records:
        call = read_call(cast(bytes, record["call"]))
        if call.consumer == consumer and record["code"] == AccessCode.OK:
            answered.append((call.request_hash, read_reply(cast(bytes, record["reply"])).response_hash))
    if answered != [(sm3(request), sm3(response))]:
        raise EvidenceRefused("the answer is not the one that was signed and recorded", where=ANSWER)
    roll = check_answer(evidence.views[market], Position(), json.loads(request), json.loads(response))
    return {"holders": len(roll.holders), "total": roll.total, "height": roll.header.height}
