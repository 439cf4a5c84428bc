"""``validators`` of every persona: who certifies, proposals that change it, folders for who joins (membership.md §5).

Commands parse, call and print; what is shown is proven, what is proposed is final when the command ends.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_value
from chain_core.crypto.passphrase import Unlock, parse_source
from chain_core.crypto.providers import signing_provider
from chain_core.crypto.x509.authority import open_authority
from chain_core.execution.contract import Contract
from chain_core.execution.epochs import CURRENT_KEY, SCHEDULED_KEY, EpochInfo, decode_epoch
from chain_core.execution.governance import Governance
from chain_core.execution.membership import ADD, REMOVE, REPLACE, ROTATE
from chain_core.execution.messages import Messages
from chain_core.execution.parameters import GOVERNANCE
from chain_core.execution.proposals import decode_agenda, decode_proposal, proposal_key
from chain_core.network.identity import split_address
from chain_core.network.signing import sign_transaction
from chain_core.node import render
from chain_core.node.chain_view import VerifiedReceipt
from chain_core.node.command import (
    CLIENT_SECURITY,
    GENESIS,
    JSON,
    NEW_PASSPHRASE,
    NODES,
    PASSPHRASE,
    PLAIN_KEYS,
    Ports,
    answer,
    identifier,
    show,
)
from chain_core.node.config import load_config, read_genesis
from chain_core.node.key_protection import Protection, open_key, protection
from chain_core.node.own_keys import unlock_of
from chain_core.node.provision import CONFIG_FILE, NodePlan, write_newcomer, write_next_key
from chain_core.node.verifying_client import VerifyingClient
from chain_core.types.errors import DualchainError
from chain_core.types.ids import PUBLIC_KEY_SIZE
from chain_core.types.transaction import Operation, TransactionBody
from chain_core.types.values import Value

NAME = Annotated[str, typer.Argument(help="The validator's name.")]
ACCOUNT = Annotated[str, typer.Option("--account", help="The governor's account id, 32 hexadecimal digits.")]
KEY = Annotated[Path, typer.Option("--key", help="The governor's transaction key: SM2 PKCS#8 PEM, mode 0600.")]
ENTITY = Annotated[str, typer.Option("--entity", help="Legal entity that runs it.")]
CONSENSUS = Annotated[str, typer.Option("--consensus-key", help="Its consensus public key, 128 hexadecimal digits.")]
TRANSPORT = Annotated[str, typer.Option("--transport-key", help="Its transport public key, 128 hexadecimal digits.")]
ADDRESS = Annotated[str, typer.Option("--address", help="Its peer port, host:port, where the others dial it.")]
NUMBER = Annotated[int, typer.Argument(min=1, help="Number of the proposal.")]

_WINDOW_MS = 60_000


class NotDecided(DualchainError):
    """The transaction is final and was refused by governance."""

    code = "NOT_DECIDED"


def validators_app() -> typer.Typer:
    """The command group; each persona adds it to its own."""
    app = typer.Typer(help="Validators 验证者: who certifies, and proposals that change it.", no_args_is_help=True)
    app.command("show")(show_validators)
    for command in (proposals, add, remove, replace, rotate, approve, reject, prepare):
        app.command()(command)
    app.command("next-key")(next_key)
    from chain_core.node.alarmed_cli import alarmed  # it proposes by what stands here

    app.command()(alarmed)
    return app


def show_validators(node: NODES, genesis: GENESIS, as_json: JSON = False) -> None:
    """The validators in force, and those of the scheduled epoch, proven."""

    async def ask(client: VerifyingClient) -> render.Row:
        header, (current, scheduled) = await client.state([CURRENT_KEY, SCHEDULED_KEY])
        later = None if scheduled is None else _epoch(decode_epoch(scheduled))
        return {"height": header.height, **_epoch(decode_epoch(current or b"")), "scheduled": later}

    answer(genesis, node, ask, as_json)


def _epoch(info: EpochInfo) -> render.Row:
    rows = {
        v.name: {
            "entity": v.entity,
            "consensus_key": v.consensus_key.hex(),
            "transport_key": v.transport_key.hex(),
            "address": info.addresses.get(v.name, ""),
        }
        for v in info.validators.validators
    }
    quorum = f"{info.validators.q} of {info.validators.n}"
    return {"epoch": info.epoch, "start": info.start, "quorum": quorum, "validators": rows}


def proposals(node: NODES, genesis: GENESIS, as_json: JSON = False) -> None:
    """All proposals that are pending, of any kind, proven."""

    async def ask(client: VerifyingClient) -> render.Row:
        header, (raw,) = await client.state([state_key(GOVERNANCE, b"agenda")])
        numbers = [number for number, _ in decode_agenda(raw)]
        keys = [state_key(GOVERNANCE, proposal_key(number)) for number in numbers]
        found = (await client.state(keys))[1] if keys else []
        rows = {}
        for number, stored in zip(numbers, found, strict=True):
            if stored is not None:
                proposal = decode_proposal(stored)
                rows[str(number)] = {
                    "kind": proposal.kind,
                    "content": render.plain(proposal.content),
                    "status": proposal.status,
                    "due_height": proposal.due_height,
                    "proposer": proposal.proposer.hex(),
                    "approvals": dict(proposal.approvals),
                    "rejections": dict(proposal.rejections),
                }
        return {"height": header.height, "proposals": rows}

    answer(genesis, node, ask, as_json)


def add(
    name: NAME,
    entity: ENTITY,
    consensus_key: CONSENSUS,
    transport_key: TRANSPORT,
    address: ADDRESS,
    account: ACCOUNT,
    key: KEY,
    node: NODES,
    genesis: GENESIS,
    source: PASSPHRASE = "",
    as_json: JSON = False,
) -> None:
    """Propose that a validator joins."""
    content = _newcomer(name, entity, consensus_key, transport_key, address)
    propose(ADD, content, account, open_key(key, source), node, genesis, as_json)


def remove(
    name: NAME,
    account: ACCOUNT,
    key: KEY,
    node: NODES,
    genesis: GENESIS,
    source: PASSPHRASE = "",
    as_json: JSON = False,
) -> None:
    """Propose that a validator leaves."""
    propose(REMOVE, {"name": name}, account, open_key(key, source), node, genesis, as_json)


def replace(
    name: NAME,
    by: Annotated[str, typer.Option("--by", help="Name of the validator that takes its place.")],
    entity: ENTITY,
    consensus_key: CONSENSUS,
    transport_key: TRANSPORT,
    address: ADDRESS,
    account: ACCOUNT,
    key: KEY,
    node: NODES,
    genesis: GENESIS,
    source: PASSPHRASE = "",
    as_json: JSON = False,
) -> None:
    """Propose that another validator takes one's place."""
    newcomer = _newcomer(by, entity, consensus_key, transport_key, address)
    propose(REPLACE, {"name": name, "by": newcomer}, account, open_key(key, source), node, genesis, as_json)


