"""Methods of ``kernel`` for resolutions and what is done under them (docs/spec/kernel.md §3.7)."""

from __future__ import annotations

from typing import Any

from chain_core.execution.arguments import ACCOUNT, HASH, Boolean, Integer, ListOf, Optional, Record
from chain_core.execution.context import CallContext
from chain_core.execution.contract import Method
from contracts.kernel import actions, resolutions
from contracts.kernel.holds import read_hold
from contracts.kernel.holds import release_in_action as release_hold
from contracts.kernel.kinds import AMOUNT, DAY, ID, QUANTITY, REFERENCE
from contracts.kernel.records import MAX_ROWS, NOBODY

ROWS = ListOf(Record({"account": ACCOUNT, "quantity": QUANTITY}), MAX_ROWS, 1, distinct=True)


def methods(operator: frozenset[str]) -> dict[str, Method]:
    """The methods by name. The issuer signs what is his; the operating institution registers it."""
    return {
        "resolve": Method(
            resolve,
            {
                "reference": REFERENCE,
                "purpose": Integer(1, 3),
                "security": ID,
                "limit": QUANTITY,
                "expires_day": DAY,
                "evidence": HASH,
                "target": Optional(ID),
                "face_fen": Optional(QUANTITY),
                "price_fen": Optional(QUANTITY),
            },
            operator,
        ),
        "fund_resolution": Method(fund, {"resolution": ID, "amount_fen": QUANTITY}),
        "defund_resolution": Method(defund, {"resolution": ID}),
        "offer": Method(
            offer,
            {
                "resolution": ID,
                "reference": REFERENCE,
                "subscriber": ACCOUNT,
                "quantity": QUANTITY,
                "price_fen": AMOUNT,
                "expires_ms": Integer(),
            },
        ),
        "issue": Method(issue, {"offer": ID, "payment": ID}),
        "redeem": Method(redeem, {"resolution": ID, "hold": ID, "payment": ID}),
        "reduce": Method(reduce, {"resolution": ID, "rows": ROWS}, operator),
        "recover": Method(recover, {"resolution": ID, "rows": ROWS}, operator),
        "convert": Method(convert, {"resolution": ID, "quantity": QUANTITY}),
        "announce_action": Method(
            announce,
            {
                "reference": REFERENCE,
                "security": ID,
                "base": Integer(1, actions.MAX_BASE),
                "cash_fen": AMOUNT,
                "shares": AMOUNT,
                "grows": Boolean(),
                "largest_remainder": Boolean(),
                "rest_to": Optional(ACCOUNT),
                "record_day": DAY,
                "evidence": HASH,
            },
            operator,
        ),
        "fund_action": Method(fund_action, {"action": ID, "amount_fen": QUANTITY}),
        "withdraw_action": Method(withdraw_action, {"action": ID}),
        "step_action": Method(step_action, {"action": ID}),
        "release_in_action": Method(release_in_action, {"hold": ID}, operator),
    }


def resolve(ctx: CallContext, args: Any) -> None:
    """A resolution; the issuer signs as well."""
    resolutions.resolve(
        ctx,
        ctx,
        args["reference"],
        resolutions.Purpose(args["purpose"]),
        args["security"],
        args["limit"],
        args["expires_day"],
        args["evidence"],
        **{name: args[name] for name in ("target", "face_fen", "price_fen") if name in args},
    )


def fund(ctx: CallContext, args: Any) -> None:
    """The issuer's money for remainders."""
    resolutions.fund(ctx, ctx, args["resolution"], args["amount_fen"])


def defund(ctx: CallContext, args: Any) -> None:
    """The money back to the issuer."""
    resolutions.defund(ctx, ctx, args["resolution"])


def offer(ctx: CallContext, args: Any) -> None:
    """New shares for one subscriber; the issuer signs."""
    names = ("resolution", "reference", "subscriber", "quantity", "price_fen", "expires_ms")
    resolutions.offer(ctx, ctx, *(args[name] for name in names))


def issue(ctx: CallContext, args: Any) -> None:
    """New shares against their payment; asked for by either party."""
    _require_party(ctx, args["offer"])
    resolutions.issue(ctx, ctx, args["offer"], args["payment"])


def redeem(ctx: CallContext, args: Any) -> None:
    """Held shares end against the issuer's money; asked for by either party."""
    _require_party(ctx, args["hold"])
    resolutions.redeem(ctx, ctx, args["resolution"], args["hold"], args["payment"])


def _require_party(ctx: CallContext, hold_id: bytes) -> None:
    hold = read_hold(ctx, ctx, hold_id)
    if ctx.principal not in (hold.owner, hold.counterparty):
        ctx.refuse("kernel.not_party", ctx.principal)


def reduce(ctx: CallContext, args: Any) -> None:
    """Named holders' shares end without payment, under four eyes."""
    resolutions.reduce(ctx, ctx, args["resolution"], [(row["account"], row["quantity"]) for row in args["rows"]])


def recover(ctx: CallContext, args: Any) -> None:
    """A reduction is taken back, under four eyes."""
    resolutions.recover(ctx, ctx, args["resolution"], [(row["account"], row["quantity"]) for row in args["rows"]])


def convert(ctx: CallContext, args: Any) -> None:
    """The caller's bonds into shares."""
    resolutions.convert(ctx, ctx, args["resolution"], ctx.principal, args["quantity"])


def announce(ctx: CallContext, args: Any) -> None:
    """A corporate action; the issuer signs as well."""
    base, cash_fen, shares = args["base"], args["cash_fen"], args["shares"]
    grows, largest = args["grows"], args["largest_remainder"]
    terms = actions.Terms(base, cash_fen, shares, grows, largest, args.get("rest_to", NOBODY))
    actions.announce(ctx, ctx, args["reference"], args["security"], terms, args["record_day"], args["evidence"])


def fund_action(ctx: CallContext, args: Any) -> None:
    """The issuer's money for it."""
    actions.fund(ctx, ctx, args["action"], args["amount_fen"])


def withdraw_action(ctx: CallContext, args: Any) -> None:
    """Takes it back before its first step."""
    actions.withdraw(ctx, ctx, args["action"])


def step_action(ctx: CallContext, args: Any) -> None:
    """Carries it on; anybody may."""
    actions.step(ctx, ctx, args["action"])


def release_in_action(ctx: CallContext, args: Any) -> None:
    """Frees a hold that stands in the way of a corporate action."""
    release_hold(ctx, ctx, args["hold"])
