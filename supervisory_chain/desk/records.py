"""What the desk keeps of a notice or an inspection (docs/spec/desk.md §4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, cast

from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_map, encode_value
from chain_core.execution.context import CallContext
from chain_core.types.values import Value

DESK = "desk"
MAX_STEPS = 64


@dataclass(frozen=True, slots=True)
class Taken:
    """One step that was taken; ``document`` is SM3 of the document behind it."""

    step: str
    by: bytes
    entity: str
    height: int
    time_ms: int
    document: bytes


@dataclass(frozen=True, slots=True)
class Matter:
    """One record. ``fields``: what its kind has besides, as it stands now."""

    machine: str
    chain: bytes
    state: str
    filer: bytes
    subject: str
    fields: Mapping[str, Value] = field(default_factory=dict)
    steps: tuple[Taken, ...] = ()

    def last(self, step: str) -> Taken | None:
        """The last time that the step was taken."""
        return next((taken for taken in reversed(self.steps) if taken.step == step), None)


Guard: TypeAlias = Callable[[CallContext, int, Matter, Matter], Matter]
"""What besides the table decides: (context, number, before, moved) -> the record as it is kept, or a refusal."""


def matter_key(number: int) -> bytes:
    """Full state key of a record."""
    return state_key(DESK, place(number))


def next_key() -> bytes:
    """Full state key of the next number: records are 0 to below it, without gaps."""
    return state_key(DESK, b"n")


def place(number: int) -> bytes:
    """A record's key inside the contract."""
    return b"r" + number.to_bytes(8, "big")


def encode_matter(matter: Matter) -> bytes:
    """Canonical map."""
    steps: list[Value] = [
        {
            "step": taken.step,
            "by": taken.by,
            "entity": taken.entity,
            "height": taken.height,
            "time_ms": taken.time_ms,
            "document": taken.document,
        }
        for taken in matter.steps
    ]
    return encode_value(
        {
            "machine": matter.machine,
            "chain": matter.chain,
            "state": matter.state,
            "filer": matter.filer,
            "subject": matter.subject,
            "fields": dict(matter.fields),
            "steps": steps,
        }
    )


def decode_matter(raw: bytes) -> Matter:
    """The reverse."""
    row = decode_map(raw, "matter of the desk")
    steps = tuple(
        Taken(
            cast(str, s["step"]),
            cast(bytes, s["by"]),
            cast(str, s["entity"]),
            cast(int, s["height"]),
            cast(int, s["time_ms"]),
            cast(bytes, s["document"]),
        )
        for s in cast(Sequence[Mapping[str, Value]], row["steps"])
    )
    return Matter(
        cast(str, row["machine"]),
        cast(bytes, row["chain"]),
        cast(str, row["state"]),
        cast(bytes, row["filer"]),
        cast(str, row["subject"]),
        cast(Mapping[str, Value], row["fields"]),
        steps,
    )
