"""Status and layer of a security, the register of enterprises, disclosures: records with evidence (docs/spec/kernel.md
§3.10). What is disclosed stays off chain; here stand its type, its visibility tier and its SM3.
"""

from __future__ import annotations

from typing import cast

from chain_core.codec.values import decode_map, encode_value
from chain_core.codec.wire import U32
from chain_core.execution.context import CallContext
from chain_core.execution.overlay import Namespace
from chain_core.types.values import Value
from contracts.hooks.today import today
from contracts.kernel.codes import CREDIT_CODE, claim, code_key
from contracts.kernel.four_eyes import require_second_house
from contracts.kernel.movements import live_security
from contracts.kernel.parties import require_active, require_signed
from contracts.kernel.records import (
    DISCLOSURE,
    ENTERPRISE,
    MARKET,
    SECURITY,
    Status,
    decode_count,
    encode_count,
    encode_security,
)

MAX_LAYER = 9
DISCLOSURE_TYPES, TIERS = 10, 3

_NEXT: dict[Status, frozenset[Status]] = {
    Status.LIVE: frozenset((Status.SUSPENDED, Status.DELISTED)),
    Status.SUSPENDED: frozenset((Status.LIVE, Status.DELISTED)),
    Status.DELISTED: frozenset((Status.LIVE, Status.CLOSED)),
}


def set_status(space: Namespace, ctx: CallContext, security: bytes, status: Status, evidence: bytes) -> None:
    """Suspends (停牌), resumes (复牌), delists (摘牌), lists anew, or closes (退出登记) a security that nobody holds.

    Back to trading, and closing, takes four eyes. Emits ``status_set``.
    """
    record = live_security(space, ctx, security)
    if status not in _NEXT[Status(record.status)]:
        ctx.refuse("kernel.bad_status", security, int(record.status), int(status))
    if status in (Status.LIVE, Status.CLOSED):
        require_second_house(ctx)
    if status is Status.CLOSED and record.total:
        ctx.refuse("kernel.register_not_empty", security)
    layer = 0 if status in (Status.DELISTED, Status.CLOSED) else record.layer
    space.put(SECURITY + security, encode_security(record._replace(status=status, layer=layer)))
    ctx.emit("status_set", security=security, status=int(status), evidence=evidence)


def set_layer(space: Namespace, ctx: CallContext, security: bytes, layer: int, evidence: bytes) -> None:
    """Moves a security that is not delisted to a board: 0 custody only, 1 display (展示), 2 listing (挂牌), 3 to 9 the
    market's own. Emits ``layer_set``.
    """
    record = live_security(space, ctx, security)
    if record.status == Status.DELISTED or not 0 <= layer <= MAX_LAYER or layer == record.layer:
        ctx.refuse("kernel.bad_layer", security, record.layer, layer)
    space.put(SECURITY + security, encode_security(record._replace(layer=layer)))
    ctx.emit("layer_set", security=security, before=record.layer, layer=layer, evidence=evidence)


def register_enterprise(
    space: Namespace,
    ctx: CallContext,
    account: bytes,
    credit_code: str,
    province: str,
    attributes: dict[str, Value],
    evidence: bytes,
) -> None:
    """An enterprise's record with its codes, the latest version; only of the market's province. Its credit code leads
    to this account and to no other. Emits ``enterprise_registered``.
    """
    market = (space.get(MARKET) or b"").decode("ascii")
    if province != market:
        ctx.refuse("csrc.province", province, market)
    require_active(ctx, account)
    before = space.get(ENTERPRISE + account)
    if before is not None:
        space.delete(code_key(CREDIT_CODE, cast(str, decode_map(before, "enterprise")["credit_code"])))
    claim(space, ctx, CREDIT_CODE, credit_code, account)
    row: dict[str, Value] = {"credit_code": credit_code, "province": province, "attributes": attributes}
    space.put(ENTERPRISE + account, encode_value(row))
    ctx.emit("enterprise_registered", account=account, credit_code=credit_code, evidence=evidence)


def disclose(
    space: Namespace, ctx: CallContext, issuer: bytes, disclosure_type: int, tier: int, digest: bytes, corrects: int
) -> int:
    """A disclosure that the issuer signs: type 1 to 10, tier 1 (public) to 3 (supervision), the SM3 of its text; its
    number. ``corrects`` names the one it replaces, 0 for none. Emits ``disclosed``.
    """
    require_signed(ctx, issuer)
    if space.get(ENTERPRISE + issuer) is None:
        ctx.refuse("kernel.not_enterprise", issuer)
    if not 1 <= disclosure_type <= DISCLOSURE_TYPES or not 1 <= tier <= TIERS:
        ctx.refuse("kernel.bad_disclosure", disclosure_type, tier)
    last = decode_count(space.get(DISCLOSURE + issuer))
    if corrects > last:
        ctx.refuse("kernel.no_disclosure", issuer, corrects)
    number, day = last + 1, today(space, ctx).day
    space.put(DISCLOSURE + issuer, encode_count(number))
    row: dict[str, Value] = {
        "type": disclosure_type,
        "tier": tier,
        "digest": digest,
        "day": day,
        "corrects": corrects,
    }
    space.put(DISCLOSURE + issuer + U32.pack(number), encode_value(row))
    ctx.emit("disclosed", issuer=issuer, number=number, **row)
    return number
