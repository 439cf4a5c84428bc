"""On a live chain of real processes, under load: a fifth validator joins, a first one leaves, a key is rotated.

All along a light client that started from the genesis document follows, header by header, and a second one checks what
the first was shown. At the end only validators with new seats or keys are left to make the quorum.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from typer.testing import CliRunner

from chain_core.codec.block import decode_certificate, decode_header
from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_map, decode_value
from chain_core.crypto.x509.authority import open_authority
from chain_core.execution.parameters import PARAMETERS_KEY
from chain_core.node.certify import AUTHORITY, ISSUING
from chain_core.node.chain_view import ChainView, VerifiedReceipt
from chain_core.node.client import NodeClient
from chain_core.node.config import load_config
from chain_core.node.epoch_following import closing_header
from chain_core.node.provision import (
    ACCOUNTS_DIRECTORY,
    AccountPlan,
    NodePlan,
    genesis_account_id,
    make_accounts,
    make_validators,
    new_directory,
    write_network,
    write_newcomer,
    write_next_key,
)
from chain_core.node.validators_cli import validators_app
from chain_core.node.verifying_client import VerifyingClient
from chain_core.types.errors import DualchainError
from chain_core.types.genesis import DEFAULT_PARAMETERS, Genesis
from chain_core.types.transaction import Operation
from chain_core.types.validator_set import Validator
from crosschain.light_client import ClientState, Verdict, verify_next
from tests.integration.network import Wallet, drawn_ports, now_ms, other_account
from tests.integration.test_process import Started, launch

FOUNDERS = ("one", "two", "three", "four")
GOVERNORS = ("governor-1", "governor-2")
PARAMETERS = {
    "governance_delay": 1,
    "order_timeout_ms": 1_000,
    "order_timeout_max_ms": 4_000,
    "idle_block_ms": 500,
    "window_heights": 8,
}
STEP_S = 60


@dataclass
class Story:
    """The chain's directory, its processes, and what its users know."""

    directory: Path
    newcomer: Validator
    newcomer_port: str
    next_key: bytes
    nodes: dict[str, Started] = field(default_factory=dict)
    minted: int = 0
    progress: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def genesis(self) -> bytes:
        return (self.directory / "genesis.bin").read_bytes()

    def address(self, name: str) -> str:
        return load_config(self.directory / name / "node.toml").listen.client

    async def start(self, name: str) -> None:
        self.nodes[name] = await launch(self.directory, name)
        assert (await self.nodes[name].ready()).startswith("READY")

    async def stop(self, name: str) -> None:
        node = self.nodes.pop(name)
        node.process.terminate()
        await node.ended()


def lay_out(directory: Path) -> Story:
    new_directory(directory)
    ports = drawn_ports(10)
    plans = [
        NodePlan(name, f"entity {name}", "127.0.0.1", ports[2 * i], ports[2 * i + 1]) for i, name in enumerate(FOUNDERS)
    ]
    roles = {"alice": ("issuer",), **dict.fromkeys(GOVERNORS, ("governor",))}
    accounts = make_accounts(directory, [AccountPlan(name, f"entity {name}", held) for name, held in roles.items()])
    validators = make_validators(directory, plans)
    parameters = DEFAULT_PARAMETERS | PARAMETERS
    genesis = Genesis("coins", "supervisory", "", now_ms(), validators, parameters, (), accounts)
    write_network(directory, genesis, plans, client_security="plaintext")
    raw = (directory / "genesis.bin").read_bytes()
    fifth = NodePlan("five", "entity five", "127.0.0.1", ports[8], ports[9])
    contacts = {plan.name: f"{plan.host}:{plan.peer_port}" for plan in plans}
    authority = open_authority(directory / AUTHORITY / ISSUING)
    newcomer = write_newcomer(directory / "five", fifth, raw, contacts, authority, client_security="plaintext")
    return Story(directory, newcomer, f"127.0.0.1:{ports[8]}", write_next_key(directory / "two"))


@asynccontextmanager
async def client_of(story: Story, *names: str) -> AsyncIterator[VerifyingClient]:
    client = VerifyingClient(ChainView(story.genesis), [story.address(name) for name in names])
    try:
        yield client
    finally:
        await client.close()


