"""The contract ``agreements``: documents deposited, and signed by several parties (docs/spec/agreements.md).

It sees commitments, never documents. Each step of an agreement is a row of ``machines.STEPS``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import cast

from chain_core.codec.values import decode_map, encode_value
from chain_core.crypto.provider import SIGNATURE_SIZE
from chain_core.crypto.providers import provider
from chain_core.execution.account_records import ACTIVE
from chain_core.execution.arguments import (
    ACCOUNT,
    HASH,
    PUBLIC_KEY,
    Choice,
    Integer,
    Kind,
    ListOf,
    Octets,
    Optional,
    Text,
)
from chain_core.execution.context import CallContext
from chain_core.execution.contract import Arguments, Contract, Lane, Method
from contracts.agreements.machines import COMPLETED, OPEN, STEPS, Step, When, Whose
from contracts.agreements.records import (
    AGREEMENTS,
    BY_ASSERTION,
    BY_TRANSACTION,
    DEPOSITS_A_DAY,
    FREE,
    KINDS,
    MAX_DEADLINE_MS,
    MAX_PARTIES,
    MIN_PARTIES,
    PROPOSALS_A_DAY,
    SEQUENTIAL,
    Agreement,
    Deposit,
    Signature,
    agreement_place,
    decode_agreement,
    deposit_place,
    encode_agreement,
    encode_deposit,
    quota_place,
    statement_message,
)
from contracts.agreements.texts import RULES
from contracts.kernel.calendar import day_of

_ID = Octets(16)
_REFERENCE = Text(32, 32, re.compile("[0-9a-f]{32}"))
Fields = Mapping[str, Kind]
_Work = Callable[[CallContext, bytes, Agreement, Arguments], Agreement]


class Agreements(Contract):
    """Deposits, and agreements with their signatures."""

    name = AGREEMENTS
    lane = Lane.BUSINESS
    rules = RULES

    def __init__(self) -> None:
        one: Fields = {"agreement": _ID}
        arguments: Mapping[str, Fields] = {
            "sign": {**one, "commitment": HASH},
            "sign_for": {**one, "party": ACCOUNT, "key": PUBLIC_KEY, "signature": Octets(SIGNATURE_SIZE)},
        }
        self.methods = {
            "deposit": Method(
                deposit,
                {
                    "reference": _REFERENCE,
                    "kind": Choice(frozenset(KINDS)),
                    "commitment": HASH,
                    "depositor": Optional(ACCOUNT),
                },
            ),
            "propose": Method(
                propose,
                {
                    "reference": _REFERENCE,
                    "commitment": HASH,
                    "parties": ListOf(ACCOUNT, MAX_PARTIES, MIN_PARTIES, distinct=True),
                    "order": Choice(frozenset((FREE, SEQUENTIAL))),
                    "deadline_ms": Integer(1),
                },
            ),
        }
        for name, work in _WORK.items():
            step = STEPS[name]
            roles = frozenset(("operator",)) if step.whose is Whose.OPERATOR else frozenset[str]()
            self.methods[name] = Method(partial(_take, step, work), arguments.get(name, one), roles)


def deposit(ctx: CallContext, args: Arguments) -> None:
    """A document's commitment, from now on."""
    owner = ctx.principal
    identity = ctx.new_id(
        "deposit",
        owner,
        cast(str, args["reference"]),
        lambda found: ctx.get(deposit_place(found)),
        "agreements.exists",
    )
    _count(ctx, "deposits", DEPOSITS_A_DAY)
    depositor, kind = cast(bytes, args.get("depositor", b"")), cast(str, args["kind"])
    made = Deposit(owner, depositor, kind, cast(bytes, args["commitment"]), ctx.block.time_ms, ctx.block.height)
    ctx.put(deposit_place(identity), encode_deposit(made))
    ctx.emit("deposited", deposit=identity, owner=owner, kind=kind, commitment=made.commitment)


def propose(ctx: CallContext, args: Arguments) -> None:
    """An agreement, open until its deadline."""
    now_ms, deadline_ms = ctx.block.time_ms, cast(int, args["deadline_ms"])
    if not now_ms < deadline_ms <= now_ms + MAX_DEADLINE_MS:
        ctx.refuse("agreements.deadline", deadline_ms)
    parties = tuple(cast(Sequence[bytes], args["parties"]))
    for party in parties:
        record = ctx.record_of(party)
        if record is None or record.status != ACTIVE:
            ctx.refuse("agreements.party", party)
    identity = ctx.new_id(
        "agreement",
        ctx.principal,
        cast(str, args["reference"]),
        lambda found: ctx.get(agreement_place(found)),
        "agreements.exists",
    )
    _count(ctx, "proposals", PROPOSALS_A_DAY)
    made = Agreement(
        ctx.principal,
        cast(bytes, args["commitment"]),
        parties,
        cast(str, args["order"]),
        deadline_ms,
        OPEN,
        now_ms,
        ctx.block.height,
    )
    ctx.put(agreement_place(identity), encode_agreement(made))
    ctx.emit("proposed", agreement=identity, proposer=ctx.principal, parties=list(parties), commitment=made.commitment)


