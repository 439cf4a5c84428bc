"""Corporate actions over the roll of a record date (登记日): dividend, bonus and capitalisation, reduction and
redemption of all holders alike (docs/spec/kernel.md §3.9).

The register closes by itself on the first block after the record date and stays closed until the action is through, so
the roll is that of the record date without a copy of it. Steps go through the roll from its end in chunks; anybody may
ask for one. Fruits (孳息) go where the shares are bound: to pledges, court orders and directives in proportion.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from chain_core.codec.values import decode_map, encode_value
from chain_core.execution.context import CallContext
from chain_core.execution.overlay import Namespace
from contracts.hooks import guards
from contracts.hooks.today import today
from contracts.kernel.cash import bind_cash, free_cash
from contracts.kernel.entitlements import Shared, share_out
from contracts.kernel.four_eyes import require_second_house
from contracts.kernel.movements import live_security, read_security
from contracts.kernel.moves import MoveKind
from contracts.kernel.parties import require_signed
from contracts.kernel.parts import read_holding
from contracts.kernel.records import ACTION, MAX_QUANTITY, NOBODY, SECURITY, encode_security
from contracts.kernel.roll import CHUNK_IDS, ROLL_CHUNK, decode_chunk, holder_count
from contracts.kernel.supply import enter

MAX_BASE = 10_000
MAX_REMAINDER_BASE = 1_000
"""With largest remainders: how many holders have which one stands in one value of the state."""
MAX_CHUNKS = 2
"""Chunks of the roll that one step goes through: 128 holders."""

ANNOUNCED, COUNTING, SHARING = "announced", "counting", "sharing"


class Terms(NamedTuple):
    """For each ``base`` units of the record date: ``cash_fen`` of money, ``shares`` units more (``grows``) or fewer.

    Money is rounded down, what is left stays the issuer's. Units: by largest remainder, ties from the end of the roll;
    else rounded down, and what is left of a growth goes to ``rest_to`` (nobody: it is not made).
    """

    base: int
    cash_fen: int
    shares: int
    grows: bool
    largest_remainder: bool
    rest_to: bytes


def announce(
    space: Namespace,
    ctx: CallContext,
    reference: str,
    security: bytes,
    terms: Terms,
    record_day: int,
    evidence: bytes,
    controller: bytes = NOBODY,
) -> bytes:
    """An action that the issuer signs; its id. One at a time a security. Emits ``action_announced``."""
    record = live_security(space, ctx, security)
    require_signed(ctx, record.issuer)
    if record.closed_from:
        ctx.refuse("kernel.register_closed", security, record.closed_from)
    day = today(space, ctx).day
    if record_day < day:
        ctx.refuse("kernel.bad_order_day", record_day, day)
    too_few = not terms.grows and terms.shares > terms.base
    highest = MAX_REMAINDER_BASE if terms.largest_remainder else MAX_BASE
    if not 1 <= terms.base <= highest or too_few or not (terms.cash_fen or terms.shares):
        ctx.refuse("kernel.bad_terms", terms.base, terms.cash_fen, terms.shares)
    action_id = ctx.new_id(
        "action", record.issuer, reference, lambda known: space.get(ACTION + known), "kernel.action_exists"
    )
    row = {
        "security": security,
        "issuer": record.issuer,
        "controller": controller,
        "terms": list(terms),
        "phase": ANNOUNCED,
        "escrow_fen": 0,
        "left": 0,
        "remainders": {},
        "above": 0,
        "at": 0,
        "given": 0,
        "target": 0,
    }
    _store(space, action_id, row)
    space.put(SECURITY + security, encode_security(record._replace(closed_from=record_day + 1)))
    ctx.emit(
        "action_announced",
        action=action_id,
        security=security,
        terms=list(terms),
        record_day=record_day,
        evidence=evidence,
    )
    return action_id


def _store(space: Namespace, action_id: bytes, row: Any) -> None:
    space.put(ACTION + action_id, encode_value(row))


def read_action(space: Namespace, ctx: CallContext, action_id: bytes, controller: bytes = NOBODY) -> Any:
    """The action's record, a map; refuses with kernel.unknown_action."""
    raw = space.get(ACTION + action_id)
    if raw is None:
        ctx.refuse("kernel.unknown_action", action_id)
    row: Any = decode_map(raw, "action")
    if row["controller"] != controller:
        ctx.refuse("kernel.other_controller", action_id)
    if "terms" not in row:
        ctx.refuse("kernel.action_over", action_id)
    return row


def fund(space: Namespace, ctx: CallContext, action_id: bytes, amount_fen: int, controller: bytes = NOBODY) -> None:
    """The issuer holds money for the action, under his own signature. Emits ``funded``."""
    row = read_action(space, ctx, action_id, controller)
    require_signed(ctx, row["issuer"])
    guards.refuse_frozen_party(space, ctx, row["issuer"])
    bind_cash(space, ctx, row["issuer"], amount_fen)
    row["escrow_fen"] += amount_fen
    _store(space, action_id, row)
    ctx.emit("funded", what=action_id, amount_fen=amount_fen)


def withdraw(space: Namespace, ctx: CallContext, action_id: bytes, controller: bytes = NOBODY) -> None:
    """Takes an action back before its first step: the issuer, or anybody under four eyes. Emits ``action_over``."""
    row = read_action(space, ctx, action_id, controller)
    if row["issuer"] != ctx.principal and row["issuer"] not in ctx.cosigners:
        require_second_house(ctx)
    if row["phase"] != ANNOUNCED:
        ctx.refuse("kernel.action_begun", action_id)
    _close(space, ctx, action_id, row, "withdrawn")


