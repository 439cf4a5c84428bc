"""With which keys a node votes, and who signs for it: a file's key here, or a signer process (docs/spec/keys.md §5)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol, overload

from chain_core.codec import signed
from chain_core.crypto.providers import signing_provider
from chain_core.types.errors import LocalFault

Sign = Callable[[bytes, Sequence[bytes]], list[bytes]]
"""Signs consensus bodies: (tag, canonical bodies) -> a signature r||s each, with the key of the present epoch. Without
bodies it only says whether it could. Raises SignerAway, SigningRefused, SignaturePending."""


class SignerAway(LocalFault):
    """Who holds the key does not answer: nothing is signed until it does."""

    code = "SIGNER_GONE"


class SignaturePending(Exception):
    """The signer has been asked and has not answered yet: what needs the signature is to be tried again when it has."""


class VoteKeys(Protocol):
    """The consensus keys of one node."""

    @property
    def public_keys(self) -> Sequence[bytes]:
        """Under which this node may be a member, the present one first; a signer may get others while it runs."""

    def sign(self, public_key: bytes, tag: bytes, bodies: Sequence[bytes]) -> list[bytes]:
        """A signature for each body. Raises SignerAway, SigningRefused, SignaturePending."""


class FileKeys:
    """Keys that were read from files, by their public halves."""

    def __init__(self, genesis_hash: bytes, private: Mapping[bytes, bytes]) -> None:
        self._genesis_hash, self.private = genesis_hash, dict(private)
        self.public_keys: Sequence[bytes] = tuple(self.private)

    def sign(self, public_key: bytes, tag: bytes, bodies: Sequence[bytes]) -> list[bytes]:
        """By libcrypto, which draws and protects its own nonces."""
        sign = signing_provider().sm2_sign
        return [sign(self.private[public_key], signed.message(tag, self._genesis_hash, body)) for body in bodies]


def signing_messages(genesis_hash: bytes, sign: Callable[[bytes], bytes]) -> Sign:
    """A ``Sign`` of something that signs messages M."""
    return lambda tag, bodies: [sign(signed.message(tag, genesis_hash, body)) for body in bodies]


class PresentKeys(Sequence[bytes]):
    """The public keys as they are now: a signer that was started again may have another one."""

    def __init__(self, keys: VoteKeys) -> None:
        self._keys = keys

    @overload
    def __getitem__(self, index: int) -> bytes: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[bytes]: ...

    def __getitem__(self, index: int | slice) -> bytes | Sequence[bytes]:
        return self._keys.public_keys[index]

    def __len__(self) -> int:
        return len(self._keys.public_keys)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._keys.public_keys)
