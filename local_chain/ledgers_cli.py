"""``dualchain local ledgers``: groups of a market 子账本, bringing them up to the main ledger (sub-ledgers.md)."""

from __future__ import annotations

from typing import Annotated

import typer

from chain_core.execution.sub_ledgers import LEDGER
from chain_core.node import render
from chain_core.node.command import GENESIS, JSON, NODES, PASSPHRASE, answer
from chain_core.node.key_protection import open_key
from chain_core.node.sub_ledger_view import named_ledgers, sub_ledger_client
from chain_core.node.validators_cli import ACCOUNT, KEY, propose, submit_one
from chain_core.node.verifying_client import VerifyingClient
from local_chain.ledger_following import operations, standing
from local_chain.main_ledger import MainLedger

ledgers_app = typer.Typer(
    help="Sub-ledgers 子账本: groups of one market, each with business of its own.", no_args_is_help=True
)

FOLLOWER = Annotated[str, typer.Option("--account", help="Any account of the sub-ledger, 32 hexadecimal digits.")]


@ledgers_app.command("list")
def list_ledgers(node: NODES, genesis: GENESIS, as_json: JSON = False) -> None:
    """The sub-ledgers with their heights, and how far each has followed the main ledger; proven."""

    async def ask(main: VerifyingClient) -> render.Row:
        latest, named = await main.header(), await named_ledgers(main)
        rows: dict[str, render.Row] = {}
        for one in named:
            sub = await sub_ledger_client(main, one.ledger)
            try:
                header, followed = await standing(sub)
            finally:
                await sub.close()
            rows[str(one.ledger)] = {
                "name": one.name,
                "created": one.created,
                "height": header.height,
                "epoch": header.epoch,
                "followed_height": followed.height,
                "followed_time_ms": followed.time_ms,
                "lag_ms": max(0, latest.time_ms - followed.time_ms),
                "followed_epoch": followed.epoch,
            }
        return {"height": latest.height, "epoch": latest.epoch, "ledgers": rows}

    answer(genesis, node, ask, as_json)


@ledgers_app.command("propose")
def propose_ledger(
    name: Annotated[str, typer.Argument(help="Its name: lower-case letters, digits and hyphens, at most 32.")],
    account: ACCOUNT,
    key: KEY,
    node: NODES,
    genesis: GENESIS,
    passphrase: PASSPHRASE = "",
    as_json: JSON = False,
) -> None:
    """Propose a new sub-ledger; another governor approves with `validators approve`."""
    propose(LEDGER, {"name": name}, account, open_key(key, passphrase), node, genesis, as_json)


@ledgers_app.command("follow")
def follow_main(
    ledger: Annotated[int, typer.Argument(min=1, help="Number of the sub-ledger.")],
    account: FOLLOWER,
    key: KEY,
    node: NODES,
    genesis: GENESIS,
    passphrase: PASSPHRASE = "",
    as_json: JSON = False,
) -> None:
    """Bring what the main ledger has decided to a sub-ledger: parameters, flags, validators."""

    private = open_key(key, passphrase)

    async def ask(main: VerifyingClient) -> render.Row:
        sub = await sub_ledger_client(main, ledger)
        try:
            calls = await operations(main, sub)
            row: render.Row = {"ledger": ledger, "calls": len(calls)}
            if calls:
                row |= await submit_one(sub, account, private, *calls, contracts=(MainLedger(),))
            _, followed = await standing(sub)
        finally:
            await sub.close()
        return row | {"followed_height": followed.height, "followed_epoch": followed.epoch}

    answer(genesis, node, ask, as_json)
