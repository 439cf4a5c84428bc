"""What a template's method sees: its instance, the caller, and guarded ledger operations; nothing that writes a balance
(docs/spec/kernel.md §6).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NoReturn

from chain_core.codec.values import decode_value, encode_value
from chain_core.execution.codes import Code, Refused
from chain_core.execution.context import CallContext
from chain_core.execution.overlay import Namespace
from chain_core.types.values import Value
from contracts.kernel import holds, movements, securities
from contracts.kernel.calendar import day_of
from contracts.kernel.contract import holding_rows
from contracts.kernel.records import Instrument
from contracts.kernel.roll import holder_count

REGISTER, HOLD = "register", "hold"
"""Capabilities: initial registration of securities; holds, their release and settlement. More: ``ledger.py``."""

MAX_READS, MAX_WRITES, MAX_EVENTS, MAX_LEDGER_CALLS = 64, 64, 16, 16
MAX_KEY_CHARACTERS, MAX_VALUE_BYTES = 128, 8_192

READS, WRITES, EVENTS, LEDGER_CALLS = range(4)
_LIMITS = (MAX_READS, MAX_WRITES, MAX_EVENTS, MAX_LEDGER_CALLS)
_NAMES = ("reads", "writes", "events", "ledger_calls")


class TemplateContext:
    """One call of one instance: behind ``ctx`` stand its operations (``operations.py``). Arguments fit their kinds."""

    __slots__ = ("_ctx", "_kernel", "_spent", "_template", "instance")

    def __init__(self, ctx: CallContext, kernel: Namespace, template: str, instance: bytes) -> None:
        self._ctx = ctx
        self._kernel = kernel
        self._template = template
        self._spent = [0, 0, 0, 0]
        self.instance = instance

    # ---- who and when

    @property
    def now_ms(self) -> int:
        """Block time."""
        return self._ctx.block.time_ms

    @property
    def day(self) -> int:
        """The UTC+8 day of block time."""
        return day_of(self._ctx.block.time_ms)

    def refuse(self, reason: str, *facts: Value) -> NoReturn:
        """Ends the transaction with the rule ``<template id>.<reason>``."""
        self._ctx.refuse(f"{self._template}.{reason}", *facts)

    # ---- the instance's own data

    def get(self, key: str) -> Value:
        """A value of this instance, None when there is none."""
        self._spend(READS)
        raw = self._ctx.get(self._key(key))
        return None if raw is None else decode_value(raw, "template data")

    def put(self, key: str, value: Value) -> None:
        """Sets a value of this instance; refuses with LIMIT above 8,192 bytes."""
        self._spend(WRITES)
        raw = encode_value(value)
        if len(raw) > MAX_VALUE_BYTES:
            raise Refused(Code.LIMIT, "template_value_bytes", (MAX_VALUE_BYTES,))
        self._ctx.put(self._key(key), raw)

    def emit(self, name: str, fields: Mapping[str, Value]) -> None:
        """An event of the template's own, inside one of this contract's: it cannot be taken for the kernel's."""
        self._spend(EVENTS)
        self._ctx.emit("template_event", instance=self.instance, template=self._template, event=name, fields=fields)

    def _key(self, key: str) -> bytes:
        if not 0 < len(key) <= MAX_KEY_CHARACTERS or not key.isascii():
            raise Refused(Code.LIMIT, "template_key", (MAX_KEY_CHARACTERS,))
        return b"d" + self.instance + key.encode("ascii")

    def reference(self, part: str) -> str:
        """A reference in the name of the instance: it is nobody else's."""
        return f"{self.instance.hex()}.{part}"

    def ledger(self) -> tuple[Namespace, CallContext]:
        """Kernel's state and the engine's context, for one more operation of the ledger."""
        self._spend(LEDGER_CALLS)
        return self._kernel, self._ctx

    # ---- guarded operations of the ledger

    def register_security(
        self,
        reference: str,
        name: str,
        issuer: bytes,
        province: str,
        unit_decimals: int,
        declared: int,
        legacy: bool,
        instrument: int | None = None,
    ) -> bytes:
        """A new security whose register this instance fills; its id."""
        self._spend(LEDGER_CALLS)
        what = Instrument.SHARE if instrument is None else instrument
        listing = securities.Listing(reference, name, issuer, province, unit_decimals, declared, legacy, what)
        return securities.register_security(self._kernel, self._ctx, listing, self.instance)

    def register(self, security: bytes, rows: Sequence[Mapping[str, Value]]) -> None:
        """Rows {account, quantity, acquired_day (of the last buy, or 0)} of a register this instance fills."""
        self._register(security)
        movements.register(self._kernel, self._ctx, security, holding_rows(rows))

    def unregister(self, security: bytes, accounts: Sequence[bytes]) -> None:
        """Takes rows back."""
        self._register(security)
        movements.unregister(self._kernel, self._ctx, security, accounts)

    def activate(self, security: bytes) -> None:
        """The register is complete; its sum must be the declared one."""
        self._register(security)
        securities.activate_security(self._kernel, self._ctx, security)

    def holders(self, security: bytes) -> int:
        """How many holders the register has."""
        self._spend(READS)
        return holder_count(self._kernel, security)

    def hold_shares(
        self,
        owner: bytes,
        security: bytes,
        quantity: int,
        counterparty: bytes,
        price_fen: int,
        expires_ms: int,
        reference: str | None = None,
    ) -> bytes:
        """Binds shares of ``owner``, who has to sign this transaction; one hold an instance and reference. Its id."""
        self._spend(LEDGER_CALLS)
        return holds.hold_shares(
            self._kernel,
            self._ctx,
            owner,
            self.reference(reference or "shares"),
            security,
            quantity,
            counterparty,
            price_fen,
            expires_ms,
            self.instance,
        )

    def hold_cash(
        self, owner: bytes, against: bytes, amount_fen: int, expires_ms: int, reference: str | None = None
    ) -> bytes:
        """Binds money of ``owner``, who has to sign this transaction, for the shares ``against`` holds. The hold's
        id.
        """
        self._spend(LEDGER_CALLS)
        return holds.hold_cash(
            self._kernel,
            self._ctx,
            owner,
            self.reference(reference or "cash"),
            against,
            amount_fen,
            expires_ms,
            self.instance,
        )

    def foresee_trade(self, security: bytes, seller: bytes, buyer: bytes, quantity: int) -> None:
        """Refuses as the settlement would today, for the parties' sake: a later settlement is judged anew."""
        self._spend(LEDGER_CALLS)
        movements.foresee_trade(self._kernel, self._ctx, security, seller, buyer, quantity)

    def release(self, hold: bytes) -> None:
        """Frees a hold of this instance."""
        self._spend(LEDGER_CALLS)
        holds.release(self._kernel, self._ctx, hold, self.instance)

    def move_held(self, hold: bytes, payment: bytes) -> None:
        """Delivery versus payment of two holds of this instance."""
        self._spend(LEDGER_CALLS)
        holds.move_held(self._kernel, self._ctx, hold, payment, self.instance)

    def _register(self, security: bytes) -> None:
        self._spend(LEDGER_CALLS)
        securities.controlled_security(self._kernel, self._ctx, security, self.instance)

    def _spend(self, what: int) -> None:
        self._spent[what] += 1
        if self._spent[what] > _LIMITS[what]:
            raise Refused(Code.LIMIT, f"template_{_NAMES[what]}", (_LIMITS[what],))
