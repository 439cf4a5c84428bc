"""The contract ``services`` on a chain in memory, with people whose assertion keys really sign."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from chain_core.codec.seen import state_key
from chain_core.codec.signed import derive_id
from chain_core.codec.values import encode_value
from chain_core.crypto.hashing import sm3
from chain_core.crypto.providers import signing_provider
from chain_core.execution.account_records import ACCOUNTS, decode_record, encode_record
from chain_core.execution.codes import Code
from chain_core.execution.executor import Executor
from chain_core.types.genesis import DEFAULT_PARAMETERS, Genesis, GenesisAccount
from chain_core.types.ids import ZERO_HASH
from chain_core.types.transaction import Receipt
from chain_core.types.values import Value
from service_registry.bodies import (
    PASS,
    AccessCode,
    AccessRecord,
    Call,
    Report,
    Trial,
    encode_report,
    record_row,
    report_message,
)
from service_registry.calls import SignedCall, sign_call, sign_reply
from service_registry.contract import Services
from service_registry.definition import USUAL
from service_registry.halts import halts_key, left_key
from service_registry.records import SERVICES, AccessLog, Service, decode, log_key, service_key
from supervisory_chain.desk.contract import Desk
from tests.unit.execution.world import GENESIS_HASH, START_MS, World, account, genesis, key, op

REFERENCE = "roll"
PEOPLE: dict[str, tuple[str, tuple[str, ...]]] = {
    "publisher": ("Beijing market", ("operator",)),
    "consumer": ("Jiangsu market", ("operator",)),
    "second consumer": ("Zhejiang market", ("operator",)),
    "branch": ("Beijing market", ("operator",)),
    "unbound": ("A market without a chain", ("operator",)),
    "nobody": ("Passer-by", ()),
    "tester": ("Test laboratory", ("tester",)),
    "own tester": ("Beijing market", ("tester",)),
    "consumer's tester": ("Jiangsu market", ("tester",)),
    "gateway": ("Platform", ("gateway",)),
    "csrc-1": ("CSRC", ("csrc",)),
    "csrc-2": ("CSRC", ("csrc",)),
}
MARKETS = {"BJ": "publisher", "JS": "consumer", "ZJ": "second consumer", "SH": "branch"}
REQUEST, RESPONSE = b'{"question":1}', b'{"answer":2}'
DEFINITION: dict[str, Value] = {
    **USUAL,
    "name": "service",
    "description": "answers questions",
    "interface": {
        "kind": "json-schema",
        "request": '{"type":"object","required":["question"],"properties":{"question":{"type":"integer"}}}',
        "response": '{"type":"object","required":["answer"],"properties":{"answer":{"type":"integer"}}}',
        "descriptor": "",
    },
    "permissions": ["ask"],
    "endpoints": ["127.0.0.1:7000"],
    "price_fen": 100,
    "proof": "none",
    "examples": [{"request": REQUEST.decode()}, {"request": '{"question":7}'}],
    "wrong_request": '{"question":"what"}',
}
EXAMPLES = (REQUEST, b'{"question":7}')
WRONG = b'{"question":"what"}'


def private(name: str) -> bytes:
    return sm3(b"assertion key of " + name.encode())


def assertion_key(name: str) -> bytes:
    return signing_provider().sm2_public_key(private(name))


def wide(name: str) -> str:
    """The same institution to a reader, in full-width letters."""
    return "".join(chr(ord(letter) + 0xFEE0) if letter.isalpha() else letter for letter in name)


def chain_of(market: str) -> bytes:
    return sm3(b"genesis of " + market.encode())


SERVICE = derive_id(GENESIS_HASH, "service", account("publisher"), REFERENCE)


def _genesis() -> Genesis:
    rows = tuple(
        GenesisAccount(
            account(name),
            entity,
            tuple(sorted(roles)),
            {"transaction": (key(name),), "assertion": (assertion_key(name),)},
        )
        for name, (entity, roles) in PEOPLE.items()
    )
    return replace(genesis(), accounts=rows, documents={}, parameters=dict(DEFAULT_PARAMETERS))


def chain_record(market: str, status: str = "admitted") -> dict[bytes, bytes]:
    """What the contract ``chains`` keeps of a market, as far as ``services`` reads it."""
    chain = chain_of(market)
    record: dict[str, Value] = {"status": status, "registrar": account(MARKETS[market]), "document_bytes": 0}
    return {state_key("chains", b"m" + market.encode()): chain, state_key("chains", b"r" + chain): encode_value(record)}


@dataclass
class House:
    """A supervisory chain; ``do`` makes a block of one transaction."""

    world: World
    call_ids: dict[bytes, int] = field(default_factory=dict)

    @classmethod
    def begin(cls) -> House:
        world = World(Executor((Services(), Desk())))
        world.state.update(world.executor.genesis_writes(_genesis(), GENESIS_HASH))
        for market in MARKETS:
            world.state.update(chain_record(market))
        return cls(world)

    def branch(self) -> House:
        """The same chain again, to be continued otherwise."""
        other = copy.copy(self.world)
        other.state, other.seen_tree = dict(self.world.state), dict(self.world.seen_tree)
        other.nonces = dict(self.world.nonces)
        return House(other, dict(self.call_ids))

    # ---- transactions

    def do(self, who: str, method: str, **args: Value) -> Receipt:
        return self.world.one(who, op(SERVICES, method, **args))

    def ok(self, who: str, method: str, **args: Value) -> Receipt:
        receipt = self.do(who, method, **args)
        assert receipt.code == Code.OK, (method, receipt.code, receipt.rule, receipt.parameters)
        return receipt

    def halt(self, service: bytes, directive: str = "csrc/0", market: str = "BJ") -> None:
        """As the contract ``directives`` does when a halt is confirmed."""
        self.world.state[state_key(SERVICES, halts_key(service, market))] = encode_value([directive])

    def leave(self, who: str, market: str) -> None:
        """As the contract ``chains`` does when a chain of that registrant is withdrawn."""
        self.world.state[state_key(SERVICES, left_key(account(who)))] = encode_value([market])

    def spell(self, who: str, spelling: Callable[[str], str]) -> None:
        """The registrar entered the account's legal entity in another spelling."""
        place = state_key(ACCOUNTS, b"a" + account(who))
        record = decode_record(self.world.state[place])
        self.world.state[place] = encode_record(replace(record, entity=spelling(record.entity)))

    def certify(self, *names: str) -> House:
        for name in names:
            self.ok(name, "upload_certificate", key=assertion_key(name), certificate=sm3(name.encode()))
        return self

    def draft(self, **changes: Value) -> House:
        self.ok("publisher", "draft", market="BJ", reference=REFERENCE, definition={**DEFINITION, **changes})
        return self

    def test(self, who: str = "tester") -> House:
        """The joint test's calls, recorded by the gateway, and its passing report."""
        version = self.service.draft
        codes = [AccessCode.OK] * len(EXAMPLES) + [AccessCode.BAD_REQUEST]
        rows = [self.record(who, r, c, version=version) for r, c in zip((*EXAMPLES, WRONG), codes, strict=True)]
        self.ok("gateway", "record_access", records=rows)
        self.ok(who, "file_report", **self.filing(self.report(who), who))
        return self

    def in_force(self, *, online: bool = True, **definition: Value) -> House:
        """Certificates, draft, test, registration."""
        self.certify("publisher", "consumer", "tester")
        self.draft(**definition)
        self.test()
        self.ok("publisher", "register", service=SERVICE)
        if online:
            self.ok("publisher", "online", service=SERVICE)
        return self

    def confirmed(self, **definition: Value) -> House:
        """As ``in_force``, with an application that the publisher confirmed."""
        self.in_force(**cast(Any, definition))
        self.ok("consumer", "apply", service=SERVICE, market="JS")
        self.ok("publisher", "confirm", service=SERVICE, consumer=account("consumer"))
        return self

    # ---- what is signed

    def call(self, who: str, request: bytes = REQUEST, **changes: object) -> tuple[Call, SignedCall]:
        number = self.call_ids[account(who)] = self.call_ids.get(account(who), 0) + 1
        call = Call(SERVICE, 1, account(who), number, self.world.time_ms, sm3(request))
        call = replace(call, **changes)  # type: ignore[arg-type]
        return call, sign_call(GENESIS_HASH, call, request, private(who))

    def record(
        self,
        who: str,
        request: bytes = REQUEST,
        code: AccessCode = AccessCode.OK,
        *,
        signer: str = "publisher",
        **changes: object,
    ) -> dict[str, Value]:
        """An honest gateway's record of a call that ended with ``code``."""
        _, signed = self.call(who, request, **changes)
        reply, signature = b"", b""
        if code in (AccessCode.OK, AccessCode.SERVICE_ERROR, AccessCode.BAD_RESPONSE):
            said = AccessCode.SERVICE_ERROR if code is AccessCode.SERVICE_ERROR else AccessCode.OK
            answer = sign_reply(GENESIS_HASH, signed.call, said, RESPONSE, self.world.time_ms, private(signer))
            reply, signature = answer.reply, answer.signature
        return record_row(AccessRecord(signed.call, signed.signature, reply, signature, code))

    def report(self, who: str = "tester", **changes: object) -> Report:
        service = self.service
        raw = self.world.state.get(state_key(SERVICES, log_key(SERVICE, account(who))))
        digest = ZERO_HASH if raw is None else decode(AccessLog, raw).digest
        definition = self.world.state[state_key(SERVICES, b"d" + SERVICE + service.draft.to_bytes(4, "big"))]
        report = Report(
            SERVICE,
            service.draft,
            sm3(definition),
            account(who),
            tuple(Trial(sm3(request), sm3(RESPONSE), AccessCode.OK) for request in EXAMPLES),
            Trial(sm3(WRONG), ZERO_HASH, AccessCode.BAD_REQUEST),
            ("schema", "signature", "compatibility"),
            (),
            (),
            digest,
            PASS,
            START_MS,
        )
        return replace(report, **changes)  # type: ignore[arg-type]

    @staticmethod
    def filing(report: Report, who: str = "tester") -> dict[str, Value]:
        """Arguments of ``file_report``."""
        raw = encode_report(report)
        signature = signing_provider().sm2_sign(private(who), report_message(GENESIS_HASH, raw))
        return {"service": SERVICE, "report": raw, "key": assertion_key(who), "signature": signature}

    # ---- what is there

    @property
    def service(self) -> Service:
        return decode(Service, self.world.state[state_key(SERVICES, service_key(SERVICE))])

    def log(self, who: str) -> AccessLog:
        raw = self.world.state.get(state_key(SERVICES, log_key(SERVICE, account(who))))
        return AccessLog() if raw is None else decode(AccessLog, raw)


def prepared(*steps: Callable[[House], object]) -> House:
    """A fresh chain after these steps."""
    house = House.begin()
    for step in steps:
        step(house)
    return house


def refused(receipt: Receipt) -> tuple[str, Sequence[Value]]:
    """(rule, parameters without the operation's index) of a receipt."""
    assert receipt.code == Code.REFUSED_BY_RULE, (receipt.code, receipt.rule, receipt.parameters)
    return receipt.rule, receipt.parameters[1:]