async def final(client: VerifyingClient, raws: list[bytes]) -> list[VerifiedReceipt]:
    """All of them final with code OK."""
    settled = await client.submit_until_final(raws, within_s=STEP_S)
    receipts = [one for one in settled if isinstance(one, VerifiedReceipt)]
    assert len(receipts) == len(raws), settled
    assert [one.receipt.code for one in receipts] == [0] * len(raws), receipts
    return receipts


async def load(story: Story, stop: asyncio.Event) -> None:
    """Coins are minted without a pause, a few transactions at a time, through nodes that stay."""
    wallet = Wallet(story.directory, "alice", ChainView(story.genesis).genesis_hash)
    async with client_of(story, "two", "four") as client:
        while not stop.is_set():
            mint = Operation("coins", "mint", {"to": other_account("treasury"), "amount": 1})
            await final(client, [wallet.sign(mint) for _ in range(5)])
            story.minted += 5
            story.progress.set()


class Follower:
    """The light client: it keeps the last header it accepted, and asks any node for the next ones."""

    def __init__(self, story: Story) -> None:
        view = ChainView(story.genesis)
        self.client = ClientState.at_genesis(view.genesis_hash, view.genesis)
        self.epochs: list[tuple[int, int]] = []
        self.moved = asyncio.Event()
        self._addresses = itertools.cycle([story.address(name) for name in ("two", "four")])

    async def follow(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            async with NodeClient(next(self._addresses), genesis_hash=self.client.genesis_hash) as node:
                try:
                    await self.step(node)
                except DualchainError as refusal:
                    if refusal.code not in ("UNREACHABLE", "UNAVAILABLE", "DEADLINE_PASSED"):
                        raise
            await pause(stop)

    async def step(self, node: NodeClient) -> None:
        latest = await node.header()
        header = decode_header(latest.header)
        if header.height <= self.client.height:
            return
        found, next_set = latest, b""
        if header.epoch > self.client.epoch or header.next_validator_set_hash != header.validator_set_hash:
            early = verify_next(self.client, latest.header, latest.certificate, now_ms=now_ms())
            assert early.verdict is Verdict.NOT_ENOUGH_TRUST, early
            closing = await closing_header(node, self.client.epoch)
            if closing is None:
                return
            found, next_set = closing
        verdict = verify_next(self.client, found.header, found.certificate, now_ms=now_ms(), next_set=next_set)
        assert verdict.verdict is Verdict.OK and verdict.shown is not None, verdict
        before, self.client = self.client, self.client.advanced(verdict.shown)
        self.moved.set()
        if self.client.epoch != before.epoch:
            self.epochs.append((self.client.epoch, self.client.start))

    async def reaches(self, epoch: int, *, above: int = 0) -> None:
        async with asyncio.timeout(STEP_S):
            while self.client.epoch < epoch or self.client.height < self.client.start + above:
                self.moved.clear()
                await self.moved.wait()


async def pause(stop: asyncio.Event) -> None:
    """A light client looks now and then."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), 0.1)


async def decide(story: Story, number: int, kind: str, **content: Any) -> None:
    """Proposed by one governor, approved by another."""
    genesis_hash = ChainView(story.genesis).genesis_hash
    first, second = (Wallet(story.directory, name, genesis_hash) for name in GOVERNORS)
    # Each decision is signed by a new wallet: nonces of the earlier ones are passed over.
    for wallet in (first, second):
        wallet.nonces = itertools.count(10 * number)
    propose = Operation("governance", "propose", {"kind": kind, "content": content, "effective_height": 0})
    async with client_of(story, "two", "four") as client:
        await final(client, [first.sign(propose)])
        await final(client, [second.sign(Operation("governance", "approve", {"proposal": number}))])


async def asked(story: Story, *words: str, governor: str = "") -> dict[str, Any]:
    """What `validators ...` of the command line prints."""
    words += ("--node", story.address("two"), "--node", story.address("four"))
    words += ("--genesis", str(story.directory / "genesis.bin"), "--json")
    if governor:
        key = story.directory / ACCOUNTS_DIRECTORY / f"{governor}.key"
        words += ("--account", genesis_account_id(governor).hex(), "--key", str(key))
    result = await asyncio.to_thread(CliRunner().invoke, validators_app(), words)
    if isinstance(result.exception, DualchainError):
        raise result.exception
    assert result.exit_code == 0, (result.output, result.exception)
    found = json.loads(result.stdout)
    assert isinstance(found, dict) and found["verified"]
    return found


async def signers(node: NodeClient, start: int, count: int) -> set[int]:
    """Who signed the certificates of these heights."""
    found: set[int] = set()
    for height in range(start, start + count):
        certificate = decode_certificate((await node.header(height)).certificate)
        found |= {index for index, _ in certificate.signatures}
    return found


async def tell(story: Story) -> None:
    stop, follower = asyncio.Event(), Follower(story)
    try:
        # The fifth knows the others, nobody knows it yet.
        await asyncio.gather(*(story.start(name) for name in (*FOUNDERS, "five")))
        async with asyncio.TaskGroup() as group:
            group.create_task(load(story, stop))
            group.create_task(follower.follow(stop))
            try:
                await the_changes(story, follower)
            finally:
                stop.set()
    finally:
        for name in tuple(story.nodes):
            await story.stop(name)


async def the_changes(story: Story, follower: Follower) -> None:
    five = story.newcomer
    await decide(
        story,
        1,
        "add_validator",
        name=five.name,
        entity=five.entity,
        consensus_key=five.consensus_key,
        transport_key=five.transport_key,
        address=story.newcomer_port,
    )
    await follower.reaches(1, above=15)
    async with NodeClient(story.address("four")) as node:
        assert 4 in await signers(node, follower.client.start + 5, 10), "the newcomer does not vote"

    await asked(story, "remove", "one", governor=GOVERNORS[0])
    with pytest.raises(DualchainError, match="own_proposal"):
        await asked(story, "approve", "2", governor=GOVERNORS[0])
    assert list((await asked(story, "proposals"))["proposals"]) == ["2"]
    assert (await asked(story, "approve", "2", governor=GOVERNORS[1]))["status"] in ("approved", "applied")
    await follower.reaches(2, above=3)
    async with NodeClient(story.address("one")) as node:
        told = await node.status()
        assert told.validator == -1 and told.node == "one"
    await story.stop("one")
    await story.stop("four")  # its seat is another one than in the genesis document: it finds that in its state
    await story.start("four")

    await decide(story, 3, "parameters", set={"window_heights": 2, "max_block_transactions": 500})
    await decide(story, 4, "rotate_validator_key", name="two", purpose="consensus", key=story.next_key)
    await follower.reaches(3, above=3)
    # Two with its new key, four, and five with its seat: without any one of them there is no quorum.
    await story.stop("three")
    before = story.minted
    async with asyncio.timeout(STEP_S):
        while story.minted < before + 25:
            story.progress.clear()
            await story.progress.wait()
    async with client_of(story, "five") as client:
        header, values = await client.state([state_key("coins", other_account("treasury")), PARAMETERS_KEY])
        assert cast(int, decode_value(values[0] or b"")) >= story.minted - 5
        parameters = decode_map(values[1] or b"")
        assert (parameters["window_heights"], parameters["max_block_transactions"]) == (2, 500)
        names = [validator.name for validator in client.view.validators.validators]
        assert (header.epoch, names) == (3, ["two", "three", "four", "five"])
        assert client.view.validators.key(0) == story.next_key
    assert [epoch for epoch, _ in follower.epochs] == [1, 2, 3]
    shown = await asked(story, "show")
    assert (shown["epoch"], shown["quorum"], shown["scheduled"]) == (3, "3 of 4", None)
    assert shown["validators"]["five"]["address"] == story.newcomer_port
    assert shown["validators"]["two"]["consensus_key"] == story.next_key.hex()


def test_validators_join_leave_and_rotate_keys_under_load(tmp_path: Path) -> None:
    story = lay_out(tmp_path / "network")

    asyncio.run(tell(story))
