"""Refusals that are held back: for the hint's time at most, and no more of them than there is room for."""

import asyncio

import pytest

from chain_core.network import held_refusals
from chain_core.network.held_refusals import IN_ALL, OF_ONE, HeldRefusals


def test_room(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def story() -> None:
        go = asyncio.Event()

        async def sleep(seconds: float) -> None:
            slept.append(seconds)
            await go.wait()

        monkeypatch.setattr(held_refusals.asyncio, "sleep", sleep)
        held = HeldRefusals()
        waiting = [asyncio.create_task(held.hold("villain", 30_000)) for _ in range(OF_ONE)]
        await asyncio.wait(waiting, timeout=0)
        assert held.held == OF_ONE
        await held.hold("villain", 30_000)  # no room: at once
        waiting += [asyncio.create_task(held.hold(f"crowd {n}", 200)) for n in range(IN_ALL)]
        await asyncio.wait(waiting, timeout=0)
        assert held.held == IN_ALL
        await held.hold("another", 200)
        go.set()
        await asyncio.gather(*waiting)
        assert held.held == 0
        await held.hold("another", 0)

    asyncio.run(story())
    assert slept.count(1.0) == OF_ONE
    assert set(slept) == {1.0, 0.2}
    assert len(slept) == IN_ALL
