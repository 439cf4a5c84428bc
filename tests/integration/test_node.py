"""Four nodes and their API: what is final is proven, what is refused says why, what is repeated takes effect once."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from chain_core._pb.dualchain.node.v1 import node_pb2 as pb
from chain_core.codec.block import decode_block, decode_header
from chain_core.codec.seen import state_key
from chain_core.codec.transaction import decode_envelope
from chain_core.codec.values import decode_value, encode_value
from chain_core.crypto.providers import generate_private_key, signing_provider
from chain_core.execution.codes import Code
from chain_core.network.raw_rpc import RawChannel, RawStream
from chain_core.network.refusals import NotFound, Oversize, ServiceRefusal, WrongChain
from chain_core.network.signing import sign_transaction
from chain_core.node.answers import ItemStatus, SubmitItem
from chain_core.node.api_names import SERVICE, method_name
from chain_core.node.chain_view import VerifiedReceipt
from chain_core.node.client import NodeClient
from chain_core.node.submit import MAX_ENVELOPES
from chain_core.node.verifying_client import Refused
from chain_core.types.block import Header
from chain_core.types.errors import InvalidProof, MalformedBytes
from tests.integration.network import Network, lay_out, now_ms, run

METHODS = [method.name for method in pb.DESCRIPTOR.services_by_name["NodeService"].methods]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    lay_out(tmp_path / "network")
    return tmp_path / "network"


def outcome(item: SubmitItem) -> str:
    return item.refusal.code if item.refusal is not None else item.status.value


def test_a_transfer_from_signature_to_proof(directory: Path) -> None:
    async def story(network: Network) -> None:
        alice, bob = network.wallets["alice"], network.wallets["bob"]
        client = network.client()
        raws = [alice.transfer(bob.account, 10), bob.transfer(alice.account, 5_000), alice.transfer(bob.account, 7)]
        settled = await client.submit_until_final(raws)
        receipts = [one.receipt for one in settled if isinstance(one, VerifiedReceipt)]
        assert [receipt.code for receipt in receipts] == [Code.OK, Code.REFUSED_BY_RULE, Code.OK]
        assert [r.envelope_id for r in receipts] == [decode_envelope(raw).envelope_id for raw in raws]
        refused = settled[1]
        assert isinstance(refused, VerifiedReceipt)
        assert "余额不足" in refused.proven.text_zh
        assert "balance 1010 is below 5000" in refused.proven.text_en

        keys = [state_key("coins", alice.account), state_key("coins", bob.account), state_key("coins", b"nobody")]
        header, values = await client.state(keys)
        assert [value and decode_value(value) for value in values] == [983, 1017, None]
        assert header.height == receipts_height(settled)

        nonce = decode_envelope(raws[0]).body.nonce
        found = await client.receipt_of_nonce(alice.account, nonce)
        assert isinstance(found, VerifiedReceipt)
        assert found.receipt == receipts[0]
        absent = await client.receipt_of_nonce(alice.account, 999)
        assert isinstance(absent, Header)
        await client.close()

    run(directory, story)


def receipts_height(settled: list[VerifiedReceipt | Refused]) -> int:
    return max(one.header.height for one in settled if isinstance(one, VerifiedReceipt))


def test_what_is_handed_in_again_takes_effect_once(directory: Path) -> None:
    async def story(network: Network) -> None:
        alice, bob = network.wallets["alice"], network.wallets["bob"]
        raw = alice.transfer(bob.account, 10)
        envelope = decode_envelope(raw)
        signed_again = sign_transaction(alice.genesis_hash, envelope.body, [(alice.private, alice.public)])
        other = alice.transfer(bob.account, 11, nonce=envelope.body.nonce)
        client = network.client()
        (first,) = await client.submit_until_final([raw])
        assert isinstance(first, VerifiedReceipt)
        for name in ("one", "three"):
            await network.until(first.header.height, name)
            (again,) = await network.client(name).submit_until_final([raw])
            assert isinstance(again, VerifiedReceipt)
            assert again.receipt == first.receipt
            (same_body,) = await network.client(name).submit_until_final([signed_again])
            assert isinstance(same_body, VerifiedReceipt)
            assert same_body.receipt == first.receipt
            (another,) = await network.client(name).submit_until_final([other])
            assert isinstance(another, Refused)
            assert another.refusal.code == "NONCE_USED"
        await client.close()

    run(directory, story)


def test_each_envelope_of_a_batch_has_its_own_answer(directory: Path) -> None:
    async def story(network: Network) -> None:
        alice, bob = network.wallets["alice"], network.wallets["bob"]
        stranger = generate_private_key()
        strangers_key = signing_provider().sm2_public_key(stranger)
        good = alice.transfer(bob.account, 1)
        body = decode_envelope(alice.transfer(bob.account, 1)).body
        rows = {
            "ACCEPTED": good,
            "MALFORMED": good[:-1],
            "OVERSIZE": bytes(300_000),
            "WRONG_LEDGER": alice.transfer(bob.account, 1, ledger=4),
            "EXPIRED": alice.transfer(bob.account, 1, valid_ms=-1),
            "WINDOW_TOO_LONG": alice.transfer(bob.account, 1, valid_ms=3_600_000),
            "UNKNOWN_ACCOUNT": sign_transaction(alice.genesis_hash, body, [(stranger, strangers_key)]),
            "BAD_SIGNATURE": sign_transaction(b"g" * 32, body, [(alice.private, alice.public)]),
        }
        async with NodeClient(network.addresses("two")[0], genesis_hash=alice.genesis_hash) as client:
            answer = await client.submit(list(rows.values()))
            assert [outcome(item) for item in answer.items] == list(rows)
            for item in answer.items[1:]:
                assert item.refusal is not None
                assert item.refusal.what and item.refusal.where and item.refusal.next_step
            await network.until(1)
            answer = await client.submit([good], final_within_s=20)
            assert outcome(answer.items[0]) == "FINAL"

    run(directory, story)


def test_one_call_waits_for_finality(directory: Path) -> None:
    async def story(network: Network) -> None:
        alice, bob = network.wallets["alice"], network.wallets["bob"]
        async with NodeClient(network.addresses("four")[0], genesis_hash=alice.genesis_hash) as client:
            raws = [alice.transfer(bob.account, 1) for _ in range(60)]
            bad = alice.transfer(bob.account, 1, ledger=4)
            answer = await client.submit([*raws[:30], bad, *raws[30:]], final_within_s=20)
            assert [item.status for item in answer.items] == (
                [ItemStatus.FINAL] * 30 + [ItemStatus.REFUSED] + [ItemStatus.FINAL] * 30
            )
            heights = sorted({item.receipt.height for item in answer.items if item.receipt is not None})
            assert [decode_header(header.header).height for header in answer.headers] == heights

    run(directory, story)


def test_without_a_quorum_a_wait_ends_and_nothing_is_lost(directory: Path) -> None:
    async def story(network: Network) -> None:
        alice, bob = network.wallets["alice"], network.wallets["bob"]
        raw = alice.transfer(bob.account, 10)
        async with NodeClient(network.addresses("one")[0], genesis_hash=alice.genesis_hash) as client:
            answer = await client.submit([raw], final_within_s=0.2)
            assert outcome(answer.items[0]) == "ACCEPTED"
            status = await client.status()
            assert "2 of 4 validators are connected here, a quorum is 3" in status.not_progressing
            assert "three" in status.not_progressing and "four" in status.not_progressing
            assert status.pool_transactions == 1
            await network.start("three", "four")
            (settled,) = await network.client("three").submit_until_final([raw])
            assert isinstance(settled, VerifiedReceipt)
            await network.until(settled.header.height)
            status = await client.status()
            assert status.not_progressing == ""
            assert status.height == settled.header.height
            assert {peer.name for peer in status.peers if peer.connected_in and peer.connected_out} >= {"three", "four"}

    run(directory, story, "one", "two")


def test_a_node_that_was_away_catches_up_and_a_restart_loses_nothing(directory: Path) -> None:
    async def story(network: Network) -> None:
        alice, bob = network.wallets["alice"], network.wallets["bob"]
        client = network.client("one", "two", "three")
        await client.submit_until_final([alice.transfer(bob.account, 1)])
        await network.stop("four")
        for _ in range(4):
            await client.submit_until_final([alice.transfer(bob.account, 1) for _ in range(5)])
        height = (await client.header()).height
        await network.start("four")
        await network.until(height, "four")
        assert network.roots_agree()
        await client.close()

        await network.stop()
        await network.start()
        client = network.client("four")
        header, values = await client.state([state_key("coins", bob.account)])
        assert header.height >= height
        assert values == [encode_value(1_021)]
        (settled_later,) = await client.submit_until_final([alice.transfer(bob.account, 1)])
        assert isinstance(settled_later, VerifiedReceipt)
        assert settled_later.header.height > height
        await network.until(settled_later.header.height)
        assert network.roots_agree()
        await client.close()

    run(directory, story)


def test_blocks_events_and_headers(directory: Path) -> None:
    async def story(network: Network) -> None:
        alice, bob = network.wallets["alice"], network.wallets["bob"]
        client = network.client("one")
        settled = await client.submit_until_final([alice.transfer(bob.account, n) for n in (1, 2, 3)])
        height = receipts_height(settled)
        node = client.nodes[0]
        certified, final = await node.headers(0, 1_000)
        assert final == height
        headers = [decode_header(one.header) for one in certified]
        assert [header.height for header in headers] == list(range(height + 1))
        for one in certified[1:]:
            network.view.check_header(one)
        assert (await node.headers(final + 1, 5))[0] == ()
        answer = await node.block(height)
        assert decode_block(answer.block).header == certified[height].header
        network.view.check_receipts(headers[height], answer.receipts)
        events = await node.events(height)
        assert len(events.events) == headers[height].transaction_count
        packets = await node.outbox(height)
        assert network.view.check_outbox(packets) == (headers[height], [])
        assert await node.genesis() == network.genesis
        found = await node.scan(state_key("coins", b""), limit=2)
        assert len(found.items) == 2 and found.more
        rest = await node.scan(state_key("coins", b""), after=found.items[-1][0])
        assert len(rest.items) == 1 and not rest.more
        with pytest.raises(InvalidProof, match="height 0 has no certificate"):
            network.view.check_header(certified[0])
        await client.close()

    run(directory, story)


def test_questions_that_cannot_be_answered(directory: Path) -> None:
    async def story(network: Network) -> None:
        address = network.addresses("one")[0]
        async with NodeClient(address) as node:
            for question in (node.header(99), node.block(99), node.block(0), node.outbox(99), node.receipt(bytes(32))):
                with pytest.raises(NotFound) as missing:
                    await question
                assert missing.value.next_step
            for wrong in (
                node.receipt(b"short"),
                node.receipt_of_nonce(b"short", 1),
                node.state([b""]),
                node.scan(b""),
            ):
                with pytest.raises(MalformedBytes) as malformed:
                    await wrong
                assert malformed.value.where
            with pytest.raises(Oversize):
                await node.state([b"k"] * 257)
            with pytest.raises(WrongChain, match="coins-of-four"):
                await node.submit([b"x"])  # Submit must say which chain it means
        async with NodeClient(address, genesis_hash=b"g" * 32) as node:
            for stranger in (node.header(), node.state([b"k"]), node.submit([b"x"])):
                with pytest.raises(WrongChain):
                    await stranger
        async with NodeClient(address, genesis_hash=network.view.genesis_hash, ledger=3) as node:
            with pytest.raises(ServiceRefusal) as caught:
                await node.header()
            assert caught.value.code == "WRONG_LEDGER"
        async with NodeClient(address, genesis_hash=network.view.genesis_hash) as node:
            with pytest.raises(MalformedBytes):
                await node.submit([])
            with pytest.raises(Oversize):
                await node.submit([b"x"] * (MAX_ENVELOPES + 1))

    run(directory, story, "one")


async def asked(stream: RawStream, data: bytes) -> bytes:
    """The answer; a refusal may already meet the sending."""
    await stream.send(data)
    return await stream.receive()


async def refusal_code(channel: RawChannel, name: str, data: bytes) -> str:
    """The code a call is refused with; empty when it is answered."""
    try:
        await channel.unary(method_name(name), data, timeout_s=10)
    except (ServiceRefusal, MalformedBytes) as refusal:
        return refusal.code
    return ""


def test_garbage_on_every_method_and_port_changes_nothing(directory: Path) -> None:
    garbage = [b"\xff" * 9, b"\x0a\xff\xff\xff\xff\x0f", bytes(3_000), b"\x12" * 50]

    async def story(network: Network) -> None:
        alice, bob = network.wallets["alice"], network.wallets["bob"]
        config = network.configs["two"].listen
        client_port, peer_port = RawChannel(config.client), RawChannel(config.peer)
        for name in METHODS:
            for data in garbage:
                assert await refusal_code(client_port, name, data) in ("", "MALFORMED", "WRONG_CHAIN", "NOT_FOUND")
        for method in ("/dualchain.p2p.v1.PeerService/Link", "/nothing/Here"):
            for data in garbage:
                with pytest.raises((ServiceRefusal, MalformedBytes)):
                    await asked(peer_port.stream(method), data)
        for address in (config.client, config.peer):
            host, _, port = address.rpartition(":")
            for data in (*garbage, b"GET / HTTP/1.1\r\n\r\n"):
                _, writer = await asyncio.open_connection(host, int(port))
                writer.write(data)
                writer.close()
        await client_port.close()
        await peer_port.close()
        (settled,) = await network.client("two").submit_until_final([alice.transfer(bob.account, 1)])
        assert isinstance(settled, VerifiedReceipt)

    run(directory, story)


def test_standard_health_and_reflection(directory: Path) -> None:
    async def story(network: Network) -> None:
        channel = RawChannel(network.addresses("one")[0])

        async def health(service: str) -> int:
            request = health_pb2.HealthCheckRequest(service=service).SerializeToString()
            answer = await channel.unary("/grpc.health.v1.Health/Check", request, timeout_s=10)
            return health_pb2.HealthCheckResponse.FromString(answer).status

        async def reflect(request: reflection_pb2.ServerReflectionRequest) -> reflection_pb2.ServerReflectionResponse:
            stream = channel.stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
            await stream.send(request.SerializeToString())
            return reflection_pb2.ServerReflectionResponse.FromString(await stream.receive())

        serving, not_serving = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
        assert [await health(service) for service in ("", SERVICE)] == [serving, serving]
        listing = await reflect(reflection_pb2.ServerReflectionRequest(list_services=""))
        assert SERVICE in {one.name for one in listing.list_services_response.service}
        symbol = await reflect(reflection_pb2.ServerReflectionRequest(file_containing_symbol=SERVICE))
        assert b"GetReceipt" in b"".join(symbol.file_descriptor_response.file_descriptor_proto)

        network.nodes["one"].observer.halted("EXECUTION_DIVERGED", {"height": 7})
        assert await health(SERVICE) == not_serving
        await channel.close()
        async with NodeClient(network.addresses("one")[0]) as node:
            status = await node.status()
        assert status.halted == "EXECUTION_DIVERGED height=7"
        assert "stopped voting" in status.not_progressing

    run(directory, story, "one")


def test_every_method_of_the_proto_is_served(directory: Path) -> None:
    async def story(network: Network) -> None:
        channel = RawChannel(network.addresses("one")[0])
        for name in METHODS:
            assert await refusal_code(channel, name, b"") != "UNKNOWN_METHOD", name
        await channel.close()

    run(directory, story, "one")


def test_a_window_that_ends_while_waiting(directory: Path) -> None:
    """Accepted, never ordered, expired: the client learns from a proof that it can never become final."""

    async def story(network: Network) -> None:
        alice, bob = network.wallets["alice"], network.wallets["bob"]
        client = network.client("one", "two")
        raw = alice.transfer(bob.account, 1)
        expired = replace(decode_envelope(raw).body, valid_until_ms=now_ms() - 1, nonce=77)
        late = sign_transaction(alice.genesis_hash, expired, [(alice.private, alice.public)])
        settled = await client.submit_until_final([late, raw])
        assert isinstance(settled[0], Refused)
        assert settled[0].refusal.code == "EXPIRED"
        assert isinstance(settled[1], VerifiedReceipt)
        await client.close()

    run(directory, story)
