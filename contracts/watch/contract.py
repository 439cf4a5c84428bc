"""The contract ``watch``: supervision rules are switched on and off, by two houses (docs/spec/watch.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

from chain_core.codec.values import decode_map, decode_value, encode_value
from chain_core.crypto.hashing import sm3
from chain_core.execution.arguments import HASH, Document, Integer, Octets, Text, wrong_argument
from chain_core.execution.context import CallContext
from chain_core.execution.contract import Arguments, Contract, Lane, Method, RuleText
from chain_core.types.errors import MalformedBytes
from chain_core.types.values import Value
from contracts.engine.limits import MAX_TREE_BYTES
from contracts.engine.refusals import TemplateRefused
from contracts.kernel.calendar import MAX_DAY, day_of
from contracts.kernel.four_eyes import GOVERNOR, require_second_house
from contracts.watch.rule import Rule, compile_rule

WATCH = "watch"
LIST, RECORD, TREE = b"l", b"r", b"b"
MAX_RULES = 16
_MAX_PARAMS_BYTES = 4_096

TEXTS: Mapping[str, RuleText] = {
    "watch.no_rule": RuleText("{0} 不是合格的监管合约：{1}", "{0} is no supervision rule: {1}"),
    "watch.other_tree": RuleText("监管合约 {0} 的语法树为 {1}", "the tree of rule {0} is {1}"),
    "watch.other_name": RuleText("{0} 的文件自称 {1} 版本 {2}", "the file of {0} calls itself {1} version {2}"),
    "watch.bad_parameters": RuleText(
        "{0} 的参数 {1} 缺失、多余或超限", "parameter {1} of {0} is missing, unknown or too large"
    ),
    "watch.too_early": RuleText("生效日 {0} 早于今日 {1}", "it cannot be in force from day {0}: today is {1}"),
    "watch.too_many": RuleText("已启用 {0} 项监管合约", "{0} rules are on already"),
    "watch.not_on": RuleText("监管合约 {0} 未启用", "rule {0} is not on"),
}


def record_of(raw: bytes) -> Mapping[str, Value]:
    """The record of a rule that is on."""
    return decode_map(raw, "supervision rule")


class Watch(Contract):
    """Keeps which rules are on. ``shipped`` are the trees of this build."""

    name = WATCH
    lane = Lane.BUSINESS

    def __init__(self, shipped: Sequence[bytes]) -> None:
        self._shipped = {sm3(tree): tree for tree in shipped}
        found = {
            f"{rule.id}.{reason}": text for rule in map(compile_rule, shipped) for reason, text in rule.findings.items()
        }
        self.rules = {**TEXTS, **found}
        governor = frozenset((GOVERNOR,))
        self.methods = {
            "switch_on": Method(
                self.switch_on,
                {
                    "rule": Text(64),
                    "version": Integer(1, (1 << 31) - 1),
                    "tree": Octets(0, MAX_TREE_BYTES),
                    "tree_sm3": HASH,
                    "source_sm3": HASH,
                    "params": Document(_MAX_PARAMS_BYTES),
                    "effective_from": Integer(0, MAX_DAY),
                },
                governor,
            ),
            "switch_off": Method(self.switch_off, {"rule": Text(64)}, governor),
        }

    def text_of(self, rule: str, get: Callable[[bytes], bytes | None]) -> RuleText | None:
        """What a rule that is on says of a finding of its own."""
        for place in [at for at, letter in enumerate(rule) if letter == "."][::-1]:
            raw = get(RECORD + rule[:place].encode("utf-8"))
            if raw is not None:
                identity = cast(bytes, record_of(raw)["tree_sm3"])
                tree = self._shipped.get(identity) or get(TREE + identity)
                return None if tree is None else compile_rule(tree).findings.get(rule[place + 1 :])
        return None

    def switch_on(self, ctx: CallContext, args: Arguments) -> None:
        """A rule is in force from a day on, with these parameters. Emits ``rule_switched``."""
        require_second_house(ctx)
        name = cast(str, args["rule"])
        rule = self._judged(ctx, args)
        if (rule.id, rule.version) != (name, args["version"]):
            ctx.refuse("watch.other_name", name, rule.id, rule.version)
        wrong = wrong_argument(rule.params, cast(Arguments, args["params"]))
        if wrong is not None:
            ctx.refuse("watch.bad_parameters", name, wrong[:64])
        today, effective_from = day_of(ctx.block.time_ms), cast(int, args["effective_from"])
        if effective_from < today:
            ctx.refuse("watch.too_early", effective_from, today)
        names = sorted({*_names(ctx.get(LIST)), name})
        if len(names) > MAX_RULES:
            ctx.refuse("watch.too_many", MAX_RULES)
        if args["tree"]:
            ctx.put(TREE + rule.identity, cast(bytes, args["tree"]))
        kept = ("version", "tree_sm3", "source_sm3", "params", "effective_from")
        ctx.put(LIST, encode_value(names))
        ctx.put(
            RECORD + name.encode("utf-8"), encode_value({**{field: args[field] for field in kept}, "by": ctx.account})
        )
        ctx.emit("rule_switched", rule=name, on=True, **{field: args[field] for field in kept})

    def _judged(self, ctx: CallContext, args: Arguments) -> Rule:
        tree = cast(bytes, args["tree"]) or self._shipped.get(cast(bytes, args["tree_sm3"]), b"")
        if sm3(tree) != args["tree_sm3"]:
            ctx.refuse("watch.other_tree", args["rule"], sm3(tree))
        try:
            return compile_rule(tree)
        except (TemplateRefused, MalformedBytes) as refused:
            ctx.refuse("watch.no_rule", args["rule"], str(refused)[:200])

    def switch_off(self, ctx: CallContext, args: Arguments) -> None:
        """From the next call on nothing of it runs. Emits ``rule_switched``."""
        require_second_house(ctx)
        name = cast(str, args["rule"])
        names = _names(ctx.get(LIST))
        if name not in names:
            ctx.refuse("watch.not_on", name)
        ctx.put(LIST, encode_value([other for other in names if other != name]))
        ctx.delete(RECORD + name.encode("utf-8"))
        ctx.emit("rule_switched", rule=name, on=False)


def _names(raw: bytes | None) -> list[str]:
    return [] if raw is None else cast(list[str], decode_value(raw, "supervision rules"))
