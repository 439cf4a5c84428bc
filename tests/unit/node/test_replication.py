"""REPLICATED: the own disk and f others, each with the nonce that it was sent; asked again; final ones need none."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from chain_core.ledger.database import Database
from chain_core.ledger.kept import KeptBodies
from chain_core.network.frames import BodiesKept, EnvelopesFrame, KeepBodies
from chain_core.network.refusals import Overloaded, ServiceRefusal, Unavailable
from chain_core.node import replication as module
from chain_core.node.ports import FinalBlock
from chain_core.node.replication import Replication, pool_again
from chain_core.types.transaction import Envelope
from tests.simulation.chain import START_MS
from tests.unit.node.stage import RecordingTransport, envelopes

ONE, TWO = envelopes(2)
IDS = (ONE.envelope_id, TWO.envelope_id)


class Clock:
    def now_ms(self) -> int:
        return START_MS


class Stage:
    """One node's replication over a real database; ``pool`` is what its pool holds."""

    def __init__(self, directory: Path, f: int = 1) -> None:
        self.database = Database(directory)
        self.transport = RecordingTransport()
        self.pool: dict[bytes, Envelope] = {ONE.envelope_id: ONE, TWO.envelope_id: TWO}
        drawn = iter(range(100))
        self.side = Replication(
            KeptBodies(self.database),
            self.transport,
            Clock(),
            lambda: (1, 2, 3),
            lambda: f,
            self.pool.get,
            lambda count: bytes([next(drawn)]) * count,
        )

    def kept(self) -> int:
        return len(KeptBodies(self.database).load(START_MS))


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path / "db")


def test_the_own_disk_and_f_others_are_enough(stage: Stage) -> None:
    keeping = stage.side.begin([ONE, TWO])
    assert keeping is not None and stage.kept() == 2 and not keeping.done
    assert stage.transport.events == [(p, KeepBodies(bytes([p - 1]) * 16, IDS)) for p in (1, 2, 3)]
    stage.side.on_kept(2, BodiesKept(bytes([1]) * 16, IDS[:1]))
    assert keeping.done == {ONE.envelope_id} and not keeping.all_done.is_set()
    stage.side.on_kept(2, BodiesKept(bytes([1]) * 16, IDS[:1]))
    stage.side.on_kept(3, BodiesKept(bytes([2]) * 16, IDS))
    assert keeping.all_done.is_set()


def test_one_peer_cannot_speak_for_others(stage: Stage) -> None:
    keeping = stage.side.begin([ONE])
    assert keeping is not None
    for peer, nonce in ((1, 1), (2, 0), (7, 0), (3, 9)):
        stage.side.on_kept(peer, BodiesKept(bytes([nonce]) * 16, IDS))
    assert not keeping.done


def test_two_faulty_ones_need_three_disks(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "db", f=2)
    keeping = stage.side.begin([ONE])
    assert keeping is not None
    for _ in range(3):
        stage.side.on_kept(1, BodiesKept(bytes(16), IDS))
    assert not keeping.done
    stage.side.on_kept(2, BodiesKept(bytes([1]) * 16, IDS))
    assert keeping.all_done.is_set()


def test_bodies_and_question_go_out_again_to_who_has_not_answered(stage: Stage) -> None:
    keeping = stage.side.begin([ONE, TWO])
    assert keeping is not None
    stage.side.on_kept(1, BodiesKept(bytes(16), IDS[:1]))
    stage.transport.events.clear()
    stage.side.ask_again()
    expected = [[(p, EnvelopesFrame((TWO.raw,))), (p, KeepBodies(bytes([p - 1]) * 16, IDS[1:]))] for p in (1, 2, 3)]
    assert stage.transport.events == [event for pair in expected for event in pair]
    stage.side.end(keeping)
    stage.transport.events.clear()
    stage.side.ask_again()
    assert not stage.transport.events


def test_a_peer_says_what_is_on_its_disk_and_nothing_else(stage: Stage) -> None:
    del stage.pool[TWO.envelope_id]
    stage.side.on_keep(2, KeepBodies(b"n" * 16, IDS))
    assert stage.transport.events == [(2, BodiesKept(b"n" * 16, IDS[:1]))] and stage.kept() == 1
    stage.pool.clear()
    stage.side.on_keep(2, KeepBodies(b"m" * 16, IDS))
    assert stage.transport.events[-1] == (2, BodiesKept(b"m" * 16, IDS[:1])), "it is on disk still"
    stage.side.on_keep(9, KeepBodies(b"m" * 16, IDS))
    assert len(stage.transport.events) == 2


def test_what_is_final_needs_no_keeping(stage: Stage) -> None:
    keeping = stage.side.begin([ONE, TWO])
    assert keeping is not None
    stage.side.finalised(FinalBlock(1, b"", b"", IDS, (b"", b"")))
    assert keeping.all_done.is_set()
    stage.side.on_keep(1, KeepBodies(b"n" * 16, ()))
    assert len(KeptBodies(stage.database)) == 2, "they leave the disk with a later write"


def test_other_members_are_asked_anew(stage: Stage) -> None:
    keeping = stage.side.begin([ONE, TWO])
    assert keeping is not None
    stage.side.on_kept(1, BodiesKept(bytes(16), IDS[:1]))
    stage.side.members_changed()
    stage.side.on_kept(2, BodiesKept(bytes([1]) * 16, IDS))
    assert keeping.done == {ONE.envelope_id}, "what was promised stays promised"
    stage.transport.events.clear()
    stage.side.ask_again()
    assert (2, KeepBodies(bytes([4]) * 16, IDS[1:])) in stage.transport.events
    stage.side.on_kept(2, BodiesKept(bytes([4]) * 16, IDS))
    assert keeping.all_done.is_set()


def test_calls_are_bounded(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CALLS", 1)
    first = stage.side.begin([ONE])
    assert first is not None and stage.side.begin([TWO]) is None
    stage.side.end(first)
    assert stage.side.begin([TWO]) is not None


@pytest.mark.parametrize(
    ("refusals", "pauses", "pooled"),
    [
        ([], [], [2, 2, 1]),
        ([Overloaded("no room", retry_after_ms=700), Overloaded("no room")], [0.7, 0.01], [2, 2, 1]),
        ([Unavailable("the node stops")], [], []),
    ],
    ids=["room", "no room for a while", "stopping"],
)
def test_kept_bodies_are_pooled_again_as_there_is_room(
    monkeypatch: pytest.MonkeyPatch, refusals: list[ServiceRefusal], pauses: list[float], pooled: list[int]
) -> None:
    monkeypatch.setattr(module, "POOLED_AT_ONCE", 2)
    waited: list[float] = []
    taken: list[list[bytes]] = []
    left = list(refusals)

    async def submit(raws: Sequence[bytes]) -> None:
        if left:
            raise left.pop(0)
        taken.append(list(raws))

    async def pause(seconds: float) -> None:
        waited.append(seconds)

    raws = [bytes([number]) for number in range(5)]
    asyncio.run(pool_again(raws, submit, pause))
    assert waited == pauses and [len(part) for part in taken] == pooled
    assert b"".join(b"".join(part) for part in taken) == b"".join(raws)[: sum(pooled)]
