"""What proposals can decide: each kind's content, and how it takes effect (docs/spec/execution.md §8).

``decide`` is rehearsed when a proposal is made and run again when it takes effect: what it refuses then is not applied.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import cast

from chain_core.codec.values import decode_map, decode_value
from chain_core.execution import membership, sub_ledgers
from chain_core.execution.account_records import ACCOUNTS, ACTIVE, CLOSED, SUSPENDED
from chain_core.execution.accounts import KEY_LIST, PURPOSE, ROLES
from chain_core.execution.arguments import ACCOUNT, PUBLIC_KEY, Choice, Integer, Kind, ListOf, MapOf, Optional, Text
from chain_core.execution.arguments import wrong_argument as wrong_field
from chain_core.execution.context import CallContext
from chain_core.execution.contract import Arguments
from chain_core.execution.parameters import encode_flags, encode_parameters, wrong_parameter
from chain_core.execution.registry import Registry
from chain_core.types.ids import MAIN_LEDGER

PARAMETERS, FLAGS, PARTY, KEY = "parameters", "flags", "party", "key"

FLAG_NAMES = ListOf(Text(64, 1, re.compile(r"[a-z][a-z0-9_.-]*")), 16, distinct=True)

CONTENTS: Mapping[str, Mapping[str, Kind]] = {
    PARAMETERS: {"set": MapOf(Text(64), Integer(), 64)},
    FLAGS: {"on": FLAG_NAMES, "off": FLAG_NAMES},
    PARTY: {
        "account": ACCOUNT,
        "roles": Optional(ROLES),
        "status": Optional(Choice(frozenset((ACTIVE, SUSPENDED, CLOSED)))),
    },
    KEY: {"account": ACCOUNT, "purpose": PURPOSE, "attach": Optional(PUBLIC_KEY), "revoke": KEY_LIST},
    **membership.CONTENTS,
    **sub_ledgers.CONTENTS,
}
"""The fields of each kind's content. Parameters and flags are merged into those in force; roles replace all roles."""

MAIN_LEDGER_ONLY = frozenset((PARAMETERS, FLAGS, *membership.CONTENTS, *sub_ledgers.CONTENTS))
"""What ledger 0 decides for all ledgers of the chain."""

Bounds = Mapping[str, tuple[int, int]]


def decide(ctx: CallContext, bounds: Bounds, kind: str, content: Arguments, max_ledgers: int = 0) -> None:
    """Makes the change in the namespaces of governance and accounts, or refuses with a rule."""
    if kind in MAIN_LEDGER_ONLY and ctx.block.ledger != MAIN_LEDGER:
        ctx.refuse("governance.main_ledger_decides", kind)
    wrong = wrong_field(CONTENTS[kind], content)
    if wrong is not None:
        ctx.refuse("governance.bad_content", kind, wrong[:64])
    if kind == PARAMETERS:
        _set_parameters(ctx, bounds, cast(Mapping[str, int], content["set"]))
    elif kind == FLAGS:
        _set_flags(ctx, cast(Sequence[str], content["on"]), cast(Sequence[str], content["off"]))
    elif kind in membership.CONTENTS:
        membership.change_validators(ctx, kind, content)
    elif kind == sub_ledgers.LEDGER:
        sub_ledgers.create(ctx, content, max_ledgers)
    else:
        registry = Registry(ctx.within(ACCOUNTS))
        account = cast(bytes, content["account"])
        if registry.record(account).status == CLOSED:
            ctx.refuse("accounts.closed", account)
        if kind == PARTY:
            _set_party(registry, account, content)
        else:
            _recover_key(registry, account, content)
    _check_voters(ctx)


def parameters_now(ctx: CallContext) -> dict[str, int]:
    """The parameters as the proposals applied so far in this block leave them."""
    return cast(dict[str, int], decode_map(ctx.get(b"parameters") or b"", "parameters"))


def _set_parameters(ctx: CallContext, bounds: Bounds, changes: Mapping[str, int]) -> None:
    before = parameters_now(ctx)
    after = {**before, **changes}
    wrong = wrong_parameter(after, bounds, before)
    if wrong is not None:
        ctx.refuse("governance.bad_parameter", *wrong)
    ctx.put(b"parameters", encode_parameters(after))


def _set_flags(ctx: CallContext, on: Sequence[str], off: Sequence[str]) -> None:
    before = set(cast(Sequence[str], decode_value(ctx.get(b"flags") or b"", "flags")))
    for flag in on:
        if flag in before:
            ctx.refuse("governance.bad_flag", flag)
    for flag in off:
        if flag not in before:
            ctx.refuse("governance.bad_flag", flag)
    ctx.put(b"flags", encode_flags(tuple((before | set(on)) - set(off))))


def _set_party(registry: Registry, account: bytes, content: Arguments) -> None:
    if "roles" in content:
        registry.set_roles(account, cast(Sequence[str], content["roles"]))
    if "status" in content:
        registry.set_status(account, cast(str, content["status"]))


def _recover_key(registry: Registry, account: bytes, content: Arguments) -> None:
    for key in cast(Sequence[bytes], content["revoke"]):
        registry.revoke(account, key)
    if "attach" in content:
        registry.attach(account, cast(str, content["purpose"]), cast(bytes, content["attach"]))


def _check_voters(ctx: CallContext) -> None:
    """After every decision there are still enough governors, of two entities, for the next one."""
    voters = Registry(ctx.within(ACCOUNTS)).voters()
    needed = 1 + parameters_now(ctx)["governance_approvals"]
    if len(voters) < needed or len(set(voters.values())) < 2:
        ctx.refuse("governance.too_few_governors", needed)
