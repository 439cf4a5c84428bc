"""A party's sealing keys: the one in use, and former ones that open what was sealed to them."""

from __future__ import annotations

from collections.abc import Sequence

from chain_core.crypto.hashing import sm3
from local_chain.data.errors import DataRefused
from service_registry.config import KeyPair


class KeyRing:
    """At least one key pair; the first is in use."""

    def __init__(self, pairs: Sequence[KeyPair]) -> None:
        if not pairs:
            raise ValueError("a key ring holds a key")
        self.current = pairs[0]
        self._by_public = {pair.public: pair for pair in pairs}

    def __contains__(self, public: bytes) -> bool:
        return public in self._by_public

    def of(self, public: bytes) -> KeyPair:
        """The pair of a public key that something was sealed to. Raises DataRefused."""
        found = self._by_public.get(public)
        if found is None:
            raise DataRefused(
                f"sealed to another key, with SM3 {sm3(public).hex()}",
                where="sealing_key",
                next_step="name that key's file under former_sealing_keys, or have it sealed anew",
            )
        return found
