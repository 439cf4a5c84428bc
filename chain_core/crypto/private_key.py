"""A private key in memory: bytes that do not show themselves (docs/spec/keys.md §4)."""

from __future__ import annotations

from typing import NoReturn

HIDDEN = "<private key>"


class PrivateKey(bytes):
    """32 bytes, big-endian. Text made of it, in logs, traces and dataclasses, hides it; it is never pickled or copied
    into another process. ``hex()`` and ``bytes(...)`` still give what it holds, to whoever asks by name.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return HIDDEN

    def __str__(self) -> str:
        return HIDDEN

    def __format__(self, spec: str) -> str:
        return HIDDEN

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a private key is not pickled")
