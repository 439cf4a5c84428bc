"""A relayer is told of what happens and carries it at once; many blocks in few transactions; racing others."""

from __future__ import annotations

import asyncio
import logging
import urllib.request
from collections.abc import Coroutine, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chain_core._pb.dualchain.node.v1 import node_pb2 as pb
from chain_core.codec.seen import state_key
from chain_core.network.refusals import ServiceRefusal
from chain_core.types.errors import InvalidProof
from crosschain.following import decode_position
from crosschain.packets import supervision_key
from crosschain.relayer import link as link_module
from crosschain.relayer.link import Behind, Overtaken
from crosschain.relayer.news import HEADERS_ONLY
from crosschain.relayer.planner import MAX_HEADERS
from crosschain.relayer.worker import Relayer
from tests.integration.network import drawn_ports
from tests.integration.served_chain import Served, serve
from tests.unit.crosschain.chains import Layers

SELDOM_MS = 60_000
"""Polling alone would not carry anything within a test's patience."""


@pytest.fixture
def layers(tmp_path: Path) -> Iterator[Layers]:
    made = Layers.begin(tmp_path)
    made.register()
    yield made
    made.close()


def run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(story, 50))


def reports(layers: Layers) -> int:
    row = layers.supervisory.value(state_key("inbox", b"r" + layers.local.hash))
    return int(row["reports"]) if isinstance(row, dict) else 0  # type: ignore[arg-type]


class Told:
    """A relayer that looks by itself only once a minute, and the moments at which something is done."""

    def __init__(self, served: Served, **changes: Any) -> None:
        self.served = served
        assignment = replace(served.assignment, poll_ms=SELDOM_MS, **changes)
        layers = served.layers
        self.relayer = Relayer(assignment, lambda: max(layers.supervisory.time_ms, layers.local.time_ms))
        self._block = asyncio.Event()
        for chain in (layers.supervisory, layers.local):
            self._watch(chain)

    def _watch(self, chain: Any) -> None:
        made = chain.block

        def block(*envelopes: Any, after_ms: int = 1_000) -> Any:
            receipts = made(*envelopes, after_ms=after_ms)
            self._block.set()
            return receipts

        chain.block = block

    async def __aenter__(self) -> Told:
        ready = asyncio.Event()
        self._working = asyncio.create_task(self.relayer.run(ready.set))
        await ready.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.relayer.stop()
        await self._working

    async def until(self, holds: Any) -> None:
        while not holds():
            self._block.clear()
            await self._block.wait()

    async def listening(self) -> None:
        """Both chains tell it."""
        for nodes in (self.served.above, self.served.below):
            await nodes[0].subscribed.acquire()


def test_packets_and_directives_are_carried_on_news_without_polling(layers: Layers) -> None:
    async def story() -> None:
        async with serve(layers) as served, Told(served) as told:
            await told.listening()
            layers.business("S1")
            await told.until(lambda: reports(layers) == 1)
            layers.direct("freeze_holder", "holder")
            await told.until(lambda: decode_position(layers.local.store.get(supervision_key())).count == 1)
            layers.business("S2")
            await told.until(lambda: reports(layers) == 2)

    run(story())


def test_a_node_that_lies_about_news_is_reported_and_another_one_heard(
    layers: Layers, caplog: pytest.LogCaptureFixture
) -> None:
    def lie(method: str, data: bytes) -> bytes:
        if method != "Subscribe":
            return data
        message = pb.SubscribeResponse.FromString(data)
        message.header.header = message.header.header[:300] + bytes(1) + message.header.header[301:]
        return message.SerializeToString()

    async def story() -> None:
        async with serve(layers, below=lie) as served:
            local = served.relayer.local
            with caplog.at_level(logging.WARNING, "crosschain"):
                heard = local.listen(HEADERS_ONLY, lambda header, block: True)
                first = asyncio.ensure_future(anext(heard))
                await served.below[0].subscribed.acquire()
                layers.business("S1")
                with pytest.raises(InvalidProof):
                    await first
            assert f"node={served.below[0].address}" in caplog.text
            heard = local.listen(HEADERS_ONLY, lambda header, block: True)
            first = asyncio.ensure_future(anext(heard))
            await served.below[1].subscribed.acquire()
            layers.business("S2")
            assert (await first).height == layers.local.height
            await heard.aclose()

    run(story())


