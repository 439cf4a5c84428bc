"""Sub-ledgers: how ledger 0 names them, and what each begins from (docs/spec/sub-ledgers.md §1, §2).

State keys inside ``governance`` of ledger 0: ``ledgers``: how many there are; ``ledger/`` + u32: name and height of
creation; ``origin/`` + u32 + ``/`` + field: the values of ``validators``, ``parameters`` and ``flags`` as they stood
then. Inside that of a sub-ledger: ``origin``: where it sprang from.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from chain_core.codec.block import decode_header, header_hash
from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_map, decode_value, encode_value
from chain_core.execution import epochs
from chain_core.execution.arguments import Kind, Text
from chain_core.execution.codes import EngineFault
from chain_core.execution.context import CallContext
from chain_core.execution.contract import Arguments, RuleText
from chain_core.execution.epochs import EpochInfo
from chain_core.execution.overlay import Namespace, StateReader
from chain_core.execution.parameters import GOVERNANCE
from chain_core.types.values import Value

LEDGER = "ledger"
MAX_LEDGERS = 15
"""A validator runs all of them."""

CONTENTS: Mapping[str, Mapping[str, Kind]] = {LEDGER: {"name": Text(32, 1, re.compile(r"[a-z][a-z0-9-]*"))}}

RULES: Mapping[str, RuleText] = {
    "governance.ledger_limit": RuleText("本链的子账本已达上限 {0}", "this chain has {0} sub-ledgers, its limit"),
    "governance.ledger_exists": RuleText("子账本名称 {0} 已被占用", "a sub-ledger is called {0} already"),
    "governance.main_ledger_decides": RuleText(
        "{0} 类提案只能在主账本提出", "{0} proposals are made on the main ledger, which decides for all"
    ),
}

COUNT, ORIGIN = b"ledgers", b"origin"
VALIDATORS, _PARAMETERS, _FLAGS = epochs.CURRENT, b"parameters", b"flags"


@dataclass(frozen=True, slots=True)
class SubLedger:
    """A sub-ledger as ledger 0 names it: created in the block of height ``created``."""

    ledger: int
    name: str
    created: int


@dataclass(frozen=True, slots=True)
class Origin:
    """What a sub-ledger begins from: the header of ledger 0 that created it, and what was in force there."""

    sub_ledger: SubLedger
    header_hash: bytes
    time_ms: int
    epoch: EpochInfo
    """Of ledger 0; the sub-ledger counts its own from 0, under the same validators at first."""
    parameters: bytes
    flags: bytes
    """Both as encoded in state."""


def ledger_key(ledger: int) -> bytes:
    """Key inside ``governance`` of a sub-ledger's name."""
    return b"ledger/" + ledger.to_bytes(4, "big")


def create(ctx: CallContext, content: Arguments, limit: int) -> None:
    """A new sub-ledger, the next in number; or refuses with a rule. The block that decides it is its origin."""
    name, count = cast(str, content["name"]), _count(ctx.get(COUNT))
    if count >= limit:
        ctx.refuse("governance.ledger_limit", limit)
    if any(decode_sub_ledger(ctx.get(ledger_key(ledger)), ledger).name == name for ledger in range(1, count + 1)):
        ctx.refuse("governance.ledger_exists", name)
    ledger = count + 1
    ctx.put(COUNT, encode_value(ledger))
    ctx.put(ledger_key(ledger), encode_value({"name": name, "created": ctx.block.height}))
    for field in (VALIDATORS, _PARAMETERS, _FLAGS):
        ctx.put(origin_key(ledger, field), ctx.get(field) or b"")


def sub_ledgers(state: StateReader) -> tuple[SubLedger, ...]:
    """Those that ``state`` of ledger 0 names, ascending; none on a sub-ledger."""
    count = _count(state.get(state_key(GOVERNANCE, COUNT)))
    return tuple(decode_sub_ledger(state.get(state_key(GOVERNANCE, ledger_key(k))), k) for k in range(1, count + 1))


def origin_of(state: StateReader, sub_ledger: SubLedger, header: bytes) -> Origin:
    """``header``: ledger 0's at the height of creation. EngineFault when it is another."""
    decoded = decode_header(header)
    raw = {
        field: state.get(state_key(GOVERNANCE, origin_key(sub_ledger.ledger, field)))
        for field in (VALIDATORS, _PARAMETERS, _FLAGS)
    }
    validators, parameters, flags = raw[VALIDATORS], raw[_PARAMETERS], raw[_FLAGS]
    if decoded.height != sub_ledger.created or validators is None or parameters is None or flags is None:
        raise EngineFault(f"ledger {sub_ledger.ledger} does not begin at height {decoded.height} of ledger 0")
    return Origin(sub_ledger, header_hash(header), decoded.time_ms, epochs.decode_epoch(validators), parameters, flags)


def begin(space: Namespace, origin: Origin) -> None:
    """Into ``governance`` at height 0 of a sub-ledger: what is in force there, and where it sprang from."""
    epoch = origin.epoch
    epochs.install(space, epoch.validators, epoch.addresses)
    space.put(_PARAMETERS, origin.parameters)
    space.put(_FLAGS, origin.flags)
    row: dict[str, Value] = {
        "name": origin.sub_ledger.name,
        "height": origin.sub_ledger.created,
        "header_hash": origin.header_hash,
        "time_ms": origin.time_ms,
        "epoch": epoch.epoch,
        "start": epoch.start,
    }
    space.put(ORIGIN, encode_value(row))


def origin_key(ledger: int, field: bytes) -> bytes:
    """Key inside ``governance`` of ledger 0 of a value that a sub-ledger begins from."""
    return b"origin/" + ledger.to_bytes(4, "big") + b"/" + field


def _count(raw: bytes | None) -> int:
    return 0 if raw is None else cast(int, decode_value(raw, "number of ledgers"))


def decode_sub_ledger(raw: bytes | None, ledger: int) -> SubLedger:
    """The value under ``ledger_key``. EngineFault when there is none."""
    if raw is None:
        raise EngineFault(f"the state counts ledger {ledger} and does not name it")
    row = decode_map(raw, "sub-ledger")
    return SubLedger(ledger, cast(str, row["name"]), cast(int, row["created"]))
