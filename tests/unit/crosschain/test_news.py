"""Which blocks a relayer is called for: 35 of them listen to one supervisory chain, each for its own chain."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from dataclasses import replace
from typing import cast

import pytest

from chain_core.codec.block import decode_header
from chain_core.codec.values import encode_value
from chain_core.network.refusals import Unreachable
from chain_core.node.answers import CertifiedHeader, ProvenReceipt, SubscribedBlock
from chain_core.node.event_filter import EventFilter
from chain_core.types.block import Header
from crosschain.relayer import news as module
from crosschain.relayer.link import ChainLink
from crosschain.relayer.news import DECISIONS, News
from tests.unit.crosschain.chains import Layers

OURS, OTHERS = bytes([7]) * 32, bytes([8]) * 32


class FakeLink:
    """Tells of blocks, one subscription after the other, then nothing any more."""

    name = "supervisory"

    def __init__(self, *streams: list[tuple[Header, bytes]]) -> None:
        self.streams = list(streams)
        self.wanted: list[EventFilter] = []
        self.over = asyncio.Event()

    async def listen(
        self, wanted: EventFilter, matters: Callable[[Header, SubscribedBlock], bool]
    ) -> AsyncGenerator[Header, None]:
        self.wanted.append(wanted)
        if not self.streams:
            self.over.set()
            await asyncio.Event().wait()
        for header, events in self.streams.pop(0):
            told = ((cast(ProvenReceipt, None), events),) if events else ()
            if matters(header, SubscribedBlock(CertifiedHeader(b"", b""), told, False)):
                yield header
        raise Unreachable("it is gone")


def calls(*streams: list[tuple[Header, bytes]]) -> int:
    """How often the bell rang."""
    rung = []

    async def story() -> None:
        link = FakeLink(*streams)
        news = News(cast(ChainLink, link), DECISIONS, OURS, lambda: rung.append(1))
        following = asyncio.create_task(news.follow())
        await link.over.wait()
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following
        assert link.wanted == [DECISIONS] * (len(streams) + 1)

    asyncio.run(asyncio.wait_for(story(), 20))
    return len(rung)


@pytest.fixture
def quiet(layers: Layers, monkeypatch: pytest.MonkeyPatch) -> Header:
    """A header of height 1 in whose block nothing happened."""
    monkeypatch.setattr(module, "FIRST_PAUSE_S", 0.0)
    layers.local.block()
    header = decode_header(layers.local.certified(1)[0])
    assert not header.outbox_count and header.next_validator_set_hash == header.validator_set_hash
    return header


def issued(chain: bytes) -> bytes:
    return encode_value([["directives", "issued", {"chain": chain, "sequence": 1}]])


def test_it_is_called_for_what_concerns_its_chain(quiet: Header) -> None:
    first = (quiet, b"")
    second = replace(quiet, height=2)
    assert calls([first, (second, b"")]) == 0
    assert calls([first, (second, issued(OTHERS))]) == 0
    assert calls([first, (second, issued(OURS))]) == 1
    assert calls([first, (replace(second, outbox_count=1), b"")]) == 1
    assert calls([first, (replace(second, next_validator_set_hash=bytes(32)), b"")]) == 1


def test_heights_that_were_not_told_one_by_one_may_have_held_something(quiet: Header) -> None:
    later = replace(quiet, height=5)
    assert calls([(quiet, b""), (later, b""), (replace(quiet, height=6), b"")]) == 1
    assert calls([(later, b"")]) == 1, "between two subscriptions too"
    assert calls([(later, b"")], [(replace(quiet, height=6), b"")]) == 2
