"""The contract ``probes``: what the registered endpoints of a chain answer (docs/spec/drift.md §2; art. 10)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_map, encode_value
from chain_core.execution.arguments import HASH, Choice, Integer, Kind, ListOf, Octets, Record, Text
from chain_core.execution.context import CallContext
from chain_core.execution.contract import Arguments, Contract, Lane, Method, RuleText
from chain_core.types.ids import HASH_SIZE
from chain_core.types.values import Value
from crosschain.following import decode_position
from crosschain.packets import CHAINS, CLIENTS, SUCCEEDED, WITHDRAWN, read_chain
from supervisory_chain.cases import add_fact, open_case
from supervisory_chain.desk.in_force import announced
from supervisory_chain.drift import NO_NOTICE, UNANNOUNCED

PROBES = "probes"
INSPECTOR = "inspector"
"""The role that reports what endpoints answer."""

ENDPOINT_DRIFT = "endpoint_drift"
OTHER_CHAIN, BEHIND = "other_chain", "behind"
REPORTED = ("unreachable", "refused", "malformed")
"""Faults that an inspector reports; the others are judged here."""
MAX_ENDPOINTS = 16
MAX_BEHIND = 100
"""Heights that an endpoint may lie behind what is followed here."""
FAILURES = 3
"""So many in a row are a case."""
KEPT_VERSIONS = 8
NO_CASE = -1
MAX_VERSION_BYTES = 64

_OBSERVATION = Record(
    {
        "node": Text(255),
        "fault": Choice(frozenset(("", *REPORTED))),
        "genesis_hash": Octets(0, HASH_SIZE),
        "chain_id": Text(128, 0),
        "height": Integer(),
        "version": Text(MAX_VERSION_BYTES, 0),
    }
)
RULES: Mapping[str, RuleText] = {
    "probes.no_chain": RuleText("没有登记过链 {0}，或其已终止", "no chain {0} is registered, or it is over"),
    "probes.unknown_endpoint": RuleText("节点 {0} 没有登记的接入点", "the node {0} has no registered endpoint"),
    "probes.doubled": RuleText("节点 {0} 出现两次", "the node {0} stands twice"),
}


class Probes(Contract):
    """Inspectors report, the contract compares with what is registered and followed."""

    name = PROBES
    lane = Lane.BUSINESS
    rules = RULES

    def __init__(self) -> None:
        arguments: Mapping[str, Kind] = {"chain": HASH, "observations": ListOf(_OBSERVATION, MAX_ENDPOINTS, 1)}
        self.methods = {"report": Method(self.report, arguments, frozenset((INSPECTOR,)))}

    def report(self, ctx: CallContext, args: Arguments) -> None:
        """What one turn over a chain's endpoints saw."""
        chain = cast(bytes, args["chain"])
        raw = ctx.read(CHAINS, b"r" + chain)
        record = {} if raw is None else read_chain(raw)
        if not record or record["status"] in (SUCCEEDED, WITHDRAWN):
            ctx.refuse("probes.no_chain", chain)
        kept = ctx.get(probed_place(chain))
        known = {"endpoints": [], "versions": []} if kept is None else decode_map(kept, "probes")
        rows = _registered(record, cast(Sequence[Mapping[str, Value]], known["endpoints"]))
        versions = list(cast(Sequence[Value], known["versions"]))
        followed = decode_position(ctx.read(CLIENTS, b"c" + chain)).height
        seen: set[str] = set()
        for one in cast(Sequence[Mapping[str, Value]], args["observations"]):
            node = cast(str, one["node"])
            if node not in rows:
                ctx.refuse("probes.unknown_endpoint", node)
            if node in seen:
                ctx.refuse("probes.doubled", node)
            seen.add(node)
            fault = judged(one, chain, cast(str, record["chain_id"]), followed)
            rows[node] = _after(ctx, chain, rows[node], one, fault, followed)
            if not fault and one["version"]:
                versions = _versions(ctx, chain, versions, node, cast(str, one["version"]))
        ctx.put(probed_place(chain), encode_value({"endpoints": list(rows.values()), "versions": versions}))
        ctx.emit("probed", chain=chain, endpoints=len(seen))


