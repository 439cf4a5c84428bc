"""A node far behind gets a certified state from several peers, some of which are silent, forgetful, or lie."""

import re
from dataclasses import replace

import pytest

from chain_core.codec.block import decode_header, encode_header
from chain_core.codec.snapshot import SEEN, decode_manifest, encode_manifest, page_count
from chain_core.network.frames import PrunedFrame, SnapshotKind, SnapshotPart, SnapshotRequest
from chain_core.node.snapshot_joining import OFFERS_MS, PATIENCE_MS, REST_MS
from tests.unit.node.snapshot_world import BLOCKS, Change, World, grown, same, world

__all__ = ["grown", "world"]


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


def test_a_clock_set_back_while_a_peer_is_silent(world: World) -> None:
    """The time for offers is over then, too: the node would wait until its clock is where it was."""
    world.changes[2] = lambda part: None
    world.node.behind(BLOCKS, world.now_ms)
    world.deliver(4)
    world.now_ms -= 3_600_000
    world.join()
    assert not world.alarms


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
