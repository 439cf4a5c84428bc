"""Four peers with a chain and one node without, for the tests of joining by snapshot."""

import shutil
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chain_core.codec.block import encode_certificate
from chain_core.codec.genesis import encode_genesis, genesis_hash
from chain_core.codec.transaction import decode_envelope
from chain_core.ledger.store import LedgerStore
from chain_core.network.frame_codec import decode_frame, encode_frame
from chain_core.network.frames import Frame, SnapshotPart, SnapshotRequest
from chain_core.node import snapshot_joining
from chain_core.node.block_builder import BlockBuilder
from chain_core.node.ledger_files import open_ledger
from chain_core.node.snapshot_exchange import SnapshotExchange
from chain_core.node.snapshot_joining import PEER_LIES
from chain_core.types.genesis import Genesis
from local_chain.assembly import local_assembly
from tests.endurance.long_chain import grow

BLOCKS = 60
ME = 4
"""The joining node is an observer here: all four validators are its peers."""
Change = Callable[[SnapshotPart], SnapshotPart | None]


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Genesis, Path]:
    genesis, _, _, data = grow(tmp_path_factory.mktemp("chain"), 4, BLOCKS, 20 * BLOCKS, 1_800_000_000_000)
    return genesis, data


def opened(genesis: Genesis, data: Path) -> LedgerStore:
    return open_ledger(data, local_assembly(genesis), genesis, genesis_hash(encode_genesis(genesis)))


class World:
    """Four peers with the chain, one node without; frames travel in order, as bytes."""

    def __init__(self, genesis: Genesis, data: Path, directory: Path) -> None:
        self.genesis, self.directory = genesis, directory
        self.now_ms = 1_000_000
        self.wire: deque[tuple[int, SnapshotPart]] = deque()
        self.asked: list[tuple[int, SnapshotRequest]] = []
        self.more: list[LedgerStore] = []
        self.alarms: list[tuple[int, str]] = []
        self.ready: list[int] = []
        self.changes: dict[int, Change] = {}
        self.source = opened(genesis, Path(shutil.copytree(data, directory / "source")))
        self.servers = [SnapshotExchange(self.source, self, self._alarm, 5, peer) for peer in range(4)]
        self.open()

    def short(self, height: int, *peers: int) -> None:
        """These peers have the first blocks of the chain only."""
        store = opened(self.genesis, self.directory / f"short{height}")
        self.more.append(store)
        builder = BlockBuilder(store, local_assembly(self.genesis).executor(), store.genesis_hash)
        for number in range(1, height + 1):
            block = self.source.block(number)
            assert block is not None
            built = builder.build(block.batch, tuple(map(decode_envelope, block.envelopes)))
            store.commit_block(built.record(encode_certificate(block.certificate)))
        for peer in peers:
            self.servers[peer] = SnapshotExchange(store, self, self._alarm, 5, peer)

    def open(self) -> None:
        """The joining node starts."""
        self.store = opened(self.genesis, self.directory / "joining")
        self.node = SnapshotExchange(self.store, self, self._alarm, 5, ME)
        self.node.distance = 10
        self.node.joiner.on_ready = self.ready.append

    def restart(self) -> None:
        """It is killed, and starts again: what was on the wire is lost."""
        self.wire.clear()
        self.store.close()
        self.open()

    def close(self) -> None:
        for server in self.servers:
            server.close()
        for store in (self.source, *self.more):
            store.close()
        self.store.close()

    def _alarm(self, code: str, facts: dict[str, str | int]) -> None:
        assert code == PEER_LIES
        self.alarms.append((int(facts["peer"]), str(facts["what"])))

    def send(self, peer: int, frame: Frame) -> None:
        """The node's questions; what the servers answer is put on the wire by ``deliver``."""
        request = decode_frame(encode_frame(frame))
        assert isinstance(request, SnapshotRequest)
        self.asked.append((peer, request))
        part = self.servers[peer].server.answer(request)
        changed = self.changes.get(peer, lambda same: same)(part)
        if changed is not None:
            self.wire.append((peer, changed))

    def broadcast(self, frame: Frame) -> None:
        raise AssertionError("questions go to one peer")

    def deliver(self, most: int = 1 << 30) -> None:
        """Parts arrive; when none is under way time passes."""
        for _ in range(most):
            if self.ready:
                return
            if not self.wire:
                self.now_ms += 500
                self.node.joiner.tick(self.now_ms)
                if not self.node.active:
                    return
                continue
            peer, part = self.wire.popleft()
            frame = decode_frame(encode_frame(part))
            assert isinstance(frame, SnapshotPart)
            self.node.on_frame(peer, frame, self.now_ms)

    def join(self) -> None:
        self.node.behind(BLOCKS, self.now_ms)
        self.deliver(2_000)
        assert self.ready == [BLOCKS]
        self.restart()
        same(self.store, self.source)


def same(one: LedgerStore, other: LedgerStore) -> None:
    assert one.final_height == other.final_height == BLOCKS
    assert one.scan(b"", limit=100_000) == other.scan(b"", limit=100_000)
    assert one.seen_expired(1 << 60) == other.seen_expired(1 << 60)
    for height in range(1, BLOCKS + 1):
        assert (one.header(height), one.certificate(height)) == (other.header(height), other.certificate(height))


@pytest.fixture
def world(grown: tuple[Genesis, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(snapshot_joining, "HEADERS_AT_ONCE", 16)
    monkeypatch.setattr(snapshot_joining, "BUCKETS_AT_ONCE", 2_048)
    world = World(*grown, tmp_path)
    yield world
    world.close()
