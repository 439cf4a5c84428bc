"""On a live chain of real processes, under load: governors create a second ledger, which carries business of its own.

What is signed for one ledger is worth nothing on the other; what the main one decides, parameters and validators, is
followed by proofs; a node that is killed comes back on both.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_map, decode_value
from chain_core.execution.parameters import PARAMETERS_KEY
from chain_core.network.refusals import NotFound
from chain_core.node.answers import ItemStatus
from chain_core.node.chain_view import VerifiedReceipt
from chain_core.node.client import NodeClient
from chain_core.node.provision import ACCOUNTS_DIRECTORY, genesis_account_id
from chain_core.node.sub_ledger_view import named_ledgers, sub_ledger_client
from chain_core.node.verifying_client import VerifyingClient
from chain_core.types.errors import DualchainError
from chain_core.types.transaction import Operation
from local_chain.ledgers_cli import ledgers_app
from tests.integration.network import Wallet, other_account
from tests.integration.test_membership import (
    FOUNDERS,
    GOVERNORS,
    STEP_S,
    Story,
    client_of,
    decide,
    final,
    lay_out,
    load,
)

TREASURY = other_account("treasury")
MINT = Operation("coins", "mint", {"to": TREASURY, "amount": 7})


@dataclass
class Group:
    """The second ledger as its users know it."""

    story: Story
    client: VerifyingClient
    alice: Wallet
    minted: int = 0

    async def mint(self) -> None:
        """Business on the second ledger, final."""
        await final(self.client, [self.alice.sign(MINT, ledger=1)])
        self.minted += 7

    async def balance(self) -> int:
        _, (raw,) = await self.client.state([state_key("coins", TREASURY)])
        return 0 if raw is None else int(str(decode_value(raw)))


async def until(story: Story, true: Callable[[], Awaitable[bool]]) -> None:
    """Looks again whenever the load on ledger 0 has made a step."""
    async with asyncio.timeout(STEP_S):
        while not await true():
            story.progress.clear()
            await story.progress.wait()


async def heights(story: Story, name: str) -> dict[int, int]:
    """Final heights by ledger, as a node tells."""
    async with NodeClient(story.address(name)) as node:
        told = await node.status()
    return {0: told.height} | {one.ledger: one.height for one in told.ledgers}


async def runs_everywhere(story: Story) -> bool:
    return all([1 in await heights(story, name) for name in story.nodes])


async def asked(story: Story, *words: str, account: str = "") -> dict[str, Any]:
    """What `ledgers ...` of the command line prints."""
    words += ("--node", story.address("two"), "--genesis", str(story.directory / "genesis.bin"), "--json")
    if account:
        key = story.directory / ACCOUNTS_DIRECTORY / f"{account}.key"
        words += ("--account", genesis_account_id(account).hex(), "--key", str(key))
    result = await asyncio.to_thread(CliRunner().invoke, ledgers_app, words)
    if isinstance(result.exception, DualchainError):
        raise result.exception
    assert result.exit_code == 0, (result.output, result.exception)
    found = json.loads(result.stdout)
    assert isinstance(found, dict) and found["verified"]
    return found


async def the_group_begins(story: Story, main: VerifyingClient) -> Group:
    async def named() -> bool:
        return bool(await named_ledgers(main))

    await until_minted(story, 5)
    with pytest.raises(NotFound, match="has no ledger 1"):
        await sub_ledger_client(main, 1)
    await decide(story, 1, "ledger", name="bonds")
    await until(story, named)
    await until(story, lambda: runs_everywhere(story))
    alice = Wallet(story.directory, "alice", main.view.genesis_hash)
    return Group(story, await sub_ledger_client(main, 1), alice)


async def what_is_signed_for_one_is_worth_nothing_on_the_other(group: Group, main: VerifyingClient) -> None:
    raw = group.alice.sign(MINT, nonce=1 << 40)
    (receipt,) = await final(main, [raw])
    (item,) = (await group.client.nodes[0].submit([raw])).items
    assert item.status is ItemStatus.REFUSED and item.refusal is not None
    assert item.refusal.code == "WRONG_LEDGER"
    assert receipt.header.ledger == 0 and await group.balance() == group.minted


async def the_main_ledger_decides(group: Group) -> None:
    governor = Wallet(group.story.directory, GOVERNORS[0], group.alice.genesis_hash)
    content = {"set": {"max_block_transactions": 400}}
    args = {"kind": "parameters", "content": content, "effective_height": 0}
    (settled,) = await group.client.submit_until_final(
        [governor.sign(Operation("governance", "propose", args), ledger=1)]
    )
    assert isinstance(settled, VerifiedReceipt) and settled.receipt.rule == "governance.main_ledger_decides"

    await decide(group.story, 2, "parameters", **content)

    async def followed() -> bool:
        await asked(group.story, "follow", "1", account="alice")
        _, (raw,) = await group.client.state([PARAMETERS_KEY])
        return decode_map(raw or b"")["max_block_transactions"] == 400

    await until(group.story, followed)
    (row,) = (await asked(group.story, "list"))["ledgers"].values()
    assert row["name"] == "bonds" and row["followed_height"] > row["created"]


async def a_key_rotates_on_both(group: Group, main: VerifyingClient) -> None:
    """On the main ledger by its own barrier, on the second one 65 heights after it has followed."""
    story = group.story

    async def begun() -> bool:
        return (await main.header()).epoch == 1

    await decide(story, 3, "rotate_validator_key", name="two", purpose="consensus", key=story.next_key)
    await until(story, begun)
    assert (await group.client.header()).epoch == 0
    told = await asked(story, "follow", "1", account="alice")
    assert (told["calls"], told["followed_epoch"]) == (2, 1)
    while (await group.client.header()).epoch == 0:
        await group.mint()
    assert group.client.view.validators.key(1) == main.view.validators.key(1) == story.next_key


async def a_killed_node_comes_back_on_both(group: Group, story: Story) -> None:
    killed = story.nodes.pop("three")
    killed.process.kill()
    await killed.ended()
    await group.mint()
    await until_minted(story, 25)
    gone = await heights(story, "two")
    await story.start("three")

    async def caught_up() -> bool:
        now = await heights(story, "three")
        return all(now.get(ledger, -1) >= height for ledger, height in gone.items())

    await until(story, caught_up)
    await story.stop("one")  # without the one that came back there is no quorum now
    await group.mint()
    await until_minted(story, 25)


async def until_minted(story: Story, more: int) -> None:
    """Ledger 0 goes on."""
    before = story.minted

    async def done() -> bool:
        return story.minted >= before + more

    await until(story, done)


async def tell(story: Story) -> None:
    stop = asyncio.Event()
    try:
        await asyncio.gather(*(story.start(name) for name in FOUNDERS))
        async with asyncio.TaskGroup() as tasks, client_of(story, "two", "four") as main:
            tasks.create_task(load(story, stop))
            try:
                group = await the_group_begins(story, main)
                await group.mint()
                await what_is_signed_for_one_is_worth_nothing_on_the_other(group, main)
                await the_main_ledger_decides(group)
                await a_key_rotates_on_both(group, main)
                await a_killed_node_comes_back_on_both(group, story)
                assert await group.balance() == group.minted
                await group.client.close()
            finally:
                stop.set()
    finally:
        for name in tuple(story.nodes):
            await story.stop(name)


def test_a_second_ledger_is_created_under_load_and_both_go_on(tmp_path: Path) -> None:
    story = lay_out(tmp_path / "network")

    asyncio.run(tell(story))
