"""Replays recorded blocks of a market on an empty node: ``python -m tests.unit.contracts.replay FILE`` prints as JSON
one digest a block, over receipts, events and changes, and at the end the roots of state and seen transactions.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path

from chain_core.codec.transaction import decode_envelope
from chain_core.crypto.hashing import sm3
from chain_core.ledger.roots import SEEN_BUCKETS, STATE_BUCKETS, root_of
from contracts.sandbox.market import Market
from tests.unit.contracts.random_market import CAP, PEOPLE

Block = tuple[int, list[bytes]]


class Replayed(Market):
    """Runs the blocks of another market; its own first block is the other's first."""

    def digest(self) -> str:
        """Of the last block: receipts, events, codes, and every change in order of its key."""
        assert self.last is not None
        parts = [*self.last.receipts, *self.last.events, *self.last.outbox, bytes(self.last.codes)]
        for changed in (self.last.writes, self.last.seen_added, dict.fromkeys(self.last.seen_removed)):
            parts += [part for key in sorted(changed) for part in (key, changed[key] or b"")]
        return sm3(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).hex()

    def roots(self) -> list[str]:
        """Of the state and of the seen transactions."""
        return [root_of(self.state, STATE_BUCKETS).hex(), root_of(self._seen, SEEN_BUCKETS).hex()]


def replay(blocks: Iterable[Block]) -> list[str]:
    """The digest of each block, then both roots."""
    market = Replayed((*PEOPLE, "issuer"), parameters={"holder_cap": CAP})
    found = [market.digest()]
    first, *rest = blocks
    assert first[0] == market.time_ms
    for time_ms, raws in rest:
        market.time_ms = time_ms - 1_000
        market.block(*(decode_envelope(raw) for raw in raws))
        found.append(market.digest())
    return [*found, *market.roots()]


def save(blocks: Iterable[Block], path: Path) -> None:
    """Writes blocks as JSON."""
    path.write_text(json.dumps([[time_ms, [raw.hex() for raw in raws]] for time_ms, raws in blocks]), "ascii")


def load(path: Path) -> list[Block]:
    """What ``save`` wrote."""
    return [(time_ms, [bytes.fromhex(raw) for raw in raws]) for time_ms, raws in json.loads(path.read_text("ascii"))]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(replay(load(Path(sys.argv[1])))))
