"""Proposals as values and their state keys (docs/spec/execution.md §8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from chain_core.codec.values import decode_map, decode_value, encode_value
from chain_core.execution.overlay import Namespace
from chain_core.types.values import Value

OPEN, APPROVED, APPLIED = "open", "approved", "applied"
REJECTED, WITHDRAWN, EXPIRED, FAILED = "rejected", "withdrawn", "expired", "failed"

MAX_OPEN = 32
"""Proposals that are open or approved and not yet in effect."""
MAX_OPEN_OF_ONE = 8
"""Of these, what one proposer may have: nobody keeps the others from proposing."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """One proposal. ``due_height``: when an open one expires, or an approved one takes effect.

    ``votes`` are the accounts that approved (without the proposer) and rejected, with the entity each had then.
    ``outcome`` names the rule that stopped a failed one.
    """

    kind: str
    content: Mapping[str, Value]
    proposer: bytes
    proposer_entity: str
    requested_height: int
    status: str
    due_height: int
    approvals: Mapping[str, str]
    rejections: Mapping[str, str]
    outcome: str


def encode_proposal(proposal: Proposal) -> bytes:
    """Canonical value map; votes are maps of account id (hexadecimal) to entity."""
    return encode_value(
        {
            "kind": proposal.kind,
            "content": proposal.content,
            "proposer": proposal.proposer,
            "proposer_entity": proposal.proposer_entity,
            "requested_height": proposal.requested_height,
            "status": proposal.status,
            "due_height": proposal.due_height,
            "approvals": proposal.approvals,
            "rejections": proposal.rejections,
            "outcome": proposal.outcome,
        }
    )


def decode_proposal(raw: bytes) -> Proposal:
    """The reverse of ``encode_proposal``."""
    row = decode_map(raw, "proposal")
    return Proposal(
        cast(str, row["kind"]),
        cast(Mapping[str, Value], row["content"]),
        cast(bytes, row["proposer"]),
        cast(str, row["proposer_entity"]),
        cast(int, row["requested_height"]),
        cast(str, row["status"]),
        cast(int, row["due_height"]),
        cast(Mapping[str, str], row["approvals"]),
        cast(Mapping[str, str], row["rejections"]),
        cast(str, row["outcome"]),
    )


def proposal_key(number: int) -> bytes:
    """A proposal's key inside ``governance``: ``p`` and its number as u64."""
    return b"p" + number.to_bytes(8, "big")


def decode_agenda(raw: bytes | None) -> list[tuple[int, int]]:
    """Pending proposals as (number, due height), ascending."""
    rows = [] if raw is None else cast(Sequence[Sequence[int]], decode_value(raw, "agenda"))
    return [(number, due) for number, due in rows]


class ProposalBook:
    """Proposals in the contract's namespace, and the agenda of those still pending."""

    __slots__ = ("_space",)

    def __init__(self, space: Namespace) -> None:
        self._space = space

    def find(self, number: int) -> Proposal | None:
        """The proposal of that number."""
        raw = self._space.get(proposal_key(number))
        return None if raw is None else decode_proposal(raw)

    def add(self, proposal: Proposal) -> int:
        """Stores a new proposal and returns its number: 1, 2, 3 ..."""
        raw = self._space.get(b"last")
        number = 1 if raw is None else cast(int, decode_value(raw, "proposal number")) + 1
        self._space.put(b"last", encode_value(number))
        self.store(number, proposal)
        return number

    def store(self, number: int, proposal: Proposal) -> None:
        """Writes the proposal, and keeps the agenda in step."""
        self._space.put(proposal_key(number), encode_proposal(proposal))
        rows = [row for row in self.agenda() if row[0] != number]
        if proposal.status in (OPEN, APPROVED):
            rows.append((number, proposal.due_height))
        self._space.put(b"agenda", encode_value(sorted(rows)))

    def agenda(self) -> list[tuple[int, int]]:
        """Pending proposals as (number, due height), ascending."""
        return decode_agenda(self._space.get(b"agenda"))
