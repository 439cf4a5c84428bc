"""``dualchain local successor``: a new chain that goes on with the state of one that lost too many nodes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from chain_core.codec.block import decode_header
from chain_core.node import render
from chain_core.node.command import (
    CLIENT_SECURITY,
    JSON,
    NEW_PASSPHRASE,
    PLAIN_KEYS,
    PLANS,
    Ports,
    credentials,
    read_plans,
    show,
)
from chain_core.node.key_protection import protection
from chain_core.node.provision import ProvisionRefused, make_validators, new_network, write_network
from chain_core.node.succession import Bequest, successor_document
from local_chain.assembly import local_assembly
from local_chain.genesis import check_votes


def successor(
    directory: Annotated[Path, typer.Argument(help="New directory for the network.")],
    source: Annotated[Path, typer.Option("--from", help="Directory that `node snapshot` wrote on the predecessor.")],
    nodes: PLANS,
    protect: NEW_PASSPHRASE = "prompt",
    plain_keys: PLAIN_KEYS = False,
    client_security: CLIENT_SECURITY = Ports.SM,
    as_json: JSON = False,
) -> None:
    """Make the successor 后继链 of a chain that lost more than a third of its nodes for ever, from its last state.

    Name all its nodes, those that stay too: every one gets new keys. In each node's folder run `dualchain node begin`
    with the same snapshot, then `dualchain node run`. The regulator decides whether the successor takes the chain's
    place: give him the new genesis document and the snapshot.
    """
    plans, bequest = read_plans(nodes, client_security), Bequest.open(source)
    if bequest.genesis.kind != "local":
        what = f"{bequest.genesis.chain_id} is a {bequest.genesis.kind} chain"
        raise ProvisionRefused(what, where="--from", next_step="name the snapshot of a market's chain")
    check_votes(plans)
    keys = protection(protect, plain=plain_keys)
    with new_network(directory):
        genesis = successor_document(
            bequest,
            make_validators(directory, plans, keys),
            time.time_ns() // 1_000_000,
            local_assembly(bequest.genesis),
            directory,
        )
        identity = write_network(directory, genesis, plans, keys, client_security.value)
    past = genesis.predecessor
    assert past is not None, "it was made with one"
    row: render.Row = {
        "chain_id": genesis.chain_id,
        "genesis_hash": identity.hex(),
        "predecessor": bequest.genesis_hash.hex(),
    }
    row |= {"height": decode_header(past.header).height, "lineage": past.lineage.hex()}
    row |= {"directory": str(directory), "nodes": len(plans)}
    show(row | credentials(directory, client_security), as_json)
