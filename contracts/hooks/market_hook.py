"""The executor's hook around every call of business contracts, out of a template's reach (docs/spec/kernel.md §4).

Before: a frozen party does no business. After: every movement that was made carries the rules its guards checked; a
movement nobody judged is a defect of this build, and the node halts rather than certify it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chain_core.execution.codes import EngineFault
from chain_core.execution.context import CallContext
from chain_core.execution.contract import RuleText
from chain_core.types.ids import NO_ACCOUNT
from chain_core.types.transaction import Operation
from contracts.hooks import guards
from contracts.hooks.rules import REFUSALS
from contracts.hooks.today import today
from contracts.kernel.moves import Move
from contracts.kernel.records import KERNEL

BUSINESS_CONTRACTS = frozenset((KERNEL, "templates"))


class MarketHook:
    """Registers the market rules' texts and watches the two business contracts."""

    name = "market-rules"
    rules: Mapping[str, RuleText] = REFUSALS

    def before_call(self, ctx: CallContext, call: Operation) -> None:
        """Refuses with csrc.frozen_party when the signer, or whom he acts for, is frozen."""
        if call.contract in BUSINESS_CONTRACTS:
            space = ctx.within(KERNEL)
            guards.refuse_frozen_party(space, ctx, ctx.account)
            if ctx.on_behalf_of != NO_ACCOUNT:
                guards.refuse_frozen_party(space, ctx, ctx.on_behalf_of)

    def after_call(self, ctx: CallContext, call: Operation, moves: Sequence[object]) -> None:
        """EngineFault for a movement that was not judged by every rule in force for its kind."""
        if not moves:
            return
        rules = today(ctx.within(KERNEL), ctx).rules
        for move in moves:
            if isinstance(move, Move) and move.judged != rules[move.kind]:
                raise EngineFault(f"{call.contract}.{call.method} moved {move.security.hex()} past the guards")
