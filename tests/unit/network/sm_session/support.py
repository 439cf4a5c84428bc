"""Two ends of a handshake: a certificate here is its holder's name, roles and key in plain text, and none is forged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

from chain_core.crypto.hashing import sm3
from chain_core.crypto.providers import signing_provider
from chain_core.crypto.sm2_identified import sign_as
from chain_core.network.sm_session.binding import Binding, Role
from chain_core.network.sm_session.client import ClientHandshake
from chain_core.network.sm_session.ports import Established, Identity, Verify
from chain_core.network.sm_session.records import Limits
from chain_core.network.sm_session.server import ServerHandshake
from chain_core.network.sm_session.session import Session
from chain_core.network.sm_session.suite import SIGNER_ID, Direction
from chain_core.types.errors import DualchainError

GENESIS = sm3(b"a chain")


class CertificateRefused(DualchainError):
    code = "CERTIFICATE_REFUSED"

    def __init__(self, reason: str, what: str) -> None:
        super().__init__(f"{reason}: {what}")


@dataclass(frozen=True, slots=True)
class FakePeer:
    subject: str
    roles: tuple[str, ...]
    public_key: bytes
    fingerprint: bytes
    entity: str = ""


@cache
def private(name: str) -> bytes:
    return sm3(b"private key of " + name.encode())


@cache
def public(name: str) -> bytes:
    return signing_provider().sm2_public_key(private(name))


def certificate(name: str, *roles: str, issuer: str = "our authority") -> bytes:
    return "|".join((issuer, name, ",".join(roles))).encode() + b"|" + public(name)


def signer(name: str) -> Callable[[bytes], bytes]:
    return lambda message: sign_as(private(name), message, SIGNER_ID)


def identity(name: str, *roles: str, issuer: str = "our authority") -> Identity:
    return Identity((certificate(name, *roles, issuer=issuer),), signer(name))


def reading(certificates: Sequence[bytes]) -> FakePeer:
    try:
        issuer, name, roles, key = certificates[0].split(b"|", 3)
    except ValueError:
        raise CertificateRefused("MALFORMED", "no certificate") from None
    if issuer != b"our authority":
        raise CertificateRefused("UNTRUSTED", f"{issuer.decode('ascii', 'replace')} is no authority of ours")
    if len(key) != 64:
        raise CertificateRefused("MALFORMED", "no certificate")
    text = name.decode("ascii", "replace")
    return FakePeer(text, tuple(roles.decode("ascii", "replace").split(",")), key, sm3(certificates[0]))


def expecting(role: str) -> Verify:
    def verify(certificates: Sequence[bytes]) -> FakePeer:
        peer = reading(certificates)
        if role not in peer.roles:
            raise CertificateRefused("WRONG_USAGE", f"{peer.subject} is no {role}")
        return peer

    return verify


BINDING = Binding(GENESIS, Role.CLIENT)


def client(binding: Binding = BINDING, who: Identity | None = None, verify: Verify | None = None) -> ClientHandshake:
    return ClientHandshake(
        who or identity("alice", "client"),
        binding,
        verify or expecting("peer"),
        random=sm3(b"client random"),
        ephemeral=sm3(b"client ephemeral"),
    )


def server(binding: Binding = BINDING, who: Identity | None = None, verify: Verify | None = None) -> ServerHandshake:
    return ServerHandshake(
        who or identity("node", "peer"),
        binding,
        verify or expecting("client"),
        random=sm3(b"server random"),
        ephemeral=sm3(b"server ephemeral"),
    )


def shake(one: ClientHandshake, other: ServerHandshake) -> tuple[Established, Established]:
    """Client's and server's result."""
    flight = one.answer(other.answer(one.hello()))
    served = other.decide(flight)
    return one.finish(other.verdict), served


@cache
def _established() -> tuple[Established, Established]:
    return shake(client(), server())


def sessions(limits: Limits | None = None) -> tuple[Session, Session]:
    """A client's and a server's end, fresh."""
    ours, theirs = _established()
    limits = limits or Limits()
    return Session(replace(ours), Direction.CLIENT, limits), Session(replace(theirs), Direction.SERVER, limits)
