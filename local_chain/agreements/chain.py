"""Deposits and agreements as a market's nodes prove them, and what a party signs (docs/spec/agreements.md §3, §8)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from chain_core.crypto.providers import provider, signing_provider
from chain_core.network.refusals import NotFound
from chain_core.node import render
from chain_core.node.verifying_client import VerifyingClient
from chain_core.types.errors import MalformedBytes
from contracts.agreements.records import (
    BY_ASSERTION,
    Agreement,
    Deposit,
    agreement_key,
    decode_agreement,
    decode_deposit,
    deposit_key,
    statement_message,
)
from crosschain.identity.document import date_time
from service_registry.deposits.slips import Slip, require_document


@dataclass(frozen=True, slots=True)
class Statement:
    """A party's consent by its assertion key, for the operator to hand in."""

    agreement: bytes
    party: bytes
    key: bytes
    signature: bytes


async def agreement_of(client: VerifyingClient, identity: bytes) -> tuple[int, Agreement]:
    """The agreement, proven, and under which height. Raises NotFound."""
    header, (raw,) = await client.state([agreement_key(identity)])
    if raw is None:
        raise NotFound("there is no such agreement", where=identity.hex(), next_step="compare the id with the slip's")
    return header.height, decode_agreement(raw)


async def deposit_of(client: VerifyingClient, identity: bytes) -> tuple[int, Deposit]:
    """The deposit, proven, and under which height. Raises NotFound."""
    header, (raw,) = await client.state([deposit_key(identity)])
    if raw is None:
        raise NotFound("there is no such deposit", where=identity.hex(), next_step="compare the id with the slip's")
    return header.height, decode_deposit(raw)


async def agreed_text(client: VerifyingClient, slip: Slip, document: bytes) -> Agreement:
    """The agreement whose text this document is: nobody signs another one. Raises MalformedBytes, NotFound."""
    require_document(slip, document)
    if slip.kind != "agreement":
        raise MalformedBytes("the slip is of a deposit", where="slip", next_step="name the agreement's slip")
    _, found = await agreement_of(client, slip.id)
    if found.commitment != slip.commitment:
        raise MalformedBytes("the agreement is about another document", where="slip", next_step="do not sign it")
    return found


async def state_of(client: VerifyingClient, identity: bytes, party: bytes, private: bytes) -> Statement:
    """The party's consent to the agreement as it is proven. Raises NotFound."""
    _, found = await agreement_of(client, identity)
    message = statement_message(client.view.genesis_hash, identity, found, party)
    key = signing_provider().sm2_public_key(private)
    return Statement(identity, party, key, signing_provider().sm2_sign(private, message))


def write_statement(path: Path, made: Statement) -> None:
    """A new file. Raises MalformedBytes."""
    row = {name: getattr(made, name).hex() for name in Statement.__slots__}
    try:
        with path.open("x", encoding="utf-8") as file:
            json.dump(row, file, indent=1)
    except OSError as error:
        raise MalformedBytes(
            f"cannot be written: {error.strerror}", where=str(path), next_step="name a new file"
        ) from error


def read_statement(path: Path) -> Statement:
    """Raises MalformedBytes."""
    try:
        row = json.loads(path.read_text("utf-8"))
        found = Statement(*(bytes.fromhex(row[name]) for name in Statement.__slots__))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise MalformedBytes(
            f"no statement: {error}", where=str(path), next_step="name the file of `agreement statement`"
        ) from error
    sizes = tuple(len(getattr(found, name)) for name in Statement.__slots__)
    if sizes != (16, 16, 64, 64):
        raise MalformedBytes("no statement: wrong sizes", where=str(path), next_step="make it anew")
    return found


def agreement_row(height: int, identity: bytes, found: Agreement) -> render.Row:
    """For people and programs."""
    waiting = [party.hex() for party in found.parties if party not in found.signed]
    return {
        "agreement": identity.hex(),
        "proven_at_height": height,
        "status": found.status,
        "proposer": found.proposer.hex(),
        "commitment": found.commitment.hex(),
        "order": found.order,
        "deadline": date_time(found.deadline_ms),
        "signatures": [
            {
                "party": one.party.hex(),
                "by": one.method,
                "at": date_time(one.time_ms),
                "transaction": one.transaction.hex(),
            }
            for one in found.signatures
        ],
        "waiting_for": waiting if found.status == "open" else [],
    }


def deposit_row(height: int, identity: bytes, found: Deposit) -> render.Row:
    """For people and programs."""
    row: render.Row = {
        "deposit": identity.hex(),
        "proven_at_height": height,
        "owner": found.owner.hex(),
        "kind": found.kind,
        "commitment": found.commitment.hex(),
        "at": date_time(found.time_ms),
        "height": found.height,
    }
    return row | ({"depositor": found.depositor.hex()} if found.depositor else {})


def wrong_signatures(identity: bytes, found: Agreement) -> list[str]:
    """Parties whose assertion signature on record does not verify: none, or the chain's validators lied.

    What was signed by transaction is checked by its receipt: `evidence export --transaction`.
    """
    return [
        one.party.hex()
        for one in found.signatures
        if one.method == BY_ASSERTION
        and not provider().sm2_verify(one.key, statement_message(one.chain, identity, found, one.party), one.signature)
    ]
