"""Proofs against a followed chain's validators: forks and equivocations (docs/spec/light-client.md §4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NoReturn, TypeAlias, cast

from chain_core.codec.block import decode_header
from chain_core.codec.evidence import check_equivocation, decode_equivocation
from chain_core.codec.values import decode_map, encode_value
from chain_core.execution.context import CallContext
from chain_core.execution.contract import Arguments, RuleText
from chain_core.types.errors import InvalidProof, MalformedBytes
from chain_core.types.evidence import Equivocation, Statement
from chain_core.types.ids import MAIN_LEDGER
from chain_core.types.values import Value
from crosschain import following
from crosschain.following import Position, decode_followed
from crosschain.light_client import ClientState, Examined, Finding, Verdict, contradict, examine_past
from supervisory_chain.cases import open_case
from supervisory_chain.client_state import followed_chain, freeze, settled_at

MAX_PROOF_BYTES = 8_192
"""Of an equivocation proof: two headers or two votes. Larger bodies are for the chain's own operators."""
FORK, EQUIVOCATION, EQUIVOCATORS = "fork", "equivocation", "equivocators"

_Row: TypeAlias = Mapping[str, bytes]

RULES: Mapping[str, RuleText] = {
    "clients.no_fork": RuleText("两个区块头并不矛盾", "the two headers do not contradict each other"),
    "clients.settled": RuleText("高度 {0} 的分叉已由监管裁定", "the regulator has decided on the fork at height {0}"),
    "clients.no_equivocation": RuleText("双签证明不成立：{0}", "this proves no equivocation: {0}"),
    "clients.known_equivocator": RuleText(
        "纪元 {0} 的验证者 {1} 已有案件", "there is a case against validator {1} of epoch {0} already"
    ),
}


def client_in(ctx: CallContext, chain: bytes) -> tuple[Position, ClientState]:
    """Where the chain is followed; for methods of ``clients``. Refuses ``clients.not_admitted``."""
    found = followed_chain(ctx, ctx.get, chain)
    if found is None:
        ctx.refuse("clients.not_admitted", chain)
    return found


def report_fork(ctx: CallContext, args: Arguments) -> None:
    """Two certified headers of one height, from anybody: the client freezes."""
    chain = cast(bytes, args["chain"])
    position, client = client_in(ctx, chain)
    examined: list[Examined] = []
    for row in cast(Sequence[_Row], args["headers"]):
        judge = following.client_for(ctx.get, chain, client, row["header"])
        one = examine_past(judge, row["header"], row["certificate"], now_ms=ctx.block.time_ms)
        if isinstance(one, Finding):
            following.refuse_header(ctx, one)
        examined.append(one)
    first, second = examined
    if not contradict(first.shown, second.shown):
        ctx.refuse("clients.no_fork")
    height = first.shown.header.height
    if settled_at(ctx.get, chain, height) is not None:
        ctx.refuse("clients.settled", height)
    for finding in following.verified(ctx, examined):
        if finding.verdict is not Verdict.OK:
            following.refuse_header(ctx, finding)
    freeze_fork(ctx, chain, position, height, first.shown.hash, second.shown.hash)


def freeze_fork(ctx: CallContext, chain: bytes, position: Position, height: int, one: bytes, other: bytes) -> None:
    """The client freezes at two certified headers of ``height``, given by their hashes."""
    facts: dict[str, Value] = {"height": height, "headers": cast(list[Value], sorted((one, other)))}
    freeze(ctx, chain, position, height, FORK, facts)


def report_equivocation(ctx: CallContext, args: Arguments) -> None:
    """One validator signed twice: a case. More than f of the epoch followed, with headers: the client freezes."""
    chain, raw = cast(bytes, args["chain"]), cast(bytes, args["proof"])
    position, client = client_in(ctx, chain)
    if client.frozen:
        ctx.refuse("header.frozen", position.height, "")
    try:
        epoch = decode_equivocation(raw).epoch
    except MalformedBytes as error:
        _refuse(ctx, error)
    judge = _of_epoch(ctx, chain, client, epoch)
    if judge is None:
        ctx.refuse("clients.no_equivocation", f"epoch {epoch} is not known")
    signer = decode_equivocation(raw).signer
    known = _place(chain, epoch, signer)
    if ctx.get(known) is not None:
        ctx.refuse("clients.known_equivocator", epoch, signer)
    # Two signatures, like a fork's: at the price of one header of the account's budget.
    following.charge(ctx, 1)
    try:
        proof = check_equivocation(raw, judge.validators, chain)
    except (InvalidProof, MalformedBytes) as error:
        following.charge_rest(ctx)
        _refuse(ctx, error)
    height = _height(ctx, judge, proof)
    validator = judge.validators.validators[signer]
    facts: dict[str, Value] = {
        "epoch": epoch,
        "validator": signer,
        "name": validator.name,
        "key": validator.consensus_key,
        "statement": int(proof.statement),
        "height": height,
    }
    number = open_case(ctx, chain, EQUIVOCATION, facts)
    ctx.put(known, encode_value(number))
    if proof.statement is Statement.HEADER and epoch == client.epoch:
        _count(ctx, chain, position, client, signer)


def _count(ctx: CallContext, chain: bytes, position: Position, client: ClientState, signer: int) -> None:
    """The header equivocators of the epoch followed: one more than f of them freezes."""
    raw = ctx.get(b"q" + chain)
    row = decode_map(raw, "equivocators") if raw else {"epoch": client.epoch, "validators": []}
    signers = cast(list[int], row["validators"]) if row["epoch"] == client.epoch else []
    signers = sorted({*signers, signer})
    kept: dict[str, Value] = {"epoch": client.epoch, "validators": cast(list[Value], signers)}
    ctx.put(b"q" + chain, encode_value(kept))
    if len(signers) > client.validators.f:
        freeze(ctx, chain, position, max(position.height, 1), EQUIVOCATORS, kept)


def _height(ctx: CallContext, judge: ClientState, proof: Equivocation) -> int:
    """Height of two equivocating headers, inside the epoch's; -1 of other statements."""
    if proof.ledger != MAIN_LEDGER:
        ctx.refuse("clients.no_equivocation", f"ledger {proof.ledger}")
    if proof.statement is not Statement.HEADER:
        return -1
    height = decode_header(proof.first).height
    if height < judge.start or (judge.end is not None and height >= judge.end):
        ctx.refuse("clients.no_equivocation", f"height {height} is not of epoch {judge.epoch}")
    return height


def _of_epoch(ctx: CallContext, chain: bytes, client: ClientState, epoch: int) -> ClientState | None:
    if epoch >= client.epoch:
        return client if epoch == client.epoch else None
    raw = ctx.get(following.past_epoch_key(chain, epoch))
    return None if raw is None else decode_followed(raw)


def _place(chain: bytes, epoch: int, signer: int) -> bytes:
    return b"x" + chain + epoch.to_bytes(8, "big") + signer.to_bytes(2, "big")


def _refuse(ctx: CallContext, error: InvalidProof | MalformedBytes) -> NoReturn:
    ctx.refuse("clients.no_equivocation", f"{error.what}, {error.where}"[: following.MAX_DETAIL_CHARACTERS])
