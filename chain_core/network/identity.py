"""Who is calling: the argument every handler gets, whatever the channel underneath.

On an SM port the caller is who its certificate says, as the session authenticated it (docs/spec/sm-session.md §7). On a
plaintext port, which only the loopback interface has, it is a local process, named by its socket.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Any

import grpc.aio

from chain_core.types.errors import LocalFault

LOOPBACK = "loopback"
_HOST_NAME = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?\Z")


class NotLoopback(LocalFault):
    """An unprotected port may not leave this machine."""

    code = "NOT_LOOPBACK"


class BadAddress(LocalFault):
    """Not ``host:port``."""

    code = "BAD_ADDRESS"


@dataclass(frozen=True, slots=True)
class Caller:
    """``kind``: how the identity was established; ``name``: unique within a kind; ``roles``: what it may act as.

    Where it has shown a certificate: ``fingerprint`` is its SM3, ``public_key`` its key (64 bytes), ``entity`` its
    organisation. ``address``: where the connection, or the session's handshake, came from, without the port.
    """

    kind: str
    name: str
    roles: tuple[str, ...] = ()
    fingerprint: bytes = b""
    public_key: bytes = b""
    entity: str = ""
    address: str = ""

    @property
    def key(self) -> str:
        """Whom quotas are counted for: its certificate, or its socket."""
        return f"{self.kind} {self.fingerprint.hex() or self.name}"


def loopback_caller(context: grpc.aio.ServicerContext[Any, Any]) -> Caller:
    """The local process at the other end of a loopback connection, named by its socket."""
    return Caller(LOOPBACK, context.peer(), address=host_of(context.peer()))


def host_of(peer: str) -> str:
    """The address without its port, of gRPC's ``ipv4:1.2.3.4:5`` or ``ipv6:[::1]:5`` (percent-encoded at times)."""
    kind, _, rest = peer.partition(":")
    return rest.rpartition(":")[0] if kind in ("ipv4", "ipv6") else peer


def split_address(address: str) -> tuple[str, int]:
    """(host, port) of ``127.0.0.1:7000`` or ``[::1]:7000``. Raises BadAddress."""
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise BadAddress("not an address", where=address, next_step="write host:port, for example 127.0.0.1:7000")
    return host.removeprefix("[").removesuffix("]"), int(port)


def require_loopback(address: str) -> str:
    """``address`` again, when it cannot be reached from another machine. Raises BadAddress, NotLoopback.

    Names are refused, even ``localhost``: what they resolve to is decided elsewhere.
    """
    host, _ = split_address(address)
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise NotLoopback(
            "plaintext stays on the loopback interface",
            where=address,
            next_step="use 127.0.0.1; or SM sessions, by the folder with the client's key and certificates: "
            "DUALCHAIN_CREDENTIALS=NETWORK/clients/cli for commands, credentials in configurations",
        )
    return address


def require_address(address: str) -> str:
    """``address`` again, for a protected port: any host, as a literal address or a name. Raises BadAddress."""
    host, _ = split_address(address)
    try:
        ipaddress.ip_address(host)
    except ValueError:
        if not _HOST_NAME.match(host):
            raise BadAddress(
                "not a host", where=address, next_step="write host:port, for example 10.0.0.5:7000 or [fd00::5]:7000"
            ) from None
    return address
