"""State values in memory beside LevelDB, bounded in bytes: a block reads what its neighbours read and wrote.

Holds what was read or written last, absences too. Only committed values are ever in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

CACHE_BYTES = 64 << 20
_ENTRY_BYTES = 200
"""Two bytes objects and their place in the table, beside their contents."""


class _Values(dict[bytes, bytes | None]):
    """What is in memory; a look-up of anything else asks ``absent``."""

    __slots__ = ("absent",)

    def __init__(self, absent: Callable[[bytes], bytes | None]) -> None:
        self.absent = absent

    def __missing__(self, key: bytes) -> bytes | None:
        return self.absent(key)


class ValueCache:
    """Final state values by full key. ``load`` reads what is not here; the oldest entries go when room ends.

    ``get(key)`` is the final value, None without one; it raises what ``load`` raises. It is the table's own look-up, so
    that a value in memory costs no call of Python's: a transaction reads a dozen.
    """

    __slots__ = ("_load", "_max_bytes", "_size", "_values", "get")

    def __init__(self, load: Callable[[bytes], bytes | None], max_bytes: int = CACHE_BYTES) -> None:
        self._load = load
        self._max_bytes = max_bytes
        self._values = _Values(self._read)
        self._size = 0
        self.get: Callable[[bytes], bytes | None] = self._values.__getitem__

    def _read(self, key: bytes) -> bytes | None:
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