def judged(seen: Mapping[str, Value], chain: bytes, chain_id: str, followed: int) -> str:
    """The fault of an observation, empty when there is none. Pure."""
    if seen["fault"]:
        return cast(str, seen["fault"])
    if seen["genesis_hash"] not in (b"", chain) or seen["chain_id"] not in ("", chain_id):
        return OTHER_CHAIN
    return BEHIND if cast(int, seen["height"]) + MAX_BEHIND < followed else ""


def failing(raw: bytes | None) -> int:
    """How many endpoints of a chain have an open case, of the value under ``probed_key``."""
    if raw is None:
        return 0
    rows = cast(Sequence[Mapping[str, int]], decode_map(raw, "probes")["endpoints"])
    return sum(1 for row in rows if row["case"] != NO_CASE)


def probed_key(chain: bytes) -> bytes:
    """Full state key of what is known of a chain's endpoints."""
    return state_key(PROBES, probed_place(chain))


def _registered(record: Mapping[str, Value], known: Sequence[Mapping[str, Value]]) -> dict[str, Mapping[str, Value]]:
    """By node what is known of each registered endpoint; nothing of one that is new or was amended."""
    before = {(row["node"], row["address"]): row for row in known}
    nothing: dict[str, Value] = {"fault": "", "seen_ms": 0, "ok_ms": 0, "height": 0, "behind": 0, "version": ""}
    nothing |= {"failures": 0, "case": NO_CASE, "by": b""}
    rows = cast(Sequence[Mapping[str, str]], record["endpoints"])
    return {row["node"]: before.get((row["node"], row["address"])) or {**row, **nothing} for row in rows}


def _after(
    ctx: CallContext, chain: bytes, row: Mapping[str, Value], seen: Mapping[str, Value], fault: str, followed: int
) -> Mapping[str, Value]:
    """An endpoint's row after an observation; its case opens, or learns that it was mended."""
    now_ms, case = ctx.block.time_ms, cast(int, row["case"])
    after = {**row, "fault": fault, "seen_ms": now_ms, "by": ctx.account}
    if not fault:
        if case != NO_CASE:
            add_fact(ctx, chain, case, "mended_ms", now_ms)
            ctx.emit("mended", chain=chain, node=row["node"], case=case)
        height = cast(int, seen["height"])
        good: dict[str, Value] = {"ok_ms": now_ms, "height": height, "behind": max(0, followed - height)}
        return {**after, **good, "version": seen["version"], "failures": 0, "case": NO_CASE}
    failures = cast(int, row["failures"]) + 1
    if case == NO_CASE and (failures >= FAILURES or fault == OTHER_CHAIN):
        facts: dict[str, Value] = {"node": row["node"], "address": row["address"], "fault": fault}
        facts |= {"failures": failures, "last_ok_ms": row["ok_ms"]}
        case = open_case(ctx, chain, ENDPOINT_DRIFT, facts)
    return {**after, "failures": failures, "case": case}


def _versions(ctx: CallContext, chain: bytes, known: list[Value], node: str, version: str) -> list[Value]:
    """The versions that the chain's endpoints have shown; one that is new was announced, or is a case."""
    if any(cast(Mapping[str, Value], row)["version"] == version for row in known):
        return known
    notice = announced(ctx, chain, ctx.block.time_ms)
    row: dict[str, Value] = {"version": version, "first_ms": ctx.block.time_ms, "case": NO_CASE}
    row["notice"] = NO_NOTICE if notice is None else notice
    if known and notice is None:
        facts: dict[str, Value] = {"time_ms": ctx.block.time_ms, "changed": ["version"], "now": {"version": version}}
        row["case"] = open_case(ctx, chain, UNANNOUNCED, {**facts, "node": node})
    return [*known, row][-KEPT_VERSIONS:]


def probed_place(chain: bytes) -> bytes:
    """Key inside ``probes`` of what is known of a chain's endpoints."""
    return b"e" + chain