def rotate(
    name: NAME,
    new_key: Annotated[str, typer.Option("--new-key", help="The new public key, 128 hexadecimal digits.")],
    account: ACCOUNT,
    key: KEY,
    node: NODES,
    genesis: GENESIS,
    purpose: Annotated[str, typer.Option("--purpose", help="consensus or transport.")] = "consensus",
    source: PASSPHRASE = "",
    as_json: JSON = False,
) -> None:
    """Propose that a validator changes its key."""
    content: dict[str, Value] = {"name": name, "purpose": purpose, "key": _public(new_key, "--new-key")}
    propose(ROTATE, content, account, open_key(key, source), node, genesis, as_json)


def approve(
    number: NUMBER,
    account: ACCOUNT,
    key: KEY,
    node: NODES,
    genesis: GENESIS,
    source: PASSPHRASE = "",
    as_json: JSON = False,
) -> None:
    """Approve a proposal, of any kind."""
    _vote("approve", number, account, open_key(key, source), node, genesis, as_json)


def reject(
    number: NUMBER,
    account: ACCOUNT,
    key: KEY,
    node: NODES,
    genesis: GENESIS,
    source: PASSPHRASE = "",
    as_json: JSON = False,
) -> None:
    """Reject a proposal, of any kind."""
    _vote("reject", number, account, open_key(key, source), node, genesis, as_json)


