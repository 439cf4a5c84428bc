"""SM3 (GB/T 32905) as plain functions over the process's provider, which is chosen at the first call."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from chain_core.crypto.providers import provider


def sm3(data: bytes) -> bytes:
    """SM3 of ``data``: 32 bytes."""
    return _one(data)


def sm3_many(messages: Sequence[bytes]) -> list[bytes]:
    """SM3 of each message, in order."""
    return provider().sm3_many(messages)


def sm3_records(data: bytes, record_size: int) -> bytes:
    """SM3 of each of the k equal records in ``data``: k * 32 bytes. Raises ValueError on a partial record."""
    return provider().sm3_records(data, record_size)


def _choose(data: bytes) -> bytes:
    global _one  # noqa: PLW0603 - bound once, so that later calls cost no look-up
    _one = provider().sm3
    return _one(data)


_one: Callable[[bytes], bytes] = _choose
