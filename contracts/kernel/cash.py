"""Client money (客户资金) as the depository bank reports it, in fen; nobody else creates or ends any
(docs/spec/kernel.md §3.3).
"""

from __future__ import annotations

from chain_core.codec.signed import derive_id
from chain_core.execution.context import CallContext
from chain_core.execution.overlay import Namespace
from chain_core.types.ids import ZERO_HASH
from contracts.hooks import guards
from contracts.kernel.moves import CashMove
from contracts.kernel.parties import require_active
from contracts.kernel.records import (
    CASH,
    INSTRUCTION,
    MAX_QUANTITY,
    MONEY,
    NOBODY,
    Cash,
    decode_cash,
    decode_money,
    encode_cash,
    encode_money,
)


def read_cash(space: Namespace, account: bytes) -> Cash:
    """An account's money; nothing is zero."""
    return decode_cash(space.get(CASH + account))


def _store(space: Namespace, account: bytes, cash: Cash) -> None:
    """An account without money has no value."""
    if cash.available or cash.held:
        space.put(CASH + account, encode_cash(cash))
    else:
        space.delete(CASH + account)


def _once(space: Namespace, ctx: CallContext, reference: str) -> None:
    """Each of a bank's instructions is carried out once, whatever chain of a line of successors the state is on: so the
    key has no genesis hash in it.
    """
    key = INSTRUCTION + derive_id(ZERO_HASH, "instruction", ctx.account, reference)
    if space.get(key) is not None:
        ctx.refuse("kernel.instruction_done", reference)
    space.put(key, encode_money(ctx.block.height))


def deposit(space: Namespace, ctx: CallContext, account: bytes, amount_fen: int, reference: str) -> None:
    """Money that came in at the bank. Emits ``cash_deposited``."""
    _once(space, ctx, reference)
    require_active(ctx, account)
    money = decode_money(space.get(MONEY)) + amount_fen
    if money > MAX_QUANTITY:
        ctx.refuse("kernel.too_much", amount_fen)
    cash = read_cash(space, account)
    space.put(MONEY, encode_money(money))
    _store(space, account, Cash(cash.available + amount_fen, cash.held))
    ctx.record_move(CashMove("cash_in", NOBODY, account, amount_fen))
    ctx.emit("cash_deposited", account=account, amount_fen=amount_fen, reference=reference)


def withdraw(space: Namespace, ctx: CallContext, account: bytes, amount_fen: int, reference: str) -> None:
    """Money about to be paid out by the bank; only what is available, and none of a frozen party. Emits
    ``cash_withdrawn``.
    """
    _once(space, ctx, reference)
    guards.refuse_frozen_party(space, ctx, account)
    cash = read_cash(space, account)
    _refuse_short(ctx, account, cash, amount_fen)
    space.put(MONEY, encode_money(decode_money(space.get(MONEY)) - amount_fen))
    _store(space, account, Cash(cash.available - amount_fen, cash.held))
    ctx.record_move(CashMove("cash_out", account, NOBODY, amount_fen))
    ctx.emit("cash_withdrawn", account=account, amount_fen=amount_fen, reference=reference)


def bind_cash(space: Namespace, ctx: CallContext, owner: bytes, amount_fen: int) -> None:
    """From available to held."""
    cash = read_cash(space, owner)
    _refuse_short(ctx, owner, cash, amount_fen)
    _store(space, owner, Cash(cash.available - amount_fen, cash.held + amount_fen))


def free_cash(space: Namespace, owner: bytes, amount_fen: int) -> None:
    """From held to available; the caller has deleted the hold."""
    cash = read_cash(space, owner)
    _store(space, owner, Cash(cash.available + amount_fen, cash.held - amount_fen))


def pay_held(space: Namespace, ctx: CallContext, payer: bytes, payee: bytes, amount_fen: int) -> None:
    """Held money to its counterparty; the caller has deleted the hold. Emits ``paid``."""
    cash = read_cash(space, payer)
    _store(space, payer, Cash(cash.available, cash.held - amount_fen))
    other = read_cash(space, payee)
    _store(space, payee, Cash(other.available + amount_fen, other.held))
    ctx.record_move(CashMove("payment", payer, payee, amount_fen))
    ctx.emit("paid", payer=payer, payee=payee, amount_fen=amount_fen)


def _refuse_short(ctx: CallContext, account: bytes, cash: Cash, wanted: int) -> None:
    if cash.available < wanted:
        ctx.refuse("kernel.insufficient_cash", account, cash.available, cash.held, wanted)
