"""``dualchain evidence``: write a bundle, print the script that checks it. Parse, call, print."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from chain_core.codec.genesis import genesis_hash
from chain_core.codec.seen import state_key
from chain_core.node.chain_view import ChainView
from chain_core.node.client_security import from_environment
from chain_core.node.command import GENESIS, JSON, NODES, identifier, show
from chain_core.node.config import read_genesis
from chain_core.node.verifying_client import VerifyingClient
from chain_core.types.errors import MalformedBytes
from chain_core.types.ids import HASH_SIZE, MAX_U64
from contracts.agreements.records import agreement_key, deposit_key
from contracts.kernel.records import HOLDING, KERNEL, SECURITY
from dualchain.evidence.bundle import Exported, receipt_bundle, state_bundle, transaction_bundle
from dualchain.evidence.writing import SCRIPT, certificate_files, read_chain, root_of, write_bundle

app = typer.Typer(
    help="Evidence bundles 证据包: for whoever has openssl and a POSIX shell, and believes nobody.",
    no_args_is_help=True,
)

Question = Callable[[VerifyingClient], Awaitable[Exported]]


@app.command()
def export(
    node: NODES,
    genesis: GENESIS,
    output: Annotated[Path, typer.Option("--output", help="New folder for the bundle.")],
    transaction: Annotated[str, typer.Option("--transaction", help="A transaction's id, 64 hexadecimal digits.")] = "",
    receipt: Annotated[
        str, typer.Option("--receipt", metavar="ACCOUNT:NONCE", help="The result alone, not the content.")
    ] = "",
    security: Annotated[str, typer.Option("--security", help="A security's record: its id.")] = "",
    holder: Annotated[str, typer.Option("--holder", help="With --security: this account's holding of it.")] = "",
    key: Annotated[str, typer.Option("--key", help="A full state key in hexadecimal.")] = "",
    deposit: Annotated[str, typer.Option("--deposit", help="A deposit of a document 存证: its id.")] = "",
    agreement: Annotated[str, typer.Option("--agreement", help="An agreement with its signatures 协议: its id.")] = "",
    certificates: Annotated[
        Path | None,
        typer.Option("--certificates", help="PEM chain of the signer's transaction key, leaf first, root last."),
    ] = None,
    through_latest: Annotated[
        bool, typer.Option("--through-latest", help="Follow all epochs, not only as far as the fact asks for.")
    ] = False,
    as_json: JSON = False,
) -> None:
    """Ask nodes, verify everything, write a folder that verify.sh has accepted. Give exactly one fact."""
    key = _document_key(key, deposit, agreement)
    question = _question(transaction, receipt, security, holder, key, through_latest)
    chain = read_chain(certificates) if certificates else []

    async def call() -> Exported:
        raw = read_genesis(genesis)[1]
        client = VerifyingClient(ChainView(raw), node, from_environment(raw))
        try:
            return await question(client)
        finally:
            await client.close()

    exported = asyncio.run(call())
    files = dict(exported.files)
    if chain:
        files |= certificate_files(chain, exported)
    told = write_bundle(output, files)
    anchor, root = genesis_hash(files["genesis.bin"]).hex(), root_of(files)
    row = {
        "kind": exported.kind,
        "folder": str(output),
        "files": len(files) + 1,
        "height": exported.height,
        "epochs": exported.epochs,
        "anchor": anchor,
    }
    row |= {"root": root} if root else {}
    if not as_json:
        typer.echo(told, nl=False)
    show(row | {"verified": True}, as_json)


@app.command()
def verifier() -> None:
    """Print verify.sh, the auditor's script; who checks takes it from a source of his own."""
    typer.echo(SCRIPT.read_text("utf-8"), nl=False)


def _question(transaction: str, receipt: str, security: str, holder: str, key: str, through_latest: bool) -> Question:
    given = sum(bool(text) for text in (transaction, receipt, security, key))
    if given != 1 or (holder and not security):
        raise MalformedBytes(
            f"{given} facts are named",
            where="command line",
            next_step="give one of --transaction, --receipt, --security (with --holder or without), --deposit, "
            "--agreement, --key",
        )
    if transaction:
        found = identifier(transaction, "--transaction", HASH_SIZE)
        return partial(transaction_bundle, transaction_id=found, through_latest=through_latest)
    if receipt:
        account, nonce = _account_nonce(receipt)
        return partial(receipt_bundle, account=account, nonce=nonce, through_latest=through_latest)
    return partial(state_bundle, key=_key(security, holder, key), through_latest=through_latest)


def _document_key(key: str, deposit: str, agreement: str) -> str:
    """The state key that --deposit or --agreement stand for; two facts at once are none."""
    keys = [key] if key else []
    keys += [deposit_key(identifier(deposit, "--deposit")).hex()] if deposit else []
    keys += [agreement_key(identifier(agreement, "--agreement")).hex()] if agreement else []
    if len(keys) > 1:
        raise MalformedBytes(f"{len(keys)} facts are named", where="command line", next_step="give one of them")
    return keys[0] if keys else ""


def _account_nonce(text: str) -> tuple[bytes, int]:
    account, colon, nonce = text.partition(":")
    if not colon or not (nonce.isascii() and nonce.isdigit()) or int(nonce) > MAX_U64:
        raise MalformedBytes(f"{text!r} is not ACCOUNT:NONCE", where="--receipt", next_step="write id, colon, number")
    return identifier(account, "--receipt"), int(nonce)


def _key(security: str, holder: str, key: str) -> bytes:
    if holder:
        own = HOLDING + identifier(security, "--security") + identifier(holder, "--holder")
        return state_key(KERNEL, own)
    if security:
        return state_key(KERNEL, SECURITY + identifier(security, "--security"))
    if len(key) % 2 or not 2 <= len(key) <= 510:
        raise MalformedBytes(f"{len(key)} digits", where="--key", next_step="give a full state key, 1 to 255 bytes")
    return identifier(key, "--key", len(key) // 2)
