"""The vote log: what a replica must find again after a crash (architecture §5, writes 1 to 3 and view changes).

Records are opaque here. Their keys begin with the height they belong to, so that the commit of a height deletes them;
records without a height (view-change votes) stay until a later write replaces or deletes them. Bodies of proposals lie
beside them, one packed value a write, and go the same way: when their height becomes final, proposed or not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from struct import Struct

from chain_core.ledger import keys, packing
from chain_core.ledger.database import Batch, Database
from chain_core.types.ids import MAX_U64

_KEY = Struct(">QBQ")
RECORD_KEY_SIZE = _KEY.size
_PACK = Struct(">QI")
_EVERYTHING = 1 << 62


def record_key(height: int | None, kind: int, view: int) -> bytes:
    """Key of a log record: ``kind`` (0..255) is the caller's; ``height`` None survives finality."""
    return _KEY.pack(MAX_U64 if height is None else height, kind, view)


def split_record_key(key: bytes) -> tuple[int | None, int, int]:
    """(height, kind, view): the reverse of ``record_key``."""
    height, kind, view = _KEY.unpack(key)
    return None if height == MAX_U64 else height, kind, view


class VoteLog:
    """The log's keys, and where each logged body lies; record and body bytes stay in the database."""

    def __init__(self, database: Database) -> None:
        """Reads what the log holds. Raises StoreCorrupt."""
        self._database = database
        self._records: dict[int, set[bytes]] = {}
        self._packs: dict[int, list[tuple[bytes, tuple[bytes, ...]]]] = {}  # height -> (key, envelope ids)
        self._bodies: dict[bytes, tuple[bytes, int]] = {}  # envelope id -> (pack key, place in it)
        self._last_pack: tuple[bytes, bytes] = (b"", b"")
        for key, _ in self.read():
            self._records.setdefault(_height(key), set()).add(key)
        for key, value in self._scan(keys.LOG_BODIES):
            items = packing.unpack(value, "logged bodies")
            self._index_pack(key, items[: len(items) // 2])

    def read(self) -> list[tuple[bytes, bytes]]:
        """All records, ascending by key."""
        return [(key[1:], value) for key, value in self._scan(keys.LOG_RECORD)]

    def body(self, envelope_id: bytes) -> bytes | None:
        """A logged body, None when it is not in the log."""
        place = self._bodies.get(envelope_id)
        if place is None:
            return None
        key, index = place
        if self._last_pack[0] != key:
            self._last_pack = (key, self._database.get(key) or packing.pack(()))
        return packing.item(self._last_pack[1], index, "logged bodies")

    def write(
        self,
        records: Sequence[tuple[bytes, bytes]],
        bodies: Mapping[bytes, bytes],
        deletes: Sequence[bytes],
        height: int,
    ) -> None:
        """One atomic synced write. Bodies already logged for ``height`` or a later one are not written again."""
        batch = self._database.batch()
        for key in deletes:
            batch.delete(keys.LOG_RECORD + key)
        for key, value in records:
            batch.put(keys.LOG_RECORD + key, value)
        fresh = {name: raw for name, raw in bodies.items() if self._body_height(name) < height}
        pack_key = keys.LOG_BODIES + _PACK.pack(height, self._next_pack(height))
        if fresh:
            batch.put(pack_key, packing.pack([*fresh, *fresh.values()]))
        self._database.write(batch)
        for key in deletes:
            self._records.get(_height(key), set()).discard(key)
        for key, _ in records:
            self._records.setdefault(_height(key), set()).add(key)
        if fresh:
            self._index_pack(pack_key, tuple(fresh))

    def delete_through(self, batch: Batch, height: int) -> None:
        """Puts the deletion of everything logged for ``height`` and below into ``batch``."""
        for at, records in self._records.items():
            if at <= height:
                for key in records:
                    batch.delete(keys.LOG_RECORD + key)
        for at, packs in self._packs.items():
            if at <= height:
                for key, _ in packs:
                    batch.delete(key)

    def forget_through(self, height: int) -> None:
        """Forgets the same, after that batch has become durable."""
        for at in [at for at in self._records if at <= height]:
            del self._records[at]
        for at in [at for at in self._packs if at <= height]:
            for key, names in self._packs.pop(at):
                for name in names:
                    place = self._bodies.get(name)
                    if place is not None and place[0] == key:
                        del self._bodies[name]
        self._last_pack = (b"", b"")

    def _scan(self, kind: bytes) -> list[tuple[bytes, bytes]]:
        return self._database.scan(kind, keys.after(kind), _EVERYTHING)

    def _body_height(self, envelope_id: bytes) -> int:
        place = self._bodies.get(envelope_id)
        return -1 if place is None else _pack_height(place[0])

    def _next_pack(self, height: int) -> int:
        packs = self._packs.get(height)
        return 0 if not packs else int(_PACK.unpack(packs[-1][0][1:])[1]) + 1

    def _index_pack(self, key: bytes, names: tuple[bytes, ...]) -> None:
        """Packs come in ascending order of heights or replace an earlier place, so the latest height wins."""
        self._packs.setdefault(_pack_height(key), []).append((key, names))
        for index, name in enumerate(names):
            if self._body_height(name) <= _pack_height(key):
                self._bodies[name] = (key, len(names) + index)


def _height(record_key_bytes: bytes) -> int:
    return int.from_bytes(record_key_bytes[:8], "big")


def _pack_height(pack_key: bytes) -> int:
    return int.from_bytes(pack_key[1:9], "big")
