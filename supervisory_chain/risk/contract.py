"""The contract ``risk``: indicators, thresholds, alarms (docs/spec/risk.md §2-§3; guideline art. 25)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from chain_core.codec.values import decode_map, encode_value
from chain_core.execution.arguments import HASH, Choice, Integer
from chain_core.execution.context import CallContext
from chain_core.execution.contract import Arguments, BlockOutcome, Contract, Lane, Method, RuleText
from chain_core.types.values import Value
from contracts.codes.regions import REGIONS
from crosschain.packets import CASES, CHAINS
from supervisory_chain.admission import CSRC
from supervisory_chain.cases import RISK_ALARM, enter_case, enter_fact
from supervisory_chain.chains import is_followed
from supervisory_chain.probes import INSPECTOR
from supervisory_chain.risk.indicators import RISK, encode_window, measure, observation_place, window_place
from supervisory_chain.risk.thresholds import INDICATORS, Threshold, decode_threshold, encode_threshold, stands

REGIONS_A_BLOCK = 5
"""Regions assessed by the end of one block: all of them in seven blocks."""
PULLER_ALARMS = ("", "ENDPOINT_AWAY", "ENDPOINTS_DIFFER", "NOT_VERIFIED", "SNAPSHOT_AWAY")
_ORDER = tuple(sorted(REGIONS))

RULES: Mapping[str, RuleText] = {
    "risk.no_chain": RuleText("链 {0} 未被跟随", "the chain {0} is not followed"),
    "risk.bad_threshold": RuleText("解除值 {1} 须低于报警值 {0}", "the value that clears, {1}, is not below {0}"),
}


class Risk(Contract):
    """Nothing here is told by a market: indicators are computed, observations are the inspectors'."""

    name = RISK
    lane = Lane.BUSINESS
    rules = RULES

    def __init__(self) -> None:
        count = Integer()
        self.methods = {
            "assess": Method(self.assess, {"chain": HASH}),
            "observe": Method(
                self.observe,
                {
                    "chain": HASH,
                    "height": count,
                    "tip": count,
                    "rejected": count,
                    "alarm": Choice(frozenset(PULLER_ALARMS)),
                },
                frozenset((INSPECTOR,)),
            ),
            "set_threshold": Method(
                self.set_threshold,
                {
                    "indicator": Choice(frozenset(INDICATORS)),
                    "raise_at": count,
                    "clear_at": count,
                    "severity": Integer(1, 3),
                },
                frozenset((CSRC,)),
            ),
        }

    def assess(self, ctx: CallContext, args: Arguments) -> None:
        """Computes a chain's indicators now; the events say which alarms came and went."""
        chain = _followed(ctx, args)
        raised, cleared = _assess(ctx, chain)
        for name, case in raised.items():
            ctx.emit("alarm_raised", chain=chain, indicator=name, case=case)
        for name, case in cleared.items():
            ctx.emit("alarm_cleared", chain=chain, indicator=name, case=case)

    def observe(self, ctx: CallContext, args: Arguments) -> None:
        """What the puller knows of a chain."""
        chain = _followed(ctx, args)
        row = {name: args[name] for name in ("height", "tip", "rejected", "alarm")}
        ctx.put(observation_place(chain), encode_value({**row, "by": ctx.account, "time_ms": ctx.block.time_ms}))
        ctx.emit("observed", chain=chain, alarm=args["alarm"])

    def set_threshold(self, ctx: CallContext, args: Arguments) -> None:
        """The first account proposes, another one that names the same sets it."""
        name = cast(str, args["indicator"])
        wanted = Threshold(*(cast(int, args[part]) for part in ("raise_at", "clear_at", "severity")))
        if wanted.clear_at >= wanted.raise_at and (wanted.raise_at or wanted.clear_at):
            ctx.refuse("risk.bad_threshold", wanted.raise_at, wanted.clear_at)
        raw = ctx.get(proposed_place(name))
        known = {} if raw is None else decode_map(raw, "proposed threshold")
        if any(known.get(part) != number for part, number in wanted.row().items()) or known["by"] == ctx.account:
            ctx.put(proposed_place(name), encode_value({**wanted.row(), "by": ctx.account}))
            ctx.emit("threshold_proposed", indicator=name)
            return
        ctx.delete(proposed_place(name))
        ctx.put(threshold_place(name), encode_threshold(wanted))
        ctx.emit("threshold_set", indicator=name, **wanted.row())

    def end_block(self, ctx: CallContext, outcome: BlockOutcome) -> None:
        """The next few regions in turn."""
        first = ctx.block.height * REGIONS_A_BLOCK
        for number in range(first, first + REGIONS_A_BLOCK):
            chain = ctx.read(CHAINS, b"m" + _ORDER[number % len(_ORDER)].encode("ascii"))
            if chain is not None and is_followed(ctx, chain):
                _assess(ctx, chain)


def _followed(ctx: CallContext, args: Arguments) -> bytes:
    chain = cast(bytes, args["chain"])
    if not is_followed(ctx, chain):
        ctx.refuse("risk.no_chain", chain)
    return chain


def _assess(ctx: CallContext, chain: bytes) -> tuple[dict[str, int], dict[str, int]]:
    """(raised, cleared): the case of each alarm that changed, by indicator. Writes only what changed."""
    found, window = measure(ctx.read, chain, ctx.block.time_ms)
    kept = encode_window(window)
    if ctx.get(window_place(chain)) != kept:
        ctx.put(window_place(chain), kept)
    raw = ctx.get(alarms_place(chain))
    alarms = {} if raw is None else decode_map(raw, "alarms")
    raised: dict[str, int] = {}
    cleared: dict[str, int] = {}
    for name, value in found.items():
        threshold = threshold_of(ctx.get(threshold_place(name)), name)
        if stands(name in alarms, value, threshold) is (name in alarms):
            continue
        if name in alarms:
            case = cast(Mapping[str, int], alarms.pop(name))["case"]
            enter_fact(ctx.within(CASES), chain, case, "cleared_ms", ctx.block.time_ms)
            cleared[name] = case
            continue
        facts: dict[str, Value] = {"indicator": name, "value": value, "raise_at": threshold.raise_at}
        facts |= {"severity": threshold.severity}
        raised[name] = enter_case(ctx.within(CASES), ctx, chain, RISK_ALARM, facts)
        alarms[name] = {"case": raised[name], "since_ms": ctx.block.time_ms, "value": value}
    if raised or cleared:
        ctx.put(alarms_place(chain), encode_value(alarms))
    return raised, cleared


def threshold_of(raw: bytes | None, name: str) -> Threshold:
    """The threshold in force: the one that was set, else the indicator's own."""
    return INDICATORS[name].default if raw is None else decode_threshold(raw)


def alarms_place(chain: bytes) -> bytes:
    """Key inside ``risk`` of the alarms that stand."""
    return b"a" + chain


def threshold_place(name: str) -> bytes:
    """Key inside ``risk`` of a threshold that was set."""
    return b"t" + name.encode("ascii")


def proposed_place(name: str) -> bytes:
    """Key inside ``risk`` of a threshold that waits for its second officer."""
    return b"p" + name.encode("ascii")
