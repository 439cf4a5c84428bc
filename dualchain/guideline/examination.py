"""What a check of one article has to say: verified evidence, and what does not hold (docs/spec/guideline.md §2)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from chain_core.types.errors import DualchainError, MalformedBytes
from dualchain.guideline.asking import Network, Place

MAX_SHOWN = 12
"""Pieces of evidence that an article keeps: they show, they do not list."""


class Text(NamedTuple):
    """One sentence in both languages."""

    zh: str
    en: str


class Verdict(Enum):
    """Of one article."""

    HOLDS = "holds"
    FAILS = "fails"
    UNPROVEN = "unproven"
    """Nothing on the chains speaks against it, and nothing shows it: no such step was ever taken."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Something verified, and where it stands: anybody can ask for the same place and verify it again."""

    what: Text
    place: Place


@dataclass(frozen=True, slots=True)
class Finding:
    """An article with its verdict. ``faults``: why it fails, or what is missing."""

    article: int
    requirement: Text
    verdict: Verdict
    evidence: tuple[Evidence, ...]
    faults: tuple[Text, ...]


@dataclass(slots=True)
class Examination:
    """Collects what the check of one article finds on ``network``."""

    network: Network
    evidence: list[Evidence] = field(default_factory=list)
    faults: list[Text] = field(default_factory=list)
    missing: list[Text] = field(default_factory=list)

    def show(self, zh: str, en: str, place: Place) -> None:
        """Evidence that was verified."""
        if len(self.evidence) < MAX_SHOWN:
            self.evidence.append(Evidence(Text(zh, en), place))

    def require(self, holds: object, zh: str, en: str) -> bool:
        """What the article asks for; the texts say what is wrong when it does not hold."""
        if not holds:
            self.faults.append(Text(zh, en))
        return bool(holds)

    def lacks(self, zh: str, en: str) -> None:
        """There is nothing yet that would show it."""
        self.missing.append(Text(zh, en))

    @contextmanager
    def about(self, what: str) -> Iterator[None]:
        """Within, whatever cannot be asked or verified is a fault of ``what``, not the end of the report."""
        try:
            yield
        except MalformedBytes as error:
            self.require(False, f"{what}：记录无法解读（{error}）", f"{what}: a record cannot be read ({error})")
        except DualchainError as error:
            self.require(False, f"{what}：无法验证（{error}）", f"{what}: cannot be verified ({error})")

    def finding(self, article: int, requirement: Text) -> Finding:
        """The verdict: a fault fails; without one, what is missing or was never seen leaves it unproven."""
        verdict = Verdict.HOLDS
        if self.faults:
            verdict = Verdict.FAILS
        elif self.missing or not self.evidence:
            verdict = Verdict.UNPROVEN
        return Finding(article, requirement, verdict, tuple(self.evidence), tuple(self.faults or self.missing))
