"""What packets between the layers say: channels, kinds, payloads, keys (docs/spec/packets.md, directives.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import cast

from chain_core.codec.proofs import encode_packet
from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_map, decode_value, encode_value
from chain_core.execution.arguments import ACCOUNT, HASH, Integer, Kind, Octets, Optional, Record, Text
from chain_core.execution.context import sequence_key
from chain_core.types.errors import MalformedBytes
from chain_core.types.ids import ACCOUNT_ID_SIZE, MAIN_LEDGER, NO_ACCOUNT
from chain_core.types.packet import Packet
from chain_core.types.values import Value

REPORT_CHANNEL, REPORT_KIND = "report", "block"
DIRECTIVE_CHANNEL, ACK_KIND, ANSWER_KIND = "directive", "ack", "answer"
SERVICE_CHANNEL, REQUEST_KIND = "service", "request"
IDENTITY_CHANNEL, DID_KIND, CREDENTIAL_KIND = "identity", "did", "credential"
UPWARD_CHANNELS = (REPORT_CHANNEL, DIRECTIVE_CHANNEL, SERVICE_CHANNEL, IDENTITY_CHANNEL)
"""Channels from a local chain to the supervisory one, in the order a relayer looks at them."""

FREEZE, UNFREEZE = "freeze_holder", "unfreeze_holder"
FREEZE_SECURITY, UNFREEZE_SECURITY = "freeze_security", "unfreeze_security"
HALT_TEMPLATE, RESUME_TEMPLATE = "halt_template", "resume_template"
HALT_SERVICE, RESUME_SERVICE = "halt_service", "resume_service"
RECTIFY, DEMAND_REPORT = "rectify", "report"
SUBJECTS: Mapping[str, str] = {
    FREEZE: "account",
    UNFREEZE: "account",
    FREEZE_SECURITY: "security",
    UNFREEZE_SECURITY: "security",
    HALT_TEMPLATE: "template",
    RESUME_TEMPLATE: "template",
    HALT_SERVICE: "service",
    RESUME_SERVICE: "service",
}
"""What a kind of directive is about: the one field of its payload that it needs."""
LIFTED_BY: Mapping[str, str] = {
    UNFREEZE: FREEZE,
    UNFREEZE_SECURITY: FREEZE_SECURITY,
    RESUME_TEMPLATE: HALT_TEMPLATE,
    RESUME_SERVICE: HALT_SERVICE,
}
"""The kinds that end others: all of their subject, or the one that ``lifts`` names."""
DEMANDS = frozenset((RECTIFY, DEMAND_REPORT))
"""Kinds that the market answers by a packet of its own; what they are about stands in the document named."""
ALL_SERVICES = bytes(ACCOUNT_ID_SIZE)
"""Stands for all services that the market publishes."""
DIRECTIVE_KINDS = frozenset(SUBJECTS) | DEMANDS

MAX_DIRECTIVES = 32
"""Directives confirmed for one target in one block, and carried out by one ``update``."""
MAX_REFERENCE_BYTES = 128

DIRECTIVES, INBOX, CLIENTS, CHAINS = "directives", "inbox", "clients", "chains"
CASES, CHANNEL = "cases", "channel"
SUPERVISION, REPORTING = "supervision", "reporting"
"""Names of the contracts at the border: they are part of proven state keys."""


ADMITTED = "admitted"
"""Status of a registered chain that has its full part in the network."""
SUSPENDED, RESUMING, WITHDRAWING, WITHDRAWN = "suspended", "resuming", "withdrawing", "withdrawn"
FOLLOWED = frozenset((ADMITTED, SUSPENDED, RESUMING, WITHDRAWING))
"""Whose headers and packets are taken, and whom directives bind (docs/spec/admission.md §1)."""
SUCCEEDED = "succeeded"
"""Status of an admitted chain from the moment on that a successor took its place."""


class Outcome(IntEnum):
    """Code of an acknowledgement: numbers are hashed and proven, they never change meaning."""

    EXECUTED = 0
    UNKNOWN_HOLDER = 1
    NOTHING_TO_CHANGE = 2
    UNKNOWN_KIND = 3
    UNREADABLE = 4
    REFUSED = 5


@dataclass(frozen=True, slots=True)
class Directive:
    """Payload of a directive: deadline in block time, the document behind it, and what it is about on the target chain.

    ``account`` (all zeros: none), ``security``, ``template`` and ``service`` are given as ``SUBJECTS`` says. ``lifts``
    is the sequence of the one directive that this one ends; without it, it ends all of its subject.
    """

    account: bytes
    deadline_ms: int
    reference: str
    lifts: int | None = None
    security: bytes = b""
    template: str = ""
    service: bytes = b""

    def payload(self) -> dict[str, Value]:
        """The packet's map: what is not given is left out."""
        row: dict[str, Value] = {"deadline_ms": self.deadline_ms, "reference": self.reference}
        if self.account != NO_ACCOUNT:
            row["account"] = self.account
        if self.security:
            row["security"] = self.security
        if self.template:
            row["template"] = self.template
        if self.service:
            row["service"] = self.service
        return row if self.lifts is None else {**row, "lifts": self.lifts}