def test_a_node_that_falls_silent_is_left(layers: Layers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "SILENCE_S", 0.05)

    async def story() -> None:
        async with serve(layers) as served:
            with pytest.raises(ServiceRefusal, match="no block"):
                await anext(served.relayer.local.listen(HEADERS_ONLY, lambda header, block: True))

    run(story())


def test_nothing_is_planned_on_a_state_below_the_block_it_was_told_of(layers: Layers) -> None:
    old: list[bytes] = []

    def lag(method: str, data: bytes) -> bytes:
        if method == "QueryState":
            old.append(data)
            return old[0]
        return data

    async def story() -> None:
        async with serve(layers, below=lag) as served:
            layers.local.block()
            local = served.relayer.local
            await served.relayer.read_source()
            heard = local.listen(HEADERS_ONLY, lambda header, block: True)
            first = asyncio.ensure_future(anext(heard))
            await served.below[0].subscribed.acquire()
            layers.business("S1")
            await first
            source = await served.relayer.read_source()
            assert source is not None and source.height == layers.local.height, "the other node is asked"
            served.below[1].alter = lag
            with pytest.raises(Behind):
                await served.relayer.read_source()
            await heard.aclose()

    run(story())


def test_a_backlog_goes_in_few_transactions_and_each_block_is_read_once(layers: Layers) -> None:
    blocks = 2 * MAX_HEADERS + 6
    for number in range(blocks):
        layers.business(f"S{number}")
    layers.supervisory.time_ms = layers.local.time_ms

    async def story() -> None:
        async with serve(layers) as served:
            assert await served.until_idle() == 3 + 1, "and one header down"
            assert reports(layers) == blocks
            calls = served.below[0].calls + served.below[1].calls
            assert calls["GetOutbox"] == blocks
            assert calls["GetHeaders"] <= 6
            assert f'dualchain_relayer_packets_total{{way="up"}} {blocks}' in served.relayer.metrics.text()

    run(story())


def test_the_slower_of_two_is_overtaken_and_counts_it(layers: Layers) -> None:
    async def story() -> None:
        async with serve(layers) as served:
            other = Relayer(served.assignment, lambda: max(layers.supervisory.time_ms, layers.local.time_ms))
            layers.business("S1")
            first, second = await asyncio.gather(served.relayer.step_up(), other.step_up(), return_exceptions=True)
            assert sorted(map(repr, (first is True, second is True))) == ["False", "True"]
            assert isinstance(first if second is True else second, Overtaken)
            assert reports(layers) == 1
            await other.close()

    run(story())


def test_two_that_race_carry_everything_once(layers: Layers) -> None:
    async def story() -> None:
        async with serve(layers) as served, Told(served) as one, Told(served) as other:
            await one.listening()
            for number in range(5):
                layers.business(f"S{number}")
                layers.direct("freeze_holder", "holder", reference=f"example {number}")
                await one.until(lambda: reports(layers) == number + 1)  # noqa: B023
            await other.until(lambda: decode_position(layers.local.store.get(supervision_key())).count == 5)
            sent = {(await one.relayer.read_source()).sent["directive"]}  # type: ignore[union-attr]
            assert sent == {5}

    run(story())


def test_its_metrics_are_served_while_it_runs(layers: Layers) -> None:
    async def story() -> None:
        (port,) = drawn_ports(1)
        async with serve(layers) as served, Told(served, metrics=f"127.0.0.1:{port}") as told:
            await told.listening()
            layers.business("S1")
            await told.until(lambda: reports(layers) == 1)
            layers.business("S2")  # what is counted of the first is there when the second is carried
            await told.until(lambda: reports(layers) == 2)
            page = await asyncio.to_thread(
                lambda: urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20).read().decode()
            )
            lines = dict(line.rsplit(" ", 1) for line in page.splitlines() if not line.startswith("#"))
            assert int(lines['dualchain_relayer_packets_total{way="up"}']) in (1, 2)
            assert int(lines['dualchain_relayer_submit_seconds_count{way="up"}']) in (1, 2)
            assert lines['dualchain_relayer_frozen{way="up"}'] == "0"
            assert lines['dualchain_relayer_pending{way="up"}'] in ("0", "1")

    run(story())
