"""One client port for all ledgers of a node: a request goes where its scope says, metrics stand on one page."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from chain_core._pb.dualchain.node.v1 import node_pb2 as pb
from chain_core.network.identity import Caller
from chain_core.network.raw_rpc import Method, ServerStream, Unary
from chain_core.network.refusals import WrongChain
from chain_core.node.shared_port import SharedTable, merged_metrics
from chain_core.types.errors import MalformedBytes

CALLER = Caller("test", "somebody")


def answers(name: bytes) -> dict[str, Method]:
    async def one(caller: Caller, data: bytes) -> bytes:
        return name

    async def many(caller: Caller, data: bytes) -> AsyncGenerator[bytes, None]:
        yield name
        yield data

    return {"one": Unary(one), "many": ServerStream(many, 1.0)}


def table(*names: bytes) -> SharedTable:
    made = SharedTable("coins")
    made.tables |= {ledger: answers(name) for ledger, name in enumerate(names)}
    return made


def asked(shared: SharedTable, ledger: int) -> tuple[bytes, bytes]:
    """What both kinds of methods answer."""
    request = pb.SubmitRequest(scope=pb.Scope(ledger=ledger), envelopes=[b"x"], timeout_ms=5).SerializeToString()
    one, many = (shared.methods()[name] for name in ("one", "many"))
    assert isinstance(one, Unary) and isinstance(many, ServerStream)

    async def ask() -> tuple[bytes, bytes]:
        first, second = [response async for response in many.handler(CALLER, request)]
        assert second == request
        return await one.handler(CALLER, request), first

    return asyncio.run(ask())


def test_a_request_goes_to_the_ledger_of_its_scope() -> None:
    shared = table(b"main", b"bonds")

    assert asked(shared, 0) == (b"main", b"main")
    assert asked(shared, 1) == (b"bonds", b"bonds")
    shared.tables[2] = answers(b"funds")
    assert asked(shared, 2) == (b"funds", b"funds")


def test_one_that_does_not_run_here_is_refused_by_its_number() -> None:
    with pytest.raises(WrongChain, match="ledgers 0, 1 of coins") as caught:
        asked(table(b"main", b"bonds"), 2)

    assert (caught.value.code, caught.value.where) == ("WRONG_LEDGER", "scope.ledger 2")


def test_what_is_no_request_is_refused() -> None:
    one = table(b"main", b"bonds").methods()["one"]
    assert isinstance(one, Unary)

    with pytest.raises(MalformedBytes):
        asyncio.run(one.handler(CALLER, b"\xff"))


def test_every_request_begins_with_its_scope() -> None:
    """Else ``AnyRequest`` would read something else: GetGenesis alone asks for what all ledgers share."""
    messages = pb.DESCRIPTOR.message_types_by_name
    requests = {name: kind for name, kind in messages.items() if name.endswith("Request")}

    without = {name for name, kind in requests.items() if "scope" not in kind.fields_by_name}
    assert without == {"GetGenesisRequest"}
    assert {kind.fields_by_name["scope"].number for name, kind in requests.items() if name not in without} == {1}


MAIN = '# HELP height Final.\n# TYPE height gauge\nheight 5\n# HELP up Up.\n# TYPE up gauge\nup{peer="{a} b"} 1\n'
BELOW = '# HELP height Final.\n# TYPE height gauge\nheight 3\n# HELP up Up.\n# TYPE up gauge\nup{peer="{a} b"} 0\n'


def test_families_stand_once_and_sub_ledgers_are_labelled() -> None:
    assert merged_metrics({0: MAIN}) == MAIN
    assert merged_metrics({1: BELOW, 0: MAIN}).splitlines() == [
        "# HELP height Final.",
        "# TYPE height gauge",
        "height 5",
        'height{ledger="1"} 3',
        "# HELP up Up.",
        "# TYPE up gauge",
        'up{peer="{a} b"} 1',
        'up{ledger="1",peer="{a} b"} 0',
    ]
