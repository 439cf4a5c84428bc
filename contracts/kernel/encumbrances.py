"""Methods of ``kernel`` for pledges and court orders (docs/spec/kernel.md §3.4, §3.8)."""

from __future__ import annotations

from typing import Any

from chain_core.execution.arguments import ACCOUNT, HASH, Choice, Kind, Optional
from chain_core.execution.codes import Code, Refused
from chain_core.execution.context import CallContext
from chain_core.execution.contract import Arguments, Method
from contracts.kernel import orders, pledges
from contracts.kernel.kinds import AMOUNT, DAY, ID, QUANTITY, REFERENCE

BASES = Choice(frozenset(("agreement", "judgment")))


def methods(operator: frozenset[str]) -> dict[str, Method]:
    """The methods by name: pledges are the parties', orders the operating institution's."""
    taken: dict[str, Kind] = {"to": ACCOUNT, "quantity": AMOUNT, "amount_fen": AMOUNT, "evidence": HASH}

    def enforce(ctx: CallContext, args: Arguments) -> None:
        """A judgment is the operating institution's to carry out."""
        if args["basis"] == "judgment" and not operator & ctx.roles:
            raise Refused(Code.FORBIDDEN, "", ("kernel", "enforce_pledge"))
        enforce_pledge(ctx, args)

    placed: dict[str, Kind] = {
        "reference": REFERENCE,
        "security": ID,
        "account": ACCOUNT,
        "quantity": QUANTITY,
        "expires_day": DAY,
        "evidence": HASH,
    }
    return {
        "pledge": Method(pledge, {"reference": REFERENCE, "security": ID, "quantity": QUANTITY, "pledgee": ACCOUNT}),
        "release_pledge": Method(
            release_pledge, {"pledge": ID, "quantity": Optional(AMOUNT), "amount_fen": Optional(AMOUNT)}
        ),
        "enforce_pledge": Method(enforce, {"pledge": ID, "basis": BASES, **taken}),
        "place_order": Method(place_order, placed, operator),
        "renew_order": Method(renew_order, {"order": ID, "expires_day": DAY, "evidence": HASH}, operator),
        "thaw_order": Method(thaw_order, {"order": ID, "evidence": HASH}, operator),
        "execute_order": Method(execute_order, {"order": ID, **taken}, operator),
        "settle_orders": Method(settle_orders, {"security": ID, "account": ACCOUNT}),
    }


def pledge(ctx: CallContext, args: Any) -> None:
    """Pledges the caller's shares."""
    pledges.pledge(ctx, ctx, args["reference"], args["security"], args["quantity"], args["pledgee"])


def release_pledge(ctx: CallContext, args: Any) -> None:
    """Ends a pledge, or a part of it."""
    pledges.release_pledge(ctx, ctx, args["pledge"], args.get("quantity"), args.get("amount_fen"))


def enforce_pledge(ctx: CallContext, args: Any) -> None:
    """Pledged shares to the creditor, or to whom he names."""
    pledges.enforce_pledge(
        ctx,
        ctx,
        args["pledge"],
        args["to"],
        args["quantity"],
        args["amount_fen"],
        judgment=args["basis"] == "judgment",
        evidence=args["evidence"],
    )


def place_order(ctx: CallContext, args: Any) -> None:
    """A court's order."""
    names = ("reference", "security", "account", "quantity", "expires_day", "evidence")
    orders.freeze(ctx, ctx, *(args[name] for name in names))


def renew_order(ctx: CallContext, args: Any) -> None:
    """A later last day."""
    orders.renew(ctx, ctx, args["order"], args["expires_day"], args["evidence"])


def thaw_order(ctx: CallContext, args: Any) -> None:
    """Ends an order."""
    orders.thaw(ctx, ctx, args["order"], args["evidence"])


def execute_order(ctx: CallContext, args: Any) -> None:
    """What an order holds to whom the court names."""
    names = ("order", "to", "quantity", "amount_fen", "evidence")
    pledges.execute_order(ctx, ctx, *(args[name] for name in names))


def settle_orders(ctx: CallContext, args: Any) -> None:
    """Anybody may have expired orders ended and waiting ones take effect."""
    orders.refresh(ctx, ctx, args["security"], args["account"])
