"""The node API's questions about final blocks and final state: canonical bytes and proofs, nothing re-encoded.

Everything in one response is of one final height: handlers do not wait between reads, and blocks become final on the
same event loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chain_core._pb.dualchain.node.v1 import node_pb2 as pb
from chain_core.codec.block import encode_block
from chain_core.codec.proofs import MAX_KEY_BYTES, encode_state_proof
from chain_core.codec.seen import decode_seen, seen_key
from chain_core.ledger.store import LedgerStore
from chain_core.network.identity import Caller
from chain_core.network.raw_rpc import parse
from chain_core.network.refusals import NotFound, Oversize
from chain_core.node.block_proofs import BlockProofs
from chain_core.node.scope import OwnScope
from chain_core.types.errors import MalformedBytes
from chain_core.types.ids import ACCOUNT_ID_SIZE, HASH_SIZE

MAX_KEYS = 256
MAX_SCAN = 1_000
MAX_HEADERS = 1_000
PAGE_BYTES = 8_000_000


@dataclass(frozen=True, slots=True)
class Queries:
    """The questions one node answers. All raise MalformedBytes, WrongChain, NotFound."""

    scope: OwnScope
    genesis: bytes
    store: LedgerStore
    proofs: BlockProofs

    async def receipt(self, caller: Caller, data: bytes) -> bytes:
        """GetReceipt."""
        request = parse(pb.GetReceiptRequest, data)
        self.scope.check(request.scope)
        match request.WhichOneof("of"):
            case "transaction_id":
                place = self._located(request.transaction_id)
            case "account_nonce":
                found = self._seen(request.account_nonce)
                if isinstance(found, bytes):
                    latest = self.proofs.header(self.store.final_height)
                    return pb.GetReceiptResponse(header=latest, absence=found).SerializeToString()
                place = found
            case _:
                raise _malformed("neither a transaction id nor an account with a nonce", "of")
        response = pb.GetReceiptResponse(receipt=self.proofs.receipt(*place), header=self.proofs.header(place[0]))
        return response.SerializeToString()

    def _located(self, transaction_id: bytes) -> tuple[int, int]:
        _check_size(transaction_id, HASH_SIZE, "transaction_id")
        place = self.store.locate(transaction_id)
        if place is None:
            raise NotFound(
                "no final transaction has this id here",
                where=f"transaction_id {transaction_id.hex()}",
                next_step="ask again later; ask by account and nonce for a proof that it is not final",
            )
        return place

    def _seen(self, asked: pb.AccountNonce) -> tuple[int, int] | bytes:
        """(height, index) of the transaction that used the nonce, or the proof that none did."""
        _check_size(asked.account, ACCOUNT_ID_SIZE, "account")
        value, proof = self.store.prove_seen(seen_key(self.scope.ledger, asked.account, asked.nonce))
        if value is None:
            return encode_state_proof(proof)
        entry = decode_seen(value)
        place = entry.height, entry.index
        # A predecessor's height may be a height here too, with somebody else's receipt; a copy of the transaction that
        # was ordered here once more, as a duplicate, stands elsewhere.
        if self.store.foundation is not None and self.store.locate(entry.transaction_id) != place:
            raise NotFound(
                f"transaction {entry.transaction_id.hex()} used this nonce, on the predecessor or in a pruned block",
                where=f"nonce {asked.nonce}",
                next_step="look for its receipt in an archive",
            )
        return place

    async def state(self, caller: Caller, data: bytes) -> bytes:
        """QueryState."""
        request = parse(pb.QueryStateRequest, data)
        self.scope.check(request.scope)
        if len(request.keys) > MAX_KEYS:
            raise Oversize(f"{len(request.keys)} keys", where="keys", next_step=f"ask for at most {MAX_KEYS} at once")
        response = pb.QueryStateResponse(header=self.proofs.header(self.store.final_height))
        for key in request.keys:
            _check_key(key, "keys")
            value, proof = self.store.prove_state(key)
            response.items.add(present=value is not None, value=value or b"", proof=encode_state_proof(proof))
        return response.SerializeToString()

    async def scan(self, caller: Caller, data: bytes) -> bytes:
        """ScanState."""
        request = parse(pb.ScanStateRequest, data)
        self.scope.check(request.scope)
        _check_key(request.prefix, "prefix")
        limit = min(request.limit or MAX_SCAN, MAX_SCAN)
        found = self.store.scan(request.prefix, request.after, limit + 1)
        count = _page([len(key) + len(value) for key, value in found[:limit]])
        response = pb.ScanStateResponse(height=self.store.final_height, more=count < len(found))
        for key, value in found[:count]:
            response.items.add(key=key, value=value)
        return response.SerializeToString()

    async def header(self, caller: Caller, data: bytes) -> bytes:
        """GetHeader."""
        request = parse(pb.GetHeaderRequest, data)
        self.scope.check(request.scope)
        height = request.height if request.WhichOneof("which") == "height" else self.store.final_height
        return pb.GetHeaderResponse(header=self.proofs.header(height)).SerializeToString()

    async def headers(self, caller: Caller, data: bytes) -> bytes:
        """GetHeaders."""
        request = parse(pb.GetHeadersRequest, data)
        self.scope.check(request.scope)
        final = self.store.final_height
        end = min(request.start + min(request.count, MAX_HEADERS), final + 1)
        response = pb.GetHeadersResponse(final_height=final)
        response.headers.extend(self.proofs.header(height) for height in range(request.start, end))
        return response.SerializeToString()

    async def block(self, caller: Caller, data: bytes) -> bytes:
        """GetBlock."""
        request = parse(pb.GetBlockRequest, data)
        self.scope.check(request.scope)
        self.proofs.check_kept(request.height)
        block = self.store.block(request.height)
        if block is None:
            raise NotFound(
                f"no block of height {request.height} here; blocks go from 1 to {self.store.final_height}",
                where="height",
                next_step="ask again later, or another node",
            )
        receipts = self.store.receipts(request.height)
        return pb.GetBlockResponse(block=encode_block(block), receipts=receipts).SerializeToString()

    async def outbox(self, caller: Caller, data: bytes) -> bytes:
        """GetOutbox."""
        request = parse(pb.GetOutboxRequest, data)
        self.scope.check(request.scope)
        header = self.proofs.header(request.height)
        packets = self.proofs.packets(request.height)[request.start :]
        count = _page([len(item.packet) + len(item.proof) for item in packets])
        response = pb.GetOutboxResponse(header=header, packets=packets[:count], more=count < len(packets))
        return response.SerializeToString()

    async def events(self, caller: Caller, data: bytes) -> bytes:
        """GetEvents."""
        request = parse(pb.GetEventsRequest, data)
        self.scope.check(request.scope)
        header = self.proofs.header(request.height)
        self.proofs.check_kept(request.height)
        events = self.store.events(request.height)[request.start :]
        count = _page([len(item) for item in events])
        return pb.GetEventsResponse(header=header, events=events[:count], more=count < len(events)).SerializeToString()

    async def equivocations(self, caller: Caller, data: bytes) -> bytes:
        """GetEquivocations."""
        request = parse(pb.GetEquivocationsRequest, data)
        self.scope.check(request.scope)
        proofs = self.store.equivocations()[request.start :]
        count = _page([len(proof) for proof in proofs])
        return pb.GetEquivocationsResponse(proofs=proofs[:count], more=count < len(proofs)).SerializeToString()

    async def genesis_document(self, caller: Caller, data: bytes) -> bytes:
        """GetGenesis."""
        parse(pb.GetGenesisRequest, data)
        return pb.GetGenesisResponse(genesis=self.genesis).SerializeToString()


def _page(sizes: Sequence[int]) -> int:
    """How many of the items fit into one response; at least one."""
    total = 0
    for count, size in enumerate(sizes):
        total += size
        if total > PAGE_BYTES and count:
            return count
    return len(sizes)


def _malformed(what: str, where: str) -> MalformedBytes:
    return MalformedBytes(what, where=where, next_step="see docs/spec/node-api.md")


def _check_size(value: bytes, size: int, where: str) -> None:
    if len(value) != size:
        raise _malformed(f"{len(value)} bytes, not {size}", where)


def _check_key(key: bytes, where: str) -> None:
    """A full state key: u8 length of the contract's name, the name, the contract's own key."""
    if not 1 <= len(key) <= MAX_KEY_BYTES:
        raise _malformed(f"a full state key has 1 to {MAX_KEY_BYTES} bytes, not {len(key)}", where)
