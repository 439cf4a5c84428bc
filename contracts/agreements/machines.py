"""Agreements as a table of steps (docs/spec/agreements.md §3): who may take which step from which state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

OPEN, COMPLETED, DECLINED, WITHDRAWN, EXPIRED = "open", "completed", "declined", "withdrawn", "expired"
STATES = frozenset((OPEN, COMPLETED, DECLINED, WITHDRAWN, EXPIRED))


class Whose(Enum):
    """Who may take a step."""

    ANY = "any account"
    PARTY = "a party"
    PROPOSER = "the proposer"
    OPERATOR = "role `operator`"


class When(Enum):
    """On which side of the deadline."""

    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True, slots=True)
class Step:
    """One row: ``source`` is empty for the step that begins a record, ``targets`` are all it may come to."""

    name: str
    source: str
    targets: tuple[str, ...]
    whose: Whose
    when: When = When.BEFORE


STEPS: Mapping[str, Step] = {
    step.name: step
    for step in (
        Step("propose", "", (OPEN,), Whose.ANY),
        Step("sign", OPEN, (OPEN, COMPLETED), Whose.PARTY),
        Step("sign_for", OPEN, (OPEN, COMPLETED), Whose.OPERATOR),
        Step("decline", OPEN, (DECLINED,), Whose.PARTY),
        Step("withdraw", OPEN, (WITHDRAWN,), Whose.PROPOSER),
        Step("expire", OPEN, (EXPIRED,), Whose.ANY, When.AFTER),
    )
}
