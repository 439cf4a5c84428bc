"""``dualchain supervisory successor``: the market's operator proposes, the regulator confirms (successor.md §6)."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from chain_core.codec.genesis import decode_genesis, genesis_hash
from chain_core.codec.proofs import encode_state_proof
from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_map
from chain_core.node import render
from chain_core.node.command import GENESIS, JSON, NODES, PASSPHRASE, answer, identifier
from chain_core.node.config import read_genesis
from chain_core.node.key_protection import open_key
from chain_core.node.succession import Bequest, check_succession, prove_last_state
from chain_core.node.validators_cli import submit_one
from chain_core.node.verifying_client import VerifyingClient
from chain_core.types.errors import MalformedBytes
from chain_core.types.transaction import Operation
from chain_core.types.values import Value
from supervisory_chain.handover import carried_keys
from supervisory_chain.successors import SUCCESSORS, Successors

app = typer.Typer(
    help="A market moves to the successor 后继链 of its chain: its operator proposes, the regulator confirms.",
    no_args_is_help=True,
)

CHAIN = Annotated[str, typer.Argument(help="Genesis hash of the successor, 64 hexadecimal digits.")]
ACCOUNT = Annotated[str, typer.Option("--account", help="Your account id on the supervisory chain, 32 hex digits.")]
KEY = Annotated[Path, typer.Option("--key", help="Its transaction key: SM2 PKCS#8 PEM, mode 0600.")]
GIVE_UP = Annotated[
    bool,
    typer.Option("--give-up", help="Give up what the predecessor sent and nobody delivered; both say so."),
]


@app.command()
def propose(
    document: Annotated[Path, typer.Argument(help="Genesis document of the successor.")],
    source: Annotated[Path, typer.Option("--from", help="The predecessor's snapshot, from `node snapshot`.")],
    endpoint: Annotated[
        list[str], typer.Option("--endpoint", help="RPC service as NAME=HOST:PORT, on two of its nodes; repeat.")
    ],
    account: ACCOUNT,
    key: KEY,
    node: NODES,
    genesis: GENESIS,
    technology: Annotated[str, typer.Option("--technology", help="What the chain runs on.")] = "dualchain",
    consensus: Annotated[str, typer.Option("--consensus", help="How it agrees.")] = "PBFT",
    give_up: GIVE_UP = False,
    passphrase: PASSPHRASE = "",
    as_json: JSON = False,
) -> None:
    """Propose it, as the institution that registered the predecessor; `confirm` by the regulator moves the market.

    Bring the predecessor's last packets first: its remaining nodes answer the relayer as long as they run.
    """
    raw, bequest = document.read_bytes(), Bequest.open(source)
    check_succession(decode_genesis(raw), bequest)
    with tempfile.TemporaryDirectory(prefix="successor-") as scratch:
        keys = carried_keys(genesis_hash(read_genesis(genesis)[1]))
        proven = prove_last_state(bequest, keys, Path(scratch))
    with bequest.state() as state:
        certificate = state.certificate
    args: dict[str, Value] = {
        "genesis": raw,
        "technology": technology,
        "consensus": consensus,
        "endpoints": [_endpoint(text) for text in endpoint],
        "certificate": certificate,
        "counters": [{"value": value or b"", "proof": encode_state_proof(proof)} for value, proof in proven],
        "give_up": give_up,
    }
    row: render.Row = {"chain": genesis_hash(raw).hex(), "predecessor": bequest.genesis_hash.hex(), "give_up": give_up}
    _submit("propose", args, row, account, open_key(key, passphrase), node, genesis, as_json)


@app.command()
def confirm(
    chain: CHAIN,
    account: ACCOUNT,
    key: KEY,
    node: NODES,
    genesis: GENESIS,
    give_up: GIVE_UP = False,
    passphrase: PASSPHRASE = "",
    as_json: JSON = False,
) -> None:
    """Move the market, as the regulator: from now on nothing of the predecessor is taken."""
    args: dict[str, Value] = {"chain": identifier(chain, "CHAIN", 32), "give_up": give_up}
    _submit("confirm", args, {"chain": chain}, account, open_key(key, passphrase), node, genesis, as_json)


@app.command()
def withdraw(
    chain: CHAIN,
    account: ACCOUNT,
    key: KEY,
    node: NODES,
    genesis: GENESIS,
    passphrase: PASSPHRASE = "",
    as_json: JSON = False,
) -> None:
    """End a proposal, as its proposer or as the regulator."""
    _submit(
        "withdraw",
        {"chain": identifier(chain, "CHAIN", 32)},
        {"chain": chain},
        account,
        open_key(key, passphrase),
        node,
        genesis,
        as_json,
    )


@app.command("show")
def show_proposed(
    predecessor: Annotated[str, typer.Argument(help="Genesis hash of the chain to be succeeded, 64 hex digits.")],
    node: NODES,
    genesis: GENESIS,
    as_json: JSON = False,
) -> None:
    """The successor proposed for a chain, proven: what the regulator confirms."""
    before = identifier(predecessor, "PREDECESSOR", 32)

    async def ask(client: VerifyingClient) -> render.Row:
        header, (chain,) = await client.state([state_key(SUCCESSORS, b"p" + before)])
        if chain is None:
            return {"predecessor": predecessor, "proposed": False, "height": header.height}
        _, (raw,) = await client.state([state_key(SUCCESSORS, b"r" + chain)])
        row = {} if raw is None else cast(dict[str, Any], render.plain(decode_map(raw)))
        return {"predecessor": predecessor, "proposed": True, "chain": chain.hex()} | row

    answer(genesis, node, ask, as_json)


def _submit(
    method: str,
    args: dict[str, Value],
    row: render.Row,
    account: str,
    key: bytes,
    node: list[str],
    genesis: Path,
    as_json: bool,
) -> None:
    async def ask(client: VerifyingClient) -> render.Row:
        operation = Operation(SUCCESSORS, method, args)
        return row | await submit_one(
            client,
            account,
            key,
            operation,
            contracts=(Successors(),),
            next_step="look at `successor show` and `market`",
        )

    answer(genesis, node, ask, as_json)


def _endpoint(text: str) -> Value:
    name, separator, address = text.partition("=")
    if not separator or not name or not address:
        what = f"{text!r} is not NAME=HOST:PORT"
        raise MalformedBytes(what, where="--endpoint", next_step="name a node of the document and its client port")
    return {"node": name, "address": address}
