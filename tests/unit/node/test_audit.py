"""The audit record: chained lines, what damage is found, what a full disk refuses, what a flood of refusals costs."""

import asyncio
import errno
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from chain_core.network.refusals import AuditUnavailable
from chain_core.node import audit_series
from chain_core.node.audit import AuditLog, Clocks
from chain_core.node.audit_format import READS, REFUSALS, encode, link, segments, verify
from chain_core.node.audit_series import Origin

FACTS = {"by": {"kind": "sm", "name": "证监会", "cert": "ab", "at": "10.0.0.1"}, "method": "/s/M", "object": "height 7"}
SECRET = "a private key"


class World:
    """A record in a directory, and what the operator was told."""

    def __init__(self, directory: Path, **sizes: int) -> None:
        self.directory, self.sizes = directory / "audit", sizes
        self.alarms: list[tuple[str, dict[str, Any]]] = []
        self.ns = 0

    def within(self, story: Callable[[AuditLog], Awaitable[None]]) -> None:
        async def go() -> None:
            clocks = Clocks(lambda: 1_700_000_000_000, lambda: self.ns)
            audit = AuditLog(self.directory, Origin("cd" * 32, "one"), clocks, self._alarm, **self.sizes)
            running = asyncio.create_task(audit.run())
            try:
                await story(audit)
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
                await audit.close()

        asyncio.run(go())

    def _alarm(self, code: str, facts: dict[str, Any]) -> None:
        self.alarms.append((code, facts))

    def reads(self, count: int) -> None:
        async def story(audit: AuditLog) -> None:
            await asyncio.gather(*(audit.read({**FACTS, "number": number}) for number in range(count)))

        self.within(story)

    def lines(self, series: str = READS) -> list[str]:
        return [line for path in segments(self.directory, series) for line in path.read_text("ascii").splitlines()]


