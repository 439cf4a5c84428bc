"""csrc.holder-roll-registration: an issuer's holder roll is taken into custody (登记托管).

The operating institution creates an instance with what the issuer declared: the security, its total and how many
holders it has. It enters the roll in batches of at most 64 rows (account, quantity, day of the last purchase if
known), and takes wrong rows back. The issuer confirms: sum and number of holders must be the declared ones. From then
on the security is live and the roll on chain is the roll.

collecting --add_rows, remove_rows--> collecting --confirm--> live

Rows are no trades: suitability, trading days and trade gaps do not apply. A roll of more holders than the cap is
taken over only when it was declared as legacy, which a governor of another entity signs as well when the instance is
created; later it may only shrink.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from chain_core.execution.arguments import ACCOUNT, Integer, ListOf
from chain_core.execution.contract import Arguments, RuleText
from contracts.kernel.contract import HOLDING_ROW, LISTING_ARGUMENTS, OPERATOR, holding_rows, listing_of
from contracts.kernel.records import MAX_ROWS
from contracts.templates.context import REGISTER, TemplateContext
from contracts.templates.interface import Parameter, Role, Source, Template, TemplateMethod

COLLECTING, LIVE = "collecting", "live"


def create(ctx: TemplateContext, call: Arguments) -> str:
    """Registers the security; its register is empty."""
    ctx.put("security", ctx.register_security(listing_of(ctx.params)))
    return COLLECTING


def add_rows(ctx: TemplateContext, call: Arguments) -> str:
    """Enters rows of the roll."""
    ctx.register(_security(ctx), holding_rows(call["rows"]))
    return COLLECTING


def remove_rows(ctx: TemplateContext, call: Arguments) -> str:
    """Takes rows back that were entered by mistake."""
    ctx.unregister(_security(ctx), cast(Sequence[bytes], call["accounts"]))
    return COLLECTING


def confirm(ctx: TemplateContext, call: Arguments) -> str:
    """The issuer's word that this is its roll: number of holders and sum must be the declared ones."""
    security = _security(ctx)
    holders, declared = ctx.holders(security), cast(int, ctx.params["declared_holders"])
    if holders != declared:
        ctx.refuse("holders_differ", holders, declared)
    ctx.activate(security)
    return LIVE


def _security(ctx: TemplateContext) -> bytes:
    return cast(bytes, ctx.get("security"))


_NOTES = {
    "reference": "the security's product code (JR/T 0326)",
    "name": "证券简称",
    "issuer": "the issuer's account, which confirms the roll",
    "province": "region code of the issuer's seat",
    "unit_decimals": "decimals of the security's unit; 0 for whole shares",
    "declared": "sum of the roll in units, as the issuer declares it",
    "legacy": "whether the roll may hold more holders than the cap; true takes a cosigning governor of another entity",
    "instrument": "1 share (without it), 2 convertible bond, 3 share of a private fund",
}

TEMPLATE = Template(
    id="csrc.holder-roll-registration",
    version=1,
    title="股东名册登记托管",
    category="登记托管",
    capabilities=frozenset((REGISTER,)),
    params={
        **{name: Parameter(kind, _NOTES[name]) for name, kind in LISTING_ARGUMENTS.items()},
        "declared_holders": Parameter(Integer(1, 1_000_000), "number of holders, as the issuer declares it"),
    },
    roles={
        "operator": Role(Source.CHAIN, OPERATOR),
        "registrar": Role(Source.CREATOR),
        "issuer": Role(Source.PARAMETER, "issuer"),
    },
    initial=(COLLECTING,),
    states={COLLECTING: (COLLECTING, LIVE), LIVE: ()},
    create=TemplateMethod(create, ("operator",)),
    methods={
        "add_rows": TemplateMethod(add_rows, ("registrar",), (COLLECTING,), {"rows": ListOf(HOLDING_ROW, MAX_ROWS, 1)}),
        "remove_rows": TemplateMethod(
            remove_rows, ("registrar",), (COLLECTING,), {"accounts": ListOf(ACCOUNT, MAX_ROWS, 1, distinct=True)}
        ),
        "confirm": TemplateMethod(confirm, ("issuer",), (COLLECTING,)),
    },
    refusals={
        "holders_differ": RuleText("名册登记 {0} 人与申报 {1} 人不符", "the roll has {0} holders, declared are {1}"),
    },
)
