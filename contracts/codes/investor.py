"""The investor code (投资者编码, JR/T 0326-2024 §6): ``Q``, ``R`` or ``S`` and nine digits. Pure text.

Codes are assigned by the supervisory side and valid in every market; nothing here makes one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

CATEGORIES: Mapping[str, str] = {"Q": "自然人 natural person", "R": "机构 institution", "S": "产品 product"}
"""The first letter's meaning (table 3)."""
DIGITS = 9
LENGTH = 1 + DIGITS
PATTERN = re.compile(r"[QRS][0-9]{9}\Z")
_DIGIT = frozenset("0123456789")


def investor_code_fault(text: str) -> str:
    """What is wrong with ``text`` as an investor code, empty for a good one: the first failing part and its place.

    Upper case only, half-width digits only: machine interfaces do not guess.
    """
    if text[:1] not in CATEGORIES:
        return f"category: position 1 is {text[:1]!r}, not Q, R or S"
    for place, character in enumerate(text[1:LENGTH], 2):
        if character not in _DIGIT:
            return f"digits: position {place} is {character!r}, not one of 0-9"
    if len(text) != LENGTH:
        return f"digits: {len(text) - 1} of them, not {DIGITS}"
    return ""
