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
    bits, ahead = int.from_bytes(window, "big"), call_id - highest
    if ahead > 0:
        bits = (bits << ahead & _MASK if ahead < WINDOW_IDS else 0) | 1
        highest = call_id
    else:
        bits |= 1 << -ahead
    return highest, bits.to_bytes(WINDOW_BYTES, "big")
