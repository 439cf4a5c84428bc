"""Under load, kill -9 a backup, then the primary, then all four nodes: what was final stays, the chain resumes."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from benchmarks.market_load import Market
from tests.integration.market_story import check_everything, market_under_load

RESUME_S = 10.0


async def restart(market: Market, names: list[str]) -> float:
    """Start nodes again; the moment the q-th node said READY."""
    commands = {name: ["node", "run", "--config", str(market.directory / name / "node.toml")] for name in names}
    started = [await market.group.start(name, command) for name, command in commands.items()]
    moments: list[float] = []

    async def ready(one: int) -> None:
        await market.group.ready(started[one], 60)
        moments.append(time.monotonic())

    await asyncio.gather(*(ready(i) for i in range(len(started))))
    quorum = market.view.genesis.validators.q
    alive_before = len(market.plans) - len(names)
    return sorted(moments)[max(0, quorum - alive_before - 1)]


async def story(directory: Path) -> None:
    async with market_under_load(directory) as (market, load):
        primary, backup, names = "node-0", "node-2", [plan.name for plan in market.plans]
        await market.group.kill(backup)
        await load.more()
        await restart(market, [backup])
        await load.more()
        await market.group.kill(primary)
        await load.more()
        await restart(market, [primary])
        await load.more()
        for name in names:
            await market.group.kill(name)
        before = len(load.final)
        quorum_ready = await restart(market, names)
        await load.more()
        assert len(load.final) > before
        assert time.monotonic() - quorum_ready < RESUME_S
        await load.end()
        await check_everything(market, load)


def test_kill_a_backup_the_primary_and_all_four_under_load(tmp_path: Path) -> None:
    asyncio.run(story(tmp_path / "network"))
