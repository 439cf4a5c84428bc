"""The contract ``directives``: orders to market chains, issued with four eyes (docs/spec/directives.md §1-§2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from chain_core.codec.proofs import packet_hash
from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_map, decode_value, encode_value
from chain_core.execution.arguments import HASH, Choice, Integer, Text
from chain_core.execution.context import CallContext
from chain_core.execution.contract import Arguments, BlockOutcome, Contract, Lane, Method, RuleText
from chain_core.types.values import Value
from crosschain.packets import (
    DIRECTIVE_KINDS,
    DIRECTIVES,
    LIFTED_BY,
    MAX_DIRECTIVES,
    MAX_REFERENCE_BYTES,
    SUBJECT_KINDS,
    SUBJECTS,
    Acknowledgement,
    Outcome,
    count_in,
    directive_next_key,
    directive_of,
    encode_directive,
)
from supervisory_chain import demands, escalation, service_halts
from supervisory_chain.admission import CSRC
from supervisory_chain.chains import is_followed
from supervisory_chain.directive_records import place, record_in_line

ISSUED, EXECUTED, NOT_EXECUTED = "issued", "executed", "not_executed"
ACK_LOST = "ack_lost"
"""Carried out on a chain that was succeeded; its acknowledgement was given up."""

MAX_PROPOSED = 64

RULES: Mapping[str, RuleText] = {
    "directives.not_admitted": RuleText("链 {0} 未准入，不能下达指令", "the chain {0} is not admitted"),
    "directives.deadline_past": RuleText("期限 {0} 不晚于区块时间 {1}", "the deadline {0} is not after block time {1}"),
    "directives.too_many_proposed": RuleText("待确认的指令已达上限 {0}", "{0} directives are proposed already"),
    "directives.too_many_in_block": RuleText(
        "同一区块对同一条链最多确认 {0} 条指令，请在下一区块重试",
        "at most {0} directives are confirmed for one chain in one block: try again in the next",
    ),
    "directives.nothing_to_lift": RuleText(
        "指令 {0} 不是对同一对象的冻结或停用", "directive {0} is no freeze or halt of this subject that could be lifted"
    ),
    "directives.wrong_subject": RuleText("{0} 类指令的对象应为且仅为 {1}", "a directive {0} is about its {1} alone"),
    **demands.RULES,
    **service_halts.RULES,
    **escalation.RULES,
    "directives.unknown": RuleText("没有编号为 {0} 的待确认指令", "there is no proposed directive {0}"),
    "directives.own": RuleText(
        "不得确认自己提出的指令（四眼原则）", "nobody confirms his own directive (four-eyes principle)"
    ),
}


class Directives(Contract):
    """Proposed by one account of the regulator, binding once another confirms it."""

    name = DIRECTIVES
    lane = Lane.BORDER
    rules = RULES

    def __init__(self) -> None:
        csrc = frozenset((CSRC,))
        self.methods = {
            "issue": Method(
                self.issue,
                {
                    "chain": HASH,
                    "kind": Choice(DIRECTIVE_KINDS),
                    "deadline_ms": Integer(1),
                    "reference": Text(MAX_REFERENCE_BYTES),
                    **SUBJECT_KINDS,
                },
                csrc,
            ),
            "confirm": Method(self.confirm, {"number": Integer(1)}, csrc),
            "withdraw": Method(self.withdraw, {"number": Integer(1)}, csrc),
        }

    def issue(self, ctx: CallContext, args: Arguments) -> None:
        """A proposed directive: nothing binds until another account of the regulator confirms it."""
        self._check_target(ctx, cast(bytes, args["chain"]), cast(int, args["deadline_ms"]))
        self._check_subject(ctx, args)
        service_halts.check(ctx, cast(bytes, args["chain"]), args)
        last, numbers = _queue(ctx)
        if len(numbers) >= MAX_PROPOSED:
            ctx.refuse("directives.too_many_proposed", MAX_PROPOSED)
        number = last + 1
        ctx.put(_proposed_key(number), encode_value({**args, "issuer": ctx.account}))
        _store_queue(ctx, number, [*numbers, number])
        ctx.emit("proposed", number=number, chain=args["chain"], kind=args["kind"], account=args.get("account", b""))

    def confirm(self, ctx: CallContext, args: Arguments) -> None:
        """Gives the directive the chain's next sequence: from here on it binds."""
        number, row = self._proposed(ctx, args)
        if row["issuer"] == ctx.account:
            ctx.refuse("directives.own")
        chain, deadline_ms = cast(bytes, row["chain"]), cast(int, row["deadline_ms"])
        self._check_target(ctx, chain, deadline_ms)
        self._count_in_block(ctx, chain)
        sequence = count_in(ctx.get(b"n" + chain))
        kind, directive = cast(str, row["kind"]), directive_of(row)
        demands.enter(ctx, chain, sequence, kind)
        service_halts.enter(ctx, chain, sequence, kind, directive)
        escalation.schedule(ctx, chain, sequence, deadline_ms)
        ctx.put(b"n" + chain, encode_value(sequence + 1))
        ctx.put(
            place(b"d", chain, sequence), encode_directive(ctx.block.genesis_hash, chain, sequence, kind, directive)
        )
        record: dict[str, Value] = {
            "kind": kind,
            **directive.payload(),
            "issuer": row["issuer"],
            "confirmer": ctx.account,
            "height": ctx.block.height,
            "time_ms": ctx.block.time_ms,
            "status": ISSUED,
            "ack": None,
        }
        ctx.put(place(b"s", chain, sequence), encode_value(record))
        self._forget(ctx, number)
        account = row.get("account", b"")
        ctx.emit("issued", number=number, chain=chain, sequence=sequence, kind=kind, account=account)

    def end_block(self, ctx: CallContext, outcome: BlockOutcome) -> None:
        """What is overdue becomes a case."""
        escalation.escalate(ctx)

    def withdraw(self, ctx: CallContext, args: Arguments) -> None:
        """Ends a proposed directive; a confirmed one is lifted by its opposite."""
        number, row = self._proposed(ctx, args)
        self._forget(ctx, number)
        ctx.emit("withdrawn", number=number, chain=row["chain"])

    @staticmethod
    def _check_target(ctx: CallContext, chain: bytes, deadline_ms: int) -> None:
        if not is_followed(ctx, chain):
            ctx.refuse("directives.not_admitted", chain)
        if deadline_ms <= ctx.block.time_ms:
            ctx.refuse("directives.deadline_past", deadline_ms, ctx.block.time_ms)

    @staticmethod
    def _check_subject(ctx: CallContext, args: Arguments) -> None:
        """A kind has its own subject and no other. What ``lifts`` names is its opposite, with the same subject."""
        kind = cast(str, args["kind"])
        subject = SUBJECTS.get(kind)
        given = [name for name in sorted(set(SUBJECTS.values())) if name in args]
        if subject is not None and given != [subject]:
            ctx.refuse("directives.wrong_subject", kind, subject)
        lifts = cast(int | None, args.get("lifts"))
        if lifts is None:
            return
        raw = record_in_line(ctx, cast(bytes, args["chain"]), lifts)[1]
        record = {} if raw is None else decode_map(raw, "directive record")
        if subject is None or LIFTED_BY.get(kind, "") != record.get("kind") or args[subject] != record.get(subject):
            ctx.refuse("directives.nothing_to_lift", lifts)

    @staticmethod
    def _count_in_block(ctx: CallContext, chain: bytes) -> None:
        raw = ctx.get(b"b" + chain)
        height, count = cast(Sequence[int], decode_value(raw, "count")) if raw else (0, 0)
        count = count if height == ctx.block.height else 0
        if count >= MAX_DIRECTIVES:
            ctx.refuse("directives.too_many_in_block", MAX_DIRECTIVES)
        ctx.put(b"b" + chain, encode_value([ctx.block.height, count + 1]))

    @staticmethod
    def _proposed(ctx: CallContext, args: Arguments) -> tuple[int, Mapping[str, Value]]:
        number = cast(int, args["number"])
        raw = ctx.get(_proposed_key(number)) if number < 1 << 63 else None
        if raw is None:
            ctx.refuse("directives.unknown", number)
        return number, decode_map(raw, "proposed directive")

    @staticmethod
    def _forget(ctx: CallContext, number: int) -> None:
        last, numbers = _queue(ctx)
        ctx.delete(_proposed_key(number))
        _store_queue(ctx, last, [other for other in numbers if other != number])


