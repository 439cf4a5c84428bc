"""A node far behind gets a certified state from several peers, some of which are silent, forgetful, or lie."""

import re
import shutil
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from chain_core.codec.block import decode_header, encode_certificate, encode_header
from chain_core.codec.genesis import encode_genesis, genesis_hash
from chain_core.codec.snapshot import SEEN, decode_manifest, encode_manifest, page_count
from chain_core.codec.transaction import decode_envelope
from chain_core.ledger.store import LedgerStore
from chain_core.network.frame_codec import decode_frame, encode_frame
from chain_core.network.frames import Frame, PrunedFrame, SnapshotKind, SnapshotPart, SnapshotRequest
from chain_core.node import snapshot_joining, snapshot_serving
from chain_core.node.block_builder import BlockBuilder
from chain_core.node.ledger_files import open_ledger
from chain_core.node.snapshot_exchange import SnapshotExchange
from chain_core.node.snapshot_joining import OFFERS_MS, PATIENCE_MS, PEER_LIES, REST_MS
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


def test_the_status_says_how_far_it_is(world: World) -> None:
    joiner, what = world.node.joiner, f"joining by snapshot of height {BLOCKS}"
    words = [joiner.progress]
    world.node.behind(BLOCKS, world.now_ms)
    while not world.ready:
        words.append(joiner.progress)
        world.deliver(1)
    assert joiner.progress == f"{what}: all of it is here, the ledger is built from it"
    assert words[:2] == ["", "joining by snapshot: asking 4 peers what they have"]
    told = [re.fullmatch(rf"{what}: (\w+) (\d+) of (\d+), from 4 peers", w) for w in words if what in w]
    steps = [(m[1], int(m[2]), int(m[3])) for m in told if m is not None]
    assert len(steps) == len(told), words
    manifest = decode_manifest(world.servers[0].server.answer(SnapshotRequest(0, SnapshotKind.MANIFEST)).parts[0])
    counts = manifest.bucket_counts
    totals = {"headers": BLOCKS, "pages": sum(map(page_count, counts)), "buckets": sum(counts)}
    assert list(dict.fromkeys(name for name, _, _ in steps)) == list(totals)
    for name, total in totals.items():
        counted = [here for step, here, of in steps if step == name and of == total]
        assert counted == sorted(counted) and counted[0] < counted[-1] <= total
    world.restart()
    assert world.node.joiner.progress == ""


def test_all_peers_help(world: World) -> None:
    world.join()
    asked = [(peer, request.kind) for peer, request in world.asked]
    for kind, least in ((SnapshotKind.MANIFEST, 4), (SnapshotKind.HEADERS, 1), (SnapshotKind.BUCKETS, 4)):
        assert len({peer for peer, k in asked if k is kind}) >= least
    buckets = [(r.tree, r.start) for _, r in world.asked if r.kind is SnapshotKind.BUCKETS]
    assert len(buckets) == len(set(buckets)), "nothing is asked for twice"
    assert not world.alarms


def test_one_question_a_peer(world: World) -> None:
    world.node.behind(BLOCKS, world.now_ms)
    for _ in range(300):
        assert len({peer for peer, _ in world.wire}) == len(world.wire) <= 4
        world.deliver(1)


def test_a_node_that_is_near_fetches_blocks(world: World) -> None:
    world.node.behind(10, world.now_ms)
    assert not world.node.active and not world.asked
    world.node.on_frame(1, PrunedFrame(7), world.now_ms)  # unless the blocks are gone
    assert world.node.active
    world.deliver(2_000)
    assert world.ready == [BLOCKS]


@pytest.mark.parametrize("moments", [1, 6, 20])
def test_killed_again_and_again(world: World, moments: int) -> None:
    for _ in range(400):
        world.node.behind(BLOCKS, world.now_ms)
        world.deliver(moments + 8)
        if world.ready:
            break
        world.restart()
    assert world.ready == [BLOCKS]
    headers = [request.start for _, request in world.asked if request.kind is SnapshotKind.HEADERS]
    assert headers == sorted(headers), "what is stored is not asked for again"
    assert len(headers) > BLOCKS // 16
    world.restart()
    same(world.store, world.source)


def test_a_silent_peer_is_worked_around(world: World) -> None:
    world.changes[2] = lambda part: part if part.kind is SnapshotKind.MANIFEST else None
    start = world.now_ms
    world.join()
    assert not world.alarms
    assert [r.kind for peer, r in world.asked if peer == 2 and r.kind is not SnapshotKind.MANIFEST]
    assert world.now_ms - start < 3 * (PATIENCE_MS + OFFERS_MS)


def _another_value(part: SnapshotPart) -> SnapshotPart:
    if part.kind is not SnapshotKind.BUCKETS:
        return part
    changed = [raw[:-1] + bytes((raw[-1] ^ 1,)) if len(raw) > 4 else raw for raw in part.parts]
    return replace(part, parts=tuple(changed))


def _another_page(part: SnapshotPart) -> SnapshotPart:
    return replace(part, parts=(part.parts[0][::-1],)) if part.kind is SnapshotKind.PAGE else part


