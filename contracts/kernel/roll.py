"""Holder rolls (股东名册): security -> holders in provably complete chunks (docs/spec/formats.md, docs/spec/kernel.md
§2).

Position p stands in chunk p // 64 at place p % 64. A new holder is appended; when one leaves, the last takes his
position, so that all chunks but the last are full. Chunks are edited as bytes: a list of 16-byte ids has a fixed
stride.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from chain_core.codec.values import decode_map, encode_value
from chain_core.codec.wire import U32, malformed
from chain_core.crypto.merkle import leaf_hash, root_of_hashes
from chain_core.execution.overlay import Namespace
from chain_core.types.ids import ACCOUNT_ID_SIZE

ROLL_HEAD, ROLL_CHUNK = b"R", b"r"
CHUNK_IDS = 64

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
    """State key of a chunk."""
    return ROLL_CHUNK + security + U32.pack(number)


def decode_chunk(raw: bytes) -> list[bytes]:
    """The account ids of a chunk. Raises MalformedBytes for anything but a list of at most 64 of them."""
    starts = range(_LIST_HEAD + len(_ITEM_HEAD), len(raw), _STRIDE)
    accounts = [raw[start : start + ACCOUNT_ID_SIZE] for start in starts]
    whole = len(raw) == _LIST_HEAD + len(accounts) * _STRIDE
    if not whole or not 0 < len(accounts) <= CHUNK_IDS or encode_value(accounts) != raw:
        malformed("roll chunk", 0, f"not a list of 1 to {CHUNK_IDS} account ids")
    return accounts


def roll_digest(chunks: list[bytes]) -> bytes:
    """The digest of a roll: the Merkle root over its chunks."""
    return root_of_hashes([_chunk_hash(chunk) for chunk in chunks])


def encode_head(count: int, digest: bytes) -> bytes:
    """The roll head's value."""
    return encode_value({"count": count, "chunks": chunk_count(count), "digest": digest})


@lru_cache(maxsize=4_096)
def decode_head(raw: bytes) -> tuple[int, int, bytes]:
    """(count, chunks, digest) of a head. Raises MalformedBytes."""
    row = decode_map(raw, "roll head")
    count, chunks, digest = (row.get(name) for name in ("count", "chunks", "digest"))
    if len(row) != 3 or type(count) is not int or type(chunks) is not int or type(digest) is not bytes:
        malformed("roll head", 0, "not a map of count, chunks and digest")
    return count, chunks, digest


def holder_count(space: Namespace, security: bytes) -> int:
    """Holders of ``security``."""
    raw = space.get(ROLL_HEAD + security)
    return 0 if raw is None else decode_head(raw)[0]


def read_roll(get: Callable[[bytes], bytes | None], security: bytes) -> list[bytes]:
    """All holders in the order of the roll; ``get`` reads keys inside the kernel."""
    head = get(ROLL_HEAD + security)
    count = 0 if head is None else decode_head(head)[0]
    return [account for n in range(chunk_count(count)) for account in decode_chunk(get(chunk_key(security, n)) or b"")]


class Roll:
    """One register while a call changes it; ``save`` writes head and changed chunks."""

    __slots__ = ("_chunks", "_security", "_space", "count")

    def __init__(self, space: Namespace, security: bytes) -> None:
        self._space = space
        self._security = security
        self._chunks: dict[int, bytes] = {}
        self.count = holder_count(space, security)

    def append(self, account: bytes) -> int:
        """Enters a new holder and returns his slot."""
        slot = self.count
        number, place = divmod(slot, CHUNK_IDS)
        body = self._chunk(number)[_LIST_HEAD:] if place else b""
        self._chunks[number] = b"\x07" + U32.pack(place + 1) + body + _ITEM_HEAD + account
        self.count = slot + 1
        return slot

    def remove(self, slot: int) -> bytes | None:
        """Takes the holder at ``slot`` out; the one who now stands there, None when it was the last slot."""
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
            key = chunk_key(self._security, number)
            if chunk:
                self._space.put(key, chunk)
            else:
                self._space.delete(key)
        chunks = [self._chunk(number) for number in range(chunk_count(self.count))]
        self._space.put(ROLL_HEAD + self._security, encode_head(self.count, roll_digest(chunks)))

    def _chunk(self, number: int) -> bytes:
        chunk = self._chunks.get(number)
        if chunk is None:
            chunk = self._space.get(chunk_key(self._security, number)) or _EMPTY
            self._chunks[number] = chunk
        return chunk