@dataclass(frozen=True, slots=True)
class Answer:
    """Payload of an ``answer``: to which demand, SM3 of its packet, SM3 of the document answered with, its name."""

    sequence: int
    packet: bytes
    document: bytes
    reference: str

    def payload(self) -> dict[str, Value]:
        """The packet's map."""
        return {
            "sequence": self.sequence,
            "packet": self.packet,
            "document": self.document,
            "reference": self.reference,
        }


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """Payload of an ``ack``: the directive's sequence, SM3 of its packet, what became of it."""

    sequence: int
    packet: bytes
    code: int

    def payload(self) -> dict[str, Value]:
        """The packet's map."""
        return {"sequence": self.sequence, "packet": self.packet, "code": self.code}


@dataclass(frozen=True, slots=True)
class Totals:
    """Counted since genesis."""

    reports: int = 0
    transactions: int = 0
    refusals: int = 0
    alarms: int = 0
    """Findings that the chain's supervision templates reported (docs/spec/watch.md)."""

    def payload(self) -> dict[str, Value]:
        """A canonical map."""
        counted: dict[str, Value] = {"reports": self.reports, "transactions": self.transactions}
        return {**counted, "refusals": self.refusals, "alarms": self.alarms}


@dataclass(frozen=True, slots=True)
class Report:
    """Payload of ``block``: one local block with business in it."""

    height: int
    time_ms: int
    transactions: int
    refusals: int
    events: bytes
    event_count: int
    totals: Totals
    supervisory_height: int
    directives_executed: int

    def payload(self) -> dict[str, Value]:
        """The packet's map."""
        return {
            "height": self.height,
            "time_ms": self.time_ms,
            "transactions": self.transactions,
            "refusals": self.refusals,
            "events": self.events,
            "event_count": self.event_count,
            "totals": self.totals.payload(),
            "supervisory_height": self.supervisory_height,
            "directives_executed": self.directives_executed,
        }


_COUNT = Integer()
SUBJECT_KINDS: Mapping[str, Kind] = {
    "account": Optional(ACCOUNT),
    "security": Optional(Octets(ACCOUNT_ID_SIZE)),
    "template": Optional(Text(64)),
    "service": Optional(Octets(ACCOUNT_ID_SIZE)),
    "lifts": Optional(_COUNT),
}
"""Argument kinds of what a directive may be about."""
_DIRECTIVE = Record({"deadline_ms": _COUNT, "reference": Text(MAX_REFERENCE_BYTES), **SUBJECT_KINDS})
_ANSWER = Record({"sequence": _COUNT, "packet": HASH, "document": HASH, "reference": Text(MAX_REFERENCE_BYTES)})
_ACK = Record({"sequence": _COUNT, "packet": HASH, "code": Integer(0, 65_535)})
_TOTALS = Record({"reports": _COUNT, "transactions": _COUNT, "refusals": _COUNT, "alarms": _COUNT})
_TAKEN = Record({"next": _COUNT, "height": _COUNT})
_REPORT = Record(
    {
        "height": _COUNT,
        "time_ms": _COUNT,
        "transactions": _COUNT,
        "refusals": _COUNT,
        "events": HASH,
        "event_count": _COUNT,
        "totals": _TOTALS,
        "supervisory_height": _COUNT,
        "directives_executed": _COUNT,
    }
)


def read_directive(payload: bytes) -> Directive:
    """Raises MalformedBytes when the payload has other fields or is out of bounds."""
    return directive_of(_row(payload, _DIRECTIVE, "directive"))


def directive_of(row: Mapping[str, Value]) -> Directive:
    """A directive from a map with its fields and others."""
    return Directive(
        cast(bytes, row.get("account", NO_ACCOUNT)),
        cast(int, row["deadline_ms"]),
        cast(str, row["reference"]),
        cast(int | None, row.get("lifts")),
        cast(bytes, row.get("security", b"")),
        cast(str, row.get("template", "")),
        cast(bytes, row.get("service", b"")),
    )


def chosen_key() -> bytes:
    """Full state key, on a local chain, of the supervisory header that a decision on a fork chose; absent once a header
    after it was stored.
    """
    return state_key(SUPERVISION, b"w")


def branch_key() -> bytes:
    """Full state key, on a local chain, of the supervisory header that the last decision on a fork chose, for good."""
    return state_key(SUPERVISION, b"b")


def directive_name(sequence: int) -> str:
    """The name under which ledgers keep what a directive did, and by which their refusals speak of it."""
    return f"csrc/{sequence}"


