"""csrc.negotiated-transfer: shares sold by agreement, delivery versus payment (协议转让).

The seller creates an instance: that is the signed order, and his shares are held for this buyer, at this price, until
the order expires. The buyer accepts: his money is held for exactly these shares. Settlement moves both or neither;
anyone of the two or the operating institution may ask for it, since all was agreed. Before acceptance the seller may
cancel. After expiry anybody may have the holds released.

ordered --accept--> accepted --settle--> settled ordered --cancel--> cancelled ordered, accepted --expire--> expired

Every market rule for trades is checked on acceptance, for the parties' sake, and again by the kernel when it settles.
"""

from __future__ import annotations

from typing import cast

from chain_core.execution.arguments import ACCOUNT, Integer
from chain_core.execution.contract import Arguments, RuleText
from contracts.kernel.contract import OPERATOR
from contracts.kernel.kinds import ID, QUANTITY
from contracts.templates.context import HOLD, TemplateContext
from contracts.templates.interface import Parameter, Role, Source, Template, TemplateMethod

ORDERED, ACCEPTED, SETTLED, CANCELLED, EXPIRED = "ordered", "accepted", "settled", "cancelled", "expired"


def create(ctx: TemplateContext, call: Arguments) -> str:
    """The seller's order: holds his shares for the buyer."""
    security, buyer = cast(bytes, ctx.params["security"]), cast(bytes, ctx.params["buyer"])
    quantity, price_fen, expires_ms = (cast(int, ctx.params[n]) for n in ("quantity", "price_fen", "expires_ms"))
    ctx.put("shares", ctx.hold_shares(ctx.caller, security, quantity, buyer, price_fen, expires_ms))
    return ORDERED


def accept(ctx: TemplateContext, call: Arguments) -> str:
    """The buyer agrees: holds his money for the shares."""
    security, quantity = cast(bytes, ctx.params["security"]), cast(int, ctx.params["quantity"])
    ctx.foresee_trade(security, ctx.creator, ctx.caller, quantity)
    price_fen, expires_ms = cast(int, ctx.params["price_fen"]), cast(int, ctx.params["expires_ms"])
    ctx.put("payment", ctx.hold_cash(ctx.caller, cast(bytes, ctx.get("shares")), price_fen, expires_ms))
    return ACCEPTED


def settle(ctx: TemplateContext, call: Arguments) -> str:
    """Shares to the buyer and money to the seller, both or neither."""
    ctx.move_held(cast(bytes, ctx.get("shares")), cast(bytes, ctx.get("payment")))
    return SETTLED


def cancel(ctx: TemplateContext, call: Arguments) -> str:
    """The seller takes back an order that nobody has accepted."""
    ctx.release(cast(bytes, ctx.get("shares")))
    return CANCELLED


def expire(ctx: TemplateContext, call: Arguments) -> str:
    """Releases what is held once the order has expired."""
    expires_ms = cast(int, ctx.params["expires_ms"])
    if ctx.now_ms <= expires_ms:
        ctx.refuse("not_expired", expires_ms, ctx.now_ms)
    ctx.release(cast(bytes, ctx.get("shares")))
    if ctx.state == ACCEPTED:
        ctx.release(cast(bytes, ctx.get("payment")))
    return EXPIRED


TEMPLATE = Template(
    id="csrc.negotiated-transfer",
    version=1,
    title="协议转让（券款对付）",
    category="转让",
    capabilities=frozenset((HOLD,)),
    params={
        "security": Parameter(ID, "what is sold"),
        "quantity": Parameter(QUANTITY, "how much of it, in units"),
        "buyer": Parameter(ACCOUNT, "the only account that may accept"),
        "price_fen": Parameter(QUANTITY, "for the whole quantity, in fen"),
        "expires_ms": Parameter(Integer(), "until when it can be accepted and settled"),
    },
    roles={
        "seller": Role(Source.CREATOR),
        "buyer": Role(Source.PARAMETER, "buyer"),
        "operator": Role(Source.CHAIN, OPERATOR),
        "anybody": Role(Source.ANYBODY),
    },
    initial=(ORDERED,),
    states={
        ORDERED: (ACCEPTED, CANCELLED, EXPIRED),
        ACCEPTED: (SETTLED, EXPIRED),
        SETTLED: (),
        CANCELLED: (),
        EXPIRED: (),
    },
    create=TemplateMethod(create, ("seller",)),
    methods={
        "accept": TemplateMethod(accept, ("buyer",), (ORDERED,)),
        "settle": TemplateMethod(settle, ("seller", "buyer", "operator"), (ACCEPTED,)),
        "cancel": TemplateMethod(cancel, ("seller",), (ORDERED,)),
        "expire": TemplateMethod(expire, ("anybody",), (ORDERED, ACCEPTED)),
    },
    refusals={
        "not_expired": RuleText("该委托于 {0} 到期，现为 {1}", "the order expires at {0}, it is {1} now"),
    },
)
