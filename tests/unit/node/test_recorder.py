"""The flight recorder: a recording replays to the same effects and state, its ring is bounded, it stops no node."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from chain_core.consensus import inputs as inp
from chain_core.consensus.pbft import Pbft
from chain_core.consensus.state import ReplicaState
from chain_core.node import recorder as module
from chain_core.node import recording_codec as codec
from chain_core.node.recorder import FlightRecorder, digest, segments
from chain_core.node.replay import NoRecording, replay
from chain_core.node.replica import Replica
from chain_core.types.block import Phase
from chain_core.types.errors import MalformedBytes
from chain_core.types.evidence import Statement
from chain_core.types.verified import Verified
from tests.simulation.world import Size, World
from tests.vectors.keys import Signatures
from tests.vectors.samples import Samples

S = Samples(Signatures(may_sign=True))
LIMIT = 64_000_000


@pytest.fixture
def recorders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[int, FlightRecorder]:
    """Every replica that starts from now on is recorded, in the directory of its index."""
    made: dict[int, FlightRecorder] = {}
    start = Replica.start

    def recorded(self: Replica) -> None:
        assert self.me is not None
        if self.me in made:
            made[self.me].close()
        made[self.me] = FlightRecorder(tmp_path / f"recording-{self.me}", LIMIT, lambda code, facts: None)
        self.watchers.recorder = made[self.me]
        start(self)

    monkeypatch.setattr(Replica, "start", recorded)
    return made


def test_bad_weather_replays_to_the_same_state(tmp_path: Path, recorders: dict[int, FlightRecorder]) -> None:
    """Crashes, view changes, Byzantine members: each correct or not, each core does again what it did."""
    world = World(7, Size(4, bad_weather_ms=15_000, transactions=20, faults=14), tmp_path / "world")
    world.run()
    kinds: set[str] = set()
    for index, recorder in recorders.items():
        recorder.close()
        told = replay(tmp_path / f"recording-{index}")
        assert told.differences == [] and told.steps > 100 and told.torn == 0
        kinds |= set(told.kinds)
        node = world.nodes[index]
        if node.replica is not None:
            assert told.state_digest == digest(node.replica.core.state).hex()
            assert told.final_height == node.store.final_height
    assert {"Started", "BatchBuilt", "OwnVote", "SignedVote", "Heartbeat", "TimerFired", "Finalised"} <= kinds
    world.close()


def run_small(directory: Path) -> World:
    world = World(3, Size(4), directory, byzantine={})
    world.begin()
    for number in range(4):
        world.nodes[1].submit(world.promise(1, number).raw)
        world.advance(1_000)
    return world


def test_a_core_that_decides_otherwise_is_found(
    tmp_path: Path, recorders: dict[int, FlightRecorder], monkeypatch: pytest.MonkeyPatch
) -> None:
    run_small(tmp_path / "world").close()
    for recorder in recorders.values():
        recorder.close()
    step = Pbft.step

    def other(self: Pbft, event: inp.Input, now_ms: int) -> list[Any]:
        effects = step(self, event, now_ms)
        return effects[:-1] if isinstance(event, inp.Executed) else effects

    monkeypatch.setattr(Pbft, "step", other)
    told = replay(tmp_path / "recording-2")
    assert "(Executed) asks for something else" in told.differences[0]


def test_a_state_that_drifts_without_a_word_is_found(
    tmp_path: Path, recorders: dict[int, FlightRecorder], monkeypatch: pytest.MonkeyPatch
) -> None:
    run_small(tmp_path / "world").close()
    for recorder in recorders.values():
        recorder.close()
    step = Pbft.step

    def drifting(self: Pbft, event: inp.Input, now_ms: int) -> list[Any]:
        effects = step(self, event, now_ms)
        self.state.failed_views += 1
        return effects

    monkeypatch.setattr(Pbft, "step", drifting)
    assert "the state differs after step" in replay(tmp_path / "recording-2").differences[-1]


def test_what_the_driver_changes_is_recorded_too(tmp_path: Path, recorders: dict[int, FlightRecorder]) -> None:
    world = run_small(tmp_path / "world")
    replica = world.nodes[2].replica
    assert replica is not None
    replica.core.set_parameters(dataclasses.replace(replica.core.state.config.parameters, resend_ms=777))
    world.advance(2_000)
    replica.core.state.halted = True
    world.nodes[1].submit(world.promise(1, 9).raw)
    world.advance(2_000)
    recorders[2].close()
    told = replay(tmp_path / "recording-2")
    assert told.differences == [] and told.state_digest == digest(replica.core.state).hex()
    world.close()


def test_a_core_that_raises_is_on_record(
    tmp_path: Path, recorders: dict[int, FlightRecorder], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = run_small(tmp_path / "world")
    replica = world.nodes[2].replica
    assert replica is not None
    step = Pbft.step

    def broken(self: Pbft, event: inp.Input, now_ms: int) -> list[Any]:
        if isinstance(event, inp.WorkGone):
            raise ZeroDivisionError("a defect")
        return step(self, event, now_ms)

    monkeypatch.setattr(Pbft, "step", broken)
    with pytest.raises(ZeroDivisionError):
        replica.on_timer(inp.Timer.ORDER)
    recorders[2].close()
    told = replay(tmp_path / "recording-2")
    assert told.raised == 1 and not told.differences
    monkeypatch.undo()
    assert "raised when it was recorded" in replay(tmp_path / "recording-2").differences[0]
    world.close()


def test_the_ring_is_bounded_and_replays_from_its_oldest_segment(
    tmp_path: Path, recorders: dict[int, FlightRecorder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.unit.node.test_recorder.LIMIT", 60_000)
    world = run_small(tmp_path / "world")
    world.advance(60_000)
    recorders[2].close()
    directory = tmp_path / "recording-2"
    found = segments(directory)
    assert len(found) > 4 and int(found[0].stem) > 0, "the oldest ones are gone"
    assert sum(path.stat().st_size for path in found) < 80_000
    told = replay(directory)
    assert told.differences == [] and told.checked_states >= len(found)
    assert told.state_digest == digest(world.nodes[2].replica.core.state).hex()  # type: ignore[union-attr]
    world.close()


def test_many_restarts_leave_a_bounded_number_of_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_FILES", 3)
    world = run_small(tmp_path / "world")
    replica = world.nodes[0].replica
    assert replica is not None
    for _ in range(6):
        recorder = FlightRecorder(tmp_path / "ring", LIMIT, lambda code, facts: None)
        recorder.before(replica.core)
        recorder.close()
    assert [path.stem for path in segments(tmp_path / "ring")] == ["0000000003", "0000000004", "0000000005"]
    world.close()


def test_a_torn_end_is_told_and_the_rest_replays(tmp_path: Path, recorders: dict[int, FlightRecorder]) -> None:
    run_small(tmp_path / "world").close()
    recorders[1].flush()
    (path,) = segments(tmp_path / "recording-1")
    whole = path.read_bytes()
    for cut in (1, 3, 40, 1_000):
        path.write_bytes(whole[:-cut])
        told = replay(tmp_path / "recording-1")
        assert told.differences == [] and told.torn == 1, cut


def test_a_disk_without_room_stops_the_recorder_and_nothing_else(tmp_path: Path) -> None:
    alarms: list[str] = []
    world = run_small(tmp_path / "world")
    (tmp_path / "file").write_bytes(b"")
    replica = world.nodes[2].replica
    assert replica is not None
    replica.watchers.recorder = FlightRecorder(tmp_path / "file", LIMIT, lambda code, facts: alarms.append(code))
    world.nodes[1].submit(world.promise(1, 9).raw)
    world.advance(2_000)
    assert alarms == ["RECORDER_OFF"] and not world.missing()
    world.close()


@pytest.mark.parametrize("data", [b"", b"something else entirely, long enough", module.MAGIC + b"T\0\0\0\x01x"])
def test_what_is_no_recording(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(NoRecording):
        replay(tmp_path)
    (tmp_path / "0000000000.rec").write_bytes(data)
    with pytest.raises(MalformedBytes):
        replay(tmp_path)


VALUES = [
    None,
    *(True, False, 0, -1, 127, 128, -128, 1 << 70, b"", b"bytes", "文字", (), [1, (2,)], {3, 1}, {"a": {1: b"x"}}),
    *(
        Phase.COMMIT,
        Statement.HEADER,
        inp.Timer.ORDER,
        tuple(bytes([n]) * 32 for n in range(9)),
        (b"a", b"b", b"c", b"de"),
    ),
    *(S.view_change(1), S.new_view, S.certificate, inp.MessageReceived(Verified(S.vote(Phase.PREPARE, 1)))),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_values_come_back_as_they_were(value: object) -> None:
    raw = codec.encode(value)
    again = codec.decode(raw)
    assert again == value and type(again) is type(value)
    for cut in range(len(raw)):
        with pytest.raises(MalformedBytes):
            codec.decode(raw[:cut])


def test_a_class_that_nobody_told_the_recorder_of() -> None:
    with pytest.raises(codec.UnknownValue):
        codec.encode(object())
    assert {ReplicaState, inp.Started} <= set(codec.CLASSES.values())
