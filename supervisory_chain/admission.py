"""Admission as a workflow: who may take which step from which state (docs/spec/admission.md §1; art. 4-6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from chain_core.codec.values import decode_value, encode_value
from chain_core.execution.context import CallContext
from chain_core.execution.contract import RuleText
from chain_core.execution.overlay import Namespace
from chain_core.types.ids import ZERO_HASH
from chain_core.types.values import Value
from crosschain.channel_end import End
from crosschain.packets import (
    ADMITTED,
    ALL_SERVICES,
    RESUMING,
    SUCCEEDED,
    SUSPENDED,
    WITHDRAWING,
    WITHDRAWN,
    read_chain,
)
from service_registry import halts
from service_registry.records import SERVICES

OPERATOR, CSRC, OFFICE = "operator", "csrc", "office"
REGISTERED, APPROVED = "registered", "approved"
GONE = ""
"""No record is left."""
MAX_TRAIL = 64


@dataclass(frozen=True, slots=True)
class Step:
    """One row: an operator who takes it registered the chain; ``confirms`` is the step that another account took."""

    name: str
    sources: tuple[str, ...]
    target: str
    roles: frozenset[str]
    confirms: str = ""
    judges: bool = False
    """The registrant's own account may not."""


_PENDING = (REGISTERED, APPROVED)
_ROWS = (
    Step("reject", _PENDING, GONE, frozenset((CSRC,)), judges=True),
    Step("retract", _PENDING, GONE, frozenset((OPERATOR,))),
    Step("approve", (REGISTERED,), APPROVED, frozenset((CSRC,)), judges=True),
    Step("take_back", (APPROVED,), REGISTERED, frozenset((CSRC,))),
    Step("admit", (APPROVED,), ADMITTED, frozenset((CSRC,)), "approve", judges=True),
    Step("suspend", (ADMITTED,), SUSPENDED, frozenset((CSRC, OPERATOR))),
    Step("propose_resumption", (SUSPENDED,), RESUMING, frozenset((CSRC,))),
    Step("refuse_resumption", (RESUMING,), SUSPENDED, frozenset((CSRC,))),
    Step("resume", (RESUMING,), ADMITTED, frozenset((CSRC,)), "propose_resumption"),
    Step("propose_withdrawal", (SUSPENDED,), WITHDRAWING, frozenset((CSRC, OPERATOR))),
    Step("keep", (WITHDRAWING,), SUSPENDED, frozenset((CSRC,))),
    Step("withdraw", (WITHDRAWING,), WITHDRAWN, frozenset((CSRC,)), "propose_withdrawal"),
)
STEPS: Mapping[str, Step] = {step.name: step for step in _ROWS}
_CONFIRMED = frozenset(step.confirms for step in _ROWS if step.confirms)

RULES: Mapping[str, RuleText] = {
    "chains.wrong_state": RuleText("链的状态为 {0}，不能办理 {1}", "the chain is {0}: {1} does not start from there"),
    "chains.four_eyes": RuleText(
        "不得自行确认（四眼原则）：{0}", "the same account took the step that this one confirms (four eyes): {0}"
    ),
    "chains.own_registration": RuleText(
        "登记人不得审批自己的登记（四眼原则）", "nobody admits what he registered himself (four-eyes principle)"
    ),
    "chains.admitted": RuleText("链 {0} 已准入", "the chain {0} is admitted already"),
    "chains.not_yours": RuleText("只有登记人可以为链 {0} 办理", "only its registrant acts for the chain {0}"),
}


def check(ctx: CallContext, chain: bytes, record: Mapping[str, Value], step: Step) -> None:
    """Refuses a step that the table does not let this account take from the record's state."""
    status = cast(str, record["status"])
    own = record["registrar"] == ctx.account
    if step.judges and own:
        ctx.refuse("chains.own_registration")
    if not step.roles & ctx.roles - {OPERATOR} and not own:
        ctx.refuse("chains.not_yours", chain)
    if status not in step.sources:
        if set(step.sources) <= set(_PENDING) and status not in _PENDING:
            ctx.refuse("chains.admitted", chain)
        ctx.refuse("chains.wrong_state", status, step.name)
    if step.confirms and _last(ctx, chain, step.confirms) in (None, ctx.account):
        ctx.refuse("chains.four_eyes", step.confirms)


def note(ctx: CallContext, chain: bytes, step: str, document: bytes = ZERO_HASH) -> None:
    """A step's place in the chain's trail; the newest 64 are kept, and the last of each step that another confirms."""
    row: dict[str, Value] = {
        "step": step,
        "by": ctx.account,
        "entity": ctx.entity,
        "height": ctx.block.height,
        "time_ms": ctx.block.time_ms,
        "document": document,
    }
    ctx.put(trail_place(chain), encode_value(cast(Value, _shortened([*_trail(ctx, chain), row]))))


def halt(ctx: CallContext, market: str, registrar: bytes, step: Step) -> None:
    """The services of a market that is suspended are halted, those of an admitted one no longer for that reason."""
    space, key = ctx.within(SERVICES), halts.halts_key(ALL_SERVICES, market)
    if step.name == "suspend":
        halts.add_first(space, key, halts.SUSPENSION)
    elif step.target == ADMITTED:
        halts.lift(space, key, halts.SUSPENSION)
    if step.name == "admit":
        halts.come(space, registrar, market)


def leave(ctx: CallContext, chain: bytes) -> None:
    """What ends with a chain and those it succeeded: services offered and used, requests that wait for it."""
    End.within(ctx, chain).give_up()
    space, before = ctx.within(SERVICES), chain
    while before:
        record = read_chain(ctx.get(b"r" + before) or b"")
        halts.leave(space, before, cast(bytes, record["registrar"]), cast(str, record["market"]))
        before = cast(bytes, record["predecessor"])


def admission(ctx: CallContext) -> dict[str, Value]:
    """What an admission by the calling account changes in a record."""
    return {
        "status": ADMITTED,
        "admitted_by": ctx.account,
        "admitted_height": ctx.block.height,
        "admitted_ms": ctx.block.time_ms,
    }


def taken_over(ctx: CallContext, status: Value) -> dict[str, Value]:
    """What a succession changes in the successor's record: a market that does not run is not let run by it."""
    return {**admission(ctx), "status": ADMITTED if status == ADMITTED else SUSPENDED}


def is_open(record: Mapping[str, Value]) -> bool:
    """Whether a chain still has a part in the network, or may get one."""
    return record["status"] not in (SUCCEEDED, WITHDRAWN)


def trail_place(chain: bytes) -> bytes:
    """Key inside ``chains`` of a chain's trail."""
    return b"t" + chain


def _trail(space: Namespace, chain: bytes) -> list[Mapping[str, Value]]:
    raw = space.get(trail_place(chain))
    return [] if raw is None else list(cast(Sequence[Mapping[str, Value]], decode_value(raw, "trail")))


def _shortened(rows: list[Mapping[str, Value]]) -> list[Mapping[str, Value]]:
    """Without the oldest when there are too many: no flood of filings makes an officer's step unknown."""
    if len(rows) <= MAX_TRAIL:
        return rows
    last = {row["step"]: number for number, row in enumerate(rows) if row["step"] in _CONFIRMED}
    kept = set(last.values())
    oldest = next(number for number in range(len(rows)) if number not in kept)
    return rows[:oldest] + rows[oldest + 1 :]


def _last(space: Namespace, chain: bytes, step: str) -> bytes | None:
    rows = (row for row in reversed(_trail(space, chain)) if row["step"] == step)
    return next((cast(bytes, row["by"]) for row in rows), None)
