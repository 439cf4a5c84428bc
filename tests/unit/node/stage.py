"""What the tests of a node's parts share: a real ledger of a small chain, recording ports, the records of a vote."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from chain_core.execution.executor import Executor
from chain_core.execution.roots import build_genesis_header
from chain_core.ledger.store import NO_HEIGHT, LedgerStore
from chain_core.network.frames import Frame
from chain_core.types.block import Batch
from chain_core.types.transaction import Envelope
from tests.simulation.chain import START_MS, Chain, Tally, chain

CHAIN: Chain = chain(4)


def open_ledger(directory: Path) -> LedgerStore:
    """The ledger in ``directory``, its genesis installed when it is new."""
    store = LedgerStore.open(directory, genesis_hash=CHAIN.genesis_hash, state_buckets=16, seen_buckets=16)
    if store.final_height == NO_HEIGHT:
        writes = Executor((Tally(),)).genesis_writes(CHAIN.genesis, CHAIN.genesis_hash)
        staged = store.stage(dict(writes), {}, ())
        store.install_genesis(
            build_genesis_header(CHAIN.genesis, CHAIN.genesis_hash, staged.state_root, staged.seen_root), writes
        )
    return store


def envelopes(count: int, client: int = 0) -> list[Envelope]:
    return [CHAIN.transaction(client, nonce, START_MS + 500_000) for nonce in range(count)]


def batch_over(height: int, bodies: list[Envelope], time_ms: int = START_MS) -> Batch:
    return Batch(0, 0, height, 0, time_ms, tuple(e.envelope_id for e in bodies))


@dataclass(slots=True)
class RecordingTransport:
    """Keeps what was sent, in order, in a list that others may write to as well."""

    events: list[object] = field(default_factory=list)

    def send(self, peer: int, frame: Frame) -> None:
        self.events.append((peer, frame))

    def broadcast(self, frame: Frame) -> None:
        self.events.append((None, frame))

    def to(self, peer: int | None, kind: type[Frame]) -> list[Frame]:
        sent = [event for event in self.events if isinstance(event, tuple)]
        return [frame for to, frame in sent if to == peer and isinstance(frame, kind)]
