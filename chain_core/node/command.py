"""What every persona's commands share: proven answers, printing one object, reading node plans."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from chain_core.crypto.passphrase import SOURCES
from chain_core.network.identity import require_address, require_loopback
from chain_core.node import render
from chain_core.node.certify import AUTHORITY, CLIENTS, TERMINAL
from chain_core.node.chain_view import ChainView
from chain_core.node.client_security import ENVIRONMENT_VARIABLE, from_environment
from chain_core.node.config import read_genesis
from chain_core.node.provision import ACCOUNTS_DIRECTORY, NodePlan, ProvisionRefused
from chain_core.node.verifying_client import VerifyingClient
from chain_core.types.errors import LocalFault, MalformedBytes
from chain_core.types.validator_set import MIN_VALIDATORS

NODES = Annotated[list[str], typer.Option("--node", help="Client port of a node, host:port; repeat for more nodes.")]
GENESIS = Annotated[
    Path, typer.Option("--genesis", help="Genesis document of the chain: answers are verified with it.")
]
JSON = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
PLANS = Annotated[
    list[str],
    typer.Option("--node", help="A node as NAME,LEGAL ENTITY,HOST,PEER PORT,CLIENT PORT; repeat, at least four."),
]

PASSPHRASE = Annotated[
    str,
    typer.Option("--passphrase-from", metavar="SOURCE", help=f"Where its passphrase is read: {SOURCES}."),
]
NEW_PASSPHRASE = Annotated[
    str, typer.Option("--passphrase-from", metavar="SOURCE", help=f"Where the new passphrase is read: {SOURCES}.")
]
PLAIN_KEYS = Annotated[bool, typer.Option("--plain-keys", help="Leave the new keys unencrypted.")]


class Ports(StrEnum):
    """How new nodes' client ports are protected."""

    SM = "sm"
    PLAINTEXT = "plaintext"


CLIENT_SECURITY = Annotated[
    Ports, typer.Option("--client-security", help="Client ports: SM sessions, or plaintext on this machine only.")
]

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,47}\Z")
"""A node's name is the name of its folder, too."""
_PORT = re.compile(r"[0-9]{1,5}\Z")
_OTHER_FOLDERS = (ACCOUNTS_DIRECTORY, AUTHORITY, CLIENTS)

Question = Callable[[VerifyingClient], Awaitable[render.Row]]


def answer(genesis: Path, nodes: Sequence[str], question: Question, as_json: bool) -> None:
    """Ask, verify, print. Every answer is proven under a certified header; InvalidProof when no node's is."""

    async def call() -> render.Row:
        raw = read_genesis(genesis)[1]
        client = VerifyingClient(ChainView(raw), nodes, from_environment(raw))
        try:
            return await question(client)
        finally:
            await client.close()

    show(asyncio.run(call()) | {"verified": True}, as_json)


def show(row: render.Row, as_json: bool) -> None:
    """One JSON object, or lines for people."""
    typer.echo(json.dumps(row, ensure_ascii=False) if as_json else "\n".join(render.lines(row)))


def identifier(text: str, where: str, size: int = 16) -> bytes:
    """Bytes from hexadecimal of exactly ``size`` bytes; MalformedBytes otherwise."""
    try:
        value = bytes.fromhex(text)
    except ValueError:
        value = b""
    if len(value) != size:
        what = f"{text!r} is not {2 * size} hexadecimal digits"
        raise MalformedBytes(what, where=where, next_step="copy the id from the command that showed it")
    return value


def read_plans(texts: Sequence[str], ports: Ports = Ports.SM) -> list[NodePlan]:
    """Node plans from the command line; ProvisionRefused names the one that is wrong."""
    plans = [_plan(text, ports) for text in texts]
    if len(plans) < MIN_VALIDATORS:
        raise ProvisionRefused(
            f"{len(plans)} nodes; PBFT takes at least {MIN_VALIDATORS}",
            where="--node",
            next_step="give --node once for each node (guideline art. 7)",
        )
    _distinct([plan.name for plan in plans], "name")
    _distinct([f"{p.host}:{port}" for p in plans for port in (p.peer_port, p.client_port)], "address")
    return plans


def credentials(directory: Path, ports: Ports) -> render.Row:
    """What ``init`` says about talking to the new nodes: which folder commands take their key and certificates from."""
    if ports is Ports.PLAINTEXT:
        return {}
    return {"next": f"export {ENVIRONMENT_VARIABLE}={shlex.quote(str((directory / CLIENTS / TERMINAL).resolve()))}"}


def _distinct(values: Sequence[str], what: str) -> None:
    for value, count in Counter(values).items():
        if count > 1:
            raise ProvisionRefused(
                f"the {what} {value} is given {count} times", where="--node", next_step=f"give each {what} once"
            )


def _plan(text: str, ports_are: Ports) -> NodePlan:
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 5 or not all(parts):
        raise ProvisionRefused(
            f"{text!r} has {len(parts)} parts",
            where="--node",
            next_step="write NAME,LEGAL ENTITY,HOST,PEER PORT,CLIENT PORT",
        )
    name, entity, host, *ports = parts
    if not _NAME.match(name) or name in _OTHER_FOLDERS:
        raise ProvisionRefused(
            f"{name!r} is no name for a node",
            where="--node",
            next_step=f"use lower-case letters, digits and hyphens, 48 at most, none of {', '.join(_OTHER_FOLDERS)}",
        )
    if not all(_PORT.match(port) and 0 < int(port) < 65_536 for port in ports):
        raise ProvisionRefused(
            f"{', '.join(ports)} are no ports", where=f"--node {name}", next_step="write numbers from 1 to 65535"
        )
    try:
        address = f"{host}:{ports[0]}"
        require_address(address) if ports_are is Ports.SM else require_loopback(address)
    except LocalFault as fault:
        next_step = f"{fault.next_step}; --client-security sm" if ports_are is Ports.PLAINTEXT else fault.next_step
        raise ProvisionRefused(fault.what, where=f"--node {name}", next_step=next_step) from fault
    return NodePlan(name, entity, host, int(ports[0]), int(ports[1]))
