"""What a port serves: a table of methods, each a function of the caller and bytes (docs/spec/network.md §1)."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from chain_core.network import refusals
from chain_core.network.identity import Caller
from chain_core.types.errors import DualchainError

log = logging.getLogger(__name__)

UnaryHandler: TypeAlias = Callable[[Caller, bytes], Awaitable[bytes]]
StreamHandler: TypeAlias = Callable[[Caller, AsyncIterator[bytes]], AsyncIterator[bytes]]
ServerStreamHandler: TypeAlias = Callable[[Caller, bytes], AsyncGenerator[bytes, None]]


@dataclass(frozen=True, slots=True)
class Unary:
    """A method with one request and one response."""

    handler: UnaryHandler


@dataclass(frozen=True, slots=True)
class Stream:
    """A method with streams in both directions; the response ends when the handler does."""

    handler: StreamHandler


@dataclass(frozen=True, slots=True)
class ServerStream:
    """A method with one request and a stream of responses.

    A response that the caller does not take within ``patience_s`` is thrown into the handler as TimeoutError where it
    yielded; what it raises then ends the call.
    """

    handler: ServerStreamHandler
    patience_s: float


Method: TypeAlias = Unary | Stream | ServerStream


def as_refusal(name: str, error: Exception) -> DualchainError:
    """What the caller is told; what is no refusal is a defect: written down here, not shown there."""
    if isinstance(error, DualchainError):
        return error
    log.error("DEFECT method=%s", name, exc_info=error)
    return refusals.Internal(
        "the node failed to serve this request",
        where=name,
        next_step="ask another node; the operator finds the details in this node's log",
    )
