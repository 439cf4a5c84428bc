"""A question whose keys are found while it is answered, and its answer under one certified header.

What is fetched is judged once, whole, when all of it is there: until then values only tell which keys to ask for.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from chain_core.node.answers import CertifiedHeader, StateItem
from chain_core.node.chain_view import ChainView
from chain_core.types.block import Header
from chain_core.types.errors import InvalidProof
from crosschain.complete_lists import ListEvidence, ListMoved, StateSource, Values, prove_list
from crosschain.following import Position

MAX_KEYS = 200_000
"""Of one answer: a holder of 10,000 securities, an enterprise with rolls of some 100,000 holders."""
KEYS_AT_ONCE = 256
CALLS_AT_ONCE = 8
_TRIES = 24
_NEXT = "ask another node; these bytes prove nothing"


class StaleAnswer(InvalidProof):
    """Proven, but older than what is known, or than what the reader accepts."""

    code = "STALE_ANSWER"


class FromTheFuture(InvalidProof):
    """Proven under a header whose time lies ahead of the reader's clock."""

    code = "FROM_THE_FUTURE"


class TooLarge(InvalidProof):
    """More values than one answer takes."""

    code = "TOO_LARGE"


@dataclass(frozen=True, slots=True)
class Fresh:
    """What an answer's header must not be below or outside of. Times are block time, milliseconds."""

    followed: Position = field(default_factory=Position)
    not_before_ms: int = 0
    not_after_ms: int = 1 << 62

    def check(self, header: Header) -> None:
        """Raises StaleAnswer, FromTheFuture."""
        followed = self.followed
        if header.height < followed.height or header.time_ms < followed.time_ms:
            raise StaleAnswer(
                f"proven at height {header.height}, the supervisory chain has followed to {followed.height}",
                where=f"height {header.height}",
                next_step="ask a node that is up to date",
            )
        if header.time_ms < self.not_before_ms:
            raise StaleAnswer(
                f"proven at block time {header.time_ms}, asked for {self.not_before_ms} or later",
                where=f"height {header.height}",
                next_step="ask a node that is up to date",
            )
        if header.time_ms > self.not_after_ms:
            raise FromTheFuture(
                f"proven at block time {header.time_ms}, it is {self.not_after_ms} at the latest",
                where=f"height {header.height}",
                next_step="compare the clocks",
            )


class Inquiry(ABC):
    """``rounds`` yields keys; it goes on when the values of all that it yielded are known."""

    @property
    @abstractmethod
    def what(self) -> str:
        """In words, for refusals."""

    @abstractmethod
    def rounds(self, known: Values) -> Iterator[Sequence[bytes]]:
        """Full state keys, a round at a time. Raises InvalidProof, MalformedBytes for values that nothing follows."""

    def keys(self, known: Values) -> list[bytes]:
        """All keys as far as ``known`` values tell: nothing of them is proven yet, and may be of any form."""
        try:
            return self._keys(known)
        except (KeyError, TypeError, ValueError) as error:
            raise self.refuse(f"a value cannot be read: {error!r}") from error

    def _keys(self, known: Values) -> list[bytes]:
        keys: list[bytes] = []
        for more in self.rounds(known):
            keys += more
            if len(keys) > MAX_KEYS:
                raise TooLarge(f"more than {MAX_KEYS} values", where=self.what, next_step="ask for less at once")
            if not all(key in known for key in more):
                break
        return keys

    def refuse(self, what: str) -> InvalidProof:
        """What does not hold, about this answer."""
        return InvalidProof(what, where=self.what, next_step=_NEXT)


async def fetch(node: StateSource, inquiry: Inquiry) -> ListEvidence:
    """The answer of one node, unverified, all of it under one header. Raises InvalidProof, ListMoved, its refusal.

    While the chain moves on, what was learned tells what to ask for at once.
    """
    header: CertifiedHeader | None = None
    items: dict[bytes, StateItem] = {}
    learned: dict[bytes, bytes | None] = {}
    for _ in range(_TRIES):
        wanted = inquiry.keys(learned)
        missing = [key for key in dict.fromkeys(wanted) if key not in items]
        if not missing and header is not None:
            return ListEvidence(header, tuple(items[key] for key in wanted))
        for start in range(0, len(missing), KEYS_AT_ONCE * CALLS_AT_ONCE):
            part = missing[start : start + KEYS_AT_ONCE * CALLS_AT_ONCE]
            calls = [part[place : place + KEYS_AT_ONCE] for place in range(0, len(part), KEYS_AT_ONCE)]
            answers = await asyncio.gather(*(node.state(keys) for keys in calls))
            for keys, answer in zip(calls, answers, strict=True):
                if header is not None and answer.header.header != header.header:
                    items.clear()
                header = answer.header
                items.update(zip(keys, answer.items, strict=True))
                learned.update((key, item.value) for key, item in zip(keys, answer.items, strict=True))
    raise ListMoved("the state changed while it was read", where=inquiry.what, next_step="ask again")


def prove(view: ChainView, inquiry: Inquiry, evidence: ListEvidence, fresh: Fresh) -> tuple[Header, Values]:
    """(header, value by key) of evidence that has exactly the question's keys, each proven. Raises InvalidProof."""
    fresh.check(view.check_header(evidence.header))
    return prove_list(view, inquiry, evidence, 0)