def acknowledge(ctx: CallContext, chain: bytes, height: int, ack: Acknowledgement) -> bool:
    """Closes the next open directive of ``chain``; False when the acknowledgement is of anything else.

    Called by the inbox for a proven packet, so the assembly grants the inbox this contract's state.
    """
    space = ctx.within(DIRECTIVES)
    sequence = count_in(space.get(b"a" + chain))
    raw, packet = space.get(place(b"s", chain, sequence)), space.get(place(b"d", chain, sequence))
    if raw is None or packet is None or ack.sequence != sequence:
        return False
    if ack.packet != packet_hash(packet):
        return False
    record = decode_map(raw, "directive record")
    arrived = ctx.block.time_ms
    proven: dict[str, Value] = {
        "code": ack.code,
        "height": height,
        "time_ms": arrived,
        "packet": ack.packet,
        "on_time": arrived <= cast(int, record["deadline_ms"]),
    }
    status = EXECUTED if ack.code == Outcome.EXECUTED else NOT_EXECUTED
    if status == NOT_EXECUTED:
        demands.refused(space, chain, sequence)
    space.put(place(b"s", chain, sequence), encode_value({**record, "status": status, "ack": proven}))
    space.put(b"a" + chain, encode_value(sequence + 1))
    ctx.emit("acknowledged", chain=chain, sequence=sequence, code=ack.code, status=status)
    return True


