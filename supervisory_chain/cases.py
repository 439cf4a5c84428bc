"""The contract ``cases``: what the regulator has to look at, without gaps (docs/spec/registration.md §2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_map, decode_value, encode_value
from chain_core.execution.arguments import HASH, Integer, Kind, Text
from chain_core.execution.context import CallContext
from chain_core.execution.contract import Arguments, Contract, Lane, Method, RuleText
from chain_core.execution.overlay import Namespace
from chain_core.types.values import Value
from crosschain.packets import CASES, MAX_REFERENCE_BYTES, count_in
from supervisory_chain.admission import CSRC

OPEN, CLOSED = "open", "closed"
RISK_ALARM = "risk_alarm"
SLIGHT, MIDDLE, GRAVE = 1, 2, 3
SEVERITIES: Mapping[str, int] = {
    "fork": GRAVE,
    "equivocators": GRAVE,
    "conflicting_packet": GRAVE,
    "answered_late": SLIGHT,
    "passed_over": SLIGHT,
}
"""Of kinds of case; the others are middle ones."""

RULES: Mapping[str, RuleText] = {
    "cases.unknown": RuleText("没有编号为 {0} 的案件", "there is no case {0} of this chain"),
    "cases.closed": RuleText("案件 {0} 已结案", "the case {0} is closed already"),
}


class Cases(Contract):
    """Other contracts open cases on proof; the regulator closes them. Numbers of a chain have no gaps."""

    name = CASES
    lane = Lane.BORDER
    rules = RULES

    def __init__(self) -> None:
        arguments: Mapping[str, Kind] = {"chain": HASH, "number": Integer(), "reference": Text(MAX_REFERENCE_BYTES)}
        self.methods = {"close": Method(self.close, arguments, frozenset((CSRC,)))}

    def close(self, ctx: CallContext, args: Arguments) -> None:
        """The regulator has decided; ``reference`` names the document."""
        chain, number = cast(bytes, args["chain"]), cast(int, args["number"])
        raw = ctx.get(_place(chain, number))
        if raw is None:
            ctx.refuse("cases.unknown", number)
        row = decode_map(raw, "case")
        if row["status"] == CLOSED:
            ctx.refuse("cases.closed", number)
        decided: dict[str, Value] = {"status": CLOSED, "closed_by": ctx.account, "reference": args["reference"]}
        ctx.put(_place(chain, number), encode_value({**row, **decided}))
        _count_open(ctx, chain, cast(str, row["kind"]), -1)
        ctx.emit("closed", chain=chain, number=number)


def open_case(ctx: CallContext, chain: bytes, kind: str, facts: Mapping[str, Value]) -> int:
    """Enters a case against ``chain``; its number. Whoever calls it was granted this contract's state."""
    number = enter_case(ctx.within(CASES), ctx, chain, kind, facts)
    ctx.emit("case_opened", chain=chain, number=number, kind=kind)
    return number


def add_fact(ctx: CallContext, chain: bytes, number: int, name: str, fact: Value) -> None:
    """Enters what became known of a case later on, whatever its status; the facts it opened with stay."""
    enter_fact(ctx.within(CASES), chain, number, name, fact)


def enter_fact(space: Namespace, chain: bytes, number: int, name: str, fact: Value) -> None:
    """The same within this contract's state."""
    row = decode_map(space.get(_place(chain, number)) or b"", "case")
    facts = cast(Mapping[str, Value], row["facts"])
    space.put(_place(chain, number), encode_value({**row, "facts": {name: fact, **facts}}))


def enter_case(space: Namespace, ctx: CallContext, chain: bytes, kind: str, facts: Mapping[str, Value]) -> int:
    """The same without an event, which the end of a block cannot emit."""
    number = count_in(space.get(b"n" + chain))
    row: dict[str, Value] = {
        "kind": kind,
        "facts": dict(facts),
        "height": ctx.block.height,
        "time_ms": ctx.block.time_ms,
        "status": OPEN,
        "closed_by": b"",
        "reference": "",
    }
    space.put(_place(chain, number), encode_value(row))
    space.put(b"n" + chain, encode_value(number + 1))
    _count_open(space, chain, kind, 1)
    return number


def open_place(chain: bytes) -> bytes:
    """Key inside ``cases`` of how many are open by severity: slight, middle, grave; risk alarms are not counted."""
    return b"o" + chain


def decode_open(raw: bytes | None) -> tuple[int, int, int]:
    """Those counts, zero of None."""
    slight, middle, grave = (0, 0, 0) if raw is None else cast(Sequence[int], decode_value(raw, "open cases"))
    return slight, middle, grave


def _count_open(space: Namespace, chain: bytes, kind: str, change: int) -> None:
    if kind == RISK_ALARM:
        return  # an alarm about open cases would keep itself up
    counts: list[Value] = [*decode_open(space.get(open_place(chain)))]
    at = SEVERITIES.get(kind, MIDDLE) - 1
    counts[at] = cast(int, counts[at]) + change
    space.put(open_place(chain), encode_value(counts))


def count_key(chain: bytes) -> bytes:
    """Full state key of how many cases there are against a chain."""
    return state_key(CASES, b"n" + chain)


def case_key(chain: bytes, number: int) -> bytes:
    """Full state key of a case."""
    return state_key(CASES, _place(chain, number))


def _place(chain: bytes, number: int) -> bytes:
    return b"c" + chain + number.to_bytes(8, "big")
