"""Complete lists in provable chunks (docs/spec/formats.md §11, docs/spec/kernel.md §2): the holder roll (股东名册) of a
security, security -> holders, the holdings of an account (持仓清单), account -> securities, and what an account issued.

Position p stands in chunk p // 64 at place p % 64. A new entry is appended; when one leaves, the last takes its
position, so that all chunks but the last are full. Chunks are edited as bytes: a list of 16-byte ids has a fixed
stride.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from chain_core.codec.values import decode_map, encode_value
from chain_core.codec.wire import U32, malformed
from chain_core.crypto.merkle import leaf_hash, root_of_hashes
from chain_core.execution.codes import EngineFault
from chain_core.execution.overlay import Namespace
from chain_core.types.ids import ACCOUNT_ID_SIZE

ROLL_HEAD, ROLL_CHUNK = b"R", b"r"
HELD_HEAD, HELD_CHUNK = b"L", b"l"
ISSUED_HEAD, ISSUED_CHUNK = b"G", b"g"
CHUNK_IDS = 64
MAX_LISTED = 10_000
"""Entries of one list: what a reader of a proof goes through at most, so more are never entered."""

_LIST_HEAD = 5
_ITEM_HEAD = b"\x05" + U32.pack(ACCOUNT_ID_SIZE)
_STRIDE = len(_ITEM_HEAD) + ACCOUNT_ID_SIZE
_EMPTY = b"\x07" + U32.pack(0)

# Neighbouring changes of one register leave most of its chunks alone: their hashes are remembered by content.
_chunk_hash = lru_cache(maxsize=8_192)(leaf_hash)


def chunk_count(count: int) -> int:
    """How many chunks ``count`` holders fill."""
    return -(-count // CHUNK_IDS)


def chunk_key(security: bytes, number: int) -> bytes:
    """State key of a roll's chunk."""
    return ROLL_CHUNK + security + U32.pack(number)


def held_chunk_key(account: bytes, number: int) -> bytes:
    """State key of a chunk of an account's holdings."""
    return HELD_CHUNK + account + U32.pack(number)


def issued_chunk_key(issuer: bytes, number: int) -> bytes:
    """State key of a chunk of what an account issued."""
    return ISSUED_CHUNK + issuer + U32.pack(number)


def decode_chunk(raw: bytes) -> list[bytes]:
    """The ids of a chunk. Raises MalformedBytes for anything but a list of 1 to 64 of them."""
    starts = range(_LIST_HEAD + len(_ITEM_HEAD), len(raw), _STRIDE)
    ids = [raw[start : start + ACCOUNT_ID_SIZE] for start in starts]
    whole = len(raw) == _LIST_HEAD + len(ids) * _STRIDE
    if not whole or not 0 < len(ids) <= CHUNK_IDS or encode_value(ids) != raw:
        malformed("chunk of a list", 0, f"not a list of 1 to {CHUNK_IDS} ids")
    return ids


def list_digest(chunks: list[bytes]) -> bytes:
    """The digest of a list: the Merkle root over its chunks."""
    return root_of_hashes([_chunk_hash(chunk) for chunk in chunks])


def encode_head(count: int, digest: bytes) -> bytes:
    """The value of a list's head."""
    return encode_value({"count": count, "chunks": chunk_count(count), "digest": digest})


@lru_cache(maxsize=4_096)
def decode_head(raw: bytes) -> tuple[int, int, bytes]:
    """(count, chunks, digest) of a head. Raises MalformedBytes."""
    row = decode_map(raw, "head of a list")
    count, chunks, digest = (row.get(name) for name in ("count", "chunks", "digest"))
    if len(row) != 3 or type(count) is not int or type(chunks) is not int or type(digest) is not bytes:
        malformed("head of a list", 0, "not a map of count, chunks and digest")
    return count, chunks, digest


def holder_count(space: Namespace, security: bytes) -> int:
    """Holders of ``security``."""
    raw = space.get(ROLL_HEAD + security)
    return 0 if raw is None else decode_head(raw)[0]


def read_roll(get: Callable[[bytes], bytes | None], security: bytes) -> list[bytes]:
    """All holders in the order of the roll; ``get`` reads keys inside the kernel."""
    return _read(get, ROLL_HEAD, ROLL_CHUNK, security)


