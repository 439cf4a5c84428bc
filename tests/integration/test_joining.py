"""An empty node joins a chain whose blocks are pruned: it is killed half-way, resumes, and its votes count."""

from __future__ import annotations

import asyncio
import shutil
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from chain_core.ledger.store import KEPT_HEIGHTS
from chain_core.node.client import NodeClient
from chain_core.node.ledger_files import open_ledger
from chain_core.node.provision import NodePlan
from chain_core.types.errors import DualchainError
from local_chain.assembly import local_assembly
from tests.endurance.long_chain import grow
from tests.meta.sources import ROOT

pytestmark = pytest.mark.integration

BLOCKS = KEPT_HEIGHTS + 100
PATIENCE_S = 60.0


async def started(directory: Path, plan: NodePlan) -> Process:
    arguments = ("-m", "dualchain", "node", "run", "--config", str(directory / plan.name / "node.toml"))
    log = (directory / f"{plan.name}.log").open("ab")
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, cwd=ROOT, stdin=DEVNULL, stdout=PIPE, stderr=log
    )
    assert process.stdout is not None
    assert (await asyncio.wait_for(process.stdout.readline(), PATIENCE_S)).startswith(b"READY")
    return process


async def final_height(plan: NodePlan) -> int:
    async with NodeClient(f"{plan.host}:{plan.client_port}") as client:
        return (await client.status()).height


async def until(question: Callable[[], Awaitable[int]], least: int) -> int:
    """Waits for a height; a node that starts again in between is asked again."""
    end = time.monotonic() + PATIENCE_S
    height = -1
    while time.monotonic() < end:
        try:
            height = await question()
        except DualchainError:
            height = -1
        if height >= least:
            return height
        await asyncio.sleep(0.2)
    raise AssertionError(f"height {height} after {PATIENCE_S} s, {least} was expected")


async def joins(plan: NodePlan) -> None:
    """Until the node says that parts of a snapshot come in."""
    async with NodeClient(f"{plan.host}:{plan.client_port}") as client, asyncio.timeout(PATIENCE_S):
        while True:
            status = await client.status()
            if "joining by snapshot of height" in status.not_progressing:
                return
            assert status.height < BLOCKS, "it has joined already"


def test_an_empty_node_joins_by_snapshot(tmp_path: Path) -> None:
    directory = tmp_path / "network"
    often = {"idle_block_ms": 1_000}
    genesis, chain, plans, data = grow(directory, 5, BLOCKS, 4_000, time.time_ns() // 1_000_000, parameters=often)
    with open_ledger(data, local_assembly(genesis), genesis, chain) as store:
        while store.prune(BLOCKS):
            pass
    for plan in plans[1:4]:
        shutil.copytree(data, directory / plan.name / "data")
    for plan in plans:
        with (directory / plan.name / "node.toml").open("a") as file:
            file.write("\n[storage]\nsnapshot_distance = 100\n")
    joining = plans[4]

    async def story() -> None:
        running = [await started(directory, plan) for plan in plans[:4]]
        newcomer = await started(directory, joining)
        await joins(joining)
        newcomer.kill()
        await newcomer.wait()
        newcomer = await started(directory, joining)
        try:
            await until(lambda: final_height(joining), BLOCKS)
            assert "SNAPSHOT height=" in (directory / f"{joining.name}.log").read_text("utf-8")
            running[3].terminate()  # four of five are a quorum: from here on nothing is final without the newcomer
            await running[3].wait()
            reached = await final_height(plans[0])
            await until(lambda: final_height(plans[0]), reached + 2)
            await until(lambda: final_height(joining), reached + 2)
        finally:
            for process in (*running, newcomer):
                if process.returncode is None:
                    process.terminate()
                    await process.wait()
        assert newcomer.returncode == 0

    asyncio.run(story())
    with open_ledger(directory / joining.name / "data", local_assembly(genesis), genesis, chain) as store:
        assert store.pruning.height >= BLOCKS and store.block(store.final_height) is not None
        proof = store.history.prove_beginning(BLOCKS // 2, store.final_height)
        assert proof.second == store.final_height
