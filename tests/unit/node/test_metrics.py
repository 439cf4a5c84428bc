"""The metrics page: its format, the phases of a height, the port it is read from; and the log line of a view change."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from chain_core.consensus import effects as fx
from chain_core.consensus import inputs as inp
from chain_core.network.identity import NotLoopback
from chain_core.network.raw_rpc import PortTaken
from chain_core.node.loop_ports import ShellObserver
from chain_core.node.metrics import Family, Histogram, gauge, page
from chain_core.node.metrics_page import NodeMetrics
from chain_core.node.metrics_port import MAX_REQUEST_BYTES, MetricsPort
from chain_core.node.phases import PHASES, PhaseWatch
from chain_core.node.progress import NO_WORK, Waiting, activity
from chain_core.node.view_summary import ViewSummary
from tests.simulation.world import Size, World
from tests.unit.node.test_shell import WELL, Peers

PAGE = """\
# HELP took_seconds How long.
# TYPE took_seconds histogram
took_seconds_bucket{phase="a",le="0.5"} 2
took_seconds_bucket{phase="a",le="1"} 3
took_seconds_bucket{phase="a",le="+Inf"} 4
took_seconds_sum{phase="a"} 9.25
took_seconds_count{phase="a"} 4
# HELP height Here.
# TYPE height gauge
height 1234567890123
# HELP odd_total Odd labels.
# TYPE odd_total counter
odd_total{name="a\\"b\\\\c\\nd"} 1
"""


def test_the_exposition_format() -> None:
    took = Histogram("took_seconds", "How long.", (0.5, 1.0), "phase")
    for seconds in (0.25, 0.5, 0.5 + 1e-9, 8.0):
        took.observe(seconds, "a")
    odd = Family("odd_total", "counter", "Odd labels.", lambda: [({"name": 'a"b\\c\nd'}, 1)])
    assert page([took, gauge("height", "Here.", lambda: 1_234_567_890_123), odd]) == PAGE


class Told:
    """A watcher that writes down what it saw; None stands for a core that raised."""

    def __init__(self) -> None:
        self.steps: list[tuple[inp.Input, bool]] = []

    def stepped(self, event: inp.Input, now_ms: int, effects: object) -> None:
        self.steps.append((event, effects is None))


def test_each_phase_of_each_block_is_measured_once(tmp_path: Path) -> None:
    world = World(3, Size(4), tmp_path, byzantine={})
    world.begin()
    seconds = iter(range(1_000_000))
    watches = [PhaseWatch(lambda: float(next(seconds))) for _ in world.nodes]
    for node, watch in zip(world.nodes, watches, strict=True):
        assert node.replica is not None
        node.replica.watchers.others.append(watch)
    for number in range(3):
        world.nodes[1].submit(world.promise(1, number).raw)
        world.advance(1_000)
    for node, watch in zip(world.nodes, watches, strict=True):
        height = node.store.final_height
        phases = {phase: watch.seconds.count(phase) for phase in PHASES}
        assert height == 3 and phases | {"bodies": 3} == dict.fromkeys(PHASES, 3)
        assert phases["bodies"] == (0 if node.index == 0 else 3), "the primary holds what it proposes"
        assert watch.blocks.count() == watch.transactions.count() == 3 and not watch._marks
    world.close()


def test_a_step_that_raises_is_seen_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(3, Size(4), tmp_path, byzantine={})
    world.begin()
    replica, told = world.nodes[0].replica, Told()
    assert replica is not None
    replica.watchers.others.append(told)

    def broken(event: inp.Input, now_ms: int) -> list[fx.Effect]:
        raise ZeroDivisionError

    monkeypatch.setattr(replica.core, "step", broken)
    with pytest.raises(ZeroDivisionError):
        replica.on_timer(inp.Timer.ORDER)
    assert told.steps[-1] == (inp.WorkGone(), True)
    world.close()


def test_a_view_change_leaves_two_lines(tmp_path: Path) -> None:
    world = World(3, Size(4), tmp_path, byzantine={})
    world.begin()
    lines: list[tuple[str, Mapping[str, str | int]]] = []
    replica = world.nodes[1].replica
    assert replica is not None
    names = [validator.name for validator in world.chain.validators.validators]
    replica.watchers.others.append(
        ViewSummary(names, lambda: world.schedule.now_ms / 1_000, lambda *line: lines.append(line))
    )
    world.nodes[0].crash()
    world.nodes[2].submit(world.promise(1, 0).raw)
    world.advance(8_000)
    assert [name for name, _ in lines] == ["VIEW_LEFT", "VIEW_BEGUN"]
    left, begun = lines[0][1], lines[1][1]
    assert (left["view"], left["asked"], left["primary"], left["votes"]) == (0, 1, "v0", "none")
    assert begun["view"] == 1 and begun["primary"] == "v1" and begun["re_proposed"] == "nothing"
    assert begun["asked"] == "v1 final 0; v2 final 0; v3 final 0"
    assert 0 <= int(begun["after_ms"]) < 8_000
    world.close()


def test_what_a_height_waits_for_in_words(tmp_path: Path) -> None:
    world = World(3, Size(4), tmp_path, byzantine={})
    world.begin()
    names = [validator.name for validator in world.chain.validators.validators]

    def words(index: int) -> str:
        replica = world.nodes[index].replica
        assert replica is not None
        missing = {one.batch.height: len(one.missing) for one in replica.bodies.wanted.values()}
        return activity(replica.core.state, Waiting(missing, len(replica.pool)), names)

    assert words(0) == NO_WORK
    world.faults.muffled = {"PREPARE": {0, 1, 2, 3}}
    world.nodes[1].submit(world.promise(1, 0).raw)
    world.advance(300)
    assert words(1) == "height 1 is proposed: 2 of 3 PREPAREs (v0, v1)"
    world.faults.muffled = {"COMMIT": {0, 1, 2, 3}}
    world.advance(700)
    assert words(1) == "height 1 is prepared: 1 of 3 COMMITs (v1)"
    world.faults.muffled = {"HEADER": {0, 1, 2, 3}}
    world.advance(700)
    assert words(1) == "height 1 is executed: 1 of 3 header votes (v1)"
    world.faults.muffled = {}
    world.advance(2_000)
    assert words(1) == NO_WORK
    world.nodes[0].crash()
    world.network.partition([{1}, {2, 3}])
    world.nodes[1].submit(world.promise(1, 1).raw)
    assert words(1) == "1 transactions wait, v0 has proposed nothing for height 2"
    world.advance(4_000)
    assert words(1) == "changing to view 1: 1 of 3 VIEW-CHANGEs (v1)"
    world.close()


def test_the_page_of_a_node() -> None:
    metrics, counters = NodeMetrics(), Counter({"frames_sent": 7})
    ShellObserver(counters).alarm("CLOCK_SKEW", {})
    names = [f"node-{number}" for number in range(4)]
    metrics.read_from(lambda: WELL, lambda: counters, lambda: 5, lambda: 2, Peers((1, 2)), {1: 11}, names)
    metrics.verified(64, 0.002)
    metrics.sync.observe(0.004)
    lines = metrics.text().splitlines()
    for line in (
        "dualchain_final_height 12",
        "dualchain_halted 0",
        "dualchain_verification_backlog 5",
        "dualchain_equivocation_proofs 2",
        'dualchain_link_up{peer="node-3",direction="out"} 0',
        'dualchain_peer_final_height{peer="node-1"} 11',
        'dualchain_alarms_total{code="CLOCK_SKEW"} 1',
        'dualchain_alarms_total{code="EQUIVOCATION"} 0',
        'dualchain_events_total{event="frames_sent"} 7',
        "dualchain_sync_seconds_count 1",
        "dualchain_verification_signatures_sum 64",
    ):
        assert line in lines
    assert not [line for line in lines if line.startswith("#") is False and " " not in line]


async def _ask(address: str, request: bytes) -> bytes:
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request)
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    return answer


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", b"200 OK"),
        (b"HEAD /metrics?a=b HTTP/1.1\r\n\r\n", b"200 OK"),
        (b"GET / HTTP/1.1\r\n\r\n", b"404 Not Found"),
        (b"POST /metrics HTTP/1.1\r\n\r\n", b"405 Method Not Allowed"),
        (b"\x16\x03\x01", b"400 Bad Request"),
        (b"GET /metrics HTTP/1.1\r\n" + b"x" * MAX_REQUEST_BYTES, b"400 Bad Request"),
    ],
    ids=["get", "head", "elsewhere", "post", "no http", "endless"],
)
def test_the_metrics_port(request_bytes: bytes, status: bytes) -> None:
    async def story() -> None:
        port = MetricsPort(lambda: "metric 1\n")
        address = await port.start("127.0.0.1:0")
        try:
            answer = await _ask(address, request_bytes)
        finally:
            await port.stop()
        assert answer.startswith(b"HTTP/1.1 " + status)
        assert answer.endswith(b"metric 1\n") is request_bytes.startswith(b"GET /metrics HTTP/1.1\r\nH")

    asyncio.run(story())


def test_the_metrics_port_stays_on_this_machine_and_on_its_own_port() -> None:
    async def story() -> None:
        port = MetricsPort(lambda: "")
        with pytest.raises(NotLoopback):
            await port.start("0.0.0.0:0")
        address = await port.start("127.0.0.1:0")
        with pytest.raises(PortTaken):
            await MetricsPort(lambda: "").start(address)
        await port.stop()

    asyncio.run(story())
