"""The company code (企业编码, JR/T 0326-2024 §4): region, six digits, and a layer letter where the market has layers.

Region and digits identify the company; the letter changes with its layer (rule 6), so that it is no part of identity.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from contracts.codes.regions import REGIONS

LAYERS: Mapping[str, str] = {
    "F": "孵化层 incubation layer",
    "G": "规范层 standardisation layer",
    "P": "培育层 cultivation layer",
    "T": "纯托管企业 pure custody company",
}
"""Letters of table 2."""
NUMBER_DIGITS = 6
NEVER_ALLOCATED = "0" * NUMBER_DIGITS
"""Read, but never given to a company."""
_DIGITS = frozenset("0123456789")


class CompanyCode(NamedTuple):
    """A code in its parts; ``layer`` is empty without one."""

    region: str
    number: str
    layer: str

    @property
    def identity(self) -> str:
        """Region and number: the same for ever."""
        return self.region + self.number

    @property
    def text(self) -> str:
        """The whole code."""
        return self.region + self.number + self.layer


def company_code_fault(text: str, *, region: str = "") -> str:
    """What is wrong with ``text`` as a company code, empty for a good one: the first failing part and its place.

    ``region``: the market that assigns it, where that is known.
    """
    found = _region(text)
    if not found:
        return f"region: {text[:3]!r} at position 1 begins with none of the 35 region codes"
    if region and found != region:
        return f"region: {found} at position 1, this market assigns {region}"
    begin = len(found)
    number = text[begin : begin + NUMBER_DIGITS]
    for place, character in enumerate(number, begin + 1):
        if character not in _DIGITS:
            return f"number: position {place} is {character!r}, not one of 0-9"
    if len(number) != NUMBER_DIGITS:
        return f"number: {len(number)} digits from position {begin + 1}, not {NUMBER_DIGITS}"
    layer = text[begin + NUMBER_DIGITS :]
    if layer and layer[0] not in LAYERS:
        return f"layer: position {begin + NUMBER_DIGITS + 1} is {layer[0]!r}, not F, G, P or T"
    if len(layer) > 1:
        return f"layer: {layer[1:4]!r} follows at position {begin + NUMBER_DIGITS + 2}, a code has one letter at most"
    return ""


def parse_company_code(text: str) -> CompanyCode:
    """A good code in its parts. Raises ValueError with the fault of any other."""
    fault = company_code_fault(text)
    if fault:
        raise ValueError(fault)
    region = _region(text)
    end = len(region) + NUMBER_DIGITS
    return CompanyCode(region, text[len(region) : end], text[end:])


def _region(text: str) -> str:
    """The region code that the text begins with; no two-letter code is the beginning of a three-letter one."""
    for size in (3, 2):
        if text[:size] in REGIONS:
            return text[:size]
    return ""
