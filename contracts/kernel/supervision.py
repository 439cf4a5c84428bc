"""Methods of ``kernel`` for status, layer, enterprises, codes, disclosure and correction (docs/spec/kernel.md §3.1,
§3.10).
"""

from __future__ import annotations

from typing import Any

from chain_core.execution.arguments import ACCOUNT, HASH, Document, Integer, Kind, Optional, Text
from chain_core.execution.context import CallContext
from chain_core.execution.contract import Method
from contracts.codes.investor import investor_code_fault
from contracts.kernel import codes, corrections, status
from contracts.kernel.kinds import ID, QUANTITY
from contracts.kernel.records import Status

MAX_ATTRIBUTES_BYTES = 4_096


def methods(operator: frozenset[str]) -> dict[str, Method]:
    """The methods by name: the operating institution's, but for disclosures, which are the issuer's."""
    entry: dict[str, Kind] = {
        "transaction": HASH,
        "place": Integer(0, 1_023),
        "security": ID,
        "source": ACCOUNT,
        "target": ACCOUNT,
        "quantity": QUANTITY,
        "corrected": QUANTITY,
        "evidence": HASH,
    }
    enterprise: dict[str, Kind] = {
        "account": ACCOUNT,
        "credit_code": Text(18, 18),
        "province": Text(3, 2),
        "attributes": Document(MAX_ATTRIBUTES_BYTES, 3),
        "evidence": HASH,
    }
    disclosure: dict[str, Kind] = {
        "type": Integer(1, status.DISCLOSURE_TYPES),
        "tier": Integer(1, status.TIERS),
        "digest": HASH,
        "corrects": Optional(Integer(1, (1 << 32) - 1)),
    }
    return {
        "set_status": Method(set_status, {"security": ID, "status": Integer(2, 5), "evidence": HASH}, operator),
        "set_layer": Method(
            set_layer, {"security": ID, "layer": Integer(0, status.MAX_LAYER), "evidence": HASH}, operator
        ),
        "register_enterprise": Method(register_enterprise, enterprise, operator),
        "bind_code": Method(bind_code, {"account": ACCOUNT, "code": Text(64, 1)}, operator),
        "unbind_code": Method(unbind_code, {"account": ACCOUNT, "evidence": HASH}, operator),
        "disclose": Method(disclose, disclosure),
        "correct": Method(correct, entry, operator),
    }


def set_status(ctx: CallContext, args: Any) -> None:
    """Suspends, resumes, delists, closes."""
    status.set_status(ctx, ctx, args["security"], Status(args["status"]), args["evidence"])


def set_layer(ctx: CallContext, args: Any) -> None:
    """Another board."""
    status.set_layer(ctx, ctx, args["security"], args["layer"], args["evidence"])


def register_enterprise(ctx: CallContext, args: Any) -> None:
    """An enterprise's record."""
    names = ("account", "credit_code", "province", "attributes", "evidence")
    status.register_enterprise(ctx, ctx, *(args[name] for name in names))


def bind_code(ctx: CallContext, args: Any) -> None:
    """An account's investor code."""
    fault = investor_code_fault(args["code"])
    if fault:
        ctx.refuse("kernel.bad_code", args["code"], fault)
    codes.bind_code(ctx, ctx, args["account"], args["code"])


def unbind_code(ctx: CallContext, args: Any) -> None:
    """Takes a wrong binding back."""
    codes.unbind_code(ctx, ctx, args["account"], args["evidence"])


def disclose(ctx: CallContext, args: Any) -> None:
    """A disclosure of the caller's."""
    status.disclose(ctx, ctx, ctx.principal, args["type"], args["tier"], args["digest"], args.get("corrects", 0))


def correct(ctx: CallContext, args: Any) -> None:
    """Takes a wrong entry back."""
    names = ("transaction", "place", "security", "source", "target", "quantity")
    entry = corrections.Entry(*(args[name] for name in names))
    corrections.correct(ctx, ctx, entry, args["corrected"], args["evidence"])
