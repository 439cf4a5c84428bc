"""Putting a data bureau on record, by two houses (docs/spec/government-data.md §2)."""

from __future__ import annotations

import secrets
from pathlib import Path

from chain_core.network.signing import sign_transaction
from chain_core.node import render
from chain_core.node.verifying_client import Refused
from chain_core.types.transaction import Operation, TransactionBody
from crosschain.identity.data_uses import GOVDATA
from service_registry.chain import WINDOW_MS, RefusedByChain, RegistryChain, wall_clock_ms
from service_registry.config import KeyPair
from service_registry.govdata.config import PartyConfig

Named = tuple[str, str, bytes]
"""Credit code, name, public key."""


async def name_bureau(
    chain: RegistryChain, file: PartyConfig, named: Named, cosigner: bytes, cosigner_key: Path
) -> render.Row:
    """Final, or RefusedByChain. Raises KeyFileRefused."""
    who = file.account()
    second = KeyPair.load(cosigner_key, file.keys.unlock(file.directory))
    code, name, key = named
    operation = Operation(GOVDATA, "name_bureau", {"bureau": code, "name": name, "key": key})
    until = wall_clock_ms() + WINDOW_MS
    body = TransactionBody(0, who.account, secrets.randbits(63), until, (operation,), cosigners=(cosigner,))
    keys = [(who.private, who.public), (second.private, second.public)]
    (outcome,) = await chain.client.submit_until_final([sign_transaction(chain.genesis_hash, body, keys)])
    if isinstance(outcome, Refused):
        raise outcome.refusal
    if outcome.receipt.code:
        shown = outcome.proven
        raise RefusedByChain(
            f"{shown.text_zh} / {shown.text_en}",
            rule=outcome.receipt.rule,
            where=f"height {outcome.header.height}, {outcome.receipt.rule}",
            next_step="see docs/spec/government-data.md §2",
        )
    return {"bureau": code, "name": name, "height": outcome.header.height, "final": True}
