"""Operations of the ledger for the market's whole set of templates (docs/spec/templates.md §3): what the kernel's own
methods do, with the same kinds and the same roles.

A method of the kernel that asks for a role asks for it here as well: a template that opens its methods to anybody gives
nobody the operating institution's powers. What an instance begins (resolutions, actions) it alone carries on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from chain_core.codec.values import decode_map
from chain_core.execution.arguments import ACCOUNT, Kind, Optional, Text
from chain_core.execution.codes import Code, Refused
from chain_core.execution.context import CallContext
from chain_core.execution.contract import Method
from chain_core.execution.overlay import Namespace
from chain_core.types.values import Value
from contracts.hooks.today import today
from contracts.kernel import actions, movements, orders, pledges, resolutions, status
from contracts.kernel.contract import Kernel
from contracts.kernel.four_eyes import require_second_house
from contracts.kernel.kinds import DAY, ID
from contracts.kernel.records import (
    ENTERPRISE,
    HOLDING,
    KERNEL,
    NOBODY,
    ORDER,
    PLEDGE,
    SUITABILITY,
    decode_holding,
    decode_pledge,
    decode_suitability,
)
from contracts.templates.context import TemplateContext
from contracts.templates.offered import Offered, offered

Run = Callable[[TemplateContext, Namespace, CallContext, Mapping[str, Any]], Any]

PART = Text(24)
"""The part of a reference that a template chooses; the instance's id stands before it."""

_METHODS: Mapping[str, Method] = Kernel().methods
_FUEL = 200


class _Within:
    """The engine's context, with the kernel's state for its own: what a method of the kernel is given."""

    __slots__ = ("_ctx", "delete", "get", "put")

    def __init__(self, ctx: CallContext, space: Namespace) -> None:
        self._ctx = ctx
        self.get = space.get
        self.put = space.put
        self.delete = space.delete

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ctx, name)


def _check_role(ctx: CallContext, name: str) -> None:
    roles = _METHODS[name].roles
    if roles and not roles & ctx.roles:
        raise Refused(Code.FORBIDDEN, "", (KERNEL, name))


def _of_kernel(name: str, capability: str, run: Run | None = None) -> Offered:
    """The kernel's method of that name; ``run`` in its place where an id comes back or the instance controls what is
    begun. References are the instance's own.
    """
    method = _METHODS[name]
    kinds: dict[str, Kind] = {
        **{arg: kind for arg, kind in method.args.items() if type(kind) is not Optional},
        **{arg: kind for arg, kind in method.args.items() if type(kind) is Optional},
    }
    if "reference" in kinds:
        kinds["reference"] = PART

    def call(view: TemplateContext, *values: Any) -> Any:
        space, ctx = view.ledger()
        _check_role(ctx, name)
        args = {arg: value for arg, value in zip(kinds, values, strict=True) if value is not None}
        if "reference" in args:
            args["reference"] = view.reference(args["reference"])
        if run is not None:
            return run(view, space, ctx, args)
        return method.handler(cast(CallContext, _Within(ctx, space)), args)

    return offered(call, capability, _FUEL, kinds)


def _resolve(view: TemplateContext, space: Namespace, ctx: CallContext, a: Mapping[str, Any]) -> bytes:
    further = {name: a[name] for name in ("target", "face_fen", "price_fen") if name in a}
    purpose = resolutions.Purpose(a["purpose"])
    return resolutions.resolve(
        space,
        ctx,
        a["reference"],
        purpose,
        a["security"],
        a["limit"],
        a["expires_day"],
        a["evidence"],
        **further,
        controller=view.instance,
    )


def _offer(view: TemplateContext, space: Namespace, ctx: CallContext, a: Mapping[str, Any]) -> bytes:
    sale = (a["subscriber"], a["quantity"], a["price_fen"], a["expires_ms"])
    return resolutions.offer(space, ctx, a["resolution"], a["reference"], *sale, controller=view.instance)


