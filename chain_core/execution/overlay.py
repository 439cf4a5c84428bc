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
    """State of one block in the making: final state, below the block's writes, below one transaction's."""

    __slots__ = ("known", "load", "pending", "written")

    def __init__(self, state: StateReader) -> None:
        self.load = state.get
        self.known: dict[bytes, bytes | None] = {}
        self.written: dict[bytes, bytes | None] = {}
        self.pending: dict[bytes, bytes | None] = {}

    def get(self, full: bytes) -> bytes | None:
        """The value a transaction sees now."""
        if full in self.pending:
            return self.pending[full]
        if full in self.known:
            return self.known[full]
        value = self.known[full] = self.load(full)
        return value

    def commit(self) -> None:
        """The transaction's writes become the block's."""
        self.known.update(self.pending)
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

    __slots__ = ("_known", "_load", "_pending", "_prefix")

    def __init__(self, overlay: Overlay, name: str) -> None:
        self._pending = overlay.pending
        self._known = overlay.known
        self._load = overlay.load
        self._prefix = state_key(name, b"")

    def get(self, key: bytes) -> bytes | None:
        """The value under ``key``, None when absent."""
        return self.anywhere(self._prefix + key)

    def anywhere(self, full: bytes) -> bytes | None:
        """The value under a full key, of whichever contract; for reading only."""
        pending = self._pending
        if full in pending:
            return pending[full]
        known = self._known
        if full in known:
            return known[full]
        value = known[full] = self._load(full)
        return value

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
