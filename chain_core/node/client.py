"""A client of one node's API: typed calls over raw bytes. It verifies nothing; VerifyingClient does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import TypeVar

from google.protobuf.message import Message

from chain_core._pb.dualchain.node.v1 import node_pb2 as pb
from chain_core.network.raw_rpc import RawChannel, parse
from chain_core.network.refusals import QuotaExceeded, ServiceRefusal
from chain_core.network.secured.security import PLAINTEXT, ClientSecurity
from chain_core.node.answers import (
    BlockAnswer,
    CertifiedHeader,
    EventsAnswer,
    OutboxAnswer,
    ProvenPacket,
    ProvenReceipt,
    ReceiptAnswer,
    ScanAnswer,
    StateAnswer,
    StateItem,
    SubmitAnswer,
    SubmitItem,
    SubscribedBlock,
)
from chain_core.node.api_names import method_name
from chain_core.node.event_filter import EventFilter

M = TypeVar("M", bound=Message)

_ANSWER_S = 10.0
# The node ends a wait by itself; this is for the way there and back.
_MARGIN_S = 5.0


class NodeClient:
    """One node. ``genesis_hash`` (when given) is named in every request, so that a node of another chain refuses.

    All methods raise the node's refusal as its type, Unreachable or DeadlinePassed.
    """

    def __init__(
        self,
        address: str,
        *,
        genesis_hash: bytes = b"",
        ledger: int = 0,
        timeout_s: float = _ANSWER_S,
        security: ClientSecurity = PLAINTEXT,
    ) -> None:
        self.address = address
        self.security = security
        self._channel = RawChannel(address, security)
        self._scope = pb.Scope(genesis_hash=genesis_hash, ledger=ledger)
        self._timeout_s = timeout_s

    async def __aenter__(self) -> NodeClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End the connection."""
        await self._channel.close()

    async def _call(self, short: str, request: Message, kind: type[M], timeout_s: float = 0.0) -> M:
        data, within_s = request.SerializeToString(), timeout_s or self._timeout_s
        loop = asyncio.get_running_loop()
        until = loop.time() + within_s
        while True:
            try:
                return parse(kind, await self._channel.unary(method_name(short), data, timeout_s=within_s))
            except QuotaExceeded as refusal:
                # A read comes back when it may; who hands in transactions decides for himself what to do meanwhile.
                wait_s = refusal.retry_after_ms / 1_000
                if short == "Submit" or loop.time() + wait_s >= until:
                    raise
                await asyncio.sleep(wait_s)

    # ---- transactions

    async def submit(
        self, envelopes: Sequence[bytes], *, final_within_s: float = 0.0, replicated_within_s: float = 0.0
    ) -> SubmitAnswer:
        """Hand in envelopes; with ``final_within_s`` the answer waits until all are final, with ``replicated_within_s``
        until all are replicated or final, at most that long.
        """
        within_s = final_within_s or replicated_within_s
        request = pb.SubmitRequest(
            scope=self._scope,
            envelopes=envelopes,
            wait=pb.WAIT_FINAL if final_within_s else pb.WAIT_REPLICATED if within_s else pb.WAIT_ACCEPTED,
            timeout_ms=int(within_s * 1_000),
        )
        answer = await self._call("Submit", request, pb.SubmitResponse, max(self._timeout_s, within_s + _MARGIN_S))
        if len(answer.items) != len(envelopes):
            raise ServiceRefusal(f"{len(answer.items)} answers for {len(envelopes)} envelopes", where=self.address)
        return SubmitAnswer(
            tuple(SubmitItem.of(item) for item in answer.items),
            tuple(CertifiedHeader.of(header) for header in answer.headers),
        )

    async def receipt(self, transaction_id: bytes) -> ReceiptAnswer:
        """The receipt of a transaction. Raises NotFound."""
        request = pb.GetReceiptRequest(scope=self._scope, transaction_id=transaction_id)
        return _receipt(await self._call("GetReceipt", request, pb.GetReceiptResponse))

    async def receipt_of_nonce(self, account: bytes, nonce: int) -> ReceiptAnswer:
        """The receipt of whatever used the nonce, or the proof that nothing did."""
        asked = pb.AccountNonce(account=account, nonce=nonce)
        request = pb.GetReceiptRequest(scope=self._scope, account_nonce=asked)
        return _receipt(await self._call("GetReceipt", request, pb.GetReceiptResponse))

    # ---- state

    async def state(self, keys: Sequence[bytes]) -> StateAnswer:
        """Values of full state keys with proofs, under one header."""
        answer = await self._call(
            "QueryState", pb.QueryStateRequest(scope=self._scope, keys=keys), pb.QueryStateResponse
        )
        if len(answer.items) != len(keys):
            raise ServiceRefusal(f"{len(answer.items)} answers for {len(keys)} keys", where=self.address)
        items = tuple(StateItem(item.value if item.present else None, item.proof) for item in answer.items)
        return StateAnswer(CertifiedHeader.of(answer.header), items)

    async def scan(self, prefix: bytes, after: bytes = b"", limit: int = 0) -> ScanAnswer:
        """Keys and values below a prefix, not proven."""
        request = pb.ScanStateRequest(scope=self._scope, prefix=prefix, after=after, limit=limit)
        answer = await self._call("ScanState", request, pb.ScanStateResponse)
        return ScanAnswer(answer.height, tuple((item.key, item.value) for item in answer.items), answer.more)

    # ---- blocks

    async def header(self, height: int | None = None) -> CertifiedHeader:
        """The header of a height, or the latest final one. Raises NotFound."""
        request = pb.GetHeaderRequest(scope=self._scope)
        if height is None:
            request.latest = True
        else:
            request.height = height
        return CertifiedHeader.of((await self._call("GetHeader", request, pb.GetHeaderResponse)).header)

    async def headers(self, start: int, count: int) -> tuple[tuple[CertifiedHeader, ...], int]:
        """Consecutive headers from ``start``, fewer at the end of the chain; and the final height."""
        request = pb.GetHeadersRequest(scope=self._scope, start=start, count=count)
        answer = await self._call("GetHeaders", request, pb.GetHeadersResponse)
        return tuple(CertifiedHeader.of(header) for header in answer.headers), answer.final_height

    async def block(self, height: int) -> BlockAnswer:
        """A certified block. Raises NotFound."""
        answer = await self._call("GetBlock", pb.GetBlockRequest(scope=self._scope, height=height), pb.GetBlockResponse)
        return BlockAnswer(answer.block, tuple(answer.receipts))

    async def outbox(self, height: int) -> OutboxAnswer:
        """The packets of a height. Raises NotFound."""
        packets: list[ProvenPacket] = []
        while True:
            request = pb.GetOutboxRequest(scope=self._scope, height=height, start=len(packets))
            answer = await self._call("GetOutbox", request, pb.GetOutboxResponse)
            packets.extend(ProvenPacket(item.packet, item.proof) for item in answer.packets)
            if not (answer.more and answer.packets):
                return OutboxAnswer(CertifiedHeader.of(answer.header), tuple(packets))

    async def events(self, height: int) -> EventsAnswer:
        """The event records of a height. Raises NotFound."""
        events: list[bytes] = []
        while True:
            request = pb.GetEventsRequest(scope=self._scope, height=height, start=len(events))
            answer = await self._call("GetEvents", request, pb.GetEventsResponse)
            events.extend(answer.events)
            if not (answer.more and answer.events):
                return EventsAnswer(CertifiedHeader.of(answer.header), tuple(events))

    async def subscribe(self, wanted: EventFilter, from_height: int = 0) -> AsyncGenerator[SubscribedBlock, None]:
        """Fitting transactions from a height on (0: the next block), as long as it is read. Raises what ends it."""
        request = pb.SubscribeRequest(
            scope=self._scope,
            from_height=from_height,
            accounts=sorted(wanted.accounts),
            contracts=sorted(wanted.contracts),
            kinds=sorted(wanted.kinds),
            transaction_ids=sorted(wanted.transaction_ids),
        )
        stream = self._channel.server_stream(method_name("Subscribe"), request.SerializeToString())
        async with aclosing(stream):
            async for data in stream:
                yield SubscribedBlock.of(parse(pb.SubscribeResponse, data))

    async def equivocations(self) -> tuple[bytes, ...]:
        """The encoded equivocation proofs that the node keeps."""
        proofs: list[bytes] = []
        while True:
            request = pb.GetEquivocationsRequest(scope=self._scope, start=len(proofs))
            answer = await self._call("GetEquivocations", request, pb.GetEquivocationsResponse)
            proofs.extend(answer.proofs)
            if not (answer.more and answer.proofs):
                return tuple(proofs)

    async def hand_in_reopening(self, order: bytes) -> str:
        """Give the node an approved order (docs/spec/reopening.md); what it waits for, in words."""
        request = pb.HandInReopeningRequest(scope=self._scope, order=order)
        return (await self._call("HandInReopening", request, pb.HandInReopeningResponse)).waits_for

    async def reopenings(self) -> pb.GetReopeningsResponse:
        """What a reopening waits for at this node, and all past ones."""
        whole: pb.GetReopeningsResponse | None = None
        while whole is None or whole.more:
            start = len(whole.reopenings) if whole is not None else 0
            request = pb.GetReopeningsRequest(scope=self._scope, start=start)
            answer = await self._call("GetReopenings", request, pb.GetReopeningsResponse)
            if whole is None:
                whole = answer
            else:
                whole.reopenings.extend(answer.reopenings)
                whole.more = answer.more and bool(answer.reopenings)
        return whole

    # ---- the node

    async def genesis(self) -> bytes:
        """The genesis document, encoded."""
        return (await self._call("GetGenesis", pb.GetGenesisRequest(), pb.GetGenesisResponse)).genesis

    async def status(self) -> pb.GetStatusResponse:
        """How the node is doing."""
        return await self._call("GetStatus", pb.GetStatusRequest(scope=self._scope), pb.GetStatusResponse)


def _receipt(answer: pb.GetReceiptResponse) -> ReceiptAnswer:
    receipt = ProvenReceipt.of(answer.receipt) if answer.HasField("receipt") else None
    return ReceiptAnswer(receipt, CertifiedHeader.of(answer.header), answer.absence)