def step(space: Namespace, ctx: CallContext, action_id: bytes, controller: bytes = NOBODY) -> bool:
    """Goes through at most 128 holders, from the end of the roll; True when the action is through.

    Refuses with kernel.action_early up to the record date, kernel.escrow_short without the money for everybody.
    Emits ``entitlements`` for each chunk, ``action_over`` at the end.
    """
    row = read_action(space, ctx, action_id, controller)
    security, terms = row["security"], Terms(*row["terms"])
    record = live_security(space, ctx, security)
    day = today(space, ctx).day
    if day < record.closed_from:
        ctx.refuse("kernel.action_early", action_id, record.closed_from)
    if record.frozen:
        ctx.refuse("csrc.frozen_security", security)
    if row["phase"] == ANNOUNCED:
        _begin(space, ctx, action_id, row, terms, record.total)
    for _ in range(MAX_CHUNKS):
        if row["left"]:
            _chunk(space, ctx, row, terms)
        if not row["left"] and row["phase"] == COUNTING:
            _threshold(row, terms)
            row["phase"], row["left"] = SHARING, holder_count(space, security)
    if row["left"] or row["phase"] == COUNTING:
        _store(space, action_id, row)
        return False
    _close(space, ctx, action_id, row, "done")
    _give_rest(space, ctx, row, terms)
    return True


def _begin(space: Namespace, ctx: CallContext, action_id: bytes, row: Any, terms: Terms, total: int) -> None:
    needed = total * terms.cash_fen // terms.base
    if row["escrow_fen"] < needed:
        ctx.refuse("kernel.escrow_short", action_id, row["escrow_fen"], needed)
    row["target"] = total * terms.shares // terms.base
    if terms.grows and total + row["target"] > MAX_QUANTITY:
        ctx.refuse("kernel.too_much", row["target"])
    row["phase"] = COUNTING if terms.largest_remainder else SHARING
    row["left"] = holder_count(space, row["security"])


def _chunk(space: Namespace, ctx: CallContext, row: Any, terms: Terms) -> None:
    """The last holders that are left, as many as stand in one chunk."""
    security = row["security"]
    number = (row["left"] - 1) // CHUNK_IDS
    raw = space.get(ROLL_CHUNK + security + number.to_bytes(4, "big")) or b""
    accounts = decode_chunk(raw)[: row["left"] - number * CHUNK_IDS]
    row["left"] = number * CHUNK_IDS
    if row["phase"] == COUNTING:
        remainders = row["remainders"]
        for account in accounts:
            rest = read_holding(space, security, account).total * terms.shares % terms.base
            remainders[rest] = remainders.get(rest, 0) + 1
        return
    rows: list[list[Any]] = []
    judged = guards.rules_for(space, ctx, MoveKind.ENTITLEMENT)
    for account in reversed(accounts):
        total = read_holding(space, security, account).total
        shares, rest = divmod(total * terms.shares, terms.base)
        if terms.largest_remainder:
            shares += _extra(row, rest)
        part = Shared(account, shares if terms.grows else -shares, total * terms.cash_fen // terms.base, judged)
        bound = share_out(space, ctx, security, row["issuer"], terms, part)
        row["given"] += shares
        row["escrow_fen"] -= part.cash_fen
        rows.append([account, part.shares, part.cash_fen, *bound])
    record = read_security(space, ctx, security)
    by = sum(part[1] for part in rows)
    changed = record._replace(total=record.total + by, declared=record.declared + by)
    space.put(SECURITY + security, encode_security(changed))
    ctx.emit("entitlements", security=security, rows=rows)


def _threshold(row: Any, terms: Terms) -> None:
    """Who gets one unit more: every remainder above ``above``, and the first ``at`` of those with just this one."""
    remainders: dict[int, int] = row["remainders"]
    units = sum(rest * count for rest, count in remainders.items()) // terms.base
    row["above"], row["at"] = terms.base, 0
    for rest in sorted(remainders, reverse=True):
        if units <= 0 or rest == 0:
            break
        row["above"], row["at"] = rest, min(units, remainders[rest])
        units -= remainders[rest]
    row["remainders"] = {}


def _extra(row: Any, rest: int) -> int:
    if rest > row["above"]:
        return 1
    if rest == row["above"] and row["at"]:
        row["at"] -= 1
        return 1
    return 0


def _close(space: Namespace, ctx: CallContext, action_id: bytes, row: Any, reason: str) -> None:
    """Opens the register again; what is left of the money is the issuer's. The record goes."""
    if row["escrow_fen"]:
        free_cash(space, row["issuer"], row["escrow_fen"])
    record = read_security(space, ctx, row["security"])
    space.put(SECURITY + row["security"], encode_security(record._replace(closed_from=0)))
    space.put(ACTION + action_id, encode_value({"controller": row["controller"], "phase": reason}))
    ctx.emit("action_over", action=action_id, reason=reason, given=row["given"])


def _give_rest(space: Namespace, ctx: CallContext, row: Any, terms: Terms) -> None:
    """Units that rounding left over, to the account the terms name."""
    rest = row["target"] - row["given"]
    if rest and terms.grows and terms.rest_to != NOBODY:
        refusal = ctx.attempt(lambda: enter(space, ctx, MoveKind.ENTITLEMENT, row["security"], terms.rest_to, rest))
        if refusal is not None:  # a rule is against this account: the rest is not made, the others have theirs
            ctx.emit("rest_not_given", security=row["security"], account=terms.rest_to, quantity=rest)
