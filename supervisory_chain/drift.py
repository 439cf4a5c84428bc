"""What a chain's headers say of it, and whether a change was announced (docs/spec/drift.md §1; art. 10, 13, 14)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_map, encode_value
from chain_core.crypto.hashing import sm3
from chain_core.execution.context import CallContext
from chain_core.types.block import Header
from chain_core.types.validator_set import ValidatorSet
from chain_core.types.values import Value
from crosschain.packets import CLIENTS
from supervisory_chain.cases import open_case
from supervisory_chain.desk.in_force import announced

UNANNOUNCED = "unannounced_change"
KEPT_CHANGES = 8
"""Changes that a record names: the last ones."""
WATCHED = ("format_version", "protocol_version", "parameters", "validators")
NO_NOTICE = -1


def declared_key(chain: bytes) -> bytes:
    """Full state key of what the headers of a chain say now."""
    return state_key(CLIENTS, _place(chain))


def watch(ctx: CallContext, chain: bytes, headers: Iterable[tuple[Header, ValidatorSet]]) -> None:
    """Compares accepted headers, in their order, with what was said before; called by the contract ``clients``.

    The first header that is followed sets what the later ones are compared with. A change is told once: what is new
    is from then on what was before.
    """
    raw = ctx.get(_place(chain))
    known = None if raw is None else decode_map(raw, "declared by headers")
    for header, validators in headers:
        same_epoch = known is not None and known["epoch"] == header.epoch
        members = cast(bytes, known["validators"]) if known is not None and same_epoch else members_hash(validators)
        said: dict[str, Value] = {
            "format_version": header.format_version,
            "protocol_version": header.protocol_version,
            "parameters": header.params_hash,
            "validators": members,
        }
        if known is None:
            known = {**said, "epoch": header.epoch, "height": header.height, "changes": []}
            continue
        changed = [name for name in WATCHED if known[name] != said[name]]
        known = {**known, **said, "epoch": header.epoch}
        if changed:
            change = _changed(ctx, chain, header, cast(list[Value], changed), said)
            changes = [*cast(Sequence[Value], known["changes"]), change][-KEPT_CHANGES:]
            known |= {"height": header.height, "changes": changes}
    after = None if known is None else encode_value(known)
    if after is not None and after != raw:
        ctx.put(_place(chain), after)


def members_hash(validators: ValidatorSet) -> bytes:
    """SM3 over names and legal entities: new keys of the same nodes are no other validators."""
    return sm3(encode_value([[v.name, v.entity] for v in validators.validators]))


def _changed(
    ctx: CallContext, chain: bytes, header: Header, changed: list[Value], said: Mapping[str, Value]
) -> dict[str, Value]:
    """One change as it is kept: announced by a notice, or a case."""
    notice = announced(ctx, chain, header.time_ms)
    change: dict[str, Value] = {
        "height": header.height,
        "changed": changed,
        "notice": NO_NOTICE if notice is None else notice,
    }
    if notice is None:
        now = {cast(str, name): said[cast(str, name)] for name in changed}
        facts: dict[str, Value] = {"height": header.height, "time_ms": header.time_ms, "changed": changed, "now": now}
        change["case"] = open_case(ctx, chain, UNANNOUNCED, facts)
    ctx.emit("headers_changed", chain=chain, **change)
    return change


def _place(chain: bytes) -> bytes:
    return b"d" + chain
