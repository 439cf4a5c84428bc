"""Verified and unverified are different types: only ``network/ingress.py`` makes a ``Verified`` (a test
holds it).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Verified(Generic[T]):
    """A value whose signatures (all of them, nested ones too) were checked against the validator set of its
    epoch.
    """

    value: T
