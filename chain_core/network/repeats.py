"""The VIEW-CHANGE and NEW-VIEW that each peer sent last: they are sent again until they have done their work, and carry
hundreds of signatures (docs/spec/network.md §5).
"""

from __future__ import annotations

from chain_core.consensus.messages import Message
from chain_core.crypto.hashing import sm3
from chain_core.types.block import SignedNewView, SignedViewChange


class LastChanges:
    """One of each kind a peer, so that no peer drives out another's. Digests only: the messages may be large."""

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
