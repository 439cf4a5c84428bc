"""Epochs: which validators certify which height, read from the state of governance (docs/spec/membership.md §1).

State keys inside ``governance``: ``validators``: the epoch in force; ``next_validators``: the scheduled one, while
there is one; ``epoch/`` + u64: start and set hash of each epoch, the scheduled one too; ``set/`` + hash: a set's bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import cast

from chain_core.codec.seen import state_key
from chain_core.codec.validator_set import decode_validator_set, encode_validator_set, hash_of_encoded_set
from chain_core.codec.values import decode_map, decode_value, encode_value
from chain_core.codec.votes import MAX_WINDOW
from chain_core.execution.codes import EngineFault
from chain_core.execution.overlay import Namespace, StateReader
from chain_core.execution.parameters import GOVERNANCE
from chain_core.types.validator_set import ValidatorSet
from chain_core.types.values import Value

NOTICE = MAX_WINDOW + 1
"""Heights from the block that schedules a set to the first one it certifies: none of those in between can be in flight
without knowing (chain_core/consensus orders at most MAX_WINDOW heights above a final one)."""

CURRENT, SCHEDULED = b"validators", b"next_validators"
CURRENT_KEY, SCHEDULED_KEY = state_key(GOVERNANCE, CURRENT), state_key(GOVERNANCE, SCHEDULED)


@dataclass(frozen=True, slots=True)
class EpochInfo:
    """An epoch: its validators certify the heights from ``start`` up to, not including, ``end`` (None: not known yet).

    ``addresses``: peer ports by validator name, of those who joined by a proposal; empty for epochs of the past.
    """

    epoch: int
    start: int
    validators: ValidatorSet
    set_hash: bytes
    end: int | None = None
    addresses: Mapping[str, str] = field(default_factory=dict)

    def covers(self, height: int) -> bool:
        """Whether this epoch's validators certify ``height``, as far as is known."""
        return self.start <= height and (self.end is None or height < self.end)


def epoch_key(epoch: int) -> bytes:
    """Key inside ``governance`` of (start, set hash) of an epoch."""
    return b"epoch/" + epoch.to_bytes(8, "big")


def set_key(set_hash: bytes) -> bytes:
    """Key inside ``governance`` of the bytes of a set."""
    return b"set/" + set_hash


def current_epoch(state: StateReader) -> EpochInfo:
    """The epoch in force in ``state``, that is of its height. EngineFault on a state without genesis."""
    raw = state.get(CURRENT_KEY)
    if raw is None:
        raise EngineFault("the state holds no validators: install the genesis writes first")
    info = decode_epoch(raw)
    scheduled = scheduled_epoch(state)
    return info if scheduled is None else _ending(info, scheduled.start)


def scheduled_epoch(state: StateReader) -> EpochInfo | None:
    """The epoch that was decided and has not begun."""
    raw = state.get(SCHEDULED_KEY)
    return None if raw is None else decode_epoch(raw)


def epoch_at(state: StateReader, height: int) -> EpochInfo:
    """The epoch of ``height``, for a state that is final at height - 1 (or up to ``NOTICE`` heights below)."""
    scheduled = scheduled_epoch(state)
    return scheduled if scheduled is not None and height >= scheduled.start else current_epoch(state)


def barrier(state: StateReader) -> int | None:
    """The first height of the scheduled epoch: nothing from there on is ordered by the present one."""
    scheduled = scheduled_epoch(state)
    return None if scheduled is None else scheduled.start


def epoch_by_number(state: StateReader, epoch: int) -> EpochInfo | None:
    """Any epoch of the past, the present one or the scheduled one; None for what ``state`` does not know."""
    row = _history(state, epoch)
    if row is None:
        return None
    start, set_hash = row
    now = current_epoch(state)
    if epoch == now.epoch:
        return now
    if epoch > now.epoch:
        return scheduled_epoch(state)
    raw = state.get(state_key(GOVERNANCE, set_key(set_hash)))
    after = _history(state, epoch + 1)
    if raw is None or after is None:
        raise EngineFault(f"the state knows epoch {epoch} and not its set")
    return EpochInfo(epoch, start, decode_validator_set(raw), set_hash, after[0])


def install(space: Namespace, validators: ValidatorSet, addresses: Mapping[str, str] | None = None) -> None:
    """Epoch 0 at genesis."""
    _record(space, CURRENT, 0, 0, validators, addresses or {})


def forget(space: Namespace) -> None:
    """All epochs go: those of a predecessor mean nothing to its successor's heights."""
    number = 0
    while (raw := space.get(epoch_key(number))) is not None:
        _, set_hash = cast(Sequence[Value], decode_value(raw, "epoch history"))
        space.delete(set_key(cast(bytes, set_hash)))
        space.delete(epoch_key(number))
        number += 1
    space.delete(CURRENT)
    space.delete(SCHEDULED)


def schedule(
    space: Namespace, epoch: int, start: int, validators: ValidatorSet, addresses: Mapping[str, str]
) -> EpochInfo:
    """The next epoch is decided; from here on nothing takes it back."""
    return decode_epoch(_record(space, SCHEDULED, epoch, start, validators, addresses))


def begin_due(space: Namespace, height: int) -> bool:
    """In the first block of the scheduled epoch: it is the one in force. Whether it was."""
    raw = space.get(SCHEDULED)
    if raw is None or decode_epoch(raw).start > height:
        return False
    space.put(CURRENT, raw)
    space.delete(SCHEDULED)
    return True


def scheduled_start(space: Namespace) -> int | None:
    """``barrier``, for a contract in its own namespace."""
    raw = space.get(SCHEDULED)
    return None if raw is None else decode_epoch(raw).start


def _record(
    space: Namespace, key: bytes, epoch: int, start: int, validators: ValidatorSet, addresses: Mapping[str, str]
) -> bytes:
    encoded = encode_validator_set(validators)
    set_hash = hash_of_encoded_set(encoded)
    raw = encode_value({"epoch": epoch, "start": start, "set": encoded, "addresses": dict(addresses)})
    space.put(key, raw)
    space.put(set_key(set_hash), encoded)
    space.put(epoch_key(epoch), encode_value([start, set_hash]))
    return raw


@lru_cache(maxsize=32)
def decode_epoch(raw: bytes) -> EpochInfo:
    """The value of ``validators`` or ``next_validators``; remembered by its bytes."""
    row = decode_map(raw, "epoch")
    encoded = cast(bytes, row["set"])
    return EpochInfo(
        cast(int, row["epoch"]),
        cast(int, row["start"]),
        decode_validator_set(encoded),
        hash_of_encoded_set(encoded),
        None,
        cast(Mapping[str, str], row["addresses"]),
    )


def _ending(info: EpochInfo, end: int) -> EpochInfo:
    return EpochInfo(info.epoch, info.start, info.validators, info.set_hash, end, info.addresses)


def _history(state: StateReader, epoch: int) -> tuple[int, bytes] | None:
    raw = state.get(state_key(GOVERNANCE, epoch_key(epoch))) if 0 <= epoch < 1 << 64 else None
    return None if raw is None else _decode_history(raw)


@lru_cache(maxsize=256)
def _decode_history(raw: bytes) -> tuple[int, bytes]:
    """An epoch's start and set; remembered by its bytes, since each message asks for the epoch it names."""
    start, set_hash = cast(Sequence[Value], decode_value(raw, "epoch history"))
    return cast(int, start), cast(bytes, set_hash)