def _take(step: Step, work: _Work, ctx: CallContext, args: Arguments) -> None:
    """One step of the table: state, deadline, who, and then what it does."""
    identity = cast(bytes, args["agreement"])
    raw = ctx.get(agreement_place(identity))
    if raw is None:
        ctx.refuse("agreements.unknown", identity)
    before = decode_agreement(raw)
    if before.status != step.source:
        ctx.refuse("agreements.closed", before.status)
    over = ctx.block.time_ms >= before.deadline_ms
    if over and step.when is When.BEFORE:
        ctx.refuse("agreements.over", before.deadline_ms)
    if not over and step.when is When.AFTER:
        ctx.refuse("agreements.not_over", before.deadline_ms)
    if step.whose is Whose.PROPOSER and ctx.principal != before.proposer:
        ctx.refuse("agreements.not_proposer", before.proposer)
    if step.whose is Whose.PARTY:
        _require_open_party(ctx, before, ctx.principal)
    after = work(ctx, identity, before, args)
    if after.status not in step.targets:
        raise AssertionError(f"{step.name} leads to {after.status}")
    ctx.put(agreement_place(identity), encode_agreement(after))
    ctx.emit("moved", agreement=identity, step=step.name, status=after.status)


def _require_open_party(ctx: CallContext, agreement: Agreement, party: bytes) -> None:
    if party not in agreement.parties:
        ctx.refuse("agreements.not_party", party)
    if party in agreement.signed:
        ctx.refuse("agreements.signed", party)


def _sign(ctx: CallContext, identity: bytes, before: Agreement, args: Arguments) -> Agreement:
    if args["commitment"] != before.commitment:
        ctx.refuse("agreements.commitment")
    return _signed(ctx, before, ctx.principal, BY_TRANSACTION, b"", b"")


def _sign_for(ctx: CallContext, identity: bytes, before: Agreement, args: Arguments) -> Agreement:
    party, key, signature = (cast(bytes, args[name]) for name in ("party", "key", "signature"))
    _require_open_party(ctx, before, party)
    record = ctx.record_of(party)
    if record is None or record.status != ACTIVE or key not in record.keys.get("assertion", ()):
        ctx.refuse("agreements.key", party)
    message = statement_message(ctx.block.genesis_hash, identity, before, party)
    if not provider().sm2_verify(key, message, signature):
        ctx.refuse("agreements.signature", party)
    return _signed(ctx, before, party, BY_ASSERTION, key, signature)


def _signed(ctx: CallContext, before: Agreement, party: bytes, method: str, key: bytes, signature: bytes) -> Agreement:
    expected = before.next_party
    if expected is not None and expected != party:
        ctx.refuse("agreements.not_your_turn", expected)
    here = ctx.block
    made = Signature(party, method, key, signature, ctx.transaction_id, here.time_ms, here.height, here.genesis_hash)
    signatures = (*before.signatures, made)
    status = COMPLETED if len(signatures) == len(before.parties) else before.status
    return replace(before, signatures=signatures, status=status)


def _ended(ctx: CallContext, identity: bytes, before: Agreement, args: Arguments, *, status: str) -> Agreement:
    return replace(before, status=status)


_WORK: dict[str, _Work] = {
    "sign": _sign,
    "sign_for": _sign_for,
    **{name: partial(_ended, status=STEPS[name].targets[0]) for name in ("decline", "withdraw", "expire")},
}


def _count(ctx: CallContext, what: str, bound: int) -> None:
    """One more of the account's today. Refuses with agreements.quota."""
    today = day_of(ctx.block.time_ms)
    raw = ctx.get(quota_place(ctx.principal))
    row = {"day": today, "deposits": 0, "proposals": 0} if raw is None else decode_map(raw, "quota")
    if row["day"] != today:
        row = {"day": today, "deposits": 0, "proposals": 0}
    made = cast(int, row[what])
    if made >= bound:
        ctx.refuse("agreements.quota", bound)
    ctx.put(quota_place(ctx.principal), encode_value({**row, what: made + 1}))
