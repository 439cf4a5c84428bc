"""``dualchain supervisory channel``: what the regulator asks markets' chains (docs/spec/channels.md)."""

from __future__ import annotations

import typer

from chain_core.node import render
from chain_core.node.command import GENESIS, JSON, NODES, PASSPHRASE, answer, identifier
from chain_core.node.verifying_client import VerifyingClient
from chain_core.types.values import Value
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
from crosschain.channel_services import LOCAL
from crosschain.channel_view import channel_row
from supervisory_chain.channel import Channel
from supervisory_chain.regulating.common import ACCOUNT, CHAIN, KEY, Acting, act, chain_of

app = typer.Typer(help="Requests to markets' chains 跨链服务请求.", no_args_is_help=True)

SEE = "look at `supervisory channel show`"


@app.command()
def show(chain: CHAIN, node: NODES, genesis: GENESIS, last: SHOWN = 20, as_json: JSON = False) -> None:
    """What the regulator asked a market's chain: in flight, answered, refunded, its units."""

    async def ask(client: VerifyingClient) -> render.Row:
        return await channel_row(client, client.view.genesis_hash, await chain_of(client, chain), last)

    answer(genesis, node, ask, as_json)


@app.command()
def request(
    chain: CHAIN,
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
    """Ask a market's chain, out of your units, and show the proven answer when it is there."""
    asked = new_request(service, read_arguments(service, LOCAL, arguments), within)
    who = identifier(account, "--account")

    async def args(client: VerifyingClient) -> dict[str, Value]:
        return {"chain": await chain_of(client, chain), **asked}

    async def after(client: VerifyingClient) -> render.Row:
        peer = await chain_of(client, chain)
        return {"request": await became(client, client.view.genesis_hash, peer, who, asked, wait)}

    acting = Acting(account, key, passphrase, node, genesis, as_json)
    act(Channel(), "request", args, {"chain": chain}, acting, SEE, after)


@app.command()
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
    """Give an account more units for requests, by an account with the role csrc."""
    who = identifier(grantee, "GRANTEE")

    async def args(client: VerifyingClient) -> dict[str, Value]:
        return {"account": who, "units": units}

    async def after(client: VerifyingClient) -> render.Row:
        return {"units": await units_row(client, who)}

    act(Channel(), "grant", args, {}, Acting(account, key, passphrase, node, genesis, as_json), SEE, after)
