"""A chain of processes whose votes come from signer processes: killed, shared, set back, and given another key."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chain_core.codec import signed
from chain_core.codec.block import decode_header, encode_header
from chain_core.codec.genesis import decode_genesis
from chain_core.codec.votes import encode_vote
from chain_core.crypto.keys import write_private_key
from chain_core.crypto.providers import generate_private_key, signing_provider
from chain_core.node.chain_view import VerifiedReceipt
from chain_core.node.client import NodeClient
from chain_core.node.config import join as join_chain
from chain_core.node.safe_signer import SigningRefused
from chain_core.node.signer.client import RemoteSigner
from chain_core.node.signer.patience import PatientKeys
from chain_core.types.block import Phase, Vote
from chain_core.types.transaction import Operation
from tests.integration.network import NAMES, drawn_ports, other_account
from tests.integration.processes import FINAL_WITHIN_S, Processes, processes, signers
from tests.integration.signers import Signer, attach, short_directory, write_config

pytestmark = pytest.mark.integration

BOB = other_account("bob")
FIRST_BLOCKS = 3
ROTATES_WITHIN_S = 100


@pytest.fixture
def sockets() -> Iterator[Path]:
    with ExitStack() as stack:
        yield stack.enter_context(short_directory())


@asynccontextmanager
async def chain(directory: Path, sockets: Path, *through: str) -> AsyncIterator[tuple[Processes, dict[str, Signer]]]:
    """All four nodes vote; the named ones through signers."""
    async with processes(directory, start=False) as net:
        made = {name: attach(directory / name, sockets / name) for name in through}
        for name in through:
            net.read_config(name)
        try:
            await asyncio.gather(*(one.start() for one in made.values()))
            await asyncio.gather(*map(net.begin, NAMES))
            await asyncio.gather(*map(net.votes, NAMES))
            yield net, made
        finally:
            for one in made.values():
                if one.process is not None:
                    await one.kill()


async def needed(net: Processes, name: str, away: str) -> None:
    """A block that cannot become final without this node's votes."""
    await net.end(away)
    others = [other for other in NAMES if other != away]
    assert NAMES.index(name) in signers(await net.pay(BOB, 1, *others[:2]))
    await net.begin(away)
    await net.votes(away)


async def one_chain(net: Processes) -> None:
    """All four have the same headers, and nobody proved anything against anybody."""
    nodes = [NodeClient(net.addresses(name)[0]) for name in NAMES]
    height = min([(await node.status()).height for node in nodes])
    assert height
    for at in range(1, height + 1):
        assert len({(await node.header(at)).header for node in nodes}) == 1
    for node in nodes:
        assert not await node.equivocations()
        await node.close()


def test_a_killed_signer_silences_its_node_until_it_is_back(tmp_path: Path, sockets: Path) -> None:
    async def story() -> None:
        async with chain(tmp_path / "net", sockets, "three") as (net, signers_of):
            await needed(net, "three", "four")
            three = signers_of["three"]
            await three.kill()
            for _ in range(FIRST_BLOCKS):
                await net.pay(BOB)
            node = net.running["three"]
            await node.says("SIGNER_GONE")
            assert "no votes are cast" in await net.obstacle("three")
            assert await net.metric("three", "dualchain_silent") == 1
            assert not await net.halted("three")
            settled = await net.pay(BOB)
            await net.follow_to("three", settled.header.height)
            assert NAMES.index("three") not in signers(settled), "three others made it"

            await three.start()
            await node.says("SIGNER_BACK")
            await net.votes("three")
            await needed(net, "three", "two")
            assert await net.obstacle("three") == ""
            assert node.text.count("SIGNER_GONE") == 1, "said once, not at each try"
            await one_chain(net)

    asyncio.run(story())


def test_without_its_signers_a_chain_waits_and_then_goes_on(tmp_path: Path, sockets: Path) -> None:
    """All nodes vote through signers; killed while blocks are made, and back while every node has votes undone."""

    async def story() -> None:
        async with chain(tmp_path / "net", sockets, *NAMES) as (net, signers_of):
            await net.pay(BOB)
            paying = asyncio.create_task(net.pay(BOB))
            await asyncio.gather(*(one.kill() for one in signers_of.values()))
            await asyncio.gather(*(net.running[name].says("SIGNER_GONE") for name in NAMES if not paying.done()))
            await asyncio.gather(*(one.start() for one in signers_of.values()))
            await paying
            for _ in range(FIRST_BLOCKS):
                await net.pay(BOB)
            await one_chain(net)
            for name in ("one", "two"):
                assert await signers_of[name].stop() == 0
                await net.end(name)
            await asyncio.gather(*(signers_of[name].start() for name in ("one", "two")))
            await asyncio.gather(*(net.begin(name) for name in ("one", "two")))
            await net.pay(BOB)
            await one_chain(net)

    asyncio.run(story())


def test_a_node_starts_without_its_signer_and_votes_when_it_comes(tmp_path: Path, sockets: Path) -> None:
    async def story() -> None:
        async with chain(tmp_path / "net", sockets, "three") as (net, signers_of):
            await net.end("three")
            await signers_of["three"].kill()
            await net.begin("three")
            settled = await net.pay(BOB)
            await net.follow_to("three", settled.header.height)
            await net.running["three"].says("SIGNER_GONE")
            await signers_of["three"].start()
            await net.running["three"].says("SIGNER_BACK")
            await needed(net, "three", "one")

    asyncio.run(story())


