"""gRPC service ``CrossChainLog``: a market asks what came of its snapshots (docs/spec/node-interface.md §7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Final

from chain_core._pb.dualchain.jrt0314.v1 import jrt0314_pb2 as pb
from chain_core.network.access import CLIENT, Rule
from chain_core.network.identity import LOOPBACK, Caller
from chain_core.network.methods import Unary
from chain_core.network.quota import Quota
from chain_core.network.refusals import PermissionDenied
from crosschain.jrt0314.messages import to_message
from crosschain.jrt0314.service import checked
from crosschain.jrt0314.service_names import MAX_ENTRIES, QUERY
from supervisory_chain.puller.log import Book

RULES: Mapping[str, Rule] = {QUERY: Rule(CLIENT, Quota.READ)}
"""Whose log somebody may read is decided by network, below."""
ALL_LOGS: Final = frozenset(("csrc", "regulator", "auditor"))
_BYTES: Final = 4_000_000


class LogService:
    """``readers``: organisations by network id. Raises PermissionDenied, MalformedBytes."""

    def __init__(self, book: Book, readers: Mapping[str, Sequence[str]]) -> None:
        self._book, self._readers = book, readers

    def methods(self) -> dict[str, Unary]:
        """For the port."""
        return {QUERY: Unary(self.query)}

    async def query(self, caller: Caller, data: bytes) -> bytes:
        """Query."""
        request = checked(pb.LogRequest, data)
        self._check(caller, request.network_id)
        limit = min(request.limit or MAX_ENTRIES, MAX_ENTRIES)
        found = self._book.entries(
            request.network_id, request.object_id, after=request.after, limit=limit + 1, rejected=request.rejected
        )
        response = pb.LogResponse(first=self._book.span()[0])
        size = 0
        for entry in found[:limit]:
            message = to_message(pb.LogEntry, asdict(entry))
            size += message.ByteSize()
            if size > _BYTES and response.entries:
                break
            response.entries.append(message)
        response.more = len(response.entries) < len(found)
        return response.SerializeToString()

    def _check(self, caller: Caller, network_id: str) -> None:
        everything = caller.kind == LOOPBACK or ALL_LOGS & set(caller.roles)
        own = bool(caller.entity) and caller.entity in self._readers.get(network_id, ())
        if not network_id or not (everything or own):
            raise PermissionDenied(
                f"the log of {network_id!r} is not {caller.entity or 'this caller'}'s to read",
                where="network_id",
                next_step="name your own network; the regulator enters your organisation in the puller's configuration",
            )