def read_answer(payload: bytes) -> Answer:
    """Raises MalformedBytes when the payload has other fields or is out of bounds."""
    row = _row(payload, _ANSWER, "answer")
    packet, document = cast(bytes, row["packet"]), cast(bytes, row["document"])
    return Answer(cast(int, row["sequence"]), packet, document, cast(str, row["reference"]))


def read_acknowledgement(payload: bytes) -> Acknowledgement:
    """Raises MalformedBytes when the payload has other fields or is out of bounds."""
    row = _row(payload, _ACK, "acknowledgement")
    return Acknowledgement(cast(int, row["sequence"]), cast(bytes, row["packet"]), cast(int, row["code"]))


def read_report(payload: bytes) -> Report:
    """Raises MalformedBytes when the payload has other fields or is out of bounds."""
    row = _row(payload, _REPORT, "report")
    totals = cast(Mapping[str, int], row["totals"])
    return Report(
        cast(int, row["height"]),
        cast(int, row["time_ms"]),
        cast(int, row["transactions"]),
        cast(int, row["refusals"]),
        cast(bytes, row["events"]),
        cast(int, row["event_count"]),
        Totals(totals["reports"], totals["transactions"], totals["refusals"], totals["alarms"]),
        cast(int, row["supervisory_height"]),
        cast(int, row["directives_executed"]),
    )


def encode_directive(source: bytes, target: bytes, sequence: int, kind: str, directive: Directive) -> bytes:
    """The packet that stands under ``directive_key``: from the supervisory chain ``source`` to ``target``."""
    payload = encode_value(directive.payload())
    return encode_packet(Packet(source, MAIN_LEDGER, target, MAIN_LEDGER, DIRECTIVE_CHANNEL, sequence, kind, payload))


def directive_next_key(target: bytes) -> bytes:
    """Full state key of ``directive_next`` on the supervisory chain."""
    return state_key(DIRECTIVES, b"n" + target)


def directive_key(target: bytes, sequence: int) -> bytes:
    """Full state key of one directive on the supervisory chain."""
    return state_key(DIRECTIVES, b"d" + target + sequence.to_bytes(8, "big"))


def sent_key(destination: bytes, channel: str) -> bytes:
    """Full state key of how many packets the chain has sent to ``destination`` on ``channel``."""
    return sequence_key(destination, MAIN_LEDGER, channel)


def received_key(source: bytes, channel: str) -> bytes:
    """Full state key of what the supervisory inbox took from ``source`` on ``channel``."""
    return state_key(INBOX, channel_key(source, channel))


def channel_key(source: bytes, channel: str, ledger: int = MAIN_LEDGER) -> bytes:
    """A channel's key inside the inbox."""
    return b"n" + source + ledger.to_bytes(4, "big") + channel.encode("ascii")


def read_channel(raw: bytes | None) -> tuple[int, int]:
    """(next sequence, height of the block that brought the last) of a channel, as kept here or proven of another chain.

    Raises MalformedBytes.
    """
    if raw is None:
        return 0, 0
    row = _row(raw, _TAKEN, "channel")
    return cast(int, row["next"]), cast(int, row["height"])


def chain_record_key(chain: bytes) -> bytes:
    """Full state key of a chain's registration on the supervisory chain."""
    return state_key(CHAINS, b"r" + chain)


@lru_cache(maxsize=256)
def read_chain(raw: bytes) -> Mapping[str, Value]:
    """A registration record, remembered by its bytes: whatever crosses the border looks at it, often several times.

    Nobody changes what is returned. Raises MalformedBytes.
    """
    return decode_map(raw, "chain")


def read_followed(raw: bytes | None) -> bool:
    """Whether a registration record is that of a chain which is followed: admitted, though perhaps suspended."""
    return raw is not None and read_chain(raw)["status"] in FOLLOWED


def read_admitted(raw: bytes | None) -> bool:
    """Whether a registration record is that of an admitted chain, in the strict sense."""
    return raw is not None and read_chain(raw)["status"] == ADMITTED


def client_key(chain: bytes) -> bytes:
    """Full state key of the supervisory chain's light client of ``chain``."""
    return state_key(CLIENTS, b"c" + chain)


def supervision_key() -> bytes:
    """Full state key of how far a local chain has followed the supervisory one."""
    return state_key(SUPERVISION, b"s")


def count_in(raw: bytes | None) -> int:
    """A canonical integer in state, 0 when absent. Raises MalformedBytes."""
    if raw is None:
        return 0
    value = decode_value(raw, "count")
    if type(value) is not int or value < 0:
        raise MalformedBytes("count: not an integer from 0")
    return value


def _row(payload: bytes, kind: Kind, record: str) -> Mapping[str, Value]:
    row = decode_map(payload, record)
    if not kind.admits(row):
        raise MalformedBytes(
            f"{record}: a field is missing, unknown or out of bounds",
            where="payload",
            next_step="see docs/spec/packets.md and directives.md",
        )
    return row
