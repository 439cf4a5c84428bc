"""The contract ``lookups``: who looked into the markets, at what and for what, before it is shown
(docs/spec/see-through.md §8).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_map, encode_value
from chain_core.crypto.hashing import sm3
from chain_core.execution.arguments import Boolean, Choice, Kind, ListOf, Text
from chain_core.execution.context import CallContext
from chain_core.execution.contract import Arguments, Contract, Lane, Method, RuleText
from chain_core.types.ids import ZERO_HASH
from chain_core.types.values import Value
from contracts.codes.regions import REGIONS

LOOKUPS = "lookups"
READERS = frozenset(("csrc", "regulator", "auditor"))
HOLDER, ENTERPRISE, TRANSACTION, OBJECT = "holder", "enterprise", "transaction", "object"
KINDS = (HOLDER, ENTERPRISE, TRANSACTION, OBJECT)
PURPOSES = ("supervision", "audit", "judicial", "business")
MAX_SUBJECT_BYTES, MAX_REFERENCE_BYTES = 128, 128

RULES: Mapping[str, RuleText] = {
    "lookups.markets": RuleText(
        "市场 {0} 不在 JR/T 0326 表 1 中，或未按升序排列",
        "{0} is no region of JR/T 0326, or the markets are not strictly ascending",
    ),
}


@dataclass(frozen=True, slots=True)
class LookupLog:
    """What one account looked up: how often, the last time, and the digest over all transactions."""

    count: int = 0
    time_ms: int = 0
    height: int = 0
    kind: str = ""
    digest: bytes = ZERO_HASH


class Lookups(Contract):
    """One method: the record that a query rests on. Of each account a list without gaps, and a digest over it."""

    name = LOOKUPS
    lane = Lane.BORDER
    rules = RULES

    def __init__(self) -> None:
        arguments: Mapping[str, Kind] = {
            "kind": Choice(frozenset(KINDS)),
            "subject": Text(MAX_SUBJECT_BYTES, 1),
            "markets": ListOf(Text(3, 2), len(REGIONS), 1),
            "purpose": Choice(frozenset(PURPOSES)),
            "reference": Text(MAX_REFERENCE_BYTES, 1),
            "contents": Boolean(),
        }
        self.methods = {"record": Method(self.record, arguments, READERS)}

    def record(self, ctx: CallContext, args: Arguments) -> None:
        """Enters a query before it is made; it is the signing account's."""
        before = ""
        for market in cast(Sequence[str], args["markets"]):
            if market not in REGIONS or market <= before:
                ctx.refuse("lookups.markets", market)
            before = market
        log, block = decode_log(ctx.get(b"l" + ctx.account)), ctx.block
        entry: dict[str, Value] = {
            **args,
            "transaction": ctx.transaction_id,
            "time_ms": block.time_ms,
            "height": block.height,
        }
        ctx.put(b"n" + ctx.account + log.count.to_bytes(8, "big"), encode_value(entry))
        row: dict[str, Value] = {
            "count": log.count + 1,
            "time_ms": block.time_ms,
            "height": block.height,
            "kind": args["kind"],
            "digest": sm3(log.digest + ctx.transaction_id),
        }
        ctx.put(b"l" + ctx.account, encode_value(row))
        ctx.emit("looked_up", account=ctx.account, number=log.count, **args)


def decode_log(raw: bytes | None) -> LookupLog:
    """An account's log; an empty one when it never looked. Raises MalformedBytes."""
    if raw is None:
        return LookupLog()
    row = decode_map(raw, "log of lookups")
    return LookupLog(
        cast(int, row["count"]),
        cast(int, row["time_ms"]),
        cast(int, row["height"]),
        cast(str, row["kind"]),
        cast(bytes, row["digest"]),
    )


def log_key(account: bytes) -> bytes:
    """Full state key of an account's log."""
    return state_key(LOOKUPS, b"l" + account)


def entry_key(account: bytes, number: int) -> bytes:
    """Full state key of an entry of it."""
    return state_key(LOOKUPS, b"n" + account + number.to_bytes(8, "big"))