def hand_over(ctx: CallContext, chain: bytes, successor: bytes, executed: int) -> int:
    """Directives that ``chain`` did not carry out go to its successor, addressed to it; how many.

    Sequences go on. Of those carried out, below ``executed``, none waits for an acknowledgement any more. Records are
    written for open directives only, each of which two accounts of the regulator issued.
    """
    space = ctx.within(DIRECTIVES)
    acknowledged, issued = count_in(space.get(b"a" + chain)), count_in(space.get(b"n" + chain))
    for sequence in range(acknowledged, executed):
        at = place(b"s", chain, sequence)
        record = decode_map(space.get(at) or b"", "directive record")
        space.put(at, encode_value({**record, "status": ACK_LOST}))
    for sequence in range(executed, issued):
        at = place(b"s", chain, sequence)
        raw = space.get(at) or b""
        row = decode_map(raw, "directive record")
        kind, directive = cast(str, row["kind"]), directive_of(row)
        packet = encode_directive(ctx.block.genesis_hash, successor, sequence, kind, directive)
        escalation.schedule(ctx, successor, sequence, directive.deadline_ms, space)
        space.put(place(b"d", successor, sequence), packet)
        space.put(place(b"s", successor, sequence), raw)
        space.delete(place(b"d", chain, sequence))
        space.delete(at)
    for counter, value in ((b"a", executed), (b"n", issued)):
        space.put(counter + chain, encode_value(executed))
        space.put(counter + successor, encode_value(value))
    space.put(b"l" + successor, chain)
    space.put(b"m" + chain, successor)
    demands.hand_over(space, chain, successor)
    return issued - executed


@dataclass(frozen=True, slots=True)
class OpenDirective:
    """A directive without acknowledgement; ``overdue_ms`` > 0 once its deadline has passed."""

    sequence: int
    kind: str
    account: bytes
    """Of the holder it is about, empty when it is about something else."""
    deadline_ms: int
    overdue_ms: int


def open_directives(get: Callable[[bytes], bytes | None], chain: bytes, now_ms: int) -> list[OpenDirective]:
    """All directives of ``chain`` that wait for their acknowledgement, oldest first.

    ``get`` reads full state keys. Complete by construction: they are those between the two counters.
    """
    acknowledged = count_in(get(state_key(DIRECTIVES, b"a" + chain)))
    found: list[OpenDirective] = []
    for sequence in range(acknowledged, count_in(get(directive_next_key(chain)))):
        row = decode_map(get(record_key(chain, sequence)) or b"", "directive record")
        deadline_ms = cast(int, row["deadline_ms"])
        found.append(
            OpenDirective(
                sequence,
                cast(str, row["kind"]),
                cast(bytes, row.get("account", b"")),
                deadline_ms,
                max(0, now_ms - deadline_ms),
            )
        )
    return found


def overdue(get: Callable[[bytes], bytes | None], chain: bytes, now_ms: int) -> list[OpenDirective]:
    """The open directives whose deadline has passed."""
    return [directive for directive in open_directives(get, chain, now_ms) if directive.overdue_ms > 0]


def record_key(chain: bytes, sequence: int) -> bytes:
    """Full state key of a directive's record with its status."""
    return state_key(DIRECTIVES, place(b"s", chain, sequence))


def _proposed_key(number: int) -> bytes:
    return b"p" + number.to_bytes(8, "big")


def _queue(ctx: CallContext) -> tuple[int, list[int]]:
    """The last number given, and those still proposed."""
    raw = ctx.get(b"q")
    if raw is None:
        return 0, []
    row = decode_map(raw, "proposed directives")
    return cast(int, row["last"]), list(cast(Sequence[int], row["open"]))


def _store_queue(ctx: CallContext, last: int, numbers: list[int]) -> None:
    ctx.put(b"q", encode_value({"last": last, "open": numbers}))
