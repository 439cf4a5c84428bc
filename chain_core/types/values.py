"""The values that arguments, parameters, events and documents are made of (docs/spec/formats.md §2.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

Value: TypeAlias = None | bool | int | bytes | str | Sequence["Value"] | Mapping[str, "Value"] | Mapping[int, "Value"]
"""None, booleans, integers (|n| < 2^255), bytes, text, lists, maps with text or small integer keys. No
float.
"""

MAX_INT_BITS = 255
MAX_DEPTH = 32
