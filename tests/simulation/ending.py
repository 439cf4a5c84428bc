"""What must hold when a run is over: one chain, one state, and that state is what the receipts say."""

from __future__ import annotations

from chain_core.codec.block import header_hash
from chain_core.codec.values import decode_value
from chain_core.ledger.store import LedgerStore
from tests.simulation.chain import TOTAL, amount_of
from tests.simulation.checker import Checker, Violation

_EVERYTHING = 1 << 50


def the_end(checker: Checker) -> None:
    """Raises Violation unless all correct nodes that are up hold the same, however they came to it."""
    up = checker.followers()
    heights = {node.store.final_height for node in up}
    if len(heights) != 1:
        raise Violation(f"agreement: the correct nodes end at heights {sorted(heights)}")
    submitted = checker.world.submitted
    total = sum(amount_of(submitted[envelope_id]) for _, envelope_id in checker.successes.values())
    first = _contents(up[0].store)
    for node in up:
        for height in range(1, node.store.final_height + 1):
            header = node.store.header(height)
            if header is None or header_hash(header) != checker.chain[height]:
                checker.fail("agreement", node.index, f"holds another block at height {height}")
        raw = node.store.get(TOTAL)
        if (decode_value(raw) if raw is not None else 0) != total:
            checker.fail("validity", node.index, f"has a state that does not add up to {total}")
        if _contents(node.store) != first:
            checker.fail("state agreement", node.index, f"holds another state than node {up[0].index}")
        checker.bounded_at(node.index)


def _contents(store: LedgerStore) -> tuple[object, object]:
    """The whole state and the whole seen set."""
    return store.scan(b"", limit=_EVERYTHING), store.seen_expired(_EVERYTHING)


def standing(checker: Checker) -> dict[int, tuple[int, int]]:
    """The views that correct nodes are in, entered and not only asked for."""
    cores = {node.index: node.replica.core.state for node in checker.world.nodes if node.replica and node.correct}
    return {i: (state.config.epoch, state.view) for i, state in cores.items() if not state.view_changing}


def together(checker: Checker, before: dict[int, tuple[int, int]]) -> None:
    """Nobody is left in a lower view than one that others had entered a while ago."""
    highest = max(before.values(), default=(0, 0))
    for node in checker.followers():
        if node.replica is not None:
            state = node.replica.core.state
            place = (state.config.epoch, state.view)
            if state.may_vote and (place < highest or (place == highest and state.view_changing)):
                checker.fail("views", node.index, f"is left at view {place}, others entered {highest}")
