"""The joint test (联调测试): the version in test is called through the gateway with its own examples and one wrong
request; what was found becomes a signed report (docs/spec/service-registry.md §10; guideline art. 22).
"""

from __future__ import annotations

from dataclasses import dataclass

from chain_core.crypto.hashing import sm3
from chain_core.crypto.providers import signing_provider
from chain_core.network.refusals import ServiceRefusal
from chain_core.types.errors import DualchainError
from chain_core.types.ids import ZERO_HASH
from chain_core.types.transaction import Operation
from service_registry import schemas
from service_registry.bodies import (
    FAIL,
    MAX_FINDING_BYTES,
    PASS,
    AccessCode,
    Report,
    Trial,
    encode_report,
    report_message,
)
from service_registry.chain import Account, NotRegistered, RegistryChain, wall_clock_ms
from service_registry.compatibility import breaks, clip
from service_registry.config import KeyPair
from service_registry.consumer import Consumer
from service_registry.definition import HOLDER_ROLL, Definition, read_definition
from service_registry.interfaces import requests, responses
from service_registry.records import SERVICES, definition_key
from service_registry.reports import REFUSED_PROPERLY

_CODES = {
    "BAD_REQUEST": AccessCode.BAD_REQUEST,
    "PUBLISHER_UNREACHABLE": AccessCode.UNREACHABLE,
    "BAD_REPLY": AccessCode.BAD_REPLY,
    "BAD_RESPONSE": AccessCode.BAD_RESPONSE,
}


class NothingInTest(ServiceRefusal):
    """The service has no version that could be tested."""

    code = "NOTHING_IN_TEST"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A filed report and where it stands."""

    report: Report
    height: int


class JointTest:
    """Tests one service as ``who``, whose assertion key signs calls and report."""

    def __init__(self, chain: RegistryChain, consumer: Consumer, who: Account, key: KeyPair) -> None:
        self._chain = chain
        self._consumer = consumer
        self._who = who
        self._key = key

    async def run(self, service: bytes) -> Outcome:
        """Tests the version in test and files the report, whatever its verdict.

        Raises NothingInTest, NotAuthorised and its like when the tester may not test, RefusedByChain.
        """
        report = await self.test(service)
        raw = encode_report(report)
        signature = signing_provider().sm2_sign(self._key.private, report_message(self._chain.genesis_hash, raw))
        filing = Operation(
            SERVICES,
            "file_report",
            {"service": service, "report": raw, "key": self._key.public, "signature": signature},
        )
        receipt = await self._chain.submit(self._who, [filing])
        return Outcome(report, receipt.header.height)

    async def test(self, service: bytes) -> Report:
        """The report; nothing is filed."""
        found = await self._chain.service(service)
        number = found.draft
        if not number:
            raise NothingInTest("no version is in test", where=service.hex(), next_step="draft or change it first")
        key = (SERVICES, definition_key(service, number))
        raw = (await self._chain.values([key]))[key]
        if raw is None:
            raise NotRegistered("the version has no definition", where=f"version {number}", next_step="ask again")
        definition = read_definition(raw)
        findings = _interface_findings(definition)
        broken = () if findings else await self._breaks(service, found.version, definition)
        examples = []
        for place, example in enumerate(definition.examples):
            trial, finding = await self._try(service, number, example)
            examples.append(trial)
            if trial.code != AccessCode.OK or finding:
                findings.append(f"example {place}: {finding or AccessCode(trial.code).name}")
        wrong, finding = await self._try(service, number, definition.wrong_request)
        if wrong.code not in REFUSED_PROPERLY:
            findings.append(f"the wrong request: {AccessCode(wrong.code).name} {finding}")
        checks = ("schema", "signature", "compatibility", *(("proof",) if definition.proof == HOLDER_ROLL else ()))
        return Report(
            service,
            number,
            definition.hash,
            self._who.account,
            tuple(examples),
            wrong,
            checks,
            tuple(clip(finding, MAX_FINDING_BYTES) for finding in findings),
            broken,
            await self._digest(service),
            FAIL if findings else PASS,
            wall_clock_ms(),
        )

    async def _try(self, service: bytes, number: int, raw: bytes) -> tuple[Trial, str]:
        """One call: its trial, and what is to be said about it."""
        try:
            answered = await self._consumer.ask(service, raw, version=number)
        except ServiceRefusal as refusal:
            code = _CODES.get(refusal.code)
            if code is None:
                raise  # the tester may not call, or the gateway does not record: no finding about the service
            return Trial(sm3(raw), ZERO_HASH, code), f"{refusal.code}: {refusal.what}"
        except DualchainError as error:
            # Recorded and signed, but what it claims to prove does not hold.
            return Trial(sm3(raw), ZERO_HASH, AccessCode.BAD_RESPONSE), f"{error.code}: {error.what}"
        finding = "" if answered.code is AccessCode.OK else schemas.write_json(answered.value).decode("utf-8")
        return Trial(sm3(raw), sm3(answered.answer.response), answered.code), finding

    async def _breaks(self, service: bytes, number: int, definition: Definition) -> tuple[str, ...]:
        """What does not go with the version in force."""
        if not number:
            return ()
        key = (SERVICES, definition_key(service, number))
        raw = (await self._chain.values([key]))[key]
        assert raw is not None, "a version in force has a definition"
        return breaks(read_definition(raw), definition)

    async def _digest(self, service: bytes) -> bytes:
        """The digest of the tester's access log, which the contract compares with its own."""
        return (await self._consumer.log_after_last_call(service)).digest


def _interface_findings(definition: Definition) -> list[str]:
    findings = []
    for side, make in (("request", requests), ("response", responses)):
        try:
            make(definition)
        except schemas.BadSchema as error:
            findings.append(f"{side} schema: {error.what} at {error.where}")
    return findings
