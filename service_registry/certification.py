"""Authorities that the regulator names, and trusted certificates under them (docs/spec/service-registry.md §4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from chain_core.codec.values import decode_map, encode_value
from chain_core.crypto.hashing import sm3
from chain_core.execution.arguments import HASH, PUBLIC_KEY, Kind, ListOf, Optional
from chain_core.execution.context import CallContext
from chain_core.execution.contract import Arguments, Method
from chain_core.types.values import Value
from service_registry import records
from service_registry.machines import OPERATOR, TESTER
from service_registry.parties import replace_key
from service_registry.records import AUTHORITIES_KEY, PROPOSED_KEY, Certificate, encode, path_key
from service_registry.trust import DER, MAX_AUTHORITIES, MAX_PATH, decode_authorities

CSRC = "csrc"


def name_authorities(ctx: CallContext, args: Arguments) -> None:
    """The first officer proposes the list, another one who names the same list brings it into force (four eyes)."""
    certificates = list(cast(Sequence[bytes], args["certificates"]))
    proposed, raw = encode_value(cast(list[Value], certificates)), ctx.get(PROPOSED_KEY)
    known = {} if raw is None else decode_map(raw, "proposed authorities")
    if known.get("list") != proposed or known.get("by") == ctx.account:
        ctx.put(PROPOSED_KEY, encode_value({"list": proposed, "by": ctx.account}))
        ctx.emit("authorities_proposed", count=len(certificates), list=sm3(proposed))
        return
    version = decode_authorities(ctx.get(AUTHORITIES_KEY)).version + 1
    listed = cast(list[Value], certificates)
    ctx.put(AUTHORITIES_KEY, encode_value({"certificates": listed, "version": version, "height": ctx.block.height}))
    ctx.delete(PROPOSED_KEY)
    ctx.emit("authorities_named", version=version, count=len(certificates), list=sm3(proposed))


def upload_certificate(ctx: CallContext, args: Arguments) -> None:
    """The key by which the account signs calls, replies and tests, and its certificate (art. 22)."""
    key, owner = cast(bytes, args["key"]), ctx.record_of(ctx.principal)
    if owner is None or key not in owner.keys.get("assertion", ()):
        ctx.refuse("services.not_assertion_key", sm3(key))
    path = list(cast(Sequence[bytes], args.get("path", ())))
    hashed = cast(bytes, args["certificate"])
    if path and sm3(path[0]) != hashed:
        ctx.refuse("services.certificate_differs")
    if not path and decode_authorities(ctx.get(AUTHORITIES_KEY)).certificates:
        ctx.refuse("services.no_path")
    replace_key(ctx, ctx.principal, key)
    ctx.put(records.certificate_key(ctx.principal), encode(Certificate(key, hashed, ctx.block.height)))
    if path:
        ctx.put(path_key(ctx.principal), encode_value(cast(list[Value], path)))
    elif ctx.get(path_key(ctx.principal)) is not None:
        ctx.delete(path_key(ctx.principal))
    ctx.emit("certified", account=ctx.principal, key=sm3(key), certificate=hashed)


_CERTIFIED: Mapping[str, Kind] = {"key": PUBLIC_KEY, "certificate": HASH, "path": Optional(ListOf(DER, MAX_PATH, 1))}
METHODS: Mapping[str, Method] = {
    "name_authorities": Method(
        name_authorities, {"certificates": ListOf(DER, MAX_AUTHORITIES, distinct=True)}, frozenset((CSRC,))
    ),
    "upload_certificate": Method(upload_certificate, _CERTIFIED, frozenset((OPERATOR, TESTER))),
}
