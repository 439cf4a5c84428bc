"""Standard TLS under the raw methods: gRPC's own, with ordinary certificates (docs/spec/sm-session.md §7)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio

from chain_core.network.handshake_gate import address_block
from chain_core.network.identity import Caller, host_of
from chain_core.network.refusals import PermissionDenied
from chain_core.types.errors import DualchainError, PeerFault

TLS = "tls"
"""The kind of a caller behind such a port."""
MAX_CALLERS = 4_096


class TlsRefused(PeerFault):
    """No TLS connection that this side believes."""

    code = "TLS_REFUSED"


@dataclass(frozen=True, slots=True)
class Shown:
    """Who a client certificate names, and until when (ms). ``stands`` raises PermissionDenied when it was revoked."""

    caller: Caller
    not_before_ms: int
    not_after_ms: int
    stands: Callable[[], None] = lambda: None


Read = Callable[[bytes], Shown]
"""A client certificate in PEM, which the TLS library has verified. Raises a DualchainError."""


@dataclass(frozen=True, slots=True)
class TlsServer:
    """A TLS port. ``client_ca`` None: clients show nothing, and have ``anonymous_roles``."""

    chain_pem: bytes
    key_pem: bytes = field(repr=False)
    client_ca: bytes | None
    read: Read
    now_ms: Callable[[], int]
    anonymous_roles: tuple[str, ...] = ()

    def credentials(self) -> grpc.ServerCredentials:
        """For gRPC."""
        return grpc.ssl_server_credentials(
            [(self.key_pem, self.chain_pem)], self.client_ca, require_client_auth=self.client_ca is not None
        )


@dataclass(frozen=True, slots=True)
class TlsClient:
    """A channel that believes servers under ``roots``; ``chain_pem`` and ``key_pem``: what it shows itself."""

    roots: bytes
    chain_pem: bytes | None = None
    key_pem: bytes | None = field(default=None, repr=False)

    def credentials(self) -> grpc.ChannelCredentials:
        """For gRPC."""
        return grpc.ssl_channel_credentials(self.roots, self.key_pem, self.chain_pem)


class TlsCallers:
    """Who calls a TLS port: a certificate is read once, time and revocation looked at with each call."""

    def __init__(self, security: TlsServer) -> None:
        self._security = security
        self._known: OrderedDict[bytes, Shown] = OrderedDict()

    def __call__(self, context: grpc.aio.ServicerContext[Any, Any]) -> Caller:
        """Raises PermissionDenied, CertificateRefused."""
        address = host_of(context.peer())
        if self._security.client_ca is None:
            return Caller(TLS, address_block(address), self._security.anonymous_roles, address=address)
        (pem, *_) = context.auth_context().get("x509_pem_cert", (b"",))
        shown = self._known.get(pem)
        if shown is None:
            shown = self._known[pem] = self._security.read(pem)
            if len(self._known) > MAX_CALLERS:
                self._known.popitem(last=False)
        self._known.move_to_end(pem)
        if not shown.not_before_ms <= self._security.now_ms() <= shown.not_after_ms:
            raise PermissionDenied(
                "the client's certificate is not in its time", where=shown.caller.name, next_step="have it renewed"
            )
        shown.stands()
        known = shown.caller
        return Caller(TLS, known.name, known.roles, fingerprint=known.fingerprint, entity=known.entity, address=address)


def told_as(refusal: DualchainError) -> DualchainError:
    """A call's refusal; a handshake that failed has a name of its own, whatever gRPC calls it."""
    text = refusal.what
    if refusal.code == "UNREACHABLE" and ("andshake" in text or "SSL" in text or "certificate" in text):
        return TlsRefused(
            f"no TLS connection: {text}"[:400],
            where=refusal.where,
            next_step="compare tls/ca.pem with who issued the node's certificate, its names with the address, and ask "
            "whether the port takes TLS",
        )
    return refusal
