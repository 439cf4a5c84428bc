"""The small parts around the replica: log lines, timers, what status says in words."""

import asyncio
import io
import json
import logging
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from chain_core.consensus.inputs import Timer
from chain_core.network.roster import Roster
from chain_core.node.assembly import Assembly, UnknownKind, assembly_for
from chain_core.node.log import event, set_up
from chain_core.node.loop_ports import KEPT_ALARMS, LoopTimers, ShellObserver, SystemClock
from chain_core.node.ports import FinalBlock
from chain_core.node.queries import PAGE_BYTES, _page
from chain_core.node.status import Standing, StatusReport
from tests.vectors.samples import local_genesis

log = logging.getLogger("chain_core.node.test")


@pytest.fixture(autouse=True)
def restored_log() -> Iterator[None]:
    root = logging.getLogger("chain_core")
    before = (root.handlers[:], root.level, root.propagate)
    yield
    root.handlers[:], root.level, root.propagate = before[0], before[1], before[2]


def test_text_lines() -> None:
    stream = io.StringIO()
    set_up("info", "text", stream)
    event(log, logging.INFO, "READY", {"chain": "a", "height": 7, "reason": "two words", "empty": "", "q": 'a"b'})
    event(log, logging.DEBUG, "FINAL", {"height": 8})
    log.warning("plain %s", "text")
    first, second = stream.getvalue().splitlines()
    assert first.partition(" ")[2] == 'INFO READY chain=a height=7 reason="two words" empty="" q="a\\"b"'
    assert first.partition(" ")[0].endswith("Z")
    assert second.partition(" ")[2] == "WARNING plain text"


def test_json_lines() -> None:
    stream = io.StringIO()
    set_up("debug", "json", stream)
    event(log, logging.INFO, "FINAL", {"height": 7, "地": "北京"})
    try:
        raise ZeroDivisionError("no")
    except ZeroDivisionError:
        log.exception("DEFECT")
    rows = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert (rows[0]["event"], rows[0]["height"], rows[0]["地"], rows[0]["level"]) == ("FINAL", 7, "北京", "INFO")
    assert "ZeroDivisionError" in rows[1]["traceback"]


def test_timers_fire_once_are_restarted_and_cancelled() -> None:
    async def story() -> None:
        fired: list[Timer] = []
        done = asyncio.Event()

        def fire(timer: Timer) -> None:
            fired.append(timer)
            done.set()

        timers = LoopTimers(fire)
        timers.set(Timer.ORDER, 3_600_000)
        timers.set(Timer.ORDER, 1)
        timers.set(Timer.RESEND, 1)
        timers.cancel(Timer.RESEND)
        timers.cancel(Timer.RESEND)
        await asyncio.wait_for(done.wait(), 10)
        assert fired == [Timer.ORDER]
        timers.set(Timer.ORDER, 3_600_000)
        timers.set(Timer.RESEND, 3_600_000)
        timers.cancel_all()
        assert not timers._running

    asyncio.run(story())


def test_the_clock_counts_milliseconds() -> None:
    assert abs(SystemClock().now_ms() - time.time() * 1_000) < 5_000


def test_the_observer_tells_counts_and_remembers() -> None:
    blocks: list[int] = []
    halts: list[str] = []
    counters: Counter[str] = Counter()
    observer = ShellObserver(counters, on_halt=lambda: halts.append("halt"))
    observer.told.append(lambda block: blocks.append(block.height))
    observer.finalised(FinalBlock(3, b"", b"", (), (b"r", b"s")))
    for number in range(KEPT_ALARMS + 5):
        observer.alarm("CLOCK_SKEW", {"number": number})
    observer.halted("EXECUTION_DIVERGED", {"height": 4})
    assert (blocks, halts) == ([3], ["halt"])
    assert counters["transactions_final"] == 2
    assert len(observer.alarms) == KEPT_ALARMS
    assert observer.halt == "EXECUTION_DIVERGED height=4"


@dataclass
class Peers:
    reached: tuple[int, ...]

    def connected_out(self, peer: int) -> bool:
        return peer in self.reached

    def connected_in(self, peer: int) -> bool:
        return peer in self.reached

    def addresses(self) -> dict[int, str]:
        return {peer: f"127.0.0.1:{7000 + peer}" for peer in (1, 2, 3)}


WELL = Standing(12, 0, 1, False, "", "", False, "", 0, 0, "no work", 0.1)

OBSTACLES: dict[str, tuple[Standing, tuple[int, ...], str]] = {
    "nothing": (WELL, (1, 2, 3), ""),
    "a quorum is enough": (WELL, (1, 2), ""),
    "alone": (WELL, (), "1 of 4 validators are connected here, a quorum is 3 (node-1, node-2, node-3 cannot be"),
    "one short": (WELL, (3,), "2 of 4 validators"),
    "halted": (replace(WELL, halted="EXECUTION_DIVERGED"), (1, 2, 3), "stopped voting: EXECUTION_DIVERGED"),
    "silent": (replace(WELL, silent="asking the others"), (1, 2, 3), "asking the others"),
    "behind": (replace(WELL, behind=True), (1, 2, 3), "fetching blocks above 12 from the others (node-1 is at 11)"),
    "joining": (replace(WELL, silent="fetching", behind=True, joining="buckets 3 of 9"), (1, 2, 3), "buckets 3 of 9"),
    "view change": (replace(WELL, view_changing=True, activity="changing to view 2"), (1, 2, 3), "changing to view 2"),
    "slow primary": (
        replace(WELL, pool_transactions=5, activity="they wait", quiet_s=9.0),
        (1, 2, 3),
        "they wait, for 9 s",
    ),
    "idle": (replace(WELL, quiet_s=900.0), (1, 2, 3), ""),
    "busy": (replace(WELL, pool_transactions=5, quiet_s=0.2), (1, 2, 3), ""),
}


class Standpoint:
    """The first of the validators."""

    name = "node-0"
    index = 0
    validators = local_genesis().validators
    roster = Roster(tuple(v.name for v in validators.validators), {})


@pytest.mark.parametrize(("standing", "reached", "words"), OBSTACLES.values(), ids=OBSTACLES)
def test_why_no_block_is_made(standing: Standing, reached: tuple[int, ...], words: str) -> None:
    report = StatusReport(
        local_genesis(),
        b"g" * 32,
        Standpoint(),
        "1.0",
        "local",
        "openssl",
        lambda: standing,
        Peers(reached),
        {1: 11},
        Counter,
        time.monotonic(),
    ).report()
    assert (words in report.not_progressing) if words else report.not_progressing == ""
    assert report.summary.startswith("node-0 of local-vectors: height 12, view ")
    assert report.summary.endswith(report.not_progressing or "all is well")
    assert [(peer.name, peer.final_height) for peer in report.peers] == [("node-1", 11), ("node-2", 0), ("node-3", 0)]


def test_the_kind_of_chain_chooses_the_assembly() -> None:
    chosen = assembly_for(local_genesis(), {"local": lambda genesis: Assembly(genesis.market)})
    assert chosen.name == "BJ"
    with pytest.raises(UnknownKind, match="of kind local; this build runs supervisory"):
        assembly_for(local_genesis(), {"supervisory": lambda genesis: Assembly("x")})


@pytest.mark.parametrize(
    ("sizes", "count"),
    [([], 0), ([1, 2], 2), ([PAGE_BYTES + 1], 1), ([PAGE_BYTES, 1], 1), ([1, PAGE_BYTES], 1), ([1, PAGE_BYTES - 1], 2)],
)
def test_pages(sizes: list[int], count: int) -> None:
    assert _page(sizes) == count
