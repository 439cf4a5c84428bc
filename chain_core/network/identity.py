"""Who is calling: the argument every handler gets, whatever the channel underneath.

Today the channel is plain gRPC on the loopback interface, so a caller is a local process and its name is its socket.
The SM session fills the same value with the identity it authenticated.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any

import grpc.aio

from chain_core.types.errors import LocalFault

LOOPBACK = "loopback"


class NotLoopback(LocalFault):
    """An unprotected port may not leave this machine."""

    code = "NOT_LOOPBACK"


class BadAddress(LocalFault):
    """Not ``host:port``."""

    code = "BAD_ADDRESS"


@dataclass(frozen=True, slots=True)
class Caller:
    """``kind``: how the identity was established; ``name``: unique within a kind; ``roles``: what it may act as."""

    kind: str
    name: str
    roles: tuple[str, ...] = ()


def loopback_caller(context: grpc.aio.ServicerContext[Any, Any]) -> Caller:
    """The local process at the other end of a loopback connection, named by its socket."""
    return Caller(LOOPBACK, context.peer())


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
            "ports bind to the loopback interface until links are protected by the SM session",
            where=address,
            next_step="use 127.0.0.1 and a port of your choice",
        )
    return address
