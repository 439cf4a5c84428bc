"""Snapshots in a run: how a node's come and go, and Byzantine members that lie about theirs (docs/spec/snapshot.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

from chain_core.codec.block import decode_header, encode_header
from chain_core.codec.snapshot import Manifest, decode_manifest, encode_manifest
from chain_core.ledger import keys
from chain_core.network.frame_codec import encode_frame
from chain_core.network.frames import Frame, PrunedFrame, SnapshotKind, SnapshotPart
from tests.simulation.byzantine import FAR, Outgoing, Strategy
from tests.simulation.disk import Change

if TYPE_CHECKING:
    from tests.simulation.node import SimNode


class Progress:
    """One node's snapshot on its way in, as its writes show it."""

    def __init__(self) -> None:
        self._begun = self._interrupted = False

    def booted(self) -> None:
        """What was begun before goes on from the disk."""
        self._interrupted = self._begun

    def written(self, changes: Sequence[Change]) -> list[str]:
        """What a write of this node means, to be counted."""
        if is_import(changes):
            self._begun = self._begun or any(key == keys.IMPORT_MANIFEST and value for key, value in changes)
        elif changes[-1] == (keys.IMPORT_BUILD, None):
            told = ["snapshots installed", *(["snapshots resumed"] if self._interrupted else [])]
            self._begun = self._interrupted = False
            return told
        return []


def is_import(changes: Sequence[Change]) -> bool:
    """Whether a write stores a part of a snapshot."""
    return bool(changes) and changes[0][0].startswith(keys.IMPORT)


class SnapshotForger(Strategy):
    """Serves pages, buckets and headers that are not what the manifest commits to."""

    def __init__(self, random: Random, n: int) -> None:
        super().__init__(random, n)
        self.kinds = random.choice(
            ((SnapshotKind.PAGE,), (SnapshotKind.BUCKETS,), (SnapshotKind.HEADERS,), SnapshotKind)
        )

    def alter_other(self, node: SimNode, to: int, frame: Frame) -> Outgoing:
        if isinstance(frame, SnapshotPart) and frame.parts and frame.kind in self.kinds:
            return [(to, self._spoiled(frame))]
        return [(to, frame)]

    def _spoiled(self, part: SnapshotPart) -> SnapshotPart:
        parts, random = list(part.parts), self.random
        place = random.randrange(len(parts))
        raw = bytearray(parts[place])
        raw[random.randrange(len(raw))] ^= 1 << random.randrange(8)
        return random.choice(
            (
                replace(part, parts=(*parts[:place], bytes(raw), *parts[place + 1 :])),
                replace(part, parts=(*parts, *parts)),
                replace(part, parts=tuple(reversed(parts)), validator_sets=()),
                replace(part, start=part.start + 1),
            )
        )


class WrongSnapshot(Strategy):
    """Offers a snapshot that is none: a height that does not exist, a header of its own, roots that lead elsewhere."""

    def __init__(self, random: Random, n: int) -> None:
        super().__init__(random, n)
        self.trick = random.randrange(4)

    def alter_other(self, node: SimNode, to: int, frame: Frame) -> Outgoing:
        if isinstance(frame, SnapshotPart) and frame.parts and frame.kind is SnapshotKind.MANIFEST:
            lie = self._lie(decode_manifest(frame.parts[0]))
            return [(to, replace(frame, parts=(encode_manifest(lie),)))]
        return [(to, frame)]

    def _lie(self, manifest: Manifest) -> Manifest:
        header = decode_header(manifest.header)
        state, seen = manifest.page_roots
        match self.trick:
            case 0:
                return replace(manifest, header=encode_header(replace(header, height=FAR)))
            case 1:
                return replace(manifest, header=encode_header(replace(header, height=header.height + 1)))
            case 2:
                return replace(manifest, header=encode_header(replace(header, state_root=bytes(32))))
            case _:
                return replace(manifest, page_roots=((bytes(32), *state[1:]), seen))


class SnapshotQuitter(Strategy):
    """Offers its snapshot, and says nothing, or that it has none, from some question on; refuses blocks."""

    def __init__(self, random: Random, n: int) -> None:
        super().__init__(random, n)
        self.after = random.randrange(3)
        self.mute = random.random() < 0.5
        self.told = 0

    def alter_other(self, node: SimNode, to: int, frame: Frame) -> Outgoing:
        if not isinstance(frame, SnapshotPart) or frame.kind is SnapshotKind.MANIFEST:
            return [(to, frame)]
        self.told += 1
        if self.told <= self.after:
            return [(to, frame)]
        return [] if self.mute else [(to, replace(frame, parts=(), validator_sets=()))]

    def tick(self, node: SimNode) -> None:
        if self.random.random() < 0.2:
            height = self.random.choice((1, node.store.final_height + 1, FAR))
            node.world.network.send(node.index, self.peer(node), encode_frame(PrunedFrame(height)))
