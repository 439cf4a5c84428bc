"""The product code (产品编码, JR/T 0326-2024 §5): company code, dot, variety code, batch code.

A product code never changes after issue: it keeps the layer letter of its day. Codes from before the standard stay as
they are until the product is settled (rule 2); whoever stores one says so, and it is not checked here.
"""

from __future__ import annotations

from typing import NamedTuple

from contracts.codes.company import CompanyCode, company_code_fault, parse_company_code

VARIETY_LETTERS, BATCH_DIGITS = 6, 4
MAX_IN_YEAR = 99
KNOWN_VARIETIES = frozenset(("DCFGFR", "ESVUFR", "ESVTFR", "CPCIEY"))
"""``DCFGFR`` is attested; the others are ISO 10962 readings. What is not here gives a warning, not a fault."""
_LETTERS, _DIGITS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ"), frozenset("0123456789")


class ProductCode(NamedTuple):
    """A code in its parts: ``year`` of the issue in full, ``number`` the running number in that year."""

    company: CompanyCode
    variety: str
    year: int
    number: int


def product_code_fault(text: str, *, region: str = "") -> str:
    """What is wrong with ``text`` as a product code, empty for a good one: the first failing part and its place."""
    company, dot, rest = text.partition(".")
    fault = company_code_fault(company, region=region)
    if fault:
        return fault
    if not dot:
        return f"dot: none after the company code, at position {len(company) + 1}"
    begin = len(company) + 1
    for place, character in enumerate(rest[:VARIETY_LETTERS], begin + 1):
        if character not in _LETTERS:
            return f"variety: position {place} is {character!r}, not one of A-Z"
    if len(rest) < VARIETY_LETTERS:
        return f"variety: {len(rest)} letters from position {begin + 1}, not {VARIETY_LETTERS}"
    return _batch_fault(rest[VARIETY_LETTERS:], begin + VARIETY_LETTERS)


def _batch_fault(batch: str, before: int) -> str:
    for place, character in enumerate(batch[:BATCH_DIGITS], before + 1):
        if character not in _DIGITS:
            return f"batch: position {place} is {character!r}, not one of 0-9"
    if len(batch) != BATCH_DIGITS:
        return f"batch: {len(batch)} digits from position {before + 1}, not {BATCH_DIGITS}"
    if batch[2:] == "00":
        return f"batch: the running number at position {before + 3} is 00, it begins with 01"
    return ""


def product_code_warning(text: str) -> str:
    """What is unusual about a good code, empty when nothing is."""
    variety = parse_product_code(text).variety
    return "" if variety in KNOWN_VARIETIES else f"variety: {variety} is not on the list of varieties in use"


def parse_product_code(text: str) -> ProductCode:
    """A good code in its parts. Raises ValueError with the fault of any other."""
    fault = product_code_fault(text)
    if fault:
        raise ValueError(fault)
    company, _, rest = text.partition(".")
    batch = rest[VARIETY_LETTERS:]
    return ProductCode(parse_company_code(company), rest[:VARIETY_LETTERS], 2000 + int(batch[:2]), int(batch[2:]))


def next_product_code(company: CompanyCode, variety: str, year: int, used: int) -> str:
    """The code of the next issue of a variety in a year in which ``used`` were coded.

    Raises ValueError when the year's 99 numbers are used up, or the year cannot be written with two digits.
    """
    if not 2000 <= year <= 2099:
        raise ValueError(f"the year {year} cannot be written with two digits")
    if used >= MAX_IN_YEAR:
        raise ValueError(f"{company.identity} has {used} issues of {variety} in {year}: a 100th cannot be coded")
    made = f"{company.text}.{variety}{year % 100:02d}{used + 1:02d}"
    fault = product_code_fault(made)
    if fault:
        raise ValueError(fault)
    return made
