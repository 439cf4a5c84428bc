"""Which limits a proposal in flight is judged by, when governance changes them above it."""

from dataclasses import dataclass, field, replace
from typing import cast

import pytest

from chain_core.codec.block import MAX_BATCH_IDS, MAX_BLOCK_BYTES, decode_header, encode_header, params_hash
from chain_core.execution.executor import Executor
from chain_core.execution.roots import build_genesis_header
from chain_core.ledger.store import LedgerStore
from chain_core.node.block_limits import RecentLimits
from chain_core.types.genesis import DEFAULT_PARAMETERS
from tests.unit.node.stage import CHAIN

BIG, SMALL = (100, 1_000_000), (10, 500_000)


@dataclass
class Ledger:
    """A chain's parameters by height; it stands for store and executor, since only they are looked at."""

    in_force: list[dict[str, int]]
    final_height: int = 0
    pruned: set[int] = field(default_factory=set)

    def parameters(self, state: object) -> dict[str, int]:
        return self.in_force[self.final_height]

    def flags(self, state: object) -> tuple[str, ...]:
        return ()

    def header(self, height: int) -> bytes | None:
        """What a block's header names was in force while it ran: in the state below it."""
        if height in self.pruned:
            return None
        first = decode_header(build_genesis_header(CHAIN.genesis, CHAIN.genesis_hash, bytes(32), bytes(32)))
        return encode_header(replace(first, height=height, params_hash=params_hash(self.in_force[height - 1], ())))


def limits_of(ledger: Ledger) -> RecentLimits:
    return RecentLimits(cast(LedgerStore, ledger), cast(Executor, ledger))


def chain(window: int, changed_at: int, heights: int = 200) -> Ledger:
    """Blocks are BIG up to the state of ``changed_at`` - 1, SMALL from there on."""
    made = []
    for height in range(heights):
        transactions, size = SMALL if height >= changed_at else BIG
        limits = {"max_block_transactions": transactions, "max_block_bytes": size, "window_heights": window}
        made.append({**DEFAULT_PARAMETERS, **limits})
    return Ledger(made)


def judged_by(limits: RecentLimits) -> tuple[int, int]:
    return limits.parameters().proposal_transactions, limits.size_bytes


@pytest.mark.parametrize("window", [1, 2, 4])
def test_smaller_blocks_bind_whoever_may_have_known(window: int) -> None:
    """The primary of height k had the state of k - W, at least: with W = 1 everybody judges by the same one."""
    ledger = chain(window, changed_at=5)
    limits = limits_of(ledger)
    for height in range(1, 12):
        ledger.final_height = height
        limits.finalised(height)
        expected = BIG if height + 1 - window < 5 else SMALL
        assert judged_by(limits) == expected, height
        assert limits.parameters().max_block_transactions == ledger.parameters(None)["max_block_transactions"]


@pytest.mark.parametrize(
    ("final_height", "pruned", "expected"),
    [(4, set(), BIG), (5, set(), (MAX_BATCH_IDS, MAX_BLOCK_BYTES)), (69, set(), SMALL), (69, {60}, None)],
    ids=["nothing changed", "the last block changed it", "long ago", "a header is not here"],
)
def test_after_a_restart_what_is_not_known_counts_as_large(
    final_height: int, pruned: set[int], expected: tuple[int, int] | None
) -> None:
    ledger = replace(chain(4, changed_at=5), final_height=final_height, pruned=pruned)
    assert judged_by(limits_of(ledger)) == (expected or (MAX_BATCH_IDS, MAX_BLOCK_BYTES))


def test_what_a_restart_left_open_is_known_again_after_a_window() -> None:
    ledger = chain(4, changed_at=5)
    ledger.final_height = 5
    limits = limits_of(ledger)
    for height in range(6, 5 + 65):
        ledger.final_height = height
        limits.finalised(height)
    assert judged_by(limits) == SMALL
