"""State of one block in the making, and the part of it that belongs to one contract (docs/spec/execution.md §2).

All views of one block share the same dictionaries, so a namespace handed out stays valid for the block.
"""

from __future__ import annotations

from typing import Protocol

from chain_core.codec.proofs import MAX_KEY_BYTES
from chain_core.codec.seen import state_key
from chain_core.execution.codes import Code, Refused

MAX_VALUE_BYTES = 65_536


class StateReader(Protocol):
    """Final state, by full key."""

    def get(self, key: bytes) -> bytes | None: ...


class SeenReader(Protocol):
    """The seen tree under the final header (codec.seen)."""

    def seen(self, key: bytes) -> bytes | None: ...

    def seen_expired(self, before_ms: int, limit: int) -> list[bytes]:
        """Keys whose ``valid_until_ms`` is below ``before_ms``, ascending by (``valid_until_ms``, key); the first
        ``limit`` of them."""
        ...


class Overlay:
    """State of one block in the making: final state (``load``), below the block's writes, below one transaction's.

    What is read stays with the reader of final state, which keeps it over blocks (ledger/value_cache.py).
    """

    __slots__ = ("load", "pending", "written")

    def __init__(self, state: StateReader) -> None:
        self.load = state.get
        self.written: dict[bytes, bytes | None] = {}
        self.pending: dict[bytes, bytes | None] = {}

    def get(self, full: bytes) -> bytes | None:
        """The value a transaction sees now."""
        if full in self.pending:
            return self.pending[full]
        return self.written[full] if full in self.written else self.load(full)

    def commit(self) -> None:
        """The transaction's writes become the block's."""
        self.written.update(self.pending)
        self.pending.clear()

    def writes(self) -> dict[bytes, bytes | None]:
        """The block's writes; a key that was absent before and is again is left out."""
        gone = [key for key, value in self.written.items() if value is None and self.load(key) is None]
        for key in gone:
            del self.written[key]
        return self.written


class Namespace:
    """The state of one contract: keys are its own, the engine puts the contract's name before them."""

    __slots__ = ("_load", "_pending", "_prefix", "_written")

    def __init__(self, overlay: Overlay, name: str) -> None:
        self._pending = overlay.pending
        self._written = overlay.written
        self._load = overlay.load
        self._prefix = state_key(name, b"")

    def get(self, key: bytes) -> bytes | None:
        """The value under ``key``, None when absent."""
        full = self._prefix + key
        if full in self._pending:
            return self._pending[full]
        return self._written[full] if full in self._written else self._load(full)

    def anywhere(self, full: bytes) -> bytes | None:
        """The value under a full key, of whichever contract; for reading only."""
        if full in self._pending:
            return self._pending[full]
        return self._written[full] if full in self._written else self._load(full)

    def put(self, key: bytes, value: bytes) -> None:
        """Sets ``key``. Refuses with LIMIT a full key above 255 or a value above 65,536 bytes."""
        full = self._prefix + key
        if len(full) > MAX_KEY_BYTES:
            raise Refused(Code.LIMIT, "key_bytes", (MAX_KEY_BYTES,))
        if len(value) > MAX_VALUE_BYTES:
            raise Refused(Code.LIMIT, "value_bytes", (MAX_VALUE_BYTES,))
        self._pending[full] = value

    def delete(self, key: bytes) -> None:
        """Removes ``key``; nothing happens when it is absent."""
        self._pending[self._prefix + key] = None
