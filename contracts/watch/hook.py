"""Shows every movement to the supervision rules that are on (docs/spec/watch.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, cast

from chain_core.codec.values import decode_value
from chain_core.crypto.hashing import sm3
from chain_core.execution.codes import EngineFault
from chain_core.execution.context import CallContext
from chain_core.execution.contract import Hook, RuleText
from chain_core.types.transaction import Operation
from chain_core.types.values import Value
from contracts.engine.freezing import containers_in
from contracts.engine.refusals import Abort
from contracts.hooks.market_hook import BUSINESS_CONTRACTS
from contracts.kernel.calendar import day_of
from contracts.kernel.moves import CashMove, Move
from contracts.kernel.records import NOBODY
from contracts.templates.converting import to_language
from contracts.watch.contract import LIST, RECORD, TREE, WATCH, record_of
from contracts.watch.rule import LIMITS, OBSERVED, Rule, compile_rule
from contracts.watch.view import RuleView

WATCH_HOOK = "watch-rules"
FIRED = b"t"
"""Key of how often all rules together fired."""
_MEMORY, _COUNT = b"d", b"n"
_MAX_FACTS, _MAX_FACT = 6, 128


class _On(NamedTuple):
    """A rule that is on: its program, parameters as it sees them, the first day in force."""

    rule: Rule
    params: Any
    frozen: Mapping[int, int]
    effective_from: int
    memory: bytes


class WatchHook(Hook):
    """Runs after each call of a business contract, and after the market's own rules."""

    name = WATCH_HOOK
    rules: Mapping[str, RuleText] = {}

    def __init__(self, shipped: Sequence[bytes]) -> None:
        self._shipped = {sm3(tree): tree for tree in shipped}
        self._prepared = lru_cache(maxsize=64)(self._prepare)

    def after_call(self, ctx: CallContext, call: Operation, moves: Sequence[object]) -> None:
        """Shows the movements to each rule; reports, refusals and failures as the specification says."""
        if not moves or call.contract not in BUSINESS_CONTRACTS:
            return
        raw = ctx.read(WATCH, LIST)
        if raw is None:
            return
        day = day_of(ctx.block.time_ms)
        on = [one for one in self._on(ctx, raw) if one.effective_from <= day]
        for move in moves if on else ():
            shown = _shown(move, day, ctx.block.time_ms)
            for one in on:
                if shown is not None and shown["kind"] in one.rule.observes:
                    self._judge(ctx, one, dict(shown))

    def _on(self, ctx: CallContext, raw: bytes) -> list[_On]:
        found = []
        for name in cast(list[str], decode_value(raw, "supervision rules")):
            record = ctx.read(WATCH, RECORD + name.encode("utf-8"))
            if record is None:
                raise EngineFault(f"supervision rule {name} is listed and has no record")
            identity = cast(bytes, record_of(record)["tree_sm3"])
            tree = self._shipped.get(identity) or ctx.read(WATCH, TREE + identity)
            if tree is None:
                raise EngineFault(f"the tree {identity.hex()} of supervision rule {name} is not in this build")
            found.append(self._prepared(record, tree))
        return found

    @staticmethod
    def _prepare(record: bytes, tree: bytes) -> _On:
        row, rule = record_of(record), compile_rule(tree)
        params = to_language(row["params"])
        memory = _MEMORY + sm3(rule.id.encode("utf-8"))[:16]
        return _On(rule, params, containers_in(params), cast(int, row["effective_from"]), memory)

    def _judge(self, ctx: CallContext, one: _On, move: dict[str, Value]) -> None:
        rule = one.rule
        view = RuleView(ctx, one.memory)
        try:
            verdict, _ = rule.program.call("judge", view, [move, one.params], LIMITS, one.frozen)
        except Abort as end:
            ctx.emit("rule_failed", rule=rule.id, version=rule.version, reason=end.reason, line=end.line)
            return
        if verdict is None:
            return
        what, reason, facts = _verdict(rule, verdict)
        if not what:
            ctx.emit("rule_failed", rule=rule.id, version=rule.version, reason="wrong_type", line=0)
            return
        if what == "refuse":
            ctx.refuse(f"{rule.id}.{reason}", *facts)
        for key in (_COUNT + rule.id.encode("utf-8"), FIRED):
            ctx.put(key, (count_of(ctx.get(key)) + 1).to_bytes(8, "big"))
        ctx.emit("rule_fired", rule=rule.id, version=rule.version, reason=reason, facts=facts)


def count_of(raw: bytes | None) -> int:
    """A count as kept, zero of None."""
    return int.from_bytes(raw or b"\0", "big")


def _verdict(rule: Rule, verdict: Any) -> tuple[str, str, list[Value]]:
    """What, reason and facts; the first is empty for an answer of another shape."""
    if type(verdict) is dict and len(verdict) == 2 and type(verdict.get("facts")) is list:
        facts = verdict["facts"]
        whole = len(facts) <= _MAX_FACTS and all(type(fact) in (str, int) for fact in facts)
        for what in ("report", "refuse"):
            if what in verdict and verdict[what] in rule.findings and whole:
                return what, verdict[what], [fact[:_MAX_FACT] if type(fact) is str else fact for fact in facts]
    return "", "", []


def _shown(move: object, day: int, time_ms: int) -> dict[str, Value] | None:
    """A movement as rules see it."""
    if isinstance(move, Move):
        kind, security, quantity = OBSERVED[move.kind - 1], move.security.hex(), move.quantity
    elif isinstance(move, CashMove):
        kind, security, quantity = move.kind, "", move.amount_fen
    else:
        return None
    source, target = (b"" if party == NOBODY else party for party in (move.source, move.target))
    return {
        "kind": kind,
        "security": security,
        "source": source.hex(),
        "target": target.hex(),
        "quantity": quantity,
        "day": day,
        "time_ms": time_ms,
    }
