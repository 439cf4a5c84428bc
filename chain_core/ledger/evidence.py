"""Equivocation proofs on disk: the first one a signer, epoch and kind, bounded in all."""

from __future__ import annotations

from chain_core.codec.evidence import encode_equivocation
from chain_core.ledger import keys
from chain_core.ledger.database import Database
from chain_core.types.evidence import Equivocation

MAX_EQUIVOCATIONS = 1_024
"""Proofs kept in all; who equivocates is removed long before."""


def add_proof(database: Database, proof: Equivocation) -> bool:
    """Keep a proof, synced. False when one of its place is there, or too many are."""
    place = proof.epoch.to_bytes(8, "big") + proof.signer.to_bytes(2, "big") + bytes((proof.statement,))
    key = keys.EQUIVOCATION + place
    if database.get(key) is not None or len(proofs(database)) >= MAX_EQUIVOCATIONS:
        return False
    batch = database.batch()
    batch.put(key, encode_equivocation(proof))
    database.write(batch)
    return True


def proofs(database: Database) -> list[bytes]:
    """Encoded proofs, ascending by epoch, signer and kind."""
    found = database.scan(keys.EQUIVOCATION, keys.after(keys.EQUIVOCATION), MAX_EQUIVOCATIONS)
    return [value for _, value in found]
