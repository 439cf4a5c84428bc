"""The system contract ``kernel``: its methods, their arguments and roles (docs/spec/kernel.md §3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from chain_core.execution.arguments import (
    ACCOUNT,
    HASH,
    Boolean,
    Choice,
    Integer,
    Kind,
    ListOf,
    Optional,
    Record,
    Text,
)
from chain_core.execution.context import CallContext
from chain_core.execution.contract import Arguments, Contract, Lane, Method
from chain_core.types.genesis import Genesis
from chain_core.types.values import Value
from contracts.hooks.rules import PARAMETER_BOUNDS
from contracts.kernel import (
    acceptance,
    capital,
    cash,
    custody,
    encumbrances,
    governed,
    holds,
    movements,
    securities,
    supervision,
)
from contracts.kernel.calendar import MAX_LISTED_DAYS
from contracts.kernel.kinds import AMOUNT, DAY, ID, QUANTITY, REFERENCE
from contracts.kernel.moves import MoveKind
from contracts.kernel.records import KERNEL, MAX_ROWS, NOBODY
from contracts.kernel.texts import TEXTS

OPERATOR, DEPOSITORY_BANK = "operator", "depository_bank"
MAX_DECIMALS = 8

PROVINCE = Text(3, 2)
TIME = Integer()
DAYS = ListOf(DAY, MAX_LISTED_DAYS)
REASONS = Choice(frozenset(("inheritance", "gift", "division", "judgment", "other")))
HOLDING_ROW = Record({"account": ACCOUNT, "quantity": QUANTITY, "acquired_day": DAY})
SUITABILITY_ROW = Record(
    {
        "account": ACCOUNT,
        "category": Integer(1, 3),
        "expires_day": DAY,
        "assets_fen": Optional(AMOUNT),
        "experience_months": Optional(Integer(0, 1_200)),
    }
)
CASH_ROW = Record({"account": ACCOUNT, "amount_fen": QUANTITY, "reference": REFERENCE})

LISTING_ARGUMENTS: dict[str, Kind] = {
    "reference": REFERENCE,
    "name": Text(128),
    "issuer": ACCOUNT,
    "province": PROVINCE,
    "unit_decimals": Integer(0, MAX_DECIMALS),
    "declared": AMOUNT,
    "legacy": Boolean(),
    "instrument": Optional(Integer(1, 255)),
}

_OPERATOR = frozenset((OPERATOR,))
_BANK = frozenset((DEPOSITORY_BANK,))


def listing_of(args: Arguments) -> securities.Listing:
    """The arguments of ``register_security`` as a value."""
    return securities.Listing(
        cast(str, args["reference"]),
        cast(str, args["name"]),
        cast(bytes, args["issuer"]),
        cast(str, args["province"]),
        cast(int, args["unit_decimals"]),
        cast(int, args["declared"]),
        cast(bool, args["legacy"]),
        cast(int, args.get("instrument", 1)),
    )


def holding_rows(rows: Value) -> list[tuple[bytes, int, int]]:
    """(account, quantity, acquired day) of rows that fit ``HOLDING_ROW``."""
    listed = cast(Sequence[Mapping[str, Value]], rows)
    return [(cast(bytes, row["account"]), cast(int, row["quantity"]), cast(int, row["acquired_day"])) for row in listed]


class Kernel(Contract):
    """Parses arguments and passes them to the ledger's functions, which templates use as well."""

    name = KERNEL
    lane = Lane.BUSINESS
    rules = TEXTS
    parameters = PARAMETER_BOUNDS

    def __init__(self) -> None:
        self.methods = {
            **self._registration(),
            "transfer": Method(self.transfer, {"security": ID, "to": ACCOUNT, "quantity": QUANTITY}),
            "accept_transfers": Method(self.accept_transfers, {"accept": Boolean()}),
            "transfer_non_trade": Method(
                self.transfer_non_trade,
                {
                    "security": ID,
                    "from": ACCOUNT,
                    "to": ACCOUNT,
                    "quantity": QUANTITY,
                    "reason": REASONS,
                    "evidence": HASH,
                    "lots": Optional(custody.LOT_ROWS),
                },
                _OPERATOR,
            ),
            "deposit": Method(self.deposit, {"rows": ListOf(CASH_ROW, MAX_ROWS, 1)}, _BANK),
            "withdraw": Method(self.withdraw, {"rows": ListOf(CASH_ROW, MAX_ROWS, 1)}, _BANK),
            "hold": Method(
                self.hold,
                {
                    "reference": REFERENCE,
                    "security": ID,
                    "quantity": QUANTITY,
                    "counterparty": ACCOUNT,
                    "price_fen": AMOUNT,
                    "expires_ms": TIME,
                },
            ),
            "hold_cash": Method(
                self.hold_cash, {"reference": REFERENCE, "against": ID, "amount_fen": QUANTITY, "expires_ms": TIME}
            ),
            "release": Method(self.release, {"hold": ID}),
            "move_held": Method(self.move_held, {"hold": ID, "payment": ID}),
            **custody.methods(_OPERATOR),
            **capital.methods(_OPERATOR),
            **encumbrances.methods(_OPERATOR),
            **supervision.methods(_OPERATOR),
        }

    def _registration(self) -> dict[str, Method]:
        rows = ListOf(HOLDING_ROW, MAX_ROWS, 1)
        accounts = ListOf(ACCOUNT, MAX_ROWS, 1, distinct=True)
        return {
            "register_security": Method(self.register_security, LISTING_ARGUMENTS, _OPERATOR),
            "register_holding": Method(self.register_holding, {"security": ID, "rows": rows}, _OPERATOR),
            "unregister_holding": Method(self.unregister_holding, {"security": ID, "accounts": accounts}, _OPERATOR),
            "activate_security": Method(self.activate_security, {"security": ID}, _OPERATOR),
            "set_suitability": Method(self.set_suitability, {"rows": ListOf(SUITABILITY_ROW, MAX_ROWS, 1)}, _OPERATOR),
            "set_calendar": Method(self.set_calendar, {"holidays": DAYS, "workdays": DAYS, "opened": DAYS}, _OPERATOR),
        }

    def genesis(self, genesis: Genesis, writer: CallContext) -> None:
        """Market code, calendar, rules."""
        governed.write_genesis(genesis, writer)

    def register_security(self, ctx: CallContext, args: Arguments) -> None:
        """A new security, registering."""
        securities.register_security(ctx, ctx, listing_of(args))

    def register_holding(self, ctx: CallContext, args: Arguments) -> None:
        """Rows of the initial register."""
        security = cast(bytes, args["security"])
        securities.controlled_security(ctx, ctx, security, NOBODY)
        movements.register(ctx, ctx, security, holding_rows(args["rows"]))

    def unregister_holding(self, ctx: CallContext, args: Arguments) -> None:
        """Takes rows of the initial register back."""
        security = cast(bytes, args["security"])
        securities.controlled_security(ctx, ctx, security, NOBODY)
        movements.unregister(ctx, ctx, security, cast(Sequence[bytes], args["accounts"]))

    def activate_security(self, ctx: CallContext, args: Arguments) -> None:
        """Registration is complete."""
        security = cast(bytes, args["security"])
        securities.controlled_security(ctx, ctx, security, NOBODY)
        securities.activate_security(ctx, ctx, security)

    def set_suitability(self, ctx: CallContext, args: Arguments) -> None:
        """Investors' proofs."""
        governed.set_suitability(ctx, ctx, cast(Sequence[Mapping[str, Value]], args["rows"]))

    def set_calendar(self, ctx: CallContext, args: Arguments) -> None:
        """The next version of the calendar."""
        governed.set_calendar(ctx, ctx, cast(Mapping[str, Sequence[int]], args))

    def transfer(self, ctx: CallContext, args: Arguments) -> None:
        """The owner's shares to another holder who accepts them, without payment: a trade."""
        fit: Mapping[str, Any] = args
        target = fit["to"]
        acceptance.refuse_unaccepted(ctx, ctx, target)
        movements.move(ctx, ctx, MoveKind.TRADE, fit["security"], ctx.principal, target, fit["quantity"])

    def accept_transfers(self, ctx: CallContext, args: Arguments) -> None:
        """Whether the caller takes whatever is transferred to him."""
        acceptance.set_acceptance(ctx, ctx, cast(bool, args["accept"]))

    def transfer_non_trade(self, ctx: CallContext, args: Arguments) -> None:
        """Non-trade registration (非交易过户) on documents that the operator has checked."""
        security, source, target = (cast(bytes, args[name]) for name in ("security", "from", "to"))
        lots = custody.lots_of(args["lots"]) if "lots" in args else None
        quantity = cast(int, args["quantity"])
        movements.move(ctx, ctx, MoveKind.NON_TRADE, security, source, target, quantity, lots=lots)
        ctx.emit("non_trade_reason", reason=args["reason"], evidence=args["evidence"])

    def deposit(self, ctx: CallContext, args: Arguments) -> None:
        """Client money that came in at the bank."""
        for row in cast(Sequence[Mapping[str, Value]], args["rows"]):
            account, amount = cast(bytes, row["account"]), cast(int, row["amount_fen"])
            cash.deposit(ctx, ctx, account, amount, cast(str, row["reference"]))

    def withdraw(self, ctx: CallContext, args: Arguments) -> None:
        """Client money that the bank pays out."""
        for row in cast(Sequence[Mapping[str, Value]], args["rows"]):
            account, amount = cast(bytes, row["account"]), cast(int, row["amount_fen"])
            cash.withdraw(ctx, ctx, account, amount, cast(str, row["reference"]))

    def hold(self, ctx: CallContext, args: Arguments) -> None:
        """Binds the caller's shares for a counterparty."""
        holds.hold_shares(
            ctx,
            ctx,
            ctx.principal,
            cast(str, args["reference"]),
            cast(bytes, args["security"]),
            cast(int, args["quantity"]),
            cast(bytes, args["counterparty"]),
            cast(int, args["price_fen"]),
            cast(int, args["expires_ms"]),
        )

    def hold_cash(self, ctx: CallContext, args: Arguments) -> None:
        """Binds the caller's money for shares held for him."""
        reference, against = cast(str, args["reference"]), cast(bytes, args["against"])
        amount, expires_ms = cast(int, args["amount_fen"]), cast(int, args["expires_ms"])
        holds.hold_cash(ctx, ctx, ctx.principal, reference, against, amount, expires_ms)

    def release(self, ctx: CallContext, args: Arguments) -> None:
        """Frees a hold."""
        holds.release(ctx, ctx, cast(bytes, args["hold"]))

    def move_held(self, ctx: CallContext, args: Arguments) -> None:
        """Settles a hold of shares, with its payment; asked for by either party."""
        hold_id = cast(bytes, args["hold"])
        hold = holds.read_hold(ctx, ctx, hold_id)
        if ctx.principal not in (hold.owner, hold.counterparty):
            ctx.refuse("kernel.not_party", ctx.principal)
        holds.move_held(ctx, ctx, hold_id, cast(bytes, args["payment"]))
