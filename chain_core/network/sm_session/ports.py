"""What a handshake needs from outside: a signing key, and somebody who judges certificates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from chain_core.network.sm_session.binding import Binding


class PeerIdentity(Protocol):
    """Who a certificate says its holder is; ``chain_core.crypto.x509`` makes them."""

    @property
    def public_key(self) -> bytes:
        """64 bytes."""
        ...

    @property
    def subject(self) -> str:
        """The common name."""
        ...

    @property
    def entity(self) -> str:
        """The organisation."""
        ...

    @property
    def roles(self) -> tuple[str, ...]:
        """What its authority lets it act as."""
        ...

    @property
    def fingerprint(self) -> bytes:
        """SM3 of the leaf."""
        ...


Verify: TypeAlias = Callable[[Sequence[bytes]], PeerIdentity]
"""Certificates (DER, leaf first) to an identity; raises a DualchainError that names what is wrong."""


@dataclass(frozen=True, slots=True)
class Identity:
    """This side: its chain of certificates, leaf first, and its leaf's key behind ``sign``.

    ``sign``: message to a 64-byte SM2 signature under the identifier ``suite.SIGNER_ID``.
    """

    certificates: tuple[bytes, ...]
    sign: Callable[[bytes], bytes] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Established:
    """What a finished handshake leaves: who is there, and both directions' first application secrets."""

    session_id: bytes
    binding: Binding
    peer: PeerIdentity
    peer_certificates: tuple[bytes, ...] = field(repr=False)
    client_secret: bytes = field(repr=False)
    server_secret: bytes = field(repr=False)
