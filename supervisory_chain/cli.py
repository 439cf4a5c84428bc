"""``dualchain supervisory``: make the regulator's chain, and ask it what it has verified."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_map
from chain_core.node import render
from chain_core.node.command import (
    CLIENT_SECURITY,
    GENESIS,
    JSON,
    NEW_PASSPHRASE,
    NODES,
    PLAIN_KEYS,
    PLANS,
    Ports,
    answer,
    credentials,
    identifier,
    read_plans,
    show,
)
from chain_core.node.key_protection import protection
from chain_core.node.provision import make_accounts, make_validators, new_network, write_network
from chain_core.node.validators_cli import validators_app
from chain_core.node.verifying_client import VerifyingClient
from crosschain.following import decode_position
from crosschain.packets import CLIENTS, INBOX, chain_record_key, client_key
from service_registry.resolver_cli import resolver_app
from supervisory_chain.genesis import ACCOUNTS, CHAIN_ID, supervisory_genesis
from supervisory_chain.looking.cli import app as look_app
from supervisory_chain.probing.cli import app as probe_app
from supervisory_chain.puller.cli import app as puller_app
from supervisory_chain.regulating.admission_cli import app as admission_app
from supervisory_chain.regulating.cases_cli import app as cases_app
from supervisory_chain.regulating.channel_cli import app as channel_app
from supervisory_chain.regulating.clients_cli import app as clients_app
from supervisory_chain.regulating.desk_cli import app as desk_app
from supervisory_chain.regulating.directives_cli import app as directives_app
from supervisory_chain.regulating.risk_cli import app as risk_app
from supervisory_chain.successor_cli import app as successor_app

app = typer.Typer(help="The regulator's chain 监管链: make it, and ask what it has verified.", no_args_is_help=True)
app.add_typer(validators_app(), name="validators")
app.add_typer(successor_app, name="successor")
app.add_typer(puller_app, name="puller")
app.add_typer(look_app, name="look")
app.add_typer(probe_app, name="probe")
app.add_typer(admission_app, name="admission")
app.add_typer(cases_app, name="cases")
app.add_typer(channel_app, name="channel")
app.add_typer(desk_app, name="desk")
app.add_typer(directives_app, name="directives")
app.add_typer(risk_app, name="risk")
app.add_typer(clients_app, name="clients")
app.add_typer(resolver_app("supervisory"), name="resolver")

CHAIN = Annotated[str, typer.Argument(help="Genesis hash of the market's chain, 64 hexadecimal digits.")]
MARKET = Annotated[str, typer.Argument(help="Region code of the market (JR/T 0326), for example BJ.")]


@app.command()
def init(
    directory: Annotated[Path, typer.Argument(help="New directory for the network.")],
    nodes: PLANS,
    chain_id: Annotated[str, typer.Option("--chain-id", help="Identifier of the chain.")] = CHAIN_ID,
    protect: NEW_PASSPHRASE = "prompt",
    plain_keys: PLAIN_KEYS = False,
    client_security: CLIENT_SECURITY = Ports.SM,
    as_json: JSON = False,
) -> None:
    """Make a new chain: keys, genesis document (its time is now), and one folder for each node.

    Keys are encrypted, asking at the terminal unless --passphrase-from says otherwise. Each node's folder holds all
    that its machine needs beside the passphrase: run `dualchain node run --config node.toml` in it.
    """
    plans = read_plans(nodes, client_security)
    keys = protection(protect, plain=plain_keys)
    with new_network(directory):
        genesis = supervisory_genesis(
            chain_id,
            time.time_ns() // 1_000_000,
            make_validators(directory, plans, keys),
            make_accounts(directory, ACCOUNTS, keys),
        )
        identity = write_network(directory, genesis, plans, keys, client_security.value)
    row: render.Row = {"chain_id": chain_id, "genesis_hash": identity.hex(), "directory": str(directory)}
    show(row | {"nodes": len(plans), **credentials(directory, client_security)}, as_json)


@app.command()
def market(code: MARKET, node: NODES, genesis: GENESIS, as_json: JSON = False) -> None:
    """Which chain a market has registered, and what is registered of it (guideline art. 10)."""

    async def ask(client: VerifyingClient) -> render.Row:
        header, (raw,) = await client.state([state_key("chains", b"m" + code.encode("utf-8"))])
        if raw is None:
            return {"market": code, "registered": False, "height": header.height}
        _, (record,) = await client.state([chain_record_key(raw)])
        row = {} if record is None else cast(dict[str, Any], render.plain(decode_map(record)))
        return {"market": code, "registered": True, "chain": raw.hex()} | row

    answer(genesis, node, ask, as_json)


@app.command()
def following(chain: CHAIN, node: NODES, genesis: GENESIS, as_json: JSON = False) -> None:
    """How far a market's chain has been followed and verified, and what its reports said."""
    identity = identifier(chain, "CHAIN", 32)

    async def ask(client: VerifyingClient) -> render.Row:
        header, (position, tally, alarm) = await client.state(
            [client_key(identity), state_key(INBOX, b"r" + identity), state_key(CLIENTS, b"w" + identity)]
        )
        found = decode_position(position)
        return {
            "height": header.height,
            "followed_height": found.height,
            "followed_header": found.header_hash.hex(),
            "followed_time_ms": found.time_ms,
            "lag_ms": header.time_ms - found.time_ms if found.height else None,
            "frozen": found.frozen >= 0,
            "epoch": found.epoch,
            "validators_alarm": None if alarm is None else render.plain(decode_map(alarm)),
            "reports": {} if tally is None else render.plain(decode_map(tally)),
        }

    answer(genesis, node, ask, as_json)
