"""Seals of data owners: SM2 over SM3 with the default user id, on RFC 8785 bytes (docs/spec/data-objects.md §4).

The key is one of purpose ``assertion`` (docs/spec/keys.md §1). The bytes begin with ``{"body"``, those of every other
signature of the project with ``dualchain/``: none can be replayed as the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from chain_core.crypto.providers import provider, sign_many_for_clients
from contracts.data_model.snapshot import Seal, Snapshot

Signing = Callable[[Sequence[tuple[bytes, bytes]]], list[bytes]]
"""Signatures over (private key, message) pairs, in order."""


def seal_many(
    snapshots: Sequence[Snapshot],
    private_key: bytes,
    public_key: bytes,
    *,
    bodies: Sequence[bytes | None] | None = None,
    signing: Signing = sign_many_for_clients,
) -> list[bytes]:
    """The stored bytes of each, with one seal, in order: signed in lanes where the machine can. Raises InvalidKey,
    SnapshotRefused for what has no canonical form. ``bodies`` are canonical bytes where the caller has them.
    """
    given = bodies or [None] * len(snapshots)
    encoded = [snapshot.encoded(body) for snapshot, body in zip(snapshots, given, strict=True)]
    signatures = signing([(private_key, one.signed) for one in encoded])
    return [one.sealed((Seal(public_key, signature),)) for one, signature in zip(encoded, signatures, strict=True)]


def verify_seals(snapshot: Snapshot) -> bool:
    """Whether there is a seal and each one holds. Whose keys they are is not judged here."""
    message = snapshot.signed_bytes()
    verdicts = provider().sm2_verify_many([(seal.public_key, message, seal.signature) for seal in snapshot.seals])
    return bool(verdicts) and all(verdicts)
