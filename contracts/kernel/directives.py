"""What supervisory directives do to the ledger: freezes, under the directive's id (docs/spec/kernel.md §5).

For the border contract only: it holds the assembly's grant to write in ``kernel``, without which ``within`` halts the
node. There is no method of the kernel that freezes. Several freezes stand beside each other, in order of arrival;
what is frozen stays so until the last one is lifted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, cast

from chain_core.codec.values import decode_value, encode_value
from chain_core.execution.context import CallContext
from chain_core.execution.overlay import Namespace
from chain_core.types.values import Value
from contracts.kernel.cash import free_cash
from contracts.kernel.movements import bind, free, read_security
from contracts.kernel.records import (
    HOLDING_FREEZE,
    KERNEL,
    PARTY_FREEZE,
    SECURITY,
    SECURITY_FREEZE,
    encode_security,
)

MAX_FREEZES = 64
MAX_DIRECTIVE_BYTES = 128


class Reader(Protocol):
    """Reads keys inside the kernel."""

    def get(self, key: bytes) -> bytes | None: ...


def is_frozen(space: Reader, account: bytes) -> bool:
    """Whether a freeze of the party is in force; ``space`` is the kernel's namespace or its like."""
    return space.get(PARTY_FREEZE + account) is not None


def freeze_holder(ctx: CallContext, account: bytes, directive: str) -> None:
    """Freezes a party: none of its shares move, in or out, and it does no business. Emits ``party_frozen``."""
    if ctx.record_of(account) is None:
        ctx.refuse("kernel.unknown_party", account)
    _add(ctx, ctx.within(KERNEL), PARTY_FREEZE + account, directive)
    ctx.emit("party_frozen", account=account, directive=directive)


def unfreeze_holder(ctx: CallContext, account: bytes, directive: str, lifts: str | None = None) -> None:
    """Under ``directive``, lifts the freeze that ``lifts`` ordered, all of the party's without it. Emits
    ``party_unfrozen``.
    """
    space = ctx.within(KERNEL)
    if lifts is not None:
        _remove(ctx, space, PARTY_FREEZE + account, lifts)
    elif is_frozen(space, account):
        space.delete(PARTY_FREEZE + account)
    else:
        ctx.refuse("kernel.no_such_freeze", account)
    ctx.emit("party_unfrozen", account=account, directive=directive, lifts=lifts)


def freeze_security(ctx: CallContext, security: bytes, directive: str) -> None:
    """Freezes an instrument: none of its shares move. Emits ``security_frozen``."""
    space = ctx.within(KERNEL)
    record = read_security(space, ctx, security)
    _add(ctx, space, SECURITY_FREEZE + security, directive)
    space.put(SECURITY + security, encode_security(record._replace(frozen=1)))
    ctx.emit("security_frozen", security=security, directive=directive)


def lift_security(ctx: CallContext, security: bytes, directive: str, lifts: str | None = None) -> None:
    """Under ``directive``, lifts the freeze that ``lifts`` ordered, all of the instrument's without it."""
    if lifts is not None:
        unfreeze_security(ctx, security, lifts)
        return
    space = ctx.within(KERNEL)
    record = read_security(space, ctx, security)
    if space.get(SECURITY_FREEZE + security) is None:
        ctx.refuse("kernel.no_such_freeze", directive)
    space.delete(SECURITY_FREEZE + security)
    space.put(SECURITY + security, encode_security(record._replace(frozen=0)))
    ctx.emit("security_unfrozen", security=security, directive=directive)


def unfreeze_security(ctx: CallContext, security: bytes, directive: str) -> None:
    """Lifts the freeze that ``directive`` ordered. Emits ``security_unfrozen``."""
    space = ctx.within(KERNEL)
    record = read_security(space, ctx, security)
    left = _remove(ctx, space, SECURITY_FREEZE + security, directive)
    space.put(SECURITY + security, encode_security(record._replace(frozen=int(left > 0))))
    ctx.emit("security_unfrozen", security=security, directive=directive)


def freeze_holding(ctx: CallContext, security: bytes, account: bytes, quantity: int, directive: str) -> None:
    """Freezes available shares of one holding. Emits ``holding_frozen``."""
    space = ctx.within(KERNEL)
    read_security(space, ctx, security)
    key = HOLDING_FREEZE + security + account
    entries = _entries(space, key)
    _check_new(ctx, [entry[0] for entry in cast(Sequence[Sequence[Value]], entries)], directive)
    if quantity < 1:
        ctx.refuse("kernel.bad_quantity", quantity)
    bind(space, ctx, security, account, quantity)
    space.put(key, encode_value([*entries, [directive, quantity]]))
    ctx.emit("holding_frozen", security=security, account=account, quantity=quantity, directive=directive)


def unfreeze_holding(ctx: CallContext, security: bytes, account: bytes, directive: str) -> None:
    """Lifts the freeze that ``directive`` ordered. Emits ``holding_unfrozen``."""
    space = ctx.within(KERNEL)
    key = HOLDING_FREEZE + security + account
    entries = cast(list[list[Any]], _entries(space, key))
    found = [entry for entry in entries if entry[0] == directive]
    if not found:
        ctx.refuse("kernel.no_such_freeze", directive)
    _store(space, key, [entry for entry in entries if entry[0] != directive])
    _, quantity, *fruit_fen = found[0]
    if fruit_fen:
        free_cash(space, account, fruit_fen[0])
    free(space, ctx, security, account, quantity)
    ctx.emit("holding_unfrozen", security=security, account=account, quantity=quantity, directive=directive)


def _entries(space: Namespace, key: bytes) -> list[Value]:
    raw = space.get(key)
    return [] if raw is None else cast(list[Value], decode_value(raw, "freezes"))


def _check_new(ctx: CallContext, present: Sequence[Value], directive: str) -> None:
    if not 1 <= len(directive.encode("utf-8")) <= MAX_DIRECTIVE_BYTES:
        ctx.refuse("kernel.bad_directive", MAX_DIRECTIVE_BYTES)
    if directive in present:
        ctx.refuse("kernel.frozen_already", directive)
    if len(present) >= MAX_FREEZES:
        ctx.refuse("kernel.too_many_freezes", MAX_FREEZES)


def _add(ctx: CallContext, space: Namespace, key: bytes, directive: str) -> None:
    present = _entries(space, key)
    _check_new(ctx, present, directive)
    space.put(key, encode_value([*present, directive]))


def _remove(ctx: CallContext, space: Namespace, key: bytes, directive: str) -> int:
    """How many freezes are left."""
    present = _entries(space, key)
    if directive not in present:
        ctx.refuse("kernel.no_such_freeze", directive)
    present.remove(directive)
    _store(space, key, present)
    return len(present)


def _store(space: Namespace, key: bytes, entries: Sequence[Value]) -> None:
    if entries:
        space.put(key, encode_value(entries))
    else:
        space.delete(key)
