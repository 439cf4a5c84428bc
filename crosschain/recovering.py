"""What a decision on a fork goes by: the client that judges the header chosen, its epochs (light-client.md §6-§7)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

from chain_core.codec.block import decode_header
from chain_core.codec.validator_set import decode_validator_set, hash_of_encoded_set
from chain_core.execution.arguments import Integer, Kind, Octets, Optional, Record
from chain_core.execution.context import CallContext
from chain_core.types.errors import MalformedBytes
from chain_core.types.ids import ZERO_HASH
from chain_core.types.validator_set import InvalidValidatorSet
from chain_core.types.values import Value
from crosschain import following
from crosschain.following import NEXT_SET, decode_followed, encode_followed, past_epoch_key
from crosschain.light_client import ClientState

GIVEN_EPOCH: Kind = Optional(Record({"start": Integer(1), "set": Octets(1, NEXT_SET.high)}))
"""An epoch as those who decide give it, where the fork is about the validators themselves."""


def judge_of_choice(
    ctx: CallContext,
    suffix: bytes,
    client: ClientState,
    header_bytes: bytes,
    given: Mapping[str, Value] | None,
    bad_epoch: str,
) -> ClientState:
    """The client that judges the header, just below it: by the epoch's validators as followed, or as ``given``.

    ``suffix``: of the contract's keys for the chain; ``bad_epoch``: the rule that refuses an epoch that cannot be.
    """
    judge = following.client_for(ctx.get, suffix, client, header_bytes)
    try:
        header = decode_header(header_bytes)
    except MalformedBytes:
        return replace(judge, frozen=False)  # the predicate ``format`` says so
    if given is not None:
        judge = _given(ctx, suffix, client, header.epoch, given, bad_epoch)
    return replace(
        judge,
        frozen=False,
        end=None,
        max_age_ms=None,
        height=header.height - 1,
        header_hash=ZERO_HASH,
        time_ms=header.time_ms - 1,
    )


def _given(
    ctx: CallContext, suffix: bytes, client: ClientState, epoch: int, given: Mapping[str, Value], bad_epoch: str
) -> ClientState:
    """An epoch as the regulator gives it; it follows the one before it as that one is kept."""
    start, encoded = cast(int, given["start"]), cast(bytes, given["set"])
    if not 1 <= epoch <= client.epoch + 1:
        ctx.refuse(bad_epoch, epoch, f"the client is in epoch {client.epoch}")
    before = client if epoch == client.epoch + 1 else _past(ctx, suffix, epoch - 1)
    if start <= before.start:
        ctx.refuse(bad_epoch, epoch, f"epoch {epoch - 1} begins at {before.start}")
    try:
        members = decode_validator_set(encoded)
    except (MalformedBytes, InvalidValidatorSet) as error:
        ctx.refuse(bad_epoch, epoch, error.what[: following.MAX_DETAIL_CHARACTERS])
    return ClientState(client.genesis_hash, members, hash_of_encoded_set(encoded), 0, epoch=epoch, start=start)


def _past(ctx: CallContext, suffix: bytes, epoch: int) -> ClientState:
    raw = ctx.get(past_epoch_key(suffix, epoch))
    assert raw is not None, "every epoch below the client's is kept"
    return decode_followed(raw)


def follow_choice(
    ctx: CallContext, suffix: bytes, followed: ClientState, start: ClientState, after: ClientState
) -> None:
    """The epochs as they are on the branch chosen: ``start`` judged the header, ``after`` goes on above it."""
    for epoch in range(start.epoch, followed.epoch):
        ctx.delete(past_epoch_key(suffix, epoch))
    if start.epoch > 0:
        before = followed if start.epoch > followed.epoch else _past(ctx, suffix, start.epoch - 1)
        closed = replace(before, frozen=False, max_age_ms=None).closed(start.start)
        ctx.put(past_epoch_key(suffix, closed.epoch), encode_followed(closed))
    ctx.put(b"v" + suffix, encode_followed(start))
    following.keep_epoch(ctx, suffix, start, after)
