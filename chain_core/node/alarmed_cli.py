"""``validators alarmed``: what nodes say of validators' certificates, and the proposals from it (certificates.md §9).

A node's alarm proves nothing, so a validator counts as alarmed when f + 1 of the asked nodes say so: one of them at
least is honest. What follows is for governors: a proposal is opened with one's key and needs another's approval.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated

import typer

from chain_core.codec.seen import state_key
from chain_core.crypto.x509.watch import AlarmCode
from chain_core.execution.epochs import CURRENT_KEY, EpochInfo, decode_epoch
from chain_core.execution.membership import REMOVE
from chain_core.execution.parameters import GOVERNANCE
from chain_core.execution.proposals import decode_agenda, decode_proposal, proposal_key
from chain_core.node import render
from chain_core.node.command import GENESIS, JSON, NODES, PASSPHRASE, answer
from chain_core.node.key_protection import open_key
from chain_core.node.validators_cli import NotDecided, submit_one
from chain_core.node.verifying_client import VerifyingClient
from chain_core.types.errors import DualchainError, LocalFault
from chain_core.types.transaction import Operation

COUNTED = (AlarmCode.CERTIFICATE_REVOKED, AlarmCode.CERTIFICATE_EXPIRED)
"""Alarms that call for a decision; others are for the validator's own operator."""

Told = Mapping[str, Mapping[str, frozenset[str]]]
"""Validator -> code -> addresses of the nodes that say so."""


class KeyNeeded(LocalFault):
    """A proposal has to be signed."""

    code = "KEY_NEEDED"


def alarmed(
    node: NODES,
    genesis: GENESIS,
    propose: Annotated[bool, typer.Option("--propose", help="Open a proposal for each that f+1 nodes name.")] = False,
    account: Annotated[str, typer.Option("--account", help="With --propose: the governor's account id.")] = "",
    key: Annotated[Path | None, typer.Option("--key", help="With --propose: the governor's transaction key.")] = None,
    source: PASSPHRASE = "",
    as_json: JSON = False,
) -> None:
    """Validators whose certificate is revoked or has ended, as the given nodes say; --propose asks the governors.

    Name as many nodes as you can: f + 1 of them have to agree. The proposal is that the validator leaves; reject it
    when its operator renews the certificate, or rotate its key instead (rotate --purpose transport).
    """
    if propose and (not account or key is None):
        raise KeyNeeded("a proposal is a governor's", where="--propose", next_step="give --account and --key")
    private = open_key(key, source) if propose and key is not None else None

    async def ask(client: VerifyingClient) -> render.Row:
        epoch, pending = await _state(client)
        told = await _told(client, {validator.name for validator in epoch.validators.validators})
        rows: dict[str, render.Row] = {}
        for name, codes in told.items():
            agreed = agreed_code(codes, epoch.validators.f + 1)
            rows[name] = {code: sorted(addresses) for code, addresses in codes.items()}
            rows[name] |= {"agreed": agreed, "pending_proposal": pending.get(name, 0)}
            if propose and agreed and name not in pending and private is not None:
                rows[name]["proposed"] = await _propose(client, name, account, private)
        return {"needed": epoch.validators.f + 1, "asked": len(client.nodes), "validators": rows}

    answer(genesis, node, ask, as_json)


def agreed_code(codes: Mapping[str, Iterable[str]], needed: int) -> str:
    """The weightiest code that ``needed`` nodes tell, empty when none is."""
    return next((str(code) for code in COUNTED if len(set(codes.get(str(code), ()))) >= needed), "")


async def _state(client: VerifyingClient) -> tuple[EpochInfo, dict[str, int]]:
    """The present epoch, and the pending proposal about each validator that has one; proven."""
    _, (current, agenda) = await client.state([CURRENT_KEY, state_key(GOVERNANCE, b"agenda")])
    numbers = [number for number, _ in decode_agenda(agenda)]
    keys = [state_key(GOVERNANCE, proposal_key(number)) for number in numbers]
    found = (await client.state(keys))[1] if keys else []
    pending: dict[str, int] = {}
    for number, raw in zip(numbers, found, strict=True):
        name = decode_proposal(raw).content.get("name") if raw is not None else None
        if isinstance(name, str):
            pending[name] = number
    return decode_epoch(current or b""), pending


async def _told(client: VerifyingClient, names: set[str]) -> Told:
    """What each node says; one that cannot be asked says nothing."""
    told: dict[str, dict[str, set[str]]] = {}
    for node in client.nodes:
        try:
            status = await node.status()
        except DualchainError:
            continue
        for alarm in status.security_alarms:
            if alarm.of in names and alarm.code in COUNTED:
                told.setdefault(alarm.of, {}).setdefault(alarm.code, set()).add(node.address)
    return {name: {code: frozenset(found) for code, found in codes.items()} for name, codes in sorted(told.items())}


async def _propose(client: VerifyingClient, name: str, account: str, private: bytes) -> str:
    """Opened, or why governance does not take it."""
    operation = Operation(GOVERNANCE, "propose", {"kind": REMOVE, "content": {"name": name}, "effective_height": 0})
    try:
        row = await submit_one(client, account, private, operation)
    except NotDecided as refusal:
        return f"refused: {refusal.what}; rotate its transport key, or replace it"
    return f"opened at height {row['height']}"
