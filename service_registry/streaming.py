"""Answers in pieces: the same bytes as in one message, sealed piece by piece by the session, signed at the end
(docs/spec/service-registry.md §7).

The reply's response hash is over all pieces together, so record, signature and schema are those of a plain call.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable

from chain_core._pb.dualchain.registry.v1 import registry_pb2 as pb
from service_registry.calls import PIECE_BYTES

Sink = Callable[[bytes], None]


async def in_pieces(work: Callable[[Sink], Awaitable[pb.CallResponse]]) -> AsyncGenerator[bytes, None]:
    """Messages CallPiece: what ``work`` puts into its sink as it comes, the rest of the response, and the end.

    What is put is a beginning of the response. Bounded by the response's own limit. Raises what ``work`` raises.
    """
    pieces: asyncio.Queue[bytes | None] = asyncio.Queue()
    sent = 0

    async def working() -> pb.CallResponse:
        try:
            return await work(pieces.put_nowait)
        finally:
            pieces.put_nowait(None)

    task = asyncio.create_task(working())
    try:
        while (piece := await pieces.get()) is not None:
            sent += len(piece)
            yield pb.CallPiece(piece=piece).SerializeToString()
        response = await task
        whole = response.answer.response
        for start in range(sent, len(whole), PIECE_BYTES):
            yield pb.CallPiece(piece=whole[start : start + PIECE_BYTES]).SerializeToString()
        response.answer.response = b""
        yield pb.CallPiece(end=response).SerializeToString()
    finally:
        task.cancel()
