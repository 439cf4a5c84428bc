"""What a chain of other technology has to offer to be followed (docs/spec/client-types.md; guideline art. 6).

A client type is pure and deterministic: every node of the supervisory chain runs it inside execution. It never raises;
what does not fit is an ``Objection``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

OWN_TYPE = "dualchain"
"""Our own technology: followed by ``crosschain.light_client``, never by an object of this module."""
MAX_STATE_BYTES = 65_536
MAX_HEADER_BYTES = 4_096


@dataclass(frozen=True, slots=True)
class Objection:
    """Why something is not accepted: ``predicate`` names the check, ``detail`` the two values that disagree."""

    predicate: str
    detail: str


@dataclass(frozen=True, slots=True)
class Described:
    """What a chain's own document says of it: ``nodes`` are (name, legal entity), ``state`` judges the first header."""

    chain_id: str
    market: str
    nodes: tuple[tuple[str, str], ...]
    time_ms: int
    state: bytes


@dataclass(frozen=True, slots=True)
class HeaderFacts:
    """What a header says of itself; nothing of it is believed yet. ``hash`` has 32 bytes, time is in milliseconds."""

    height: int
    time_ms: int
    hash: bytes


class ClientType(Protocol):
    """One technology's verifier."""

    @property
    def name(self) -> str:
        """As registrations name it: at most 32 ASCII characters."""
        ...

    def describe(self, document: bytes, supervisory_hash: bytes) -> Described | Objection:
        """The chain of this document; an objection unless it is bound to the supervisory chain of that genesis hash."""
        ...

    def read(self, header: bytes) -> HeaderFacts | Objection:
        """Height, time and hash."""
        ...

    def judge(self, state: bytes, header: bytes, certificate: bytes) -> Objection | None:
        """Whether the header is final under ``state``, wherever it stands."""
        ...

    def advance(self, state: bytes, header: bytes, next_set: bytes) -> bytes | Objection:
        """The state that judges what follows a header that was judged final."""
        ...

    def proves(self, header: bytes, packet: bytes, proof: bytes) -> Objection | None:
        """Whether the packet stands under the header."""
        ...

    def descends(self, chosen: bytes, header: bytes, proof: bytes) -> Objection | None:
        """Whether ``header`` is an ancestor of ``chosen``."""
        ...
