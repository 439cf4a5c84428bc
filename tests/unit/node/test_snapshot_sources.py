"""Which source a joining node takes and how long it bears with it: heights made up, headers and buckets in drips."""

from dataclasses import replace

import pytest

from chain_core.codec.block import decode_header, encode_header
from chain_core.codec.snapshot import decode_manifest, encode_manifest
from chain_core.network.frames import SnapshotKind, SnapshotPart
from chain_core.node import snapshot_joining, snapshot_serving
from chain_core.node.snapshot_joining import OFFERS_MS, PATIENCE_MS
from tests.unit.node.snapshot_world import BLOCKS, Change, World, grown, world

__all__ = ["grown", "world"]


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
