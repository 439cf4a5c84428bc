"""Requests and answers over real gRPC: the relayer's third loop brings them down, and refunds what came too late."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from chain_core.types.values import Value
from crosschain.channel import Source
from crosschain.channel_state import decode_source, source_key
from crosschain.relayer.service_courier import ServiceCourier
from tests.integration.served_chain import Served, serve
from tests.unit.crosschain.chains import Chain, Layers, account, op


@pytest.fixture
def layers(tmp_path: Path) -> Iterator[Layers]:
    made = Layers.begin(tmp_path)
    made.register()
    assert made.supervisory.one("csrc-1", op("channel", "grant", account=account("desk"), units=9)).code == 0
    assert made.local.one("operator", op("channel", "grant", account=account("issuer"), units=9)).code == 0
    yield made
    made.close()


def asked(chain: Chain, peer: Chain) -> Source:
    return decode_source(chain.store.get(source_key(chain.hash, peer.hash)))


def ask(layers: Layers, wait_ms: int) -> None:
    """One request each way."""
    above, local = layers.supervisory, layers.local
    down: dict[str, Value] = {"service": "roll_head", "arguments": {"security": bytes(16)}}
    up: dict[str, Value] = {"service": "party_status", "arguments": {"entity": "x"}}
    request = op("channel", "request", chain=local.hash, timeout_ms=above.time_ms + wait_ms, **down)
    assert above.one("desk", request).code == 0
    assert local.one("issuer", op("channel", "request", timeout_ms=local.time_ms + wait_ms, **up)).code == 0


async def until_idle(served: Served) -> None:
    relayer = served.relayer
    services = ServiceCourier(
        relayer.supervisory, relayer.local, lambda link, plan: relayer._carry("services", link, plan)
    )
    while await served.until_idle() + await services.step():
        pass
    services.close()


def test_both_ways_in_time_and_too_late(layers: Layers) -> None:
    async def story() -> None:
        above, local = layers.supervisory, layers.local
        async with serve(layers) as served:
            layers.business("S1")
            await served.until_idle()
            ask(layers, 60_000)
            await until_idle(served)
            assert (asked(above, local).answered, asked(local, above).answered) == (1, 1)
            ask(layers, 3_000)
            above.block(after_ms=5_000)
            local.block(after_ms=5_000)
            await until_idle(served)
            for source in (asked(above, local), asked(local, above)):
                assert (source.waiting, source.answered, source.refunded, source.broken) == ((), 1, 1, 0)

    asyncio.run(asyncio.wait_for(story(), 60))
