"""What is wrong with a snapshot: places and rules, and the refusal that carries them (docs/spec/data-objects.md §6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chain_core.types.errors import DualchainError

MAX_FAULTS = 20
MAX_TEXT = 300


@dataclass(frozen=True, slots=True)
class Fault:
    """One entry of the cross-chain log (JR/T 0314 clause 5): ``path`` like ``/body/x/0/y``, ``rule`` the keyword."""

    path: str
    rule: str
    message: str

    def row(self) -> dict[str, str]:
        """As it is logged."""
        return {"path": self.path, "rule": self.rule, "message": self.message}


class SnapshotRefused(DualchainError):
    """A snapshot that may not leave, or that came and is none; ``faults`` names each place."""

    code = "SNAPSHOT_REFUSED"

    def __init__(self, faults: Sequence[Fault], *, next_step: str = "") -> None:
        self.faults = tuple(faults[:MAX_FAULTS])
        first = self.faults[0]
        more = f" (and {len(self.faults) - 1} more)" if len(self.faults) > 1 else ""
        super().__init__(
            f"{first.message[:MAX_TEXT]}{more}",
            where=first.path,
            next_step=next_step or "correct the data, then overwrite the version: dualchain local exporter correct",
        )


def refuse(path: str, rule: str, message: str) -> SnapshotRefused:
    """A refusal with one fault."""
    return SnapshotRefused([Fault(path, rule, message)])
