"""Seals on all cores: the libraries sign on threads, outside the interpreter's lock."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from chain_core.crypto.providers import sign_many_for_clients

_WORTH_IT = 64
"""Fewer signatures than this are not spread."""


def sign_on_all_cores(items: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
    """Signatures over (private key, message) pairs, in order. Raises InvalidKey, SigningFailed."""
    workers = os.cpu_count() or 1
    if workers == 1 or len(items) < _WORTH_IT:
        return sign_many_for_clients(items)
    size = -(-len(items) // workers)
    with ThreadPoolExecutor(workers) as pool:
        parts = pool.map(sign_many_for_clients, [items[at : at + size] for at in range(0, len(items), size)])
        return [signature for part in parts for signature in part]
