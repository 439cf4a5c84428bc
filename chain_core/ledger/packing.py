"""Packed lists: one LevelDB value for all bodies, receipts, events or packets of a block.

u32 count || u32 length of each item || the items.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import accumulate

from chain_core.ledger.errors import corrupt


def pack(items: Sequence[bytes]) -> bytes:
    """The packed list."""
    lengths = list(map(len, items))
    return struct.pack(f">{len(items) + 1}I", len(items), *lengths) + b"".join(items)


def unpack(data: bytes, where: str) -> tuple[bytes, ...]:
    """The items. Raises StoreCorrupt unless ``data`` is exactly one packed list."""
    ends = _ends(data, where)
    return tuple(data[a:b] for a, b in zip(ends, ends[1:], strict=False))


def item(data: bytes, index: int, where: str) -> bytes | None:
    """Item ``index``, None past the end. Raises StoreCorrupt as ``unpack`` does."""
    ends = _ends(data, where)
    return data[ends[index] : ends[index + 1]] if 0 <= index < len(ends) - 1 else None


def _ends(data: bytes, where: str) -> list[int]:
    count = int.from_bytes(data[:4], "big")
    head = 4 * (count + 1)
    if len(data) >= head:
        ends = list(accumulate(struct.unpack_from(f">{count}I", data, 4), initial=head))
        if ends[-1] == len(data):
            return ends
    corrupt("a packed list whose lengths do not add up", where)