def test_each_line_follows_from_the_one_before(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.reads(3)
    world.reads(2)
    chain = "0" * 64
    for line in world.lines():
        chain = link(chain, line[65:])
        assert line[:64] == chain
    verdict = verify(world.directory, READS)
    assert (verdict.good, verdict.records, verdict.head) == (True, 6, chain)
    (path,) = segments(world.directory, READS)
    assert path.stat().st_mode & 0o777 == 0o600
    assert "\\u8bc1" in path.read_text("ascii")  # one form: ASCII, whatever the certificate names


def test_segments_go_on_from_one_another_and_old_ones_may_be_archived(tmp_path: Path) -> None:
    world = World(tmp_path, reads_bytes=600)
    for _ in range(6):
        world.reads(2)
    found = segments(world.directory, READS)
    assert len(found) > 3
    assert verify(world.directory, READS).good
    head = verify(world.directory, READS).head
    found[0].unlink()
    found[1].unlink()
    assert verify(world.directory, READS, [head]).good
    world.reads(1)
    assert verify(world.directory, READS, [head]).good
    found[3].rename(tmp_path / "elsewhere")
    (damage,) = verify(world.directory, READS).damage
    assert "segment 3 is missing" in damage


def change(lines: list[str], at: int, text: str) -> list[str]:
    return [*lines[:at], lines[at][:65] + text, *lines[at + 1 :]]


def rechained(lines: list[str], at: int) -> list[str]:
    """Line ``at`` with the right chain for itself: what a forger would do, if he stopped there."""
    text = lines[at][65:]
    return [*lines[:at], f"{link(lines[at - 1][:64], text)} {text}", *lines[at + 1 :]]


@pytest.mark.parametrize(
    ("tamper", "line", "what"),
    [
        (lambda rows: change(rows, 2, rows[2][65:].replace("height 7", "height 8")), 3, "is not the SM3"),
        (lambda rows: rechained(change(rows, 2, rows[2][65:].replace("7", "8")), 2), 4, "is not the SM3"),
        (lambda rows: [*rows[:2], *rows[3:]], 3, "record 3 stands where record 2 should"),
        (lambda rows: [*rows[:3], rows[2], *rows[3:]], 4, "record 2 stands where record 3"),
        (lambda rows: [rows[0], rows[2], rows[1], *rows[3:]], 2, "record 2 stands where record 1"),
        (lambda rows: rechained(change(rows, 2, rows[2][65:].replace(",", ", ", 1)), 2), 3, "one form"),
        (lambda rows: change(rows, 2, "[]"), 3, "no object"),
        (lambda rows: change(rows, 2, "{"), 3, "no JSON"),
        (lambda rows: [*rows[:2], "nonsense", *rows[3:]], 3, "64 hexadecimal digits"),
        (lambda rows: rows[1:], 1, "begin record"),
    ],
)
def test_verify_names_the_first_line_that_does_not_follow(
    tmp_path: Path, tamper: Callable[[list[str]], list[str]], line: int, what: str
) -> None:
    world = World(tmp_path)
    world.reads(5)
    (path,) = segments(world.directory, READS)
    path.write_text("".join(f"{row}\n" for row in tamper(world.lines())), "ascii")
    (damage,) = verify(world.directory, READS).damage
    assert what in damage
    assert f"line {line})" in damage
    world.reads(1)  # the node goes on in a segment that says so
    assert [code for code, _ in world.alarms] == ["AUDIT_DAMAGED"]
    told = verify(world.directory, READS).damage
    assert told[0] == damage
    assert "tells" in told[1]


def test_a_cut_end_shows_only_against_a_head(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.reads(3)
    head = verify(world.directory, READS).head
    (path,) = segments(world.directory, READS)
    path.write_text("".join(f"{row}\n" for row in world.lines()[:-1]), "ascii")
    assert verify(world.directory, READS).good
    assert verify(world.directory, READS, [head]).missing == (head,)


@pytest.mark.parametrize("kept", [1, 40, 400])
def test_half_a_line_is_cut_off_at_the_next_start(tmp_path: Path, kept: int) -> None:
    world = World(tmp_path)
    world.reads(2)
    (path,) = segments(world.directory, READS)
    whole = path.read_bytes()
    torn = max(kept, 1)
    path.write_bytes(whole + whole[-500:][:torn].replace(b"\n", b"x"))
    assert verify(world.directory, READS).torn
    world.reads(1)
    assert verify(world.directory, READS).good
    assert not verify(world.directory, READS).torn
    assert path.read_bytes().startswith(whole)
    assert world.alarms == []


def test_a_segment_begun_and_not_finished_is_begun_again(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.reads(2)
    (world.directory / "reads-0000000001.log").write_bytes(b"0123")
    world.reads(1)
    assert verify(world.directory, READS).good
    assert len(segments(world.directory, READS)) == 1


def test_a_full_disk_refuses_the_read_and_room_lets_it_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world, full = World(tmp_path), [False]
    honest = os.write

    def write(file: int, data: bytes) -> int:
        if full[0]:
            honest(file, bytes(data)[:10])  # some of it still finds room
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return honest(file, data)

    monkeypatch.setattr(audit_series.os, "write", write)

    async def story(audit: AuditLog) -> None:
        await audit.read(FACTS)
        full[0] = True
        with pytest.raises(AuditUnavailable, match="No space left") as refused:
            await audit.read(FACTS)
        assert refused.value.retry_after_ms > 0
        with pytest.raises(AuditUnavailable):
            await audit.read(FACTS)
        full[0] = False
        audit._not_before = 0.0
        await audit.read(FACTS)

    world.within(story)
    assert [code for code, _ in world.alarms] == ["AUDIT_FAILED"]
    assert verify(world.directory, READS).good
    assert len(world.lines()) == 3  # begin, and the two that were let through


def test_a_failed_sync_refuses_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path)

    async def story(audit: AuditLog) -> None:
        await audit.read(FACTS)

        def fail(_: int) -> None:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        monkeypatch.setattr(audit_series.os, "fdatasync", fail)
        with pytest.raises(AuditUnavailable, match="Input/output"):
            await audit.read(FACTS)
        monkeypatch.undo()

    world.within(story)
    assert verify(world.directory, READS).good


def test_a_flood_of_refusals_is_counted_and_not_written(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def story(audit: AuditLog) -> None:
        for _ in range(10_000):
            audit.refused({**FACTS, "rule": "QUOTA_EXCEEDED"})
        world.ns += 50_000_000
        audit.refused({**FACTS, "rule": "PERMISSION_DENIED"})

    world.within(story)
    lines = world.lines(REFUSALS)
    assert len(lines) == 1 + 200 + 1
    assert '"suppressed":9800' in lines[-1]
    assert verify(world.directory, REFUSALS).good


def test_refusals_are_a_ring(tmp_path: Path) -> None:
    world = World(tmp_path, refusals_bytes=500)
    for _ in range(20):
        world.ns += 1_000_000_000

        async def story(audit: AuditLog) -> None:
            for _ in range(3):
                audit.refused(FACTS)

        world.within(story)
    assert len(segments(world.directory, REFUSALS)) == audit_series.RING
    verdict = verify(world.directory, REFUSALS)
    assert verdict.good
    assert verdict.first_segment > 0


def test_who_waits_when_the_node_stops_is_refused(tmp_path: Path) -> None:
    world, asked = World(tmp_path), []

    async def story(audit: AuditLog) -> None:
        asked.append(asyncio.create_task(audit.read(FACTS)))
        await asyncio.sleep(0)

    async def refused(audit: AuditLog) -> None:
        await story(audit)

    world.within(refused)
    assert all(task.done() for task in asked)


def test_the_one_form() -> None:
    assert encode({"b": 1, "a": {"y": "é", "x": [1, 2]}}) == '{"a":{"x":[1,2],"y":"\\u00e9"},"b":1}'
