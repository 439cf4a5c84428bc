"""What proposals can change of the validators, and what keeps a set fit to run the chain (docs/spec/membership.md §2).

A change is computed on the scheduled set where there is one (that is how it is rehearsed), else on the present one; it
takes effect ``NOTICE`` heights after the block that decides it, as a new epoch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

from chain_core.codec.validator_set import MAX_SET_BYTES, encode_validator_set
from chain_core.codec.values import encode_value
from chain_core.crypto.hashing import sm3
from chain_core.crypto.sm2_domain import is_on_curve
from chain_core.execution.arguments import PUBLIC_KEY, Choice, Kind, Record, Text
from chain_core.execution.context import CallContext
from chain_core.execution.contract import Arguments, RuleText
from chain_core.execution.epochs import CURRENT_KEY, NOTICE, EpochInfo, epoch_at, schedule
from chain_core.execution.key_purposes import NAMED, USED, is_accounts
from chain_core.execution.overlay import Namespace, StateReader
from chain_core.types.validator_set import InvalidValidatorSet, Validator, ValidatorSet, same_entity
from chain_core.types.values import Value

ADD, REMOVE, REPLACE, ROTATE = "add_validator", "remove_validator", "replace_validator", "rotate_validator_key"

NAME = Text(64)
_ADDRESS = Text(300, 3, re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252})|\[[0-9A-Fa-f:.]{2,45}\]):[1-9][0-9]{0,4}"))
_NEWCOMER: Mapping[str, Kind] = {
    "name": NAME,
    "entity": Text(255),
    "consensus_key": PUBLIC_KEY,
    "transport_key": PUBLIC_KEY,
    "address": _ADDRESS,
}
_PURPOSES = {"consensus": "consensus_key", "transport": "transport_key"}

CONTENTS: Mapping[str, Mapping[str, Kind]] = {
    ADD: _NEWCOMER,
    REMOVE: {"name": NAME},
    REPLACE: {"name": NAME, "by": Record(_NEWCOMER)},
    ROTATE: {"name": NAME, "purpose": Choice(frozenset(_PURPOSES)), "key": PUBLIC_KEY},
}
"""The fields of each kind's content. ``address``: the newcomer's peer port, host:port, for those who are to dial it."""

RULES: Mapping[str, RuleText] = {
    "governance.unknown_validator": RuleText("没有名为 {0} 的验证者", "there is no validator {0}"),
    "governance.validator_name": RuleText("验证者名称 {0} 已被占用", "a validator is called {0} already"),
    "governance.validator_key": RuleText(
        "公钥（SM3 {0}）不在 SM2 曲线上，或一钥两用", "the key with SM3 {0} is no SM2 point, or is to serve twice"
    ),
    "governance.validator_key_used": RuleText(
        "公钥（SM3 {0}）已在本链用作验证者公钥，不得再用",
        "the key with SM3 {0} was a validator's key on this chain before; such keys never return",
    ),
    "governance.validator_key_taken": RuleText(
        "公钥（SM3 {0}）已登记在某一账户名下，不得用作验证者公钥",
        "the key with SM3 {0} is or was an account's: it is no validator's (one key, one purpose)",
    ),
    "governance.validator_entity": RuleText(
        "机构“{0}”将持有 {2} 票中的 {1} 票，达到三分之一",
        "{0} would hold {1} of {2} votes: a third or more",
    ),
    "governance.validator_set": RuleText("变更后的验证者集合不可用：{0}", "the set that results cannot be used: {0}"),
}

_Members = tuple[tuple[Validator, ...], dict[str, str]]
_MAX_DETAIL = 120


def claim_keys(space: Namespace, epoch: int, validators: Sequence[Validator]) -> None:
    """The keys of these validators are used from now on, for good."""
    for validator in validators:
        for key in (validator.consensus_key, validator.transport_key):
            space.put(_used(key), encode_value(epoch))


def reserve_keys(ctx: CallContext, kind: str, content: Arguments) -> None:
    """The keys that a proposal names: no account attaches them from now on, and so makes the proposal fail."""
    row = cast(Arguments, content["by"]) if kind == REPLACE else content
    for name in ("consensus_key", "transport_key", "key"):
        if name in row:
            ctx.put(NAMED + sm3(cast(bytes, row[name])), encode_value(ctx.block.height))


def is_used(space: Namespace, key: bytes) -> bool:
    """Whether a validator had this key before."""
    return space.get(_used(key)) is not None


def change_validators(ctx: CallContext, kind: str, content: Arguments) -> None:
    """Schedules the set that ``content`` (fitting ``CONTENTS``) leads to, or refuses with a rule."""
    latest = _latest(ctx)
    before, addresses = latest.validators.validators, dict(latest.addresses)
    if kind == ADD:
        newcomer = _newcomer(ctx, content)
        members = (*before, newcomer)
        addresses[newcomer.name] = cast(str, content["address"])
    elif kind == REMOVE:
        gone = _find(ctx, before, content)
        members = tuple(v for v in before if v is not gone)
        addresses.pop(gone.name, None)
    elif kind == REPLACE:
        gone, by = _find(ctx, before, content), cast(Arguments, content["by"])
        newcomer = _newcomer(ctx, by)
        members = tuple(newcomer if v is gone else v for v in before)
        addresses.pop(gone.name, None)
        addresses[newcomer.name] = cast(str, by["address"])
    else:
        member = _find(ctx, before, content)
        rotated = _rotated(ctx, member, content)
        members = tuple(rotated if v is member else v for v in before)
    validators = _fit(ctx, latest.validators, members)
    claim_keys(ctx, latest.epoch + 1, [v for v in members if v not in before])
    schedule(ctx, latest.epoch + 1, ctx.block.height + NOTICE, validators, addresses)


class _OwnState(StateReader):
    """The namespace of governance, by full keys."""

    def __init__(self, ctx: CallContext) -> None:
        self._ctx, self._skip = ctx, len(CURRENT_KEY) - len(b"validators")

    def get(self, key: bytes) -> bytes | None:
        return self._ctx.get(key[self._skip :])


def _latest(ctx: CallContext) -> EpochInfo:
    return epoch_at(_OwnState(ctx), (1 << 64) - 1)


def _find(ctx: CallContext, members: Sequence[Validator], content: Arguments) -> Validator:
    for validator in members:
        if validator.name == content["name"]:
            return validator
    ctx.refuse("governance.unknown_validator", content["name"])


def _newcomer(ctx: CallContext, row: Mapping[str, Value]) -> Validator:
    made = Validator(
        cast(str, row["name"]),
        cast(str, row["entity"]),
        cast(bytes, row["consensus_key"]),
        cast(bytes, row["transport_key"]),
    )
    _check_key(ctx, made.consensus_key)
    _check_key(ctx, made.transport_key)
    if made.consensus_key == made.transport_key:
        ctx.refuse("governance.validator_key", sm3(made.consensus_key))
    return made


def _rotated(ctx: CallContext, member: Validator, content: Arguments) -> Validator:
    key = cast(bytes, content["key"])
    _check_key(ctx, key)
    if content["purpose"] == "consensus":
        return replace(member, consensus_key=key)
    return replace(member, transport_key=key)


def _check_key(ctx: CallContext, key: bytes) -> None:
    if not is_on_curve(key):
        ctx.refuse("governance.validator_key", sm3(key))
    if is_used(ctx, key):
        ctx.refuse("governance.validator_key_used", sm3(key))
    if is_accounts(ctx.anywhere, key):
        ctx.refuse("governance.validator_key_taken", sm3(key))


def _fit(ctx: CallContext, before: ValidatorSet, members: Sequence[Validator]) -> ValidatorSet:
    """A set that runs PBFT, fits a state value, and gives no legal entity a third of the votes (guideline art. 16)."""
    names = [v.name for v in members]
    for name in names:
        if names.count(name) > 1:
            ctx.refuse("governance.validator_name", name)
    try:
        after = ValidatorSet(tuple(members))
    except InvalidValidatorSet as error:
        ctx.refuse("governance.validator_set", error.what[:_MAX_DETAIL])
    size = len(encode_validator_set(after))
    if size > MAX_SET_BYTES:
        ctx.refuse("governance.validator_set", f"{size} bytes, at most {MAX_SET_BYTES}")
    held, votes = before.entity_votes(), after.entity_votes()
    for entity, count in sorted(votes.items()):
        # A chain that began so (the regulator runs all nodes of its own) may grow out of it, and not further into it.
        grows = count * before.n > held.get(entity, 0) * after.n
        if 3 * count >= after.n and grows:
            shown = next(v.entity for v in members if same_entity(v.entity) == entity)
            ctx.refuse("governance.validator_entity", shown, count, after.n)
    return after


def _used(key: bytes) -> bytes:
    return USED + sm3(key)
