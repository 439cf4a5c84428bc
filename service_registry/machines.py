"""Services, their versions and applications as tables of steps (docs/spec/service-registry.md §3-§4): who may take
which step from which state, and what it comes to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from service_registry.records import (
    APPLIED,
    CANCELLED,
    CONFIRMED,
    DRAFT,
    OFFLINE,
    ONLINE,
    REFUSED,
    REGISTERED,
    REPLACED,
    REVOKED,
    TESTED,
    WITHDRAWN,
)

OPERATOR, TESTER = "operator", "tester"
NONE, UNCHANGED = "none", "unchanged"
"""No record yet; the state stays what it is."""


class Whose(Enum):
    """Which account may take a step, beside its role."""

    REGISTRANT = "the market's registrant"
    PUBLISHER = "publisher"
    INDEPENDENT = "independent"
    OTHER_SIDE = "another market's"
    CONSUMER = "consumer"
    METHOD = ""
    """A version moves because its service does."""


@dataclass(frozen=True, slots=True)
class Step:
    """One row: ``method`` of the contract takes it."""

    name: str
    method: str
    sources: frozenset[str]
    target: str
    role: str
    whose: Whose

    def end(self, source: str) -> str:
        """The state after the step."""
        return source if self.target == UNCHANGED else self.target


def _rows(*rows: tuple[str, str, str, str, str, Whose]) -> Mapping[str, Step]:
    return {
        name: Step(name, method or name, frozenset(sources.split()), target, role, whose)
        for name, method, sources, target, role, whose in rows
    }


_ALIVE = f"{DRAFT} {REGISTERED} {ONLINE} {OFFLINE}"
_IN_FORCE = f"{REGISTERED} {ONLINE} {OFFLINE}"

SERVICE: Mapping[str, Step] = _rows(
    ("draft", "", NONE, DRAFT, OPERATOR, Whose.REGISTRANT),
    ("change", "", _ALIVE, UNCHANGED, OPERATOR, Whose.PUBLISHER),
    ("file_report", "", _ALIVE, UNCHANGED, TESTER, Whose.INDEPENDENT),
    ("register", "", DRAFT, REGISTERED, OPERATOR, Whose.PUBLISHER),
    ("renew", "register", _IN_FORCE, UNCHANGED, OPERATOR, Whose.PUBLISHER),
    ("online", "", f"{REGISTERED} {OFFLINE}", ONLINE, OPERATOR, Whose.PUBLISHER),
    ("offline", "", ONLINE, OFFLINE, OPERATOR, Whose.PUBLISHER),
    ("cancel", "", _ALIVE, CANCELLED, OPERATOR, Whose.PUBLISHER),
)
VERSION: Mapping[str, Step] = _rows(
    ("begin", "draft", NONE, DRAFT, OPERATOR, Whose.METHOD),
    ("follow", "change", NONE, DRAFT, OPERATOR, Whose.METHOD),
    ("drop", "change", f"{DRAFT} {TESTED}", REPLACED, OPERATOR, Whose.METHOD),
    ("pass", "file_report", f"{DRAFT} {TESTED}", TESTED, TESTER, Whose.METHOD),
    ("fail", "file_report", f"{DRAFT} {TESTED}", DRAFT, TESTER, Whose.METHOD),
    ("enter", "register", TESTED, REGISTERED, OPERATOR, Whose.METHOD),
    ("leave", "register", REGISTERED, REPLACED, OPERATOR, Whose.METHOD),
)
APPLICATION: Mapping[str, Step] = _rows(
    ("apply", "", f"{NONE} {REFUSED} {WITHDRAWN} {REVOKED}", APPLIED, OPERATOR, Whose.OTHER_SIDE),
    ("join", "apply", NONE, CONFIRMED, OPERATOR, Whose.OTHER_SIDE),
    ("confirm", "", APPLIED, CONFIRMED, OPERATOR, Whose.PUBLISHER),
    ("refuse", "", APPLIED, REFUSED, OPERATOR, Whose.PUBLISHER),
    ("withdraw", "", f"{APPLIED} {CONFIRMED}", WITHDRAWN, OPERATOR, Whose.CONSUMER),
    ("revoke", "", CONFIRMED, REVOKED, OPERATOR, Whose.PUBLISHER),
)
MACHINES: Mapping[str, Mapping[str, Step]] = {"service": SERVICE, "version": VERSION, "application": APPLICATION}
