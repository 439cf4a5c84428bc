"""How many of a link's signatures were bad: more than one in a hundred, over two hundred or more, and it is cut."""

from __future__ import annotations

WINDOW = 200
_ONE_IN = 100


class SignatureQuality:
    """Counts in windows of at least WINDOW signatures."""

    __slots__ = ("_bad", "_checked")

    def __init__(self) -> None:
        self._checked = self._bad = 0

    def record(self, checked: int, bad: int) -> bool:
        """Adds verdicts; True when the link is to be cut.

        It is cut as soon as no number of good ones could bring the window below the limit again.
        """
        self._checked += checked
        self._bad += bad
        too_many = self._bad * _ONE_IN > max(self._checked, WINDOW)
        if self._checked >= WINDOW and not too_many:
            self._checked = self._bad = 0
        return too_many
