"""Runs of the demonstration that do not go as usual: edited input, Ctrl-C, a process that dies, a taken port."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import signal
import socket
from pathlib import Path

import pytest

from dualchain.demo.days import Calendar
from dualchain.demo.layout import lay_out
from dualchain.demo.processes import ProcessFailed, ProcessGroup
from tests.integration.demo_runs import alive, dualchain, left, pids, run_demo, smaller_input, started


def test_edited_input_is_refused_until_mended_and_then_followed(tmp_path: Path) -> None:
    inputs = smaller_input(tmp_path / "inputs")
    lines = (inputs / "orders.csv").read_text("utf-8").splitlines()
    cells = lines[1].split(",")
    security, before = cells[2], int(cells[5])
    cells[5] = str(before - 900)
    lines[1] = ",".join(cells)
    broken = [*lines[:4], lines[4].replace(",", ";"), *lines[5:]]
    (inputs / "orders.csv").write_text("\n".join(broken) + "\n", "utf-8")
    work = tmp_path / "work"
    found = dualchain("demo", "run", "--work-dir", work, "--input", inputs)
    assert found.returncode == 1 and found.stdout == "" and not work.exists()
    assert "BAD_INPUT" in found.stderr and "orders.csv, line 5, column 2" in found.stderr

    (inputs / "orders.csv").write_text("\n".join(lines) + "\n", "utf-8")
    mended = run_demo(work, "--input", inputs)
    market = mended.summary["markets"]["BJ"]
    settled = {row["order"] for row in market["orders"] if row["outcome"] == "settled"}
    with (inputs / "orders.csv").open(encoding="utf-8") as stream:
        moved = sum(
            int(row["quantity"])
            for row in csv.DictReader(stream)
            if row["security_code"] == security and row["order"] in settled
        )
    assert cells[0] in settled and market["securities"][security]["moved"] == moved
    assert dualchain(*mended.verify()).returncode == 0
    assert left(work) == [] and not (work / "processes.json").exists()


def test_ctrl_c_in_the_middle_stops_everything_and_a_second_one_does_no_harm(tmp_path: Path) -> None:
    work = tmp_path / "work"
    with started(work, "processes 节点启动") as process:
        running = pids(work)
        assert len(running) == 12 and all(alive(pid) for pid in running)
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        for line in process.stdout:
            if "ending all processes" in line:
                break
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (130, "")
    assert left(work) == [] and not (work / "processes.json").exists()


def test_a_process_that_dies_ends_the_story_with_its_log(tmp_path: Path) -> None:
    work = tmp_path / "work"
    with started(work, "processes 节点启动") as process:
        running = json.loads((work / "processes.json").read_text("utf-8"))
        os.kill(running["js-2"], signal.SIGKILL)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1 and errors.startswith("PROCESS_FAILED: js-2 ended") and "Traceback" not in errors
    assert str(work / "logs" / "js-2.log") in errors
    assert left(work) == []


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    chains = lay_out(tmp_path, Calendar(frozenset(), frozenset()), 1_790_000_000_000).chains
    chain = chains["BJ"]
    plan = chain.plans[0]
    group = ProcessGroup(tmp_path / "logs")

    async def start() -> None:
        try:
            await group.start_all({plan.name: chain.commands()[plan.name]}, 60)
        finally:
            await group.stop()

    with socket.socket() as taken:
        taken.bind((plan.host, plan.client_port))
        taken.listen()
        with pytest.raises(ProcessFailed, match="PORT_TAKEN"):
            asyncio.run(start())
