"""What lies durable in one node's vote log, built from the writes alone: the checker trusts no index of the store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from chain_core.ledger import keys, packing
from chain_core.ledger.vote_log import split_record_key
from chain_core.types.ids import SIGNATURE_SIZE
from tests.simulation.disk import Change


class LogView:
    """Records and logged bodies, and every signature that was ever durable."""

    def __init__(self) -> None:
        self.records: dict[bytes, bytes] = {}
        self.bodies: dict[bytes, set[bytes]] = {}
        """Pack key -> envelope ids in it."""
        self._signatures: set[bytes] = set()
        self._values: list[bytes] = []

    def durable(self, changes: Sequence[Change]) -> list[tuple[bytes, bytes]]:
        """One durable batch; the log records written by it."""
        written: list[tuple[bytes, bytes]] = []
        for key, value in changes:
            kind, name = key[:1], key[1:]
            if kind == keys.LOG_RECORD:
                if value is None:
                    self.records.pop(name, None)
                else:
                    self.records[name] = value
                    self._values.append(value)
                    self._signatures.add(value[-SIGNATURE_SIZE:])  # most records end with the one that counts
                    written.append((name, value))
            elif kind == keys.LOG_BODIES:
                if value is None:
                    self.bodies.pop(key, None)
                else:
                    items = packing.unpack(value, "logged bodies")
                    self.bodies[key] = set(items[: len(items) // 2])
        return written

    def restored(self, changes: Sequence[Change]) -> None:
        """The disk holds only this from now on; what was durable before was so all the same."""
        self.records.clear()
        self.bodies.clear()
        self.durable(changes)

    def forgotten(self, changes: Sequence[Change], final_height: int) -> set[int]:
        """The heights above the final one whose records a batch deletes; ``final_height`` is that before the batch."""
        raised = [int.from_bytes(value, "big") for key, value in changes if key == keys.META_FINAL and value]
        final = max(final_height, *raised) if raised else final_height
        gone = (split_record_key(key[1:])[0] for key, value in changes if key[:1] == keys.LOG_RECORD and value is None)
        return {height for height in gone if height is not None and height > final}

    def lacks(self, envelope_ids: Iterable[bytes]) -> int:
        """How many of these bodies are not logged."""
        return sum(not any(name in names for names in self.bodies.values()) for name in envelope_ids)

    def knows(self, signature: bytes) -> bool:
        """Whether the signature was durable at any time."""
        if signature not in self._signatures:
            if not any(signature in value for value in self._values):
                return False
            self._signatures.add(signature)
        return True
