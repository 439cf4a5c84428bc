"""The signer's record on disk: what each key signed, synced before a signature leaves (docs/spec/keys.md §5).

LevelDB keys: ``m`` -> genesis hash, floor for keys that come later; ``h`` + track -> marks; ``s`` + track + place ->
SM3 of the body, signature. A track is SM3(public key)[:16] and the ledger (u32).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from struct import Struct

from chain_core.crypto.hashing import sm3
from chain_core.ledger.database import Database
from chain_core.node.safe_signer import SigningRefused
from chain_core.node.signer.rules import Item, Kind, Marks, Place, Track
from chain_core.types.errors import LocalFault
from chain_core.types.ids import HASH_SIZE, SIGNATURE_SIZE

FORMAT = b"dualchain signer record 1"
_META, _MARKS, _SIGNED = b"m", b"h", b"s"
_FLOOR, _LEDGER = Struct(">Q"), Struct(">I")
_HEAD = Struct(">QQQQ")
_PLACE = Struct(">BQQ")
_KEY_SIZE = 16
_TRACK_SIZE = _KEY_SIZE + _LEDGER.size
_MANY = 1 << 30
MAX_LEDGERS = 1_024
"""Ledgers of one key: a chain has far fewer, and whoever asks for more is no node."""


class RecordRefused(LocalFault):
    """A record that is missing, of another chain, or there already."""

    code = "RECORD_REFUSED"


def create_record(directory: Path, genesis_hash: bytes, above: int = 0) -> None:
    """A new, empty record; nothing at or below height ``above`` will be signed. Raises RecordRefused."""
    if directory.exists() and any(directory.iterdir()):
        step = "keep it: it is what keeps this key from contradicting itself"
        raise RecordRefused("there is a record already", where=str(directory), next_step=step)
    database = Database(directory)
    try:
        batch = database.batch()
        batch.put(_META, FORMAT + genesis_hash + _FLOOR.pack(above))
        database.write(batch)
    finally:
        database.close()


class Record:
    """The record of all keys of one signer; LevelDB's lock keeps a second process out."""

    def __init__(self, directory: Path, genesis_hash: bytes) -> None:
        """Raises RecordRefused, and the store's refusals (StoreLocked, StoreCorrupt ...)."""
        if not (directory / "CURRENT").is_file():
            step = "a new key: dualchain signer init; a key that has voted: rotate it, or init with --above HEIGHT"
            raise RecordRefused("there is no record of what was signed", where=str(directory), next_step=step)
        self._database = Database(directory)
        try:
            meta = self._database.get(_META) or b""
            if len(meta) != len(FORMAT) + HASH_SIZE + _FLOOR.size or not meta.startswith(FORMAT):
                what = "not a signer's record, or one of another version"
                raise RecordRefused(what, where=str(directory), next_step="name the directory that signer init made")
            if meta[len(FORMAT) :][:HASH_SIZE] != genesis_hash:
                raise RecordRefused(
                    "the record is of another chain", where=str(directory), next_step="a signer serves one chain"
                )
            self._floor = int(_FLOOR.unpack(meta[-_FLOOR.size :])[0])
            self._tracks = self._load()
        except BaseException:
            self._database.close()
            raise

    def close(self) -> None:
        """Releases the directory."""
        self._database.close()

    def sign(self, public_key: bytes, ledger: int, items: Sequence[Item], sign: Callable[[Item], bytes]) -> list[bytes]:
        """A signature for each item: the one given before, or a new one, which is on disk when this returns.

        All or none. Raises SigningRefused; DiskFull, StoreFailed.
        """
        name = sm3(public_key)[:_KEY_SIZE] + _LEDGER.pack(ledger)
        track = self._tracks.get(name)
        if track is None:
            if sum(other.startswith(name[:_KEY_SIZE]) for other in self._tracks) >= MAX_LEDGERS:
                where, step = f"ledger {ledger}", "look at who asks"
                raise SigningRefused(f"votes on {MAX_LEDGERS} ledgers were signed", where=where, next_step=step)
            track = Track(Marks(floor=self._floor))
        plan = track.plan(items)
        signatures = {item.place: sign(item) for item in plan.fresh}
        if plan.fresh:
            batch = self._database.batch()
            batch.put(_MARKS + name, _HEAD.pack(plan.marks.epoch, plan.marks.view, plan.marks.height, plan.marks.floor))
            for place in plan.gone:
                batch.delete(_SIGNED + name + _PLACE.pack(*place))
            for item in plan.fresh:
                batch.put(_SIGNED + name + _PLACE.pack(*item.place), item.digest + signatures[item.place])
            self._database.write(batch)
            track.apply(plan, signatures)
            self._tracks[name] = track
        return [track.signed[item.place][1] for item in items]

    def marks(self, public_key: bytes) -> dict[int, Marks]:
        """How far a key went, by ledger."""
        name = sm3(public_key)[:_KEY_SIZE]
        found = {key: track.marks for key, track in self._tracks.items() if key.startswith(name)}
        return {int(_LEDGER.unpack(key[_KEY_SIZE:])[0]): marks for key, marks in sorted(found.items())}

    def _load(self) -> dict[bytes, Track]:
        tracks: dict[bytes, Track] = {}
        for key, value in self._database.scan(_MARKS, b"i", _MANY):
            tracks[key[1:]] = Track(Marks(*_HEAD.unpack(value)))
        for key, value in self._database.scan(_SIGNED, b"t", _MANY):
            kind, height, number = _PLACE.unpack(key[1 + _TRACK_SIZE :])
            place: Place = (Kind(kind), height, number)
            tracks[key[1 : 1 + _TRACK_SIZE]].signed[place] = (value[:HASH_SIZE], value[HASH_SIZE:])
            assert len(value) == HASH_SIZE + SIGNATURE_SIZE
        return tracks
