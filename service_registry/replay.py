"""Call ids are used once: the highest and a sliding window below it (RFC 4303 §3.4.3)."""

from __future__ import annotations

WINDOW_IDS = 1_024
WINDOW_BYTES = WINDOW_IDS // 8
_MASK = (1 << WINDOW_IDS) - 1


def used(highest: int, window: bytes, call_id: int) -> bool:
    """Whether the id was used, or is too old to tell. Bit n of ``window`` stands for id ``highest`` - n."""
    age = highest - call_id
    if age < 0:
        return False
    return age >= WINDOW_IDS or bool(int.from_bytes(window, "big") >> age & 1)


def use(highest: int, window: bytes, call_id: int) -> tuple[int, bytes]:
    """(highest, window) after an id that was not used."""
    merged = merge(highest, window, call_id, 1)
    assert merged is not None, "the id was not used"
    return merged


def merge(highest: int, window: bytes, ids_highest: int, ids: int) -> tuple[int, bytes] | None:
    """(highest, window) after several ids at once, bit n of ``ids`` for ``ids_highest`` - n.

    None when one of them was used, or is too old to tell.
    """
    bits, ahead = int.from_bytes(window, "big"), ids_highest - highest
    if ahead > 0:
        if highest and ids >> ahead & bits:
            return None
        bits = (bits << ahead if ahead < WINDOW_IDS else 0) | ids
        highest = ids_highest
    else:
        if -ahead >= WINDOW_IDS:  # before anything is shifted that far: ids are their callers' choice
            return None
        ids <<= -ahead
        if ids & bits or ids > _MASK:
            return None
        bits |= ids
    return highest, (bits & _MASK).to_bytes(WINDOW_BYTES, "big")


def bit_map(call_ids: list[int]) -> tuple[int, bytes]:
    """(highest, bits) of distinct ids, without leading zero bytes: what ``merge`` takes."""
    highest, bits = max(call_ids), 0
    for one in call_ids:
        bits |= 1 << highest - one
    return highest, bits.to_bytes((bits.bit_length() + 7) // 8, "big")
