"""The relayer over real gRPC: it carries both ways, tells who lies to it, and ends when told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from chain_core._pb.dualchain.node.v1 import node_pb2 as pb
from chain_core.codec.seen import state_key
from chain_core.network.refusals import Unreachable
from chain_core.types.errors import InvalidProof
from crosschain.following import decode_position
from crosschain.packets import UPWARD_CHANNELS, client_key, supervision_key
from crosschain.relayer.link import Behind, NotRelayed, RefusedByChain
from crosschain.relayer.status import read_status
from crosschain.relayer.worker import Relayer
from tests.integration.served_chain import serve
from tests.unit.crosschain.chains import Layers, account, op


@pytest.fixture
def layers(tmp_path: Path) -> Iterator[Layers]:
    made = Layers.begin(tmp_path)
    made.register()
    yield made
    made.close()


def run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(story, 60))


def reports(layers: Layers) -> object:
    row = layers.supervisory.value(state_key("inbox", b"r" + layers.local.hash))
    return row["reports"] if isinstance(row, dict) else 0


def test_it_carries_reports_up_and_directives_down_and_answers_back(layers: Layers) -> None:
    async def story() -> None:
        async with serve(layers) as served:
            layers.business("S1")
            layers.business("S2")
            layers.direct("freeze_holder", "holder")
            await served.until_idle()
            assert reports(layers) == 2
            assert layers.local.store.get(state_key("kernel", b"Z" + account("holder"))) is not None
            record = layers.supervisory.value(state_key("directives", b"s" + layers.local.hash + bytes(8)))
            assert isinstance(record, dict)
            assert record["status"] == "executed"
            heights = layers.supervisory.height, layers.local.height
            assert await served.until_idle() == 0
            assert (layers.supervisory.height, layers.local.height) == heights

    run(story())


def test_each_transaction_goes_to_all_nodes(layers: Layers) -> None:
    async def story() -> None:
        async with serve(layers) as served:
            layers.business("S1")
            await served.until_idle()
            for nodes in (served.above, served.below):
                assert [node.calls["Submit"] for node in nodes] == [nodes[0].calls["Submit"]] * 2
                assert nodes[0].calls["Submit"] > 0

    run(story())


def test_a_new_relayer_goes_on_where_the_old_one_was_killed(layers: Layers) -> None:
    async def story() -> None:
        async with serve(layers) as served:
            layers.business("S1")
            assert await served.relayer.step_up()
            layers.business("S2")
        async with serve(layers) as served:
            await served.until_idle()
            assert reports(layers) == 2

    run(story())


def test_it_waits_for_admission_and_for_the_first_block(tmp_path: Path) -> None:
    layers = Layers.begin(tmp_path)

    async def story() -> None:
        async with serve(layers) as served:
            assert await served.until_idle() == 0
            layers.business("S1")
            assert await served.until_idle() == 0
            layers.register()
            assert await served.until_idle() > 0
            assert reports(layers) == 1

    run(story())
    layers.close()


# ---- nodes that lie


def flip(kind: type[Any], change: Callable[[Any], None]) -> Callable[[bytes], bytes]:
    def alter(data: bytes) -> bytes:
        message = kind.FromString(data)
        change(message)
        return bytes(message.SerializeToString())

    return alter


def broken(data: bytes, offset: int) -> bytes:
    return data[:offset] + bytes((data[offset] ^ 1,)) + data[offset + 1 :]


def hide_packets(message: Any) -> None:
    """Claims that blocks below the last one emitted nothing: the outbox counts in their headers are set to zero."""
    for item in message.headers[:-1]:
        item.header = item.header[:244] + bytes(4) + item.header[248:]


def break_header(message: Any) -> None:
    message.header.header = broken(message.header.header, 300)


def break_certificate(message: Any) -> None:
    message.header.certificate = broken(message.header.certificate, 60)


def break_value(message: Any) -> None:
    for item in message.items:
        if item.present:
            item.value = broken(item.value, len(item.value) - 1)


def break_packet(message: Any) -> None:
    for item in message.packets:
        item.packet = broken(item.packet, len(item.packet) - 1)


def drop_packet(message: Any) -> None:
    del message.packets[:]


def deny_value(message: Any) -> None:
    for item in message.items:
        item.present, item.value = False, b""


def skip_header(message: Any) -> None:
    if len(message.headers) > 1:
        del message.headers[0]


LIES: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "a changed header": ("QueryState", flip(pb.QueryStateResponse, break_header)),
    "a forged certificate": ("QueryState", flip(pb.QueryStateResponse, break_certificate)),
    "a changed value": ("QueryState", flip(pb.QueryStateResponse, break_value)),
    "a value denied": ("QueryState", flip(pb.QueryStateResponse, deny_value)),
    "no message at all": ("QueryState", lambda data: b"\xff" + data),
    "packets hidden": ("GetHeaders", flip(pb.GetHeadersResponse, hide_packets)),
    "a header skipped": ("GetHeaders", flip(pb.GetHeadersResponse, skip_header)),
    "a changed packet": ("GetOutbox", flip(pb.GetOutboxResponse, break_packet)),
    "a packet withheld": ("GetOutbox", flip(pb.GetOutboxResponse, drop_packet)),
}


@pytest.mark.parametrize("name", LIES)
def test_a_node_that_lies_is_reported_and_another_one_asked(
    layers: Layers, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    lying, alter = LIES[name]

    def lie(method: str, data: bytes) -> bytes:
        return alter(data) if method == lying else data

    async def story() -> None:
        async with serve(layers, below=lie) as served:
            for reference in ("S1", "S2", "S3"):
                layers.business(reference)
            with caplog.at_level(logging.WARNING, "crosschain"):
                await served.until_idle()
            assert reports(layers) == 3
            lines = [record.getMessage() for record in caplog.records if "BAD_RPC_NODE" in record.getMessage()]
            assert lines
            assert all(f"node={served.below[0].address}" in line for line in lines)

    run(story())


def test_when_all_nodes_lie_nothing_is_carried(layers: Layers) -> None:
    def lie(method: str, data: bytes) -> bytes:
        return LIES["a changed header"][1](data) if method == "QueryState" else data

    async def story() -> None:
        async with serve(layers, below=lie) as served:
            served.below[1].alter = lie
            layers.business("S1")
            before = layers.supervisory.height
            with pytest.raises(InvalidProof):
                await served.relayer.step_up()
            assert layers.supervisory.height == before

    run(story())


# ---- submitting


def test_a_refusal_by_the_chain_names_its_rule(layers: Layers) -> None:
    async def story() -> None:
        async with serve(layers) as served:
            layers.business("S1")
            packets = layers.packets_up(1)
            with pytest.raises(RefusedByChain, match=r"inbox\.no_header"):
                await served.relayer.supervisory.submit([packets])

    run(story())


def test_a_receipt_that_is_not_proven_is_none(layers: Layers) -> None:
    def lie(method: str, data: bytes) -> bytes:
        if method != "Submit":
            return data
        message = pb.SubmitResponse.FromString(data)
        message.items[0].receipt.receipt = broken(message.items[0].receipt.receipt, 40)
        return message.SerializeToString()

    async def story() -> None:
        async with serve(layers, above=lie) as served:
            verified = await served.relayer.supervisory.submit([op("chains", "admit", chain=bytes(32))])
            assert verified is None, "the courier may not admit"

    with pytest.raises(RefusedByChain, match="code 12"):
        run(story())

    async def all_lie() -> None:
        async with serve(layers, above=lie) as served:
            served.above[1].alter = lie
            await served.relayer.supervisory.submit([op("chains", "admit", chain=bytes(32))])

    with pytest.raises(NotRelayed, match="the path does not lead to the root"):
        run(all_lie())


def test_it_does_not_plan_on_a_state_before_its_own_transactions(layers: Layers) -> None:
    """A node that is behind would make it send the same again; another one is asked, or a moment is waited."""
    old: list[bytes] = []

    def remember(method: str, data: bytes) -> bytes:
        old.extend([data] if method == "QueryState" else [])
        return data

    def lag(method: str, data: bytes) -> bytes:
        return old[0] if method == "QueryState" else data

    async def story() -> None:
        async with serve(layers, above=remember) as served:
            layers.business("S1")
            assert await served.relayer.step_up()
            served.above[0].alter = lag
            before = layers.supervisory.height
            assert not await served.relayer.step_up()
            assert layers.supervisory.height == before
            served.above[1].alter = lag
            with pytest.raises(Behind):
                await served.relayer.step_up()

    run(story())


# ---- the process


def test_it_runs_until_it_is_told_to_stop(layers: Layers) -> None:
    async def story() -> None:
        async with serve(layers) as served:
            layers.business("S1")
            ready = asyncio.Event()
            relayer = served.relayer
            arrived = asyncio.Event()
            made = layers.supervisory.block

            def tell(*args: Any, **more: Any) -> Any:
                receipts = made(*args, **more)
                arrived.set()
                return receipts

            layers.supervisory.block = tell  # type: ignore[method-assign]
            working = asyncio.create_task(relayer.run(ready.set))
            await ready.wait()
            await arrived.wait()
            relayer.stop()
            await working
            assert reports(layers) == 1

    run(story())


def test_it_stops_while_it_waits_for_nodes_that_are_not_there(layers: Layers) -> None:
    async def story() -> None:
        async with serve(layers) as served:
            assignment = served.assignment
        relayer = Relayer(assignment)  # its nodes are gone
        working = asyncio.create_task(relayer.run(lambda: pytest.fail("nobody answered")))
        relayer.stop()
        await working

    run(story())


def test_nodes_that_are_not_there_are_named(layers: Layers) -> None:
    async def story() -> None:
        async with serve(layers) as served:
            assignment = served.assignment
        relayer = Relayer(assignment)
        with pytest.raises(Unreachable):
            await relayer.step_up()
        row = await read_status(relayer)
        assert "UNREACHABLE" in row["up"]["error"]

    run(story())


def test_status_says_how_far_both_ways(layers: Layers) -> None:
    async def story() -> None:
        async with serve(layers) as served:
            layers.business("S1")
            layers.direct("freeze_holder", "holder")
            before = await read_status(Relayer(served.assignment))
            assert before["up"]["channels"]["report"] == {"sent": 1, "arrived": 0}
            assert (before["down"]["issued"], before["down"]["executed"]) == (1, 0)
            await served.until_idle()
            row = await read_status(Relayer(served.assignment))
            followed = decode_position(layers.supervisory.store.get(client_key(layers.local.hash)))
            assert row["up"]["followed_height"] == followed.height
            counts = {name: (told["sent"], told["arrived"]) for name, told in row["up"]["channels"].items()}
            assert counts == {**dict.fromkeys(UPWARD_CHANNELS, (0, 0)), "report": (1, 1), "directive": (1, 1)}
            seen = decode_position(layers.local.store.get(supervision_key()))
            assert row["down"] == {
                "frozen": False,
                "supervisory_height": layers.supervisory.height,
                "followed_height": seen.height,
                "behind_heights": layers.supervisory.height - seen.height,
                "issued": 1,
                "executed": 1,
                "channels": {"service": {"sent": 0, "arrived": 0}},
            }

    run(story())
