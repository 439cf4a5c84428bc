"""An account's market: it registered the market's admitted chain (docs/spec/registration.md §1, guideline art. 10)."""

from __future__ import annotations

import re
from typing import cast

from chain_core.execution.arguments import Text
from chain_core.execution.context import CallContext
from crosschain.packets import CHAINS, read_admitted, read_chain

MARKET = Text(3, 2, re.compile("[A-Z]{2,3}"))


def market_key(market: str) -> bytes:
    """Key inside ``chains`` of the market's genesis hash."""
    return b"m" + market.encode("ascii")


def require_market(ctx: CallContext, market: str) -> bytes:
    """The genesis hash of the market's admitted chain, when the caller is bound to it."""
    chain = ctx.read(CHAINS, market_key(market))
    raw = None if chain is None else ctx.read(CHAINS, b"r" + chain)
    if chain is None or raw is None or not read_admitted(raw):
        ctx.refuse("services.not_admitted", market)
    if cast(bytes, read_chain(raw)["registrar"]) != ctx.principal:
        ctx.refuse("services.not_your_market", market)
    return chain
