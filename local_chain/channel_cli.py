"""``dualchain local channel``: what a market's chain asks the supervisory one (docs/spec/channels.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chain_core.codec.genesis import genesis_hash
from chain_core.network.refusals import NotFound
from chain_core.node import render
from chain_core.node.command import GENESIS, JSON, NODES, PASSPHRASE, answer, identifier
from chain_core.node.key_protection import open_key
from chain_core.node.validators_cli import submit_one
from chain_core.node.verifying_client import VerifyingClient
from chain_core.types.transaction import Operation
from crosschain.channel_asking import (
    ARGUMENTS,
    GRANTEE,
    SERVICE,
    SHOWN,
    UNITS,
    WAIT,
    WITHIN,
    became,
    new_request,
    read_arguments,
    units_row,
)
from crosschain.channel_services import SUPERVISORY
from crosschain.channel_view import channel_row
from crosschain.packets import CHANNEL
from local_chain.channel import Channel

channel_app = typer.Typer(help="Requests to the regulator's chain 跨链服务请求.", no_args_is_help=True)

ACCOUNT = Annotated[str, typer.Option("--account", help="Your account id on this chain, 32 hexadecimal digits.")]
KEY = Annotated[Path, typer.Option("--key", help="Its transaction key: SM2 PKCS#8 PEM, mode 0600.")]
SEE = "look at `local channel show`"


@channel_app.command()
def show(node: NODES, genesis: GENESIS, last: SHOWN = 20, as_json: JSON = False) -> None:
    """What this market's chain asked the regulator: in flight, answered, refunded, its units."""

    async def ask(client: VerifyingClient) -> render.Row:
        return await channel_row(client, client.view.genesis_hash, _above(client), last)

    answer(genesis, node, ask, as_json)


@channel_app.command()
def request(
    service: SERVICE,
    arguments: ARGUMENTS,
    account: ACCOUNT,
    key: KEY,
    node: NODES,
    genesis: GENESIS,
    within: WITHIN = 600,
    wait: WAIT = 60,
    passphrase: PASSPHRASE = "",
    as_json: JSON = False,
) -> None:
    """Ask the regulator's chain, out of your units, and show the proven answer when it is there."""
    asked = new_request(service, read_arguments(service, SUPERVISORY, arguments), within)
    private, who = open_key(key, passphrase), identifier(account, "--account")

    async def ask(client: VerifyingClient) -> render.Row:
        above = _above(client)
        calls = Operation(CHANNEL, "request", asked)
        done = await submit_one(client, account, private, calls, contracts=(Channel(),), next_step=SEE)
        return done | {"request": await became(client, client.view.genesis_hash, above, who, asked, wait)}

    answer(genesis, node, ask, as_json)


@channel_app.command()
def grant(
    grantee: GRANTEE,
    units: UNITS,
    account: ACCOUNT,
    key: KEY,
    node: NODES,
    genesis: GENESIS,
    passphrase: PASSPHRASE = "",
    as_json: JSON = False,
) -> None:
    """Give an account more units for requests, by an account with the role operator."""
    private, who = open_key(key, passphrase), identifier(grantee, "GRANTEE")

    async def ask(client: VerifyingClient) -> render.Row:
        call = Operation(CHANNEL, "grant", {"account": who, "units": units})
        done = await submit_one(client, account, private, call, contracts=(Channel(),), next_step=SEE)
        return done | {"units": await units_row(client, who)}

    answer(genesis, node, ask, as_json)


def _above(client: VerifyingClient) -> bytes:
    """The supervisory chain's genesis hash. Raises NotFound."""
    above = client.view.genesis.supervisory_genesis
    if not above:
        what = f"{client.view.genesis.chain_id} is under no supervisory chain: it is no market's chain"
        raise NotFound(what, where="genesis", next_step="name a node and the genesis document of a market's chain")
    return genesis_hash(above)
