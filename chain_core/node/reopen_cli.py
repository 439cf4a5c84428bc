"""``dualchain node reopen``: order, approve, hand in, show (docs/spec/reopening.md §5). Parse, call, print."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from chain_core.codec.genesis import genesis_hash
from chain_core.codec.reopening import (
    approved,
    decode_order,
    decode_reopening,
    decode_signed_statement,
    encode_order,
    new_order,
    order_message,
)
from chain_core.crypto.keys import load_private_key
from chain_core.crypto.passphrase import Unlock, parse_source
from chain_core.crypto.providers import signing_provider
from chain_core.node.chain_view import ChainView
from chain_core.node.client import NodeClient
from chain_core.node.command import JSON, identifier, show
from chain_core.node.config import read_genesis
from chain_core.node.epoch_following import through_epochs
from chain_core.node.key_cli import SOURCE
from chain_core.node.render import Row
from chain_core.node.reopening import ReopeningRefused
from chain_core.node.reopening_view import check_statements, open_row, order_row, past_row
from chain_core.types.ids import ACCOUNT_ID_SIZE
from chain_core.types.reopening import Approval, ReopenOrder

FILE = Annotated[Path, typer.Argument(help="File with the order.")]
NODE = Annotated[str, typer.Option("--node", help="Client port of the node, host:port.")]
GENESIS = Annotated[Path, typer.Option("--genesis", help="Genesis document of the chain.")]
LEDGER = Annotated[int, typer.Option("--ledger", min=0, help="Ledger of the chain; 0 is the main one.")]

app = typer.Typer(
    help="Reopen a height at which execution diverged: two officers order it, all validators state what they cast.",
    no_args_is_help=True,
)


@app.command()
def order(
    height: Annotated[int, typer.Option("--height", min=1, help="The height above the final one.")],
    reason: Annotated[str, typer.Option("--reason", help="Why, for people; at most 255 bytes.")],
    out: Annotated[Path, typer.Option("--out", help="New file for the order.")],
    attempt: Annotated[int, typer.Option("--attempt", min=0, help="The attempt to close.")] = 0,
    epoch: Annotated[int, typer.Option("--epoch", min=0, help="The height's epoch, as `node status` says.")] = 0,
    ledger: LEDGER = 0,
    as_json: JSON = False,
) -> None:
    """Write an order to reopen a height, which two officers are to approve. No node is needed."""
    try:
        made = new_order(ReopenOrder(ledger, epoch, height, attempt, reason))
        with out.open("xb") as file:
            file.write(encode_order(made))
    except (ValueError, OSError) as error:
        raise ReopeningRefused(str(error), where=str(out), next_step="mend the option, or name a new file") from error
    show(order_row(made), as_json)


@app.command()
def approve(
    file: FILE,
    genesis: GENESIS,
    account: Annotated[str, typer.Option("--account", help="The officer's account id, 32 hexadecimal digits.")],
    key: Annotated[Path, typer.Option("--key", help="The officer's transaction key: SM2 PKCS#8 PEM.")],
    source: SOURCE = "",
    as_json: JSON = False,
) -> None:
    """Add an officer's signature to the order in the file, and show what it orders. No node is needed."""
    before = decode_order(file.read_bytes())
    private = load_private_key(key, Unlock(parse_source(source), plain=True) if source else None)
    signing = signing_provider()
    signature = signing.sm2_sign(private, order_message(genesis_hash(read_genesis(genesis)[1]), before.body))
    who = identifier(account, "--account", ACCOUNT_ID_SIZE)
    try:
        made = approved(before, Approval(who, signing.sm2_public_key(private), signature))
    except ValueError as error:
        raise ReopeningRefused(str(error), where=str(file), next_step="hand it in as it is") from error
    file.write_bytes(encode_order(made))
    show(order_row(made), as_json)


@app.command("hand-in")
def hand_in(file: FILE, node: NODE, genesis: GENESIS, as_json: JSON = False) -> None:
    """Give the approved order to your own node; each validator's operator does the same with his."""
    raw = file.read_bytes()
    made = decode_order(raw)

    async def call() -> str:
        name = genesis_hash(read_genesis(genesis)[1])
        async with NodeClient(node, genesis_hash=name, ledger=made.order.ledger) as client:
            return await client.hand_in_reopening(raw)

    show(order_row(made) | {"waits_for": asyncio.run(call())}, as_json)


@app.command("show")
def show_(
    node: NODE,
    ledger: LEDGER = 0,
    genesis: Annotated[
        Path | None, typer.Option("--genesis", help="Genesis document: signatures are verified with it.")
    ] = None,
    as_json: JSON = False,
) -> None:
    """Show whose statements are there and missing, who stated what, and the past reopenings."""
    view = ChainView(read_genesis(genesis)[1]) if genesis is not None else None

    async def ask(client: NodeClient) -> Row:
        answer = await client.reopenings()
        known = view if view is not None else ChainView(await client.genesis())
        validators = known.validators_of(answer.epoch) if view is not None else known.validators
        past: list[Row] = []
        for raw in answer.reopenings:
            made = decode_reopening(raw)
            members = known.validators_of(made.order.order.epoch) if view is not None else known.validators
            if view is not None:
                check_statements(made.statements, members, view.genesis_hash)
            past.append(past_row(raw, members))
        if view is not None:
            check_statements(list(map(decode_signed_statement, answer.statements)), validators, view.genesis_hash)
        row = open_row(answer.height, answer.attempt, answer.order, answer.statements, validators)
        return {"open": row, "waits_for": answer.waits_for, "past": past, "verified": view is not None}

    async def call() -> Row:
        async with NodeClient(node, genesis_hash=view.genesis_hash if view else b"", ledger=ledger) as client:
            return await (through_epochs(view, client, ask) if view is not None else ask(client))

    show(asyncio.run(call()), as_json)
