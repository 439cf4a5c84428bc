"""Seals of data owners: SM2 over SM3 with the default user id, on RFC 8785 bytes (docs/spec/data-objects.md §4).

The key is one of purpose ``assertion`` (docs/spec/keys.md §1). The bytes begin with ``{"body"``, those of every other
signature of the project with ``dualchain/``: none can be replayed as the other.
"""

from __future__ import annotations

from collections.abc import Sequence

from chain_core.crypto.providers import provider, sign_many_for_clients
from contracts.data_model.snapshot import Seal, Snapshot


def seal_many(snapshots: Sequence[Snapshot], private_key: bytes, public_key: bytes) -> list[bytes]:
    """The stored bytes of each, with one seal, in order: signed in lanes where the machine can. Raises InvalidKey,
    SnapshotRefused for what has no canonical form.
    """
    encoded = [snapshot.encoded() for snapshot in snapshots]
    signatures = sign_many_for_clients([(private_key, one.signed()) for one in encoded])
    return [one.sealed((Seal(public_key, signature),)) for one, signature in zip(encoded, signatures, strict=True)]


def verify_seals(snapshot: Snapshot) -> bool:
    """Whether there is a seal and each one holds. Whose keys they are is not judged here."""
    message = snapshot.signed_bytes()
    verdicts = provider().sm2_verify_many([(seal.public_key, message, seal.signature) for seal in snapshot.seals])
    return bool(verdicts) and all(verdicts)
