"""How a port or a channel is protected: an argument of RawServer and RawChannel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from chain_core.crypto.sm2_identified import signer_as
from chain_core.network.sm_session.binding import Binding
from chain_core.network.sm_session.ports import Established, Identity, Verify
from chain_core.network.sm_session.refused import SessionRefused
from chain_core.network.sm_session.suite import SIGNER_ID
from chain_core.network.tls import TlsClient, TlsServer

SM: Final = "sm"
"""The kind of a caller whom a session has authenticated."""


@dataclass(frozen=True, slots=True)
class Plaintext:
    """No protection: loopback addresses only."""


PLAINTEXT: Final = Plaintext()


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a port spends on sessions (docs/spec/sm-session.md section 6)."""

    sessions: int = 4_096
    idle_s: float = 600.0
    lifetime_s: float = 86_400.0
    half_open: int = 128
    half_open_an_address: int = 16
    handshake_s: float = 10.0
    verify_again_s: float = 60.0
    hold_s: float = 1.0
    """How long the refusal of a handshake too many is held back."""


@dataclass(frozen=True, slots=True)
class SmServer:
    """An SM port. ``admit``: told the address before a handshake costs anything, refuses by raising SessionRefused.

    ``ends_with_certificate``: sessions whose certificates ``verify`` refuses later end; never so between validators.
    """

    identity: Identity
    binding: Binding
    verify: Verify
    admit: Callable[[str], None] | None = None
    established: Callable[[Established], None] | None = None
    refused: Callable[[str, SessionRefused], None] | None = None
    """Told the address of each handshake and call that is refused here, but for what broken connections leave."""
    """Told on the event loop of each session before its first call."""
    ends_with_certificate: bool = True
    bounds: Bounds = field(default=Bounds())


@dataclass(frozen=True, slots=True)
class SmClient:
    """A channel that shakes hands before its first call."""

    identity: Identity
    binding: Binding
    verify: Verify
    handshake_s: float = 10.0
    established: Callable[[Established], None] | None = None


ServerSecurity: TypeAlias = Plaintext | TlsServer | SmServer
ClientSecurity: TypeAlias = Plaintext | TlsClient | SmClient


def identity_of(certificates: tuple[bytes, ...], private_key: bytes) -> Identity:
    """This side's identity from DER certificates, leaf first, and the leaf's key."""
    return Identity(certificates, signer_as(private_key, SIGNER_ID))
