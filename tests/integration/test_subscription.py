"""Following final events: stored blocks, then live ones, filtered, verified; slow readers, liars and restarts."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import pytest

from chain_core._pb.dualchain.node.v1 import node_pb2 as pb
from chain_core.network.raw_rpc import RawChannel, RawServer, ServerStream
from chain_core.network.refusals import NotFound, Overloaded, SlowReader, WrongChain
from chain_core.node import subscriptions as module
from chain_core.node.api_names import method_name
from chain_core.node.client import NodeClient
from chain_core.node.event_filter import EventFilter
from chain_core.node.event_stream import EventBlock, EventStream
from chain_core.types.errors import InvalidProof, MalformedBytes
from tests.integration.network import Network, lay_out, run

pytestmark = pytest.mark.integration
SUBSCRIBE = method_name("Subscribe")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    lay_out(tmp_path / "net")
    return tmp_path / "net"


async def make(network: Network, count: int = 1) -> None:
    client = network.client("one")
    alice, bob = network.wallets["alice"], network.wallets["bob"]
    for _ in range(count):
        await client.submit_until_final([alice.transfer(bob.account, 5), bob.transfer(alice.account, 2)])
    await client.close()


async def read(stream: EventStream, transactions: int) -> list[EventBlock]:
    found: list[EventBlock] = []
    async with asyncio.timeout(30), aclosing(stream.blocks()) as blocks:
        async for block in blocks:
            found.append(block)
            if sum(len(one.transactions) for one in found) >= transactions:
                break
    return found


def test_from_the_first_block_on_through_live_ones(directory: Path) -> None:
    async def story(network: Network) -> None:
        await make(network, 3)
        client = network.client("two")
        reading = asyncio.create_task(read(client.events(EventFilter(), 1), 10))
        await make(network, 2)
        blocks = await reading
        assert [block.header.height for block in blocks] == list(range(1, blocks[-1].header.height + 1))
        assert all(len(block.transactions) == block.header.receipt_count for block in blocks)
        event = next(item.events[0] for block in blocks for item in block.transactions if item.events)
        assert isinstance(event, list | tuple) and list(event[:2]) == ["coins", "moved"]
        await client.close()

    run(directory, story)


def test_filters(directory: Path) -> None:
    async def story(network: Network) -> None:
        await make(network, 2)
        alice, bob, carol = (network.wallets[name] for name in ("alice", "bob", "carol"))
        client = network.client("one")
        (one,) = await client.submit_until_final([alice.transfer(carol.account, 1)])
        wanted = {
            "own or named": EventFilter(accounts=frozenset({carol.account})),
            "transaction": EventFilter(transaction_ids=frozenset({one.receipt.transaction_id})),  # type: ignore[union-attr]
        }
        for name, filter_ in wanted.items():
            (block,) = [b for b in await read(client.events(filter_, 1), 1) if b.transactions]
            (item,) = block.transactions
            assert item.receipt.receipt.account == alice.account, name
        both = EventFilter(accounts=frozenset({bob.account}), contracts=frozenset({"coins"}))
        assert sum(len(b.transactions) for b in await read(client.events(both, 1), 4)) == 4
        for nothing in (
            EventFilter(contracts=frozenset({"coin"})),
            EventFilter(kinds=frozenset({"coins"})),
            EventFilter(accounts=frozenset({bytes(16)})),
        ):
            async with asyncio.timeout(10), aclosing(client.events(nothing, 1).blocks()) as blocks:
                block = await anext(blocks)
                assert not block.transactions and block.resume_height == network.store("one").final_height + 1
        await client.close()

    run(directory, story)


def test_refusals(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(network: Network) -> None:
        address = network.addresses("one")[0]
        await make(network)

        async def first(**request: object) -> pb.SubscribeResponse:
            channel = RawChannel(address)
            try:
                asked = pb.SubscribeRequest(**request).SerializeToString()  # type: ignore[arg-type]
                async with asyncio.timeout(10), aclosing(channel.server_stream(SUBSCRIBE, asked)) as stream:
                    return pb.SubscribeResponse.FromString(await anext(stream))
            finally:
                await channel.close()

        assert (await first(from_height=1)).transactions
        with pytest.raises(WrongChain):
            await first(scope=pb.Scope(genesis_hash=bytes(32)), from_height=1)
        for bad in (
            {"accounts": [b"short"]},
            {"transaction_ids": [b"short"]},
            {"kinds": [""]},
            {"contracts": ["x" * 65]},
            {"accounts": [bytes(16)] * 257},
        ):
            with pytest.raises(MalformedBytes):
                await first(from_height=1, **bad)
        monkeypatch.setattr(network.nodes["one"].store, "receipts", lambda height: ())
        with pytest.raises(NotFound, match="not here any more"):
            await first(from_height=1)
        monkeypatch.undo()
        monkeypatch.setattr(module, "MAX_SUBSCRIPTIONS", 0)
        with pytest.raises(Overloaded):
            await first(from_height=1)
        assert not len(network.nodes["one"].instances[0].subscriptions)

    run(directory, story)


def test_a_slow_reader_is_cut_with_the_height_to_resume_from() -> None:
    """The transport's buffers fill up; then a response lies untaken for longer than the node's patience."""
    closed = asyncio.Event

    async def main() -> None:
        ended = closed()

        async def endless(caller: object, data: bytes) -> AsyncGenerator[bytes, None]:
            try:
                for height in range(1, 1_000):
                    try:
                        yield bytes(4_000_000)
                    except TimeoutError:
                        raise module._slow(height) from None
            finally:
                ended.set()

        server = RawServer({"/test.Service/Endless": ServerStream(endless, 0.2)})
        address = server.bind("127.0.0.1:0")
        await server.start()
        channel = RawChannel(address)
        try:
            stream = channel.server_stream("/test.Service/Endless", b"")
            assert len(await anext(stream)) == 4_000_000
            await asyncio.wait_for(ended.wait(), 20)
            with pytest.raises(SlowReader, match="was not taken") as refusal:
                async for _ in stream:
                    pass
            assert refusal.value.where.startswith("height ") and "subscribe again from" in refusal.value.next_step
        finally:
            await channel.close()
            await server.stop(0)

    asyncio.run(main())


LIES = {
    "other events": lambda answer: answer.transactions[0].MergeFrom(pb.SubscribedTransaction(events=b"\x00")),
    "one left out": lambda answer: answer.transactions.pop(0),
    "the last left out": lambda answer: answer.transactions.pop(),
    "another receipt": lambda answer: answer.transactions[0].receipt.MergeFrom(pb.ProvenReceipt(receipt=b"x")),
    "another header": lambda answer: answer.header.MergeFrom(pb.CertifiedHeader(header=bytes(408))),
}


@pytest.mark.parametrize("name", LIES)
def test_a_lying_node_is_left_for_another(directory: Path, name: str) -> None:
    async def story(network: Network) -> None:
        await make(network, 2)
        honest = network.nodes["one"].instances[0].subscriptions

        async def lying(caller: object, data: bytes) -> AsyncGenerator[bytes, None]:
            async with aclosing(honest.subscribe(caller, data)) as answers:  # type: ignore[arg-type]
                async for raw in answers:
                    answer = pb.SubscribeResponse.FromString(raw)
                    if answer.transactions:
                        LIES[name](answer)
                    yield answer.SerializeToString()

        server = RawServer({SUBSCRIBE: ServerStream(lying, 5.0)})
        address = server.bind("127.0.0.1:0")
        await server.start()
        liar, other = NodeClient(address), NodeClient(network.addresses("two")[0])
        try:
            stream = EventStream(network.view, [liar, other], EventFilter(), 1)
            blocks = await read(stream, 4)
            assert isinstance(stream.faults[address], InvalidProof | MalformedBytes)
            assert sum(len(block.transactions) for block in blocks) == 4
        finally:
            await liar.close()
            await other.close()
            await server.stop(0)

    run(directory, story)


def test_a_stream_broken_in_a_block_goes_on_behind_what_was_handed_out(directory: Path) -> None:
    async def story(network: Network) -> None:
        client = network.client("one")
        alice, bob = network.wallets["alice"], network.wallets["bob"]
        await client.submit_until_final([alice.transfer(bob.account, 1) for _ in range(12)])
        honest = network.nodes["one"].instances[0].subscriptions

        async def breaking(caller: object, data: bytes) -> AsyncGenerator[bytes, None]:
            async with aclosing(honest.subscribe(caller, data)) as answers:  # type: ignore[arg-type]
                async for raw in answers:
                    answer = pb.SubscribeResponse.FromString(raw)
                    if len(answer.transactions) > 1:
                        del answer.transactions[1:]
                        answer.more = True
                        yield answer.SerializeToString()
                        return
                    yield raw

        server = RawServer({SUBSCRIBE: ServerStream(breaking, 5.0)})
        address = server.bind("127.0.0.1:0")
        await server.start()
        broken, whole = NodeClient(address), NodeClient(network.addresses("two")[0])
        try:
            blocks = await read(EventStream(network.view, [broken, whole], EventFilter(), 1), 12)
            places = [(item.receipt.header.height, item.index) for block in blocks for item in block.transactions]
            assert len(places) == 12 and places == sorted(set(places))
        finally:
            await client.close()
            await broken.close()
            await whole.close()
            await server.stop(0)

    run(directory, story)


def test_a_node_that_stops_hands_its_readers_on(directory: Path) -> None:
    async def story(network: Network) -> None:
        await make(network)
        client = network.client("four", "two")
        reading = asyncio.create_task(read(client.events(EventFilter(), 1), 6))
        await make(network)
        await network.stop("four")
        await make(network)
        blocks = await reading
        places = [(item.receipt.header.height, item.index) for block in blocks for item in block.transactions]
        assert len(places) == 6 and places == sorted(set(places))
        await client.close()

    run(directory, story)


def test_the_command(directory: Path) -> None:
    async def story(network: Network) -> None:
        await make(network)
        bob = network.wallets["bob"].account.hex()
        command = [
            *(sys.executable, "-m", "tests.integration.coins_node", "events", "--node", network.addresses("one")[0]),
            *("--genesis", str(directory / "genesis.bin"), "--from", "1", "--account", bob, "--limit", "2", "--json"),
        ]
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        assert len(rows) == 2 and {row["code"] for row in rows} == {0} and bob in {row["account"] for row in rows}

    run(directory, story)
