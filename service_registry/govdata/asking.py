"""``dualchain govdata ask``: a registry user with a DID asks for data (docs/spec/government-data.md §3, §6)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chain_core.node import render
from chain_core.node.config import ConfigRefused
from chain_core.types.errors import MalformedBytes
from crosschain.identity.credentials import CredentialRefused, parsed
from crosschain.identity.document import date_time
from service_registry.chain import RegistryChain
from service_registry.config import load
from service_registry.govdata.config import SEE, AskConfig
from service_registry.govdata.parties import Asking
from service_registry.session import Session


def read_document(path: Path) -> dict[str, Any]:
    """A credential's file. Raises MalformedBytes."""
    try:
        document = parsed(path.read_bytes())
    except (OSError, CredentialRefused) as error:
        raise MalformedBytes(f"no credential: {error}", where=str(path), next_step="name the file") from error
    return document


async def ask(config: Path, service: bytes, authorisation: Path, items: Sequence[str], purpose: str) -> render.Row:
    """Raises what ``Asking.ask`` raises, ConfigRefused, KeyFileRefused, MalformedBytes."""
    file = load(AskConfig, config, SEE)
    if file.identity is None:
        raise ConfigRefused("needed to present a credential", where="identity", next_step=SEE)
    document = read_document(authorisation)
    chain = RegistryChain(
        file.view(file.supervisory, "supervisory"), file.supervisory.nodes, file.security(file.supervisory)
    )
    try:
        session = Session(file, chain)
        consumer = session.consumer()
        try:
            who = bytes.fromhex(session.actor.account)
            asking = Asking(chain, consumer, who, file.identity.did, file.key(file.identity.key))
            found = await asking.ask(service, document, items, purpose)
        finally:
            await consumer.close()
    finally:
        await chain.close()
    row: render.Row = {"service": service.hex(), "authorisation": found.receipt.authorisation}
    row |= {"use": found.number, "of": found.uses, "source": json.dumps(found.source, ensure_ascii=False)}
    return row | {
        "given_at": date_time(found.receipt.time_ms),
        "proven_at_height": found.height,
        "data": found.data,
    }