def prepare(
    directory: Annotated[Path, typer.Argument(help="New folder for the node.")],
    name: Annotated[str, typer.Option("--name", help="Its name.")],
    entity: ENTITY,
    peer: Annotated[str, typer.Option("--peer-port", help="Its peer port, host:port.")],
    client: Annotated[str, typer.Option("--client-port", help="Its client port, host:port.")],
    contact: Annotated[
        list[str], typer.Option("--contact", help="A validator to turn to first, NAME=HOST:PORT; repeat.")
    ],
    genesis: GENESIS,
    ca: Annotated[
        Path | None, typer.Option("--ca", help="Directory of the authority that certifies it; none: a request is made.")
    ] = None,
    protect: NEW_PASSPHRASE = "prompt",
    plain_keys: PLAIN_KEYS = False,
    client_security: CLIENT_SECURITY = Ports.SM,
    as_json: JSON = False,
) -> None:
    """Make keys and configuration of a node that is to join, and say what the proposal needs.

    Without --ca its folder gets transport.csr, which the operator's authority signs: dualchain ca sign.
    """
    (host, peer_port), (_, client_port) = split_address(peer), split_address(client)
    contacts = dict(item.partition("=")[::2] for item in contact)
    plan = NodePlan(name, entity, host, peer_port, client_port)
    made_so = protection(protect, plain=plain_keys)
    unlock = Unlock(made_so.source, plain=True, passphrase=made_so.passphrase)  # one passphrase a process
    authority = open_authority(ca, unlock) if ca is not None else None
    raw = read_genesis(genesis)[1]
    made = write_newcomer(directory, plan, raw, contacts, authority, made_so, client_security.value)
    keys = {"consensus_key": made.consensus_key.hex(), "transport_key": made.transport_key.hex()}
    show({"name": name, "entity": entity, **keys, "address": peer, "directory": str(directory)}, as_json)


def next_key(
    directory: Annotated[Path, typer.Argument(help="The node's folder.")],
    source: PASSPHRASE = "",
    as_json: JSON = False,
) -> None:
    """Make a node's next consensus key, and say which one the proposal names; restart the node to load it.

    It is encrypted as the present one is, under the same passphrase.
    """
    unlock = unlock_of(load_config(directory / CONFIG_FILE), parse_source(source) if source else None)
    made = write_next_key(directory, Protection(unlock.passphrase(), unlock.source))
    show({"new_key": made.hex(), "directory": str(directory)}, as_json)


def _newcomer(name: str, entity: str, consensus_key: str, transport_key: str, address: str) -> dict[str, Value]:
    return {
        "name": name,
        "entity": entity,
        "consensus_key": _public(consensus_key, "--consensus-key"),
        "transport_key": _public(transport_key, "--transport-key"),
        "address": address,
    }


def _public(text: str, where: str) -> bytes:
    return identifier(text, where, PUBLIC_KEY_SIZE)


def propose(
    kind: str, content: dict[str, Value], account: str, key: bytes, node: list[str], genesis: Path, as_json: bool
) -> None:
    """A governor's proposal of any kind: handed in, final, and printed with its number."""
    args: dict[str, Value] = {"kind": kind, "content": content, "effective_height": 0}

    async def ask(client: VerifyingClient) -> render.Row:
        row = await submit_one(client, account, key, Operation(GOVERNANCE, "propose", args))
        _, (last,) = await client.state([state_key(GOVERNANCE, b"last")])
        return row | {"kind": kind, "last_proposal": None if last is None else render.plain(decode_value(last))}

    answer(genesis, node, ask, as_json)


def _vote(method: str, number: int, account: str, key: bytes, node: list[str], genesis: Path, as_json: bool) -> None:
    async def ask(client: VerifyingClient) -> render.Row:
        row = await submit_one(client, account, key, Operation(GOVERNANCE, method, {"proposal": number}))
        _, (raw,) = await client.state([state_key(GOVERNANCE, proposal_key(number))])
        if raw is None:
            return row
        proposal = decode_proposal(raw)
        return row | {"proposal": number, "status": proposal.status, "due_height": proposal.due_height}

    answer(genesis, node, ask, as_json)


async def submit_one(
    client: VerifyingClient,
    account: str,
    key: bytes,
    *operations: Operation,
    contracts: Sequence[Contract] = (Governance({}, ()),),
    next_step: str = "look at `validators show` and `validators proposals`",
) -> render.Row:
    """A transaction of the client's ledger, final and in effect. Raises NotDecided when its receipt says no, in the
    words of ``contracts`` and with ``next_step``. ``key``: the account's private transaction key.
    """
    until = time.time_ns() // 1_000_000 + _WINDOW_MS
    body = TransactionBody(
        client.view.ledger, identifier(account, "--account"), secrets.randbits(63), until, operations
    )
    signer = (key, signing_provider().sm2_public_key(key))
    (settled,) = await client.submit_until_final([sign_transaction(client.view.genesis_hash, body, [signer])])
    if not isinstance(settled, VerifiedReceipt):
        raise settled.refusal
    receipt = settled.receipt
    if receipt.code:
        texts = Messages(contracts)
        raise NotDecided(
            texts.render(receipt.code, receipt.rule, receipt.parameters, "en"),
            where=f"height {settled.header.height}",
            next_step=next_step,
        )
    return {"height": settled.header.height, "transaction": receipt.transaction_id.hex(), "final": True}
