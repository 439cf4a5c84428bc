"""DIDs of the method ``rem`` as text (JR/T 0325-2024 §5.2; docs/spec/identity.md §2)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from contracts.codes.company import company_code_fault, parse_company_code
from contracts.codes.investor import PATTERN as INVESTOR
from contracts.codes.regions import REGIONS

LABELS = {region.label: region.code for region in REGIONS.values()}
"""Chain label (地方业务链标识) -> region code."""
MAX_DID_CHARACTERS = 128
PREFIX = "did:rem:"

_USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_USCC = re.compile(rf"[{_USCC_ALPHABET}]{{2}}[0-9]{{6}}[{_USCC_ALPHABET}]{{10}}\Z")
_SUFFIX = re.compile(r"\.[A-Z][0-9]{4}\Z")
_CREDENTIAL = re.compile(r"VC[0-9]{6,18}\Z")


class Subject(Enum):
    """Whom a DID is about."""

    COMPANY = "company"
    INVESTOR = "investor"
    BODY = "body"
    """A market, a government body, a supervisor: by its unified social credit code."""


@dataclass(frozen=True, slots=True)
class Did:
    """A DID in its parts. ``warning`` says what was tolerated in reading it."""

    text: str
    label: str
    code: str
    subject: Subject
    warning: str = ""


class NoDid(ValueError):
    """The text is no DID: which part is wrong, and where."""


def credit_code_fault(text: str) -> str:
    """What is wrong with a unified social credit code (GB 32100-2015), empty for a good one."""
    if _USCC.match(text) is None:
        return "credit code: not 18 characters of 0-9 and A-Z without I, O, S, V, Z"
    weighed = sum(_USCC_ALPHABET.index(c) * pow(3, place, 31) for place, c in enumerate(text[:17]))
    expected = _USCC_ALPHABET[-weighed % 31]
    return "" if text[17] == expected else f"credit code: the check character is {text[17]}, not {expected}"


def parse_did(text: str) -> Did:
    """A DID in its parts. Raises NoDid.

    The suffix ``.S2101`` of the standard's own examples is read with a warning; it belongs to the string.
    """
    if len(text) > MAX_DID_CHARACTERS or not text.startswith(PREFIX):
        raise NoDid(f"it does not begin with {PREFIX}, or is longer than {MAX_DID_CHARACTERS} characters")
    label, colon, code = text.removeprefix(PREFIX).partition(":")
    if label not in LABELS or not colon:
        raise NoDid(f"{label[:20]!r} is none of the 35 chain labels")
    if INVESTOR.match(code):
        return Did(text, label, code, Subject.INVESTOR)
    if credit_code_fault(code) == "":
        return Did(text, label, code, Subject.BODY)
    tail = _SUFFIX.search(code)
    company = code if tail is None else code[: tail.start()]
    fault = company_code_fault(company, region=LABELS[label])
    if fault:
        fault = credit_code_fault(code) if _USCC.match(code) else fault
        raise NoDid(f"{code[:24]!r} is neither an investor, a credit nor a company code: {fault}")
    warning = "" if tail is None else f"suffix {tail.group()} is of no published form"
    return Did(text, label, company, Subject.COMPANY, warning)


def make_did(label: str, code: str) -> str:
    """The DID of a code in a market. Raises NoDid."""
    made = parse_did(f"{PREFIX}{label}:{code}")
    if made.warning:
        raise NoDid(made.warning)
    return made.text


def identity_of(did: Did) -> str:
    """What stays the same when a company's layer changes: DIDs with one identity are of one subject."""
    if did.subject is Subject.COMPANY:
        return parse_company_code(did.code).identity
    return did.code


def split_url(text: str) -> tuple[str, str]:
    """A DID URL's DID and fragment (empty without). Raises NoDid when the DID is none."""
    did, _, fragment = text.partition("#")
    return parse_did(did).text, fragment


def label_of_credential(text: str) -> str:
    """The label in a credential's identifier."""
    return text.removeprefix(PREFIX).partition(":")[0]


def is_credential_id(text: str) -> bool:
    """Whether the text is a credential's identifier: ``did:rem:<label>:VC`` and digits. It is no subject."""
    label, _, code = text.removeprefix(PREFIX).partition(":")
    return text.startswith(PREFIX) and label in LABELS and _CREDENTIAL.match(code) is not None
