"""What was verified before, and need not be again: envelopes, validators' signatures, view changes
(docs/spec/network.md §5). All of it bounded; none of it makes anything ``Verified``, only the ingress does.
"""

from __future__ import annotations

from collections.abc import Sequence

from chain_core.consensus.messages import Message
from chain_core.crypto.hashing import sm3
from chain_core.crypto.provider import VerifyItem
from chain_core.types.block import SignedNewView, SignedViewChange

_CACHED_ENVELOPES = 65_536
_CACHED_SIGNATURES = 8_192


class VerifiedCache:
    """Ids of envelopes whose signatures were found valid; bounded, the least recently used leaves first."""

    __slots__ = ("_ids", "_limit")

    def __init__(self, limit: int = _CACHED_ENVELOPES) -> None:
        self._ids: dict[bytes, None] = {}
        self._limit = limit

    def __len__(self) -> int:
        return len(self._ids)

    def hit(self, envelope_id: bytes) -> bool:
        """Whether the id is known; it becomes the most recently used."""
        if envelope_id not in self._ids:
            return False
        del self._ids[envelope_id]
        self._ids[envelope_id] = None
        return True

    def add(self, envelope_id: bytes) -> None:
        """Remember an id; the oldest one leaves when there is no room."""
        self._ids[envelope_id] = None
        if len(self._ids) > self._limit:
            del self._ids[next(iter(self._ids))]


class KnownSignatures:
    """Signatures of validators that were found valid; bounded, the oldest leaves first.

    Votes are sent again until they are answered, and stand again in certificates, VIEW-CHANGEs and NEW-VIEWs. A node
    that verifies slower than others re-send would never catch up.
    """

    __slots__ = ("_items", "_limit")

    def __init__(self, limit: int = _CACHED_SIGNATURES) -> None:
        self._items: dict[VerifyItem, None] = {}
        self._limit = limit

    def __len__(self) -> int:
        return len(self._items)

    def fresh(self, items: Sequence[VerifyItem]) -> list[VerifyItem]:
        """Those that are not known."""
        return [item for item in items if item not in self._items]

    def add(self, items: Sequence[VerifyItem]) -> None:
        """Remember these; the oldest ones leave when there is no room."""
        self._items.update(dict.fromkeys(items))
        while len(self._items) > self._limit:
            del self._items[next(iter(self._items))]


class LastChanges:
    """The VIEW-CHANGE and NEW-VIEW that each peer sent last: they are sent again until they have done their work.

    One of each kind a peer, so that no peer drives out another's. Digests only: the messages may be large.
    """

    __slots__ = ("_marks",)

    def __init__(self) -> None:
        self._marks: dict[tuple[int, type[Message]], bytes] = {}

    def __len__(self) -> int:
        return len(self._marks)

    def holds(self, peer: int, message: Message) -> bool:
        """Whether it is the last one of its kind that was noted for this peer, signature included."""
        if not isinstance(message, SignedViewChange | SignedNewView):
            return False
        noted = self._marks.get((peer, type(message)))
        return noted is not None and noted == _mark(message)

    def note(self, peer: int, message: Message) -> None:
        """Remember a verified one; nothing for other messages, which are cheap."""
        if isinstance(message, SignedViewChange | SignedNewView):
            self._marks[peer, type(message)] = _mark(message)


def _mark(message: SignedViewChange | SignedNewView) -> bytes:
    """What is nested stands in the body, certificates and their signatures too."""
    return sm3(message.signature + message.body)