def read_held(get: Callable[[bytes], bytes | None], account: bytes) -> list[bytes]:
    """All securities that ``account`` holds, in the order of its list; ``get`` reads keys inside the kernel."""
    return _read(get, HELD_HEAD, HELD_CHUNK, account)


def _read(get: Callable[[bytes], bytes | None], head_tag: bytes, chunk_tag: bytes, owner: bytes) -> list[bytes]:
    head = get(head_tag + owner)
    count = 0 if head is None else decode_head(head)[0]
    chunks = (get(chunk_tag + owner + U32.pack(number)) or b"" for number in range(chunk_count(count)))
    return [entry for chunk in chunks for entry in decode_chunk(chunk)]


class _IdList:
    """One list while a call changes it; ``save`` writes head and changed chunks."""

    __slots__ = ("_chunks", "_owner", "_space", "count")
    _head_tag: bytes
    _chunk_tag: bytes

    def __init__(self, space: Namespace, owner: bytes) -> None:
        self._space = space
        self._owner = owner
        self._chunks: dict[int, bytes] = {}
        head = space.get(self._head_tag + owner)
        self.count = 0 if head is None else decode_head(head)[0]

    def append(self, entry: bytes) -> int:
        """Enters an id and returns its slot."""
        slot = self.count
        number, place = divmod(slot, CHUNK_IDS)
        body = self._chunk(number)[_LIST_HEAD:] if place else b""
        self._chunks[number] = b"\x07" + U32.pack(place + 1) + body + _ITEM_HEAD + entry
        self.count = slot + 1
        return slot

    def remove(self, slot: int) -> bytes | None:
        """Takes the id at ``slot`` out; the one that now stands there, None when it was the last slot."""
        last = self.count - 1
        number, place = divmod(last, CHUNK_IDS)
        chunk = self._chunk(number)
        moved = chunk[-ACCOUNT_ID_SIZE:]
        self._chunks[number] = b"\x07" + U32.pack(place) + chunk[_LIST_HEAD:-_STRIDE] if place else b""
        self.count = last
        if slot == last:
            return None
        number, place = divmod(slot, CHUNK_IDS)
        chunk = self._chunk(number)
        start = _LIST_HEAD + place * _STRIDE + len(_ITEM_HEAD)
        self._chunks[number] = chunk[:start] + moved + chunk[start + ACCOUNT_ID_SIZE :]
        return moved

    def save(self) -> None:
        """Writes what changed."""
        for number, chunk in sorted(self._chunks.items()):
            key = self._key(number)
            if chunk:
                self._space.put(key, chunk)
            else:
                self._space.delete(key)
        chunks = [self._chunk(number) for number in range(chunk_count(self.count))]
        self._space.put(self._head_tag + self._owner, encode_head(self.count, list_digest(chunks)))

    def _key(self, number: int) -> bytes:
        return self._chunk_tag + self._owner + U32.pack(number)

    def _chunk(self, number: int) -> bytes:
        chunk = self._chunks.get(number)
        if chunk is None:
            chunk = self._space.get(self._key(number)) or _EMPTY
            self._chunks[number] = chunk
        return chunk


class Roll(_IdList):
    """The holders of one security. A holding knows its slot in it."""

    __slots__ = ()
    _head_tag, _chunk_tag = ROLL_HEAD, ROLL_CHUNK


class Held(_IdList):
    """The securities of one account."""

    __slots__ = ()
    _head_tag, _chunk_tag = HELD_HEAD, HELD_CHUNK

    def drop(self, security: bytes) -> None:
        """Takes ``security`` out, wherever it stands. EngineFault when it is not there.

        The place is looked for, not stored: saving goes through all chunks for the digest in any case.
        """
        for number in range(chunk_count(self.count)):
            ids = decode_chunk(self._chunk(number))
            if security in ids:
                self.remove(number * CHUNK_IDS + ids.index(security))
                return
        raise EngineFault(f"account {self._owner.hex()} leaves {security.hex()}, which its list does not name")


class Issued(_IdList):
    """The securities that one account issued; none ever leaves."""

    __slots__ = ()
    _head_tag, _chunk_tag = ISSUED_HEAD, ISSUED_CHUNK
