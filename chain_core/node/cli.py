"""``dualchain node``: run a node, and ask one. Commands parse, call and print; nothing else happens here."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer
from google.protobuf.json_format import MessageToDict

from chain_core.codec.block import decode_block
from chain_core.codec.genesis import decode_genesis, genesis_hash
from chain_core.codec.seen import state_key
from chain_core.crypto.passphrase import SOURCES, parse_source
from chain_core.network.ingress import check_block_contents
from chain_core.node import archive_cli, audit_cli, render, reopen_cli, succession_cli
from chain_core.node.assembly import Assemblies
from chain_core.node.chain_view import ChainView
from chain_core.node.client import NodeClient
from chain_core.node.client_security import from_environment
from chain_core.node.config import load_config, read_genesis
from chain_core.node.epoch_following import through_epochs
from chain_core.node.events_cli import events
from chain_core.node.replay_cli import replay
from chain_core.node.submit_cli import submit
from chain_core.types.errors import InvalidProof, MalformedBytes

NODE = Annotated[str, typer.Option("--node", help="Client port of the node to ask, host:port.")]
GENESIS = Annotated[
    Path | None,
    typer.Option("--genesis", help="Genesis document to verify the answer against; without it nothing is verified."),
]
JSON = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

_Ask = Callable[[NodeClient, ChainView | None], Coroutine[Any, Any, render.Row]]


def make_app(assemblies: Callable[[], Assemblies]) -> typer.Typer:
    """The command group; ``assemblies`` is asked only when a node is run."""
    app = typer.Typer(help="Run a node, and ask one.", no_args_is_help=True)

    @app.command()
    def run(
        config: Annotated[Path, typer.Option("--config", help="The node's TOML file.")],
        source: Annotated[
            str,
            typer.Option("--passphrase-from", metavar="SOURCE", help=f"Instead of what the file says: {SOURCES}."),
        ] = "",
    ) -> None:
        """Run a node until SIGTERM or Ctrl-C. Exit codes: 0 stopped, 1 could not start, 3 failed while running."""
        from chain_core.node.lifetime import run_node

        passphrase_from = parse_source(source) if source else None
        raise typer.Exit(run_node(load_config(config), assemblies(), passphrase_from))

    for command in (status, header, block, receipt, state, scan, genesis, events, equivocations, submit, replay):
        app.command()(command)
    app.add_typer(audit_cli.make_app(), name="audit")
    archive_cli.add_commands(app, assemblies)
    succession_cli.add_commands(app, assemblies)
    app.add_typer(reopen_cli.app, name="reopen")
    return app


def status(node: NODE, as_json: JSON = False) -> None:
    """Show how a node is doing, and, when it makes no blocks, why."""

    async def ask(client: NodeClient, view: ChainView | None) -> render.Row:
        message = await client.status()
        row = MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
        return row | {"genesis_hash": message.genesis_hash.hex()}

    _print(node, None, ask, as_json)


def header(
    node: NODE,
    height: Annotated[int | None, typer.Option("--height", min=0, help="Without it: the latest final one.")] = None,
    genesis: GENESIS = None,
    as_json: JSON = False,
) -> None:
    """A final header and who certified it."""

    async def ask(client: NodeClient, view: ChainView | None) -> render.Row:
        certified = await client.header(height)
        if view is not None:
            view.check_header(certified)
        return render.header(certified, await _names(client, view))

    _print(node, genesis, ask, as_json)


def block(
    node: NODE,
    height: Annotated[int, typer.Option("--height", min=1, help="Height of the block.")],
    genesis: GENESIS = None,
    as_json: JSON = False,
) -> None:
    """A final block: its header and its transactions with what became of them."""

    async def ask(client: NodeClient, view: ChainView | None) -> render.Row:
        answer = await client.block(height)
        decoded = decode_block(answer.block)
        if view is not None:
            certified = await client.header(height)
            final = view.check_header(certified)
            if decoded.header != certified.header:
                raise InvalidProof("the block has another header", where=f"height {height}")
            check_block_contents(decoded, final)
            view.check_receipts(final, answer.receipts)
        return render.block(decoded, answer, await _names(client, view))

    _print(node, genesis, ask, as_json)


def receipt(
    node: NODE,
    transaction: Annotated[str, typer.Option("--transaction", help="Transaction id, hexadecimal.")] = "",
    account: Annotated[str, typer.Option("--account", help="Account id, hexadecimal; needs --nonce.")] = "",
    nonce: Annotated[int | None, typer.Option("--nonce", min=0, help="Nonce of the account's transaction.")] = None,
    genesis: GENESIS = None,
    as_json: JSON = False,
) -> None:
    """What became of a transaction; asked by account and nonce also the proof that there is none."""
    if bool(transaction) == (bool(account) and nonce is not None):
        raise typer.BadParameter("give --transaction, or --account with --nonce")

    async def ask(client: NodeClient, view: ChainView | None) -> render.Row:
        if transaction:
            answer = await client.receipt(_hex(transaction, "--transaction"))
        else:
            answer = await client.receipt_of_nonce(_hex(account, "--account"), nonce or 0)
        if answer.receipt is None:
            if view is not None:
                view.check_unused(_hex(account, "--account"), nonce or 0, answer.header, answer.absence)
            return {"found": False, "header": render.header(answer.header, await _names(client, view))}
        if view is not None:
            view.check_receipt(answer.header, answer.receipt)
        return {"found": True} | render.receipt(answer.receipt)

    _print(node, genesis, ask, as_json)


def state(
    node: NODE,
    keys: Annotated[list[str], typer.Argument(help="Keys as contract:hexadecimal, for example accounts:00ff.")],
    genesis: GENESIS = None,
    as_json: JSON = False,
) -> None:
    """Values of final state, proven under the latest final header."""
    full = [_state_key(key) for key in keys]

    async def ask(client: NodeClient, view: ChainView | None) -> render.Row:
        answer = await client.state(full)
        if view is not None:
            view.check_state(full, answer)
        head = render.header(answer.header, await _names(client, view))
        values = {key: render.value(item.value) for key, item in zip(keys, answer.items, strict=True)}
        return {"height": head["height"], "values": values}

    _print(node, genesis, ask, as_json)


def scan(
    node: NODE,
    prefix: Annotated[
        str, typer.Argument(help="Prefix as contract:hexadecimal; the part after the colon may be empty.")
    ],
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="At most so many entries.")] = 100,
    as_json: JSON = False,
) -> None:
    """Keys and values below a prefix, NOT proven: prove what matters with `state`."""

    async def ask(client: NodeClient, view: ChainView | None) -> render.Row:
        answer = await client.scan(_state_key(prefix), limit=limit)
        items = {_shown_key(key): render.value(value) for key, value in answer.items}
        return {"height": answer.height, "proven": False, "more": answer.more, "items": items}

    _print(node, None, ask, as_json)


def equivocations(node: NODE, genesis: GENESIS = None, as_json: JSON = False) -> None:
    """Validators that signed two contradicting bodies, each with the proof that convicts it."""

    async def ask(client: NodeClient, view: ChainView | None) -> render.Row:
        proofs, rows = await client.equivocations(), []
        names = await _names(client, view)
        for proof in proofs:
            if view is not None:
                epoch = view.check_equivocation(proof).epoch
                names = [validator.name for validator in view.validators_of(epoch).validators]
            rows.append(render.equivocation(proof, names))
        return {"count": len(rows), "equivocations": rows}

    _print(node, genesis, ask, as_json)


def genesis(
    node: NODE,
    out: Annotated[Path | None, typer.Option("--out", help="File to write the document to.")] = None,
    as_json: JSON = False,
) -> None:
    """Show the genesis document a node runs, and save it with --out.

    The node could lie: compare the hash with the one that the chain's operator published or told you.
    """

    async def ask(client: NodeClient, view: ChainView | None) -> render.Row:
        raw = await client.genesis()
        document = decode_genesis(raw)
        if out is not None:
            out.write_bytes(raw)
        return {
            "genesis_hash": genesis_hash(raw).hex(),
            "chain_id": document.chain_id,
            "kind": document.kind,
            "market": document.market,
            "validators": {v.name: v.entity for v in document.validators.validators},
            "parameters": document.parameters,
            "flags": list(document.flags),
        }

    _print(node, None, ask, as_json)


def _print(node: str, genesis: Path | None, ask: _Ask, as_json: bool) -> None:
    """Ask, and print one object; ``verified`` says whether its proofs were checked against a genesis document."""
    raw = read_genesis(genesis)[1] if genesis is not None else None
    view = ChainView(raw) if raw is not None else None

    async def call() -> render.Row:
        security = from_environment(raw)
        async with NodeClient(node, genesis_hash=view.genesis_hash if view else b"", security=security) as client:
            if view is None:
                return await ask(client, None)
            return await through_epochs(view, client, lambda node: ask(node, view))

    row = asyncio.run(call()) | {"verified": view is not None}
    typer.echo(json.dumps(row, ensure_ascii=False) if as_json else "\n".join(render.lines(row)))


async def _names(client: NodeClient, view: ChainView | None) -> list[str]:
    validators = view.validators if view is not None else decode_genesis(await client.genesis()).validators
    return [validator.name for validator in validators.validators]


def _hex(text: str, where: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError as error:
        raise MalformedBytes("not hexadecimal", where=where, next_step="write pairs of 0-9 and a-f") from error


def _state_key(text: str) -> bytes:
    contract, colon, key = text.partition(":")
    if not colon or not contract.isascii():
        raise MalformedBytes("not a state key", where=text, next_step="write contract:hexadecimal")
    return state_key(contract, _hex(key, text))


def _shown_key(full: bytes) -> str:
    size = full[0]
    return f"{full[1 : 1 + size].decode('ascii', 'replace')}:{full[1 + size :].hex()}"