def test_a_second_node_on_one_signer_is_refused(tmp_path: Path, sockets: Path) -> None:
    async def story() -> None:
        async with chain(tmp_path / "net", sockets, "three") as (net, _):
            shutil.copytree(net.directory / "three", net.directory / "twin", ignore=shutil.ignore_patterns("data"))
            path = net.directory / "twin" / "node.toml"
            text = path.read_text("utf-8")
            listen = net.configs["three"]
            for old in (listen.listen.peer, listen.listen.client, listen.metrics.listen):
                text = text.replace(old, f"127.0.0.1:{drawn_ports(1)[0]}")
            path.write_text(text, "utf-8")
            net.read_config("twin")
            await net.begin("twin")
            client = net.client("one", "two")
            settled = await net.pay(BOB)
            await client.close()
            signer = join_chain(net.configs["twin"]).keys
            assert isinstance(signer, PatientKeys)
            signer = signer.keys
            assert isinstance(signer, RemoteSigner) and "SIGNER_BUSY" in signer.away
            await needed(net, "three", "four")
            assert settled.header.height
            await one_chain(net)

    asyncio.run(story())


def test_an_old_disk_of_the_node_gets_no_second_vote_out_of_the_signer(tmp_path: Path, sockets: Path) -> None:
    async def story() -> None:
        async with chain(tmp_path / "net", sockets, "three") as (net, signers_of):
            await net.pay(BOB)
            await net.end("three")
            data = net.directory / "three" / "data"
            shutil.copytree(data, tmp_path / "backup")
            await net.begin("three")
            await net.votes("three")
            for _ in range(FIRST_BLOCKS):
                await needed(net, "three", "four")
            height = await net.height_of("three")
            async with NodeClient(net.addresses("three")[0]) as node:
                header = (await node.header(height)).header
            await net.end("three")
            shutil.rmtree(data)
            shutil.copytree(tmp_path / "backup", data)

            patient = join_chain(net.configs["three"]).keys
            assert isinstance(patient, PatientKeys)
            remote = patient.keys
            assert isinstance(remote, RemoteSigner)
            (key,) = remote.public_keys
            other = encode_header(replace(decode_header(header), state_root=bytes(32)))
            epoch, view = decode_header(header).epoch, 0
            vote = encode_vote(Vote(Phase.COMMIT, 0, epoch, height, view, 0, bytes(32), NAMES.index("three")))
            for tag, body in ((signed.HEADER, other), (signed.VOTE, vote)):
                with pytest.raises(SigningRefused, match="signed"):
                    remote.sign(key, tag, [body])
            assert len(remote.sign(key, signed.HEADER, [header])) == 1, "what it signed it gives again"
            remote.close()

            await net.begin("three")
            while await net.metric("three", "dualchain_silent"):
                await net.pay(BOB)
            await needed(net, "three", "four")
            await one_chain(net)
            assert signers_of["three"].process is not None

    asyncio.run(story())


def test_the_genesis_documents_key_is_what_a_founder_goes_by(tmp_path: Path, sockets: Path) -> None:
    """It has never seen its signer, and starts."""

    async def story() -> None:
        async with processes(tmp_path / "net", start=False) as net:
            attach(net.directory / "three", sockets / "three")
            net.read_config("three")
            keys = join_chain(net.configs["three"]).keys
            genesis = decode_genesis((net.directory / "genesis.bin").read_bytes())
            assert list(keys.public_keys) == [genesis.validators.key(NAMES.index("three"))]

    asyncio.run(story())


async def decided(net: Processes, by: str, method: str, **args: Any) -> None:
    """A governor's transaction, final and in effect."""
    client = net.client("one", "two")
    try:
        raw = net.wallets[by].sign(Operation("governance", method, args))
        (settled,) = await client.submit_until_final([raw], within_s=FINAL_WITHIN_S)
    finally:
        await client.close()
    assert isinstance(settled, VerifiedReceipt) and settled.receipt.code == 0, settled


async def epoch_of(net: Processes, name: str) -> int:
    async with NodeClient(net.addresses(name)[0]) as node:
        return (await node.status()).epoch


def test_a_key_is_rotated_at_the_signer_while_the_node_runs(tmp_path: Path, sockets: Path) -> None:
    """The node is never started again: it learns of the new key when the signer is back, and changes at the barrier."""

    async def story() -> None:
        async with chain(tmp_path / "net", sockets, "three") as (net, signers_of):
            three, private = signers_of["three"], generate_private_key()
            write_private_key(three.folder / "next.key", private)
            await three.stop()
            write_config(three.folder, three.socket, "consensus.key", "next.key")
            await three.start()
            content = {"name": "three", "purpose": "consensus", "key": signing_provider().sm2_public_key(private)}
            await decided(net, "bob", "propose", kind="rotate_validator_key", content=content, effective_height=0)
            await decided(net, "carol", "approve", proposal=1)
            async with asyncio.timeout(ROTATES_WITHIN_S):
                while await epoch_of(net, "three") == 0:
                    await net.pay(BOB)
            await needed(net, "three", "four")

            await three.stop()
            write_config(three.folder, three.socket, "next.key")
            await three.start()
            await needed(net, "three", "four")
            await one_chain(net)

    asyncio.run(story())
