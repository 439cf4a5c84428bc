"""A security's life up to trading: registered, filled by ``movements.register``, activated (docs/spec/kernel.md
§3.1).
"""

from __future__ import annotations

from dataclasses import dataclass

from chain_core.codec.values import encode_value
from chain_core.execution.context import CallContext
from chain_core.execution.overlay import Namespace
from contracts.kernel.four_eyes import require_second_house
from contracts.kernel.movements import read_security
from contracts.kernel.parties import require_active
from contracts.kernel.records import (
    LABEL,
    MARKET,
    NOBODY,
    SECURITY,
    Instrument,
    Security,
    Status,
    encode_security,
)
from contracts.kernel.roll import MAX_LISTED, Issued, holder_count

PERMITTED = frozenset(Instrument)
"""Shares, convertible bonds, and shares of private funds as the State has approved them."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What a security is registered with. ``declared`` is the whole register's sum, in units, 0 of one that begins
    empty; ``legacy`` lets the initial register hold more holders than the cap.
    """

    reference: str
    name: str
    issuer: bytes
    province: str
    unit_decimals: int
    declared: int
    legacy: bool
    instrument: int = Instrument.SHARE


def register_security(space: Namespace, ctx: CallContext, listing: Listing, controller: bytes = NOBODY) -> bytes:
    """A new security under the caller's own reference; its id. One with ``legacy`` needs the second pair of eyes. Emits
    ``security_registered``.
    """
    security = ctx.new_id(
        "security", ctx.account, listing.reference, lambda known: space.get(SECURITY + known), "kernel.security_exists"
    )
    market = (space.get(MARKET) or b"").decode("ascii")
    if listing.province != market:
        ctx.refuse("csrc.province", listing.province, market)
    if listing.instrument not in PERMITTED:
        ctx.refuse("csrc.instrument", listing.instrument)
    require_active(ctx, listing.issuer)
    if listing.legacy:
        if not listing.declared:
            ctx.refuse("kernel.bad_quantity", listing.declared)
        require_second_house(ctx)  # it lifts the cap on holders: not for the operator alone
    issued = Issued(space, listing.issuer)
    if issued.count >= MAX_LISTED:
        ctx.refuse("kernel.list_full", listing.issuer, MAX_LISTED)
    record = Security(
        Status.REGISTERING,
        0,
        int(listing.legacy),
        listing.unit_decimals,
        listing.issuer,
        controller,
        ctx.account,
        listing.declared,
        0,
        instrument=listing.instrument,
    )
    space.put(SECURITY + security, encode_security(record))
    label = {"reference": listing.reference, "name": listing.name, "province": listing.province}
    space.put(LABEL + security, encode_value(label))
    issued.append(security)
    issued.save()
    ctx.emit(
        "security_registered",
        security=security,
        reference=listing.reference,
        issuer=listing.issuer,
        declared=listing.declared,
        legacy=listing.legacy,
    )
    return security


def activate_security(space: Namespace, ctx: CallContext, security: bytes) -> None:
    """From registering to live; the register's sum must be the declared one. Emits ``security_live``."""
    record = read_security(space, ctx, security)
    if record.status != Status.REGISTERING:
        ctx.refuse("kernel.not_registering", security)
    if record.total != record.declared:
        ctx.refuse("kernel.sum_differs", security, record.total, record.declared)
    space.put(SECURITY + security, encode_security(record._replace(status=Status.LIVE)))
    ctx.emit("security_live", security=security, total=record.total, holders=holder_count(space, security))


def controlled_security(space: Namespace, ctx: CallContext, security: bytes, controller: bytes) -> Security:
    """The record, for whoever registered it: ``controller`` (an instance), else the registrar's own account."""
    record = read_security(space, ctx, security)
    if record.controller != controller or (controller == NOBODY and record.registrar != ctx.account):
        ctx.refuse("kernel.not_registrar", security)
    return record
