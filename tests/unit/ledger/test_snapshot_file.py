"""Whoever reads a state from a file is led to its header epoch by epoch, from the genesis document's validators."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.grown_chain import certified
from chain_core.codec.block import encode_header
from chain_core.codec.validator_set import encode_validator_set, validator_set_hash
from chain_core.crypto.hashing import sm3
from chain_core.crypto.providers import signing_provider
from chain_core.ledger.snapshot_file import Closing, SnapshotFile, write_snapshot
from chain_core.types.block import Header
from chain_core.types.errors import InvalidProof
from chain_core.types.validator_set import Validator, ValidatorSet
from tests.unit.ledger.support import GENESIS, GENESIS_STATE, header, new_store

Keys = list[bytes]


def validators(name: str) -> tuple[ValidatorSet, Keys]:
    keys = [sm3(f"{name} {i}".encode()) for i in range(4)]
    public = signing_provider().sm2_public_key
    members = [Validator(f"{name}{i}", f"entity {i}", public(k), public(sm3(k))) for i, k in enumerate(keys)]
    return ValidatorSet(tuple(members)), keys[:3]


SETS = [validators(name) for name in "abc"]


def closing(epoch: int, *, by: int | None = None, following: int | None = None, named: int | None = None) -> Closing:
    """The last header of an epoch: its own validators certify it, and it names those of the next one."""
    after = epoch + 1 if named is None else named
    raw = encode_header(
        Header(
            genesis_hash=GENESIS,
            ledger=0,
            epoch=epoch,
            height=10 * (epoch + 1),
            attempt=0,
            time_ms=10_000 * (epoch + 1),
            prev_hash=bytes(32),
            history_root=bytes(32),
            history_count=10 * (epoch + 1),
            transaction_root=bytes(32),
            transaction_count=0,
            receipt_root=bytes(32),
            receipt_count=0,
            outbox_root=bytes(32),
            outbox_count=0,
            state_root=bytes(32),
            seen_root=bytes(32),
            validator_set_hash=validator_set_hash(SETS[epoch if by is None else by][0]),
            next_validator_set_hash=validator_set_hash(SETS[after][0]),
            params_hash=bytes(32),
        )
    )
    signers = SETS[epoch if by is None else by][1]
    next_set = SETS[after if following is None else following][0]
    return Closing(raw, certified(GENESIS, raw, signers), encode_validator_set(next_set))


@pytest.fixture(scope="module")
def write(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    directory = tmp_path_factory.mktemp("snapshots")

    def write(*closings: Closing, epoch: int = 2, ledger: int = 0) -> Path:
        with new_store(directory / f"{len(list(directory.iterdir()))}") as store:
            own = validator_set_hash(SETS[epoch][0])
            last = replace(
                header(store, store.stage({}, {}, ())),
                epoch=epoch,
                ledger=ledger,
                height=99,
                history_count=99,
                validator_set_hash=own,
                next_validator_set_hash=own,
            )
            raw = encode_header(last)
            view = store.view()
            view.manifest = replace(view.manifest, header=raw)
            path = directory / f"{len(list(directory.iterdir()))}.dcs"
            write_snapshot(path, view, certified(GENESIS, raw, SETS[epoch][1]), closings)
            view.close()
            return path

    return write


def read(path: Path) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    with SnapshotFile(path, SETS[0][0], GENESIS) as file:
        file.read_trees(lambda tree, items, size: found.update(items))
    return found


def test_the_epochs_lead_to_the_last_header(write: Callable[..., Path]) -> None:
    assert read(write(closing(0), closing(1))) == GENESIS_STATE
    assert read(write(epoch=0)) == GENESIS_STATE


@pytest.mark.parametrize(
    ("closings", "what"),
    [
        ((), "another validator set"),
        ((0,), "another validator set"),
        ((1, 0), "another validator set"),
        ((0, 1, 1), "another validator set"),
    ],
    ids=["none", "one too few", "out of order", "one too many"],
)
def test_no_epoch_is_left_out(write: Callable[..., Path], closings: tuple[int, ...], what: str) -> None:
    with pytest.raises(InvalidProof, match=what):
        read(write(*[closing(epoch) for epoch in closings]))


def test_an_epoch_ends_by_its_own_validators_word(write: Callable[..., Path]) -> None:
    with pytest.raises(InvalidProof, match="does not lead from epoch 0"):
        read(write(closing(0, following=2), closing(1)))
    with pytest.raises(InvalidProof, match="does not lead from epoch 0"):
        read(write(closing(0, named=0), closing(1)))
    with pytest.raises(InvalidProof, match="another validator set"):
        read(write(closing(0, by=1), closing(1)))
    with pytest.raises(InvalidProof, match="not of ledger 0"):
        read(write(closing(0), closing(1), ledger=3))
