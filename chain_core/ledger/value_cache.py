"""State values in memory beside LevelDB, bounded in bytes: a block reads what its neighbours read and wrote.

Holds what was read or written last, absences too. Only committed values are ever in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

CACHE_BYTES = 64 << 20
_ENTRY_BYTES = 200
"""Two bytes objects and their place in the table, beside their contents."""


class ValueCache:
    """Final state values by full key. ``load`` reads what is not here; the oldest entries go when room ends."""

    __slots__ = ("_load", "_max_bytes", "_size", "_values")

    def __init__(self, load: Callable[[bytes], bytes | None], max_bytes: int = CACHE_BYTES) -> None:
        self._load = load
        self._max_bytes = max_bytes
        self._values: dict[bytes, bytes | None] = {}
        self._size = 0

    def get(self, key: bytes) -> bytes | None:
        """The final value, None without one. Raises what ``load`` raises."""
        values = self._values
        if key in values:
            return values[key]
        value = self._load(key)
        self._put(key, value)
        return value

    def committed(self, writes: Mapping[bytes, bytes | None]) -> None:
        """A block is durable: its writes (None: removed) are the final values from here on."""
        for key, value in writes.items():
            self._put(key, value)

    @property
    def size_bytes(self) -> int:
        """What it holds, estimated; at most the limit it was made with."""
        return self._size

    def _put(self, key: bytes, value: bytes | None) -> None:
        values = self._values
        if key in values:
            self._size -= _weight(key, values.pop(key))
        values[key] = value
        self._size += _weight(key, value)
        while self._size > self._max_bytes:
            oldest = next(iter(values))
            self._size -= _weight(oldest, values.pop(oldest))


def _weight(key: bytes, value: bytes | None) -> int:
    return _ENTRY_BYTES + len(key) + (0 if value is None else len(value))
