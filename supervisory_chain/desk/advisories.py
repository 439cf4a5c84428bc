"""Advisories and what each market does about them: arguments and what the tables do not say (desk.md §3; art. 13).

``a`` || advisory || chain keeps, for each admitted chain, its record of a patch and the case that was opened because
none came in time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_value, encode_value
from chain_core.execution.arguments import HASH, Integer, Kind, ListOf, Text
from chain_core.execution.context import CallContext
from chain_core.execution.contract import RuleText
from chain_core.types.values import Value
from contracts.kernel.calendar import MAX_DAY, day_of
from crosschain.packets import CHAINS, read_chain
from supervisory_chain.cases import add_fact, open_case
from supervisory_chain.chains import is_followed
from supervisory_chain.desk.machines import ADVISORY
from supervisory_chain.desk.records import DESK, Guard, Matter, decode_matter, place

OVERDUE_PATCH = "overdue_patch"
NONE = -1
PATCH_DONE = ("patched", "unaffected")

_VERSION = Text(64)
ADVISORY_ARGUMENTS: Mapping[str, Mapping[str, Kind]] = {
    "issue_advisory": {
        "subject": Text(256),
        "component": Text(128),
        "versions": ListOf(_VERSION, 16, 1, distinct=True),
        "severity": Integer(1, 3),
        "deadline_day": Integer(1, MAX_DAY),
        "document": HASH,
    },
    "escalate_advisory": {"late": HASH},
    "acknowledge": {"chain": HASH, "subject": Text(256), "advisory": Integer(), "document": HASH},
    "record_patch": {"version": _VERSION},
}
ADVISORY_RULES: Mapping[str, RuleText] = {
    "desk.no_advisory": RuleText("没有编号为 {0} 的有效安全公告", "there is no advisory {0} in force"),
    "desk.acknowledged": RuleText("该链已确认公告 {0}", "the chain has acknowledged the advisory {0} already"),
    "desk.not_admitted": RuleText("链 {0} 未准入", "the chain {0} is not admitted"),
}


def patch_key(advisory: int, chain: bytes) -> bytes:
    """Full state key of [number of the chain's record, number of its case], -1 for none."""
    return state_key(DESK, _place(advisory, chain))


def _issued(ctx: CallContext, number: int, before: Matter, moved: Matter) -> Matter:
    """The day by which every market has patched lies ahead."""
    day, deadline = day_of(ctx.block.time_ms), cast(int, moved.fields["deadline_day"])
    if deadline <= day:
        ctx.refuse("desk.too_soon", day, deadline, 0)
    return moved


def _acknowledged(ctx: CallContext, number: int, before: Matter, moved: Matter) -> Matter:
    """Of an advisory that is in force, once a chain."""
    advisory = cast(int, moved.fields["advisory"])
    raw = ctx.get(place(advisory))
    found = None if raw is None else decode_matter(raw)
    if found is None or (found.machine, found.state) != (ADVISORY, "issued"):
        ctx.refuse("desk.no_advisory", advisory)
    record, case = _entry(ctx, advisory, moved.chain)
    if record != NONE:
        ctx.refuse("desk.acknowledged", advisory)
    _keep(ctx, advisory, moved.chain, number, case)
    return moved


def _done(ctx: CallContext, number: int, before: Matter, moved: Matter) -> Matter:
    """A case because of lateness learns that the market is through."""
    advisory = cast(int, moved.fields["advisory"])
    case = _entry(ctx, advisory, moved.chain)[1]
    if case != NONE:
        add_fact(ctx, moved.chain, case, "done_ms", ctx.block.time_ms)
    return moved


def _late(ctx: CallContext, number: int, before: Matter, moved: Matter) -> Matter:
    """The deadline has passed, and the chain named has not patched: a case, once."""
    fields = {name: value for name, value in moved.fields.items() if name != "late"}
    chain, deadline = cast(bytes, moved.fields["late"]), cast(int, fields["deadline_day"])
    if not is_followed(ctx, chain):
        ctx.refuse("desk.not_admitted", chain)
    record, case = _entry(ctx, number, chain)
    if day_of(ctx.block.time_ms) <= deadline or _through(ctx, number, chain) or case != NONE:
        ctx.refuse("desk.not_overdue", number)
    facts: dict[str, Value] = {"advisory": number, "component": fields["component"], "deadline_day": deadline}
    case = open_case(ctx, chain, OVERDUE_PATCH, {**facts, "acknowledged": record != NONE})
    _keep(ctx, number, chain, record, case)
    return replace(moved, fields=fields)


ADVISORY_GUARDS: Mapping[str, Guard] = {
    "issue_advisory": _issued,
    "escalate_advisory": _late,
    "acknowledge": _acknowledged,
    "record_patch": _done,
    "declare_unaffected": _done,
}


def _entry(ctx: CallContext, advisory: int, chain: bytes) -> tuple[int, int]:
    raw = ctx.get(_place(advisory, chain))
    record, case = (NONE, NONE) if raw is None else cast(Sequence[int], decode_value(raw, "patch of a chain"))
    return record, case


def _through(ctx: CallContext, advisory: int, chain: bytes) -> bool:
    """Whether the chain, or one that it succeeded, has done what the advisory asks."""
    while chain:
        record, _ = _entry(ctx, advisory, chain)
        if record != NONE and decode_matter(ctx.get(place(record)) or b"").state in PATCH_DONE:
            return True
        chain = cast(bytes, read_chain(ctx.read(CHAINS, b"r" + chain) or b"")["predecessor"])
    return False


def _keep(ctx: CallContext, advisory: int, chain: bytes, record: int, case: int) -> None:
    ctx.put(_place(advisory, chain), encode_value([record, case]))


def _place(advisory: int, chain: bytes) -> bytes:
    return b"a" + advisory.to_bytes(8, "big") + chain