def _without_seen(part: SnapshotPart) -> SnapshotPart:
    """A state without the used nonces, so that transactions could be replayed."""
    if part.kind is SnapshotKind.BUCKETS and part.tree == SEEN:
        return replace(part, parts=(bytes(4),) * len(part.parts))
    return part


def _another_header(part: SnapshotPart) -> SnapshotPart:
    if part.kind is not SnapshotKind.HEADERS:
        return part
    first = part.parts[0]
    header = encode_header(replace(decode_header(first[:408]), state_root=bytes(32)))
    return replace(part, parts=(header + first[408:], *part.parts[1:]))


def _left_out(part: SnapshotPart) -> SnapshotPart:
    """True headers with true certificates, but not the next ones."""
    return replace(part, parts=part.parts[1:]) if part.kind is SnapshotKind.HEADERS else part


def _noise(part: SnapshotPart) -> SnapshotPart:
    return part if part.kind is SnapshotKind.MANIFEST else replace(part, parts=(b"\xff" * 50,))


def _more(part: SnapshotPart) -> SnapshotPart:
    return part if part.kind is SnapshotKind.MANIFEST else replace(part, parts=part.parts * 2)


LIES: dict[str, Change] = {
    "another value": _another_value,
    "another page": _another_page,
    "no used nonces": _without_seen,
    "another header": _another_header,
    "a header left out": _left_out,
    "noise": _noise,
    "more than was asked for": _more,
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lying_peer_is_named_and_dropped(world: World, lie: str) -> None:
    world.changes[0] = world.changes[1] = LIES[lie]
    world.join()
    assert {peer for peer, _ in world.alarms} <= {0, 1} and world.alarms
    assert len(world.alarms) == len({peer for peer, _ in world.alarms}), "asked no more after the first lie"


def test_a_made_up_manifest(world: World) -> None:
    """Roots of another state under a true header, and a header of its own making."""

    def other_roots(part: SnapshotPart) -> SnapshotPart:
        if part.kind is not SnapshotKind.MANIFEST:
            return part
        manifest = decode_manifest(part.parts[0])
        roots = ((bytes(32),), manifest.page_roots[1])
        return replace(part, parts=(encode_manifest(replace(manifest, page_roots=roots)),))

    def other_header(part: SnapshotPart) -> SnapshotPart:
        if part.kind is not SnapshotKind.MANIFEST:
            return part
        manifest = decode_manifest(part.parts[0])
        header = encode_header(replace(decode_header(manifest.header), state_root=bytes(32)))
        return replace(part, parts=(encode_manifest(replace(manifest, header=header)),))

    world.changes = {0: other_roots, 1: other_roots, 2: other_header}
    world.join()
    assert {0, 1} <= {peer for peer, _ in world.alarms} <= {0, 1, 2}


def test_most_offer_a_header_that_is_not_the_chains(world: World) -> None:
    def other_header(part: SnapshotPart) -> SnapshotPart:
        if part.kind is not SnapshotKind.MANIFEST or not part.parts:
            return part
        manifest = decode_manifest(part.parts[0])
        header = encode_header(replace(decode_header(manifest.header), time_ms=1))
        return replace(part, parts=(encode_manifest(replace(manifest, header=header)),))

    world.changes = dict.fromkeys(range(3), other_header)
    world.join()
    assert {peer for peer, _ in world.alarms} == {0, 1, 2}


def test_nobody_has_a_snapshot(world: World) -> None:
    """Then blocks are fetched, and a snapshot is asked for again later."""
    for peer in range(4):
        world.changes[peer] = lambda part: replace(part, parts=())
    world.node.behind(BLOCKS, world.now_ms)
    world.deliver(50)
    assert not world.node.active and not world.ready
    count = len(world.asked)
    world.node.behind(BLOCKS, world.now_ms + 1)
    assert len(world.asked) == count
    world.changes.clear()
    world.now_ms += REST_MS + 1
    world.join()


def test_peers_that_lose_the_view(world: World) -> None:
    """They answer without parts, all of them: another manifest is asked for, and what is here stays."""
    gone: list[int] = []

    def forget(part: SnapshotPart) -> SnapshotPart:
        if part.kind is SnapshotKind.BUCKETS and len(gone) < 4:
            gone.append(1)
            return replace(part, parts=())
        return part

    for peer in range(4):
        world.changes[peer] = forget
    world.join()
    manifests = [request for _, request in world.asked if request.kind is SnapshotKind.MANIFEST]
    assert len(manifests) >= 8 and not world.alarms


def test_answers_to_no_question_are_nothing(world: World) -> None:
    part = SnapshotPart(BLOCKS, SnapshotKind.BUCKETS, 0, 0, (b"x",))
    world.node.on_frame(1, part, world.now_ms)
    world.node.behind(BLOCKS, world.now_ms)
    world.node.on_frame(1, part, world.now_ms)
    world.node.on_frame(9, part, world.now_ms)
    assert not world.alarms
    world.deliver(2_000)
    assert world.ready == [BLOCKS]


@pytest.mark.parametrize("mute", [False, True])
def test_a_height_that_only_one_peer_offers_and_does_not_have(world: World, mute: bool) -> None:
    """The only offer at first is made up: its headers end where the chain does, in empty answers or in silence."""

    def far(part: SnapshotPart) -> SnapshotPart | None:
        if part.kind is not SnapshotKind.MANIFEST:
            return None if mute else part
        manifest = decode_manifest(part.parts[0])
        header = encode_header(replace(decode_header(manifest.header), height=1 << 40))
        return replace(part, parts=(encode_manifest(replace(manifest, header=header)),))

    def late(part: SnapshotPart) -> SnapshotPart | None:
        return part if any(request.kind is SnapshotKind.HEADERS for _, request in world.asked) else None

    world.changes = {0: far, 1: lambda part: None, 2: lambda part: None, 3: late}
    start = world.now_ms
    world.join()
    assert {peer for peer, _ in world.alarms} == (set() if mute else {0})
    assert world.now_ms - start < 5 * (PATIENCE_MS + OFFERS_MS)


def test_a_slow_source_gets_no_more_time_than_another(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each answer of peer 0 is whole, and comes just before patience ends."""
    monkeypatch.setattr(snapshot_joining, "HEADERS_AT_ONCE", 2)

    def slow(part: SnapshotPart) -> SnapshotPart:
        if part.kind is SnapshotKind.HEADERS:
            world.now_ms += PATIENCE_MS - 100
        return part

    world.changes[0] = slow
    start = world.now_ms
    world.join()
    asked = [peer for peer, request in world.asked if request.kind is SnapshotKind.HEADERS]
    assert asked.count(0) == 1 and set(asked) == {0, 1, 2, 3} and not world.alarms
    assert world.now_ms - start < 2 * PATIENCE_MS


def test_fewer_headers_than_a_part_holds_are_a_lie(world: World) -> None:
    world.changes[0] = lambda part: replace(part, parts=part.parts[:1]) if part.kind is SnapshotKind.HEADERS else part
    world.join()
    assert [peer for peer, _ in world.alarms] == [0]


def test_headers_that_fill_a_part_are_no_lie(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (snapshot_joining, snapshot_serving):
        monkeypatch.setattr(module, "PART_BYTES", 2_000)
    world.join()
    asked = [request for _, request in world.asked if request.kind is SnapshotKind.HEADERS]
    assert len(asked) > BLOCKS // 16 + 1 and not world.alarms


def test_the_only_source_gives_a_bucket_at_a_time(world: World) -> None:
    """It counts as silent: everybody is asked again, and whoever has a snapshot by then is taken."""
    dripped: list[int] = []

    def drip(part: SnapshotPart) -> SnapshotPart:
        if part.kind is SnapshotKind.BUCKETS:
            dripped.append(part.start)
            world.now_ms += PATIENCE_MS - 100
            return replace(part, parts=part.parts[:1])
        return part

    nothing_yet: Change = lambda part: part if dripped else replace(part, parts=())  # noqa: E731
    world.changes = {0: drip, 1: nothing_yet, 2: nothing_yet, 3: nothing_yet}
    world.join()
    assert 1 <= len(dripped) <= 2 and not world.alarms


def _far(part: SnapshotPart) -> SnapshotPart | None:
    """A made-up height; headers as far as there are full answers, then silence."""
    if part.kind is SnapshotKind.MANIFEST and part.parts:
        manifest = decode_manifest(part.parts[0])
        header = encode_header(replace(decode_header(manifest.header), height=1 << 40))
        return replace(part, parts=(encode_manifest(replace(manifest, header=header)),))
    return part if len(part.parts) == 16 else None


def test_a_made_up_height_is_not_aimed_at(world: World) -> None:
    """After restarts every view is another one: what is above the (f+1)th highest offer is left alone."""
    world.short(40, 1)
    world.short(50, 2)
    world.changes = {0: _far, 3: lambda part: None}
    world.node.behind(BLOCKS, world.now_ms)
    world.deliver(2_000)
    assert world.ready == [50] and not world.alarms
    assert {r.height for _, r in world.asked if r.kind is SnapshotKind.HEADERS} == {50}


def test_headers_above_what_the_others_have(world: World) -> None:
    """The only one that answers at first leads the headers further than the others' views, and then falls silent."""
    asleep = True

    def late(part: SnapshotPart) -> SnapshotPart | None:
        return None if asleep else part

    world.short(40, 1, 2)
    world.changes = {0: _far, 1: late, 2: late, 3: lambda part: None}
    world.node.behind(BLOCKS, world.now_ms)
    while "headers 48" not in world.node.joiner.progress:
        world.deliver(1)
    asleep = False
    world.deliver(2_000)
    assert world.ready == [40] and not world.alarms
    world.restart()
    assert world.store.final_height == 40
    assert world.store.scan(b"", limit=100_000) == world.more[0].scan(b"", limit=100_000)