def _issue(view: TemplateContext, space: Namespace, ctx: CallContext, a: Mapping[str, Any]) -> None:
    resolutions.issue(space, ctx, a["offer"], a["payment"], view.instance)


def _redeem(view: TemplateContext, space: Namespace, ctx: CallContext, a: Mapping[str, Any]) -> None:
    resolutions.redeem(space, ctx, a["resolution"], a["hold"], a["payment"], view.instance)


def _reduce(view: TemplateContext, space: Namespace, ctx: CallContext, a: Mapping[str, Any]) -> None:
    rows = [(row["account"], row["quantity"]) for row in a["rows"]]
    resolutions.reduce(space, ctx, a["resolution"], rows, view.instance)


def _recover(view: TemplateContext, space: Namespace, ctx: CallContext, a: Mapping[str, Any]) -> None:
    rows = [(row["account"], row["quantity"]) for row in a["rows"]]
    resolutions.recover(space, ctx, a["resolution"], rows, view.instance)


def _convert(view: TemplateContext, space: Namespace, ctx: CallContext, a: Mapping[str, Any]) -> list[int]:
    made = resolutions.convert(space, ctx, a["resolution"], ctx.principal, a["quantity"], view.instance)
    return list(made)


def _announce(view: TemplateContext, space: Namespace, ctx: CallContext, a: Mapping[str, Any]) -> bytes:
    terms = actions.Terms(
        a["base"], a["cash_fen"], a["shares"], a["grows"], a["largest_remainder"], a.get("rest_to", NOBODY)
    )
    return actions.announce(
        space, ctx, a["reference"], a["security"], terms, a["record_day"], a["evidence"], view.instance
    )


def _fund_action(view: TemplateContext, space: Namespace, ctx: CallContext, a: Mapping[str, Any]) -> None:
    actions.fund(space, ctx, a["action"], a["amount_fen"], view.instance)


def _withdraw_action(view: TemplateContext, space: Namespace, ctx: CallContext, a: Mapping[str, Any]) -> None:
    actions.withdraw(space, ctx, a["action"], view.instance)


def _step_action(view: TemplateContext, space: Namespace, ctx: CallContext, a: Mapping[str, Any]) -> bool:
    return actions.step(space, ctx, a["action"], view.instance)


def _pledge(view: TemplateContext, space: Namespace, ctx: CallContext, a: Mapping[str, Any]) -> bytes:
    return pledges.pledge(space, ctx, a["reference"], a["security"], a["quantity"], a["pledgee"])


def _order(view: TemplateContext, space: Namespace, ctx: CallContext, a: Mapping[str, Any]) -> bytes:
    names = ("reference", "security", "account", "quantity", "expires_day", "evidence")
    return orders.freeze(space, ctx, *(a[name] for name in names))


def _disclose(view: TemplateContext, space: Namespace, ctx: CallContext, a: Mapping[str, Any]) -> int:
    return status.disclose(space, ctx, ctx.principal, a["type"], a["tier"], a["digest"], a.get("corrects", 0))


# ---- reading


def _holding(view: TemplateContext, security: bytes, account: bytes) -> dict[str, Value]:
    space, _ = view.ledger()
    raw = space.get(HOLDING + security + account)
    if raw is None:
        return {"available": 0, "pledged": 0, "frozen": 0}
    holding = decode_holding(raw)
    return {"available": holding.available, "pledged": holding.pledged, "frozen": holding.frozen}


def _security(view: TemplateContext, security: bytes) -> dict[str, Value]:
    space, ctx = view.ledger()
    record = movements.read_security(space, ctx, security)
    names = ("status", "layer", "issuer", "declared", "total", "instrument", "unit_decimals")
    return {name: cast(Value, getattr(record, name)) for name in names}


def _trading_days(view: TemplateContext, first: int, last: int) -> int:
    space, ctx = view.ledger()
    return today(space, ctx).calendar.trading_days(first, last) if first < last else 0


