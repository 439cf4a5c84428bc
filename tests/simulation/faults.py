"""The faults of bad weather, drawn from the seed: partitions, cuts, lost kinds of messages, crashes, clocks, storms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chain_core.consensus.messages import CommitProof, FinalityNotice, PrePrepare
from chain_core.network.frames import (
    BlocksFrame,
    ConsensusFrame,
    EnvelopesFrame,
    Frame,
    PrunedFrame,
    SnapshotPart,
    SnapshotRequest,
)
from chain_core.types.block import HeaderVote, SignedNewView, SignedViewChange, SignedVote
from tests.simulation.network import CALM, Weather
from tests.simulation.node import CRASH_POINTS, IN_JOINING, SimNode

if TYPE_CHECKING:
    from tests.simulation.world import World

LOSABLE = (
    *("PRE_PREPARE", "PREPARE", "COMMIT", "COMMIT", "HEADER", "HEADER", "NEW-VIEW", "VIEW-CHANGE"),
    *("PROOF", "NOTICE", "BODIES", "BLOCKS", "SNAPSHOT"),
)
_NIGHT_MS = 26_000
_LOOK_MS = 200
_POISONED = 0.4
_EMPTIED = 0.6
"""How often a node that never voted begins anew with an empty disk when all heals."""
JUMPS_MS = (-3_600_000, -20_000, 20_000, 3_600_000)


class Faults:
    """Plans the faults of a run and undoes them when the network heals."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.on = True
        self.muffled: dict[str, set[int]] = {}
        """Kinds of messages that the network loses at present, and whom they do not reach."""
        self._jumped: SimNode | None = None
        self._absent: SimNode | None = None
        self._jumper = world.random.randrange(world.places)

    def plan(self) -> None:
        """Faults at drawn times, and the healing."""
        world, size, random = self.world, self.world.size, self.world.random
        kinds = (
            *(self._partition, self._island, self._blow, self._cut, self._muffle, self._muffle),
            *(self._crash, self._crash, self._crash, self._blackout, self._set_clock, self._jump),
            *(self._split_prepared, self._lone_commit, self._absence, self._absence),
        )
        for _ in range(size.faults):
            world.schedule.after(random.randrange(size.bad_weather_ms), random.choice(kinds))
        if random.random() < 0.2 and size.bad_weather_ms > _NIGHT_MS:
            world.schedule.after(random.randrange(size.bad_weather_ms - _NIGHT_MS), self._night)
        for node in world.nodes[world.n :]:  # it begins when there is a chain
            if not node.up:
                self._arrive_late(node, random.randint(6_000, 38_000))
        if random.random() < _POISONED:
            world.schedule.after(random.randrange(size.bad_weather_ms), world.poison)
        if world.forgetful is not None:
            world.schedule.after(random.randrange(size.bad_weather_ms // 2), self._back_up)
        world.schedule.after(size.bad_weather_ms, self.heal)

    def heal(self) -> None:
        """All faults end; crashed nodes come back."""
        world = self.world
        world.note("heal")
        self.on = False
        world.network.heal()
        self._calm()
        self._set_right()
        self.muffled.clear()
        for node in world.nodes:
            node.crash_at = ""
            if node.up and not world.checker.past[node.index].signed and world.random.random() < _EMPTIED:
                node.lose_disk()
            self.reboot(node)

    # -- two stories that break a wrong view change (PBFT §4.4)

    def _split_prepared(self) -> None:
        """One replica alone prepares; it is away while the others prepare something else; one of them commits, and is
        away when the first one is back.
        """
        world = self.world
        first, second = world.random.sample(range(world.places), 2)
        others = set(range(world.places)) - {first}
        world.note(f"only {first} hears PREPAREs, then only {second} hears COMMITs")
        world.counted["split preparations"] += 1
        self.muffled["PREPARE"], self.muffled["COMMIT"] = others, set(range(world.places))
        at_ms = world.random.randint(200, 1_500)

        def apart() -> None:
            if self.on:
                self._unmuffle("PREPARE")
                self.muffled["COMMIT"] = others - {second}
                world.network.partition([{first}, others])

        def back() -> None:
            if self.on:
                self._unmuffle("COMMIT")
                world.network.partition([{second}, set(range(world.places)) - {second}])

        world.schedule.after(at_ms, apart)
        world.schedule.after(at_ms + world.random.randint(3_000, 6_000), back)
        world.schedule.after(at_ms + 12_000, world.network.heal)

    def _night(self) -> None:
        """For a long time nothing is committed and no view begins: every timer grows as far as it may."""
        world = self.world
        world.note("nothing is committed, no view begins")
        world.counted["nights"] += 1
        everybody = set(range(world.places))
        self.muffled["COMMIT"] = self.muffled["NEW-VIEW"] = everybody

        def dawn() -> None:
            self._unmuffle("COMMIT")
            self._unmuffle("NEW-VIEW")

        world.schedule.after(_NIGHT_MS, dawn)

    def _lone_commit(self) -> None:
        """One replica alone commits or finalises, and is away afterwards: the others must find the same."""
        world = self.world
        alone = world.random.randrange(world.places)
        kind = world.random.choice(("COMMIT", "HEADER"))
        others = set(range(world.places)) - {alone}
        world.note(f"only {alone} hears {kind}s, then it is away")
        world.counted["lone commits"] += 1
        self.muffled[kind] = others

        def away() -> None:
            if self.on:
                self._unmuffle(kind)
                world.network.partition([{alone}, others])

        at_ms = world.random.randint(200, 2_000)
        world.schedule.after(at_ms, away)
        world.schedule.after(at_ms + world.random.randint(2_500, 9_000), world.network.heal)

    # -- the network

    def _partition(self) -> None:
        nodes = list(range(self.world.places))
        self.world.random.shuffle(nodes)
        self._apart(nodes, self.world.random.randint(1, self.world.places - 1))

    def _island(self) -> None:
        """Exactly the primary is alone, or exactly a quorum is together."""
        world = self.world
        nodes = list(range(world.places))
        world.random.shuffle(nodes)
        self._apart(nodes, world.random.choice((1, world.n - world.chain.validators.q)))

    def _apart(self, nodes: list[int], middle: int) -> None:
        world = self.world
        world.note(f"partition {nodes[:middle]} {nodes[middle:]}")
        world.counted["partitions"] += 1
        world.network.partition([set(nodes[:middle]), set(nodes[middle:])])
        world.schedule.after(world.random.randint(500, 9_000), world.network.heal)

    def _cut(self) -> None:
        sender, receiver = self.world.random.sample(range(self.world.places), 2)
        self.world.note(f"cut {sender}>{receiver}")
        self.world.counted["one-way cuts"] += 1
        self.world.network.cut(sender, receiver)

    def _blow(self) -> None:
        r = self.world.random
        self.world.network.weather = Weather(
            r.choice((0.0, 0.05, 0.2, 0.5)), r.choice((0.0, 0.3)), 1, r.choice((10, 300, 1_500, 4_000))
        )
        self.world.note("weather")
        self.world.counted["storms"] += 1
        self.world.schedule.after(r.randint(1_000, 8_000), self._calm)

    def _calm(self) -> None:
        self.world.network.weather = CALM

    def _muffle(self) -> None:
        """An adversary in the network loses one kind of message: replicas stop in the middle of an agreement."""
        world = self.world
        kind = world.random.choice(LOSABLE)
        deaf = set(world.random.sample(range(world.places), world.random.randint(1, world.places)))
        world.note(f"{kind} does not reach {sorted(deaf)}")
        self.muffled[kind] = deaf
        world.schedule.after(world.random.randint(500, 6_000), lambda: self._unmuffle(kind))

    def _unmuffle(self, kind: str) -> None:
        self.muffled.pop(kind, None)

    def passes(self, to: int, frame: Frame) -> bool:
        """Whether the network carries this kind of message to ``to`` at present."""
        return not self.muffled or to not in self.muffled.get(_kind(frame), ())

    # -- clocks

    def _set_clock(self) -> None:
        """Somebody's wall clock is set, forward or back; two correct ones stay within the tolerance of each other."""
        node = self.world.random.choice(self.world.nodes)
        if node is not self._jumped:
            node.skew_ms = self.world.random.randint(-2_000, 2_000)
            self.world.note(f"clock of {node.index}")

    def _jump(self) -> None:
        """One wall clock, always the same, is far off for a while: fewer than it takes to move the chain's time."""
        world = self.world
        if not self.on:
            return
        self._set_right()
        node = self._jumped = world.nodes[self._jumper]
        node.skew_ms = world.random.choice(JUMPS_MS)
        world.counted["clock jumps"] += 1
        world.note(f"clock of {node.index} jumps")
        world.schedule.after(world.random.randint(500, 6_000), self._set_right)

    def _set_right(self) -> None:
        if self._jumped is not None:
            self._jumped.skew_ms = self.world.random.randint(-1_500, 1_500)
            self._jumped = None

    # -- processes

    def _crash(self) -> None:
        world = self.world
        up = [node for node in world.nodes if node.up and node.correct]
        if up and self.on:
            self._doom(world.random.choice(up), world.random.choice(CRASH_POINTS))

    def _blackout(self) -> None:
        """All correct nodes fail, each at the same kind of point: everything must come back from the disks."""
        world = self.world
        if self.on and world.random.random() < 0.5:
            point = world.random.choice(CRASH_POINTS)
            for node in world.nodes:
                if node.up and node.correct:
                    self._doom(node, point)

    def _doom(self, node: SimNode, point: str) -> None:
        self.world.note(f"{node.index} is to crash {point}")
        node.crash_at = point
        self.world.schedule.after(2_500, lambda: self._crash_now(node))

    def _crash_now(self, node: SimNode) -> None:
        """Nothing was written or sent at which the node could have failed: it fails now."""
        if node.up and node.crash_at and self.on:
            node.crash()
            self.reboot_later(node)

    def reboot_later(self, node: SimNode) -> None:
        """A crashed node comes back some time later, in bad weather; at once afterwards."""
        delay = self.world.random.randint(200, 6_000) if self.on else 500
        self.world.schedule.after(delay, lambda: self.reboot(node))

    def _back_up(self) -> None:
        """A disk is copied; some time later an operator puts the copy back, and what was voted since is forgotten."""
        world = self.world
        assert world.forgetful is not None
        node = world.nodes[world.forgetful]
        image = node.image()
        world.note(f"{node.index} is backed up")

        def restore() -> None:
            if self.on and image is not None:
                node.restore(image)
                self.reboot(node)

        world.schedule.after(world.random.randint(1_000, world.size.bad_weather_ms // 2), restore)

    def _absence(self) -> None:
        """A node is away so long that it comes back by a snapshot, perhaps killed once more while it gets one."""
        world = self.world
        up = [node for node in world.nodes if node.up and node.correct]
        if self.on and up and not self._absent:
            node = self._absent = world.random.choice(up)
            world.counted["absences"] += 1
            node.crash()
            self._arrive_late(node, world.random.randint(6_000, 15_000))

    def _arrive_late(self, node: SimNode, within_ms: int) -> None:
        """When the chain is so far on that it asks for a snapshot, and some heights more; or after ``within_ms``."""
        world = self.world
        height = world.checker.height + world.size.snapshot_distance + world.random.randint(2, 12)
        until_ms = world.schedule.now_ms + within_ms

        def look() -> None:
            if world.checker.height >= height or world.schedule.now_ms >= until_ms:
                self._arrive(node)
            elif self.on:
                world.schedule.after(_LOOK_MS, look)

        look()

    def _arrive(self, node: SimNode) -> None:
        """A node that is new, or was away."""
        if node is self._absent:
            self._absent = None
        if not node.up:
            if self.on and self.world.random.random() < 0.4:
                node.crash_at, node.parts_left = IN_JOINING, self.world.random.randrange(6)
            node.boot()

    def reboot(self, node: SimNode) -> None:
        """Boot a node that is down."""
        if not node.up and (node is not self._absent or not self.on):
            node.boot()


def _kind(frame: Frame) -> str:
    match frame:
        case EnvelopesFrame():
            return "BODIES"
        case BlocksFrame():
            return "BLOCKS"
        case SnapshotRequest() | SnapshotPart() | PrunedFrame():
            return "SNAPSHOT"
        case ConsensusFrame():
            pass
        case _:
            return ""
    match frame.message:
        case PrePrepare():
            return "PRE_PREPARE"
        case SignedVote(vote=vote):
            return vote.phase.name
        case HeaderVote():
            return "HEADER"
        case SignedNewView():
            return "NEW-VIEW"
        case SignedViewChange():
            return "VIEW-CHANGE"
        case CommitProof():
            return "PROOF"
        case FinalityNotice():
            return "NOTICE"
        case _:
            return ""