def _suitability(view: TemplateContext, account: bytes) -> dict[str, Value] | None:
    space, _ = view.ledger()
    raw = space.get(SUITABILITY + account)
    if raw is None:
        return None
    proof = decode_suitability(raw)
    return {"category": proof.category, "expires_day": proof.expires_day}


def _enterprise(view: TemplateContext, account: bytes) -> dict[str, Value] | None:
    space, _ = view.ledger()
    raw = space.get(ENTERPRISE + account)
    return None if raw is None else dict(decode_map(raw, "enterprise"))


def _read_pledge(view: TemplateContext, pledge: bytes) -> dict[str, Value] | None:
    space, _ = view.ledger()
    raw = space.get(PLEDGE + pledge)
    if raw is None:
        return None
    record = decode_pledge(raw)
    return {"quantity": record.quantity, "fruit_fen": record.fruit_fen}


def _read_order(view: TemplateContext, order: bytes) -> dict[str, Value] | None:
    """The order as it stands today: the queue is settled first, so that one that expired is none."""
    space, ctx = view.ledger()
    raw = space.get(ORDER + order)
    if raw is not None:
        known = orders.decode_order(raw)
        orders.settle_queue(space, ctx, known.security, known.owner)
        raw = space.get(ORDER + order)
    if raw is None:
        return None
    record = orders.decode_order(raw)
    return {name: cast(Value, getattr(record, name)) for name in ("wanted", "held", "fruit_fen", "expires_day")}


def _four_eyes(view: TemplateContext) -> None:
    _, ctx = view.ledger()
    require_second_house(ctx)


_READS: Mapping[str, Offered] = {
    "read_pledge": offered(_read_pledge, "pledge", 50, {"pledge": ID}),
    "read_order": offered(_read_order, "order", 200, {"order": ID}),
    "holding": offered(_holding, "", 50, {"security": ID, "account": ID}),
    "security": offered(_security, "", 50, {"security": ID}),
    "suitability": offered(_suitability, "", 50, {"account": ACCOUNT}),
    "enterprise": offered(_enterprise, "", 50, {"account": ACCOUNT}),
    "four_eyes": offered(_four_eyes, "", 50, {}),
    "trading_days": offered(_trading_days, "", 100, {"first": DAY, "last": DAY}),
}

_ISSUES: Mapping[str, Run | None] = {
    "resolve": _resolve,
    "fund_resolution": None,
    "defund_resolution": None,
    "offer": _offer,
    "issue": _issue,
    "redeem": _redeem,
    "reduce": _reduce,
    "recover": _recover,
    "convert": _convert,
}
_ACTIONS: Mapping[str, Run | None] = {
    "announce_action": _announce,
    "fund_action": _fund_action,
    "withdraw_action": _withdraw_action,
    "step_action": _step_action,
    "release_in_action": None,
}
_TABLE: Mapping[str, Mapping[str, Run | None]] = {
    "issue": _ISSUES,
    "action": _ACTIONS,
    "pledge": {"pledge": _pledge, "release_pledge": None, "enforce_pledge": None},
    "order": {
        "place_order": _order,
        "renew_order": None,
        "thaw_order": None,
        "execute_order": None,
        "settle_orders": None,
    },
    "lock_up": {"lock_up": None, "release_lock_up": None, "change_lock_up": None},
    "vehicle": {"set_vehicle": None, "join_family": None},
    "status": {"set_status": None, "set_layer": None, "register_enterprise": None},
    "disclose": {"disclose": _disclose},
    "non_trade": {"transfer_non_trade": None},
    "suitability": {"set_suitability": None},
    "correct": {"correct": None},
}
"""Capability -> operations: each of them a method of the kernel."""

LEDGER_CAPABILITIES = frozenset(_TABLE)
LEDGER_OPERATIONS: Mapping[str, Offered] = {
    **_READS,
    **{name: _of_kernel(name, capability, run) for capability, rows in _TABLE.items() for name, run in rows.items()},
}
