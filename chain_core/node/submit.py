"""Submit: a batch of envelopes in, one answer an envelope out; on request held back until all are final."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, assert_never

from chain_core._pb.dualchain.node.v1 import node_pb2 as pb
from chain_core.ledger.store import LedgerStore
from chain_core.network.identity import Caller
from chain_core.network.ingress import EnvelopeOutcome
from chain_core.network.quota import CallerSignatures, Quotas, SignatureQuota
from chain_core.network.raw_rpc import parse
from chain_core.network.refusals import Overloaded, Oversize, to_message
from chain_core.network.transaction_refusals import ExecutedBefore, NonceUsed, NotServing, PoolFull
from chain_core.node import receipt_view
from chain_core.node.block_proofs import BlockProofs
from chain_core.node.finality import FinalityWaits, Wait
from chain_core.node.ports import Admission
from chain_core.node.replication import Replication
from chain_core.node.scope import OwnScope
from chain_core.types.errors import InvalidTransaction, MalformedBytes
from chain_core.types.transaction import Envelope

MAX_ENVELOPES = 2_000
MAX_CALLER_BYTES = 34_000_000
DEFAULT_WAIT_MS = 30_000
MAX_WAIT_MS = 60_000

_Answer = tuple[EnvelopeOutcome, Admission | None]


def _own_quota() -> SignatureQuota:
    """Of this service alone, where a node's services do not share one."""
    return SignatureQuota(Quotas(), time.monotonic_ns, lambda key, seconds: None)


class Gate(Protocol):
    """Verifies and admits a client's envelopes."""

    async def submit(self, raws: Sequence[bytes], caller: CallerSignatures | None = None) -> list[_Answer]:
        """Each envelope's outcome, with the replica's answer when it verified. Raises Overloaded, Unavailable."""


@dataclass(slots=True)
class Submissions:
    """The Submit method of one node."""

    scope: OwnScope
    gate: Gate
    store: LedgerStore
    proofs: BlockProofs
    waits: FinalityWaits
    counters: Counter[str]
    replication: Replication
    signatures: SignatureQuota = field(default_factory=_own_quota)
    _in_flight: Counter[str] = field(default_factory=Counter)

    async def submit(self, caller: Caller, data: bytes) -> bytes:
        """Raises WrongChain, MalformedBytes, Oversize, Overloaded, Unavailable; a refused envelope is an item."""
        request = parse(pb.SubmitRequest, data)
        self.scope.check(request.scope, named=True)
        raws = list(request.envelopes)
        _check_count(len(raws))
        own = self.signatures.of(caller.key)
        self._take_quota(caller, len(data))
        try:
            own.begin(len(raws))
            try:
                answers = await self.gate.submit(raws, own)
            finally:
                own.end(len(raws))
        finally:
            self._give_back(caller, len(data))
        response, waiting = self._items(answers)
        self.counters["submitted"] += len(raws)
        if request.wait == pb.WAIT_FINAL and waiting:
            await self._until_final(response, waiting, request.timeout_ms)
        if request.wait == pb.WAIT_REPLICATED and waiting:
            await self._until_replicated(response, waiting, request.timeout_ms)
        self._add_headers(response)
        return response.SerializeToString()

    # ---- quota

    def _take_quota(self, caller: Caller, size: int) -> None:
        """Bounds what one caller has in verification at once."""
        if self._in_flight[caller.key] + size > MAX_CALLER_BYTES:
            raise Overloaded(
                f"{self._in_flight[caller.key]} bytes of this caller wait to be verified",
                where="caller",
                next_step="hand in less at once",
                retry_after_ms=200,
            )
        self._in_flight[caller.key] += size

    def _give_back(self, caller: Caller, size: int) -> None:
        self._in_flight[caller.key] -= size
        if not self._in_flight[caller.key]:
            del self._in_flight[caller.key]

    # ---- answers

    def _items(self, answers: Sequence[_Answer]) -> tuple[pb.SubmitResponse, dict[int, Envelope]]:
        """The response as of now, and by index the envelopes that were accepted and are not final yet."""
        response = pb.SubmitResponse()
        waiting: dict[int, Envelope] = {}
        for index, (outcome, admission) in enumerate(answers):
            item = response.items.add()
            if isinstance(outcome, InvalidTransaction) or admission is None:
                assert isinstance(outcome, InvalidTransaction)
                self._refuse(item, outcome)
                continue
            envelope = outcome.value
            match admission:
                case Admission.ALREADY_FINAL if self.store.locate(envelope.transaction_id) is None:
                    self._refuse(item, _EXECUTED_BEFORE)
                case Admission.ACCEPTED | Admission.ALREADY_FINAL:
                    item.status = pb.ACCEPTED
                    if not self._final_already(item, envelope):
                        waiting[index] = envelope
                case Admission.NONCE_USED:
                    self._refuse(item, _nonce_used(envelope))
                case Admission.POOL_FULL:
                    self._refuse(item, _POOL_FULL)
                case Admission.NOT_SERVING:
                    self._refuse(item, _NOT_SERVING)
                case _:
                    assert_never(admission)
        return response, waiting

    def _refuse(self, item: pb.SubmitItem, refusal: InvalidTransaction) -> None:
        item.status = pb.REFUSED
        item.refusal.CopyFrom(to_message(refusal))
        self.counters[f"refused_{refusal.code}"] += 1

    def _final_already(self, item: pb.SubmitItem, envelope: Envelope) -> bool:
        """Handed in again, or final between its admission and now."""
        place = self.store.locate(envelope.transaction_id)
        if place is None:
            return False
        proven = self.proofs.receipt(*place)
        if not receipt_view.settles(proven.receipt, envelope.envelope_id):
            return False
        item.status = pb.FINAL
        item.receipt.CopyFrom(proven)
        return True

    async def _until_final(self, response: pb.SubmitResponse, waiting: dict[int, Envelope], timeout_ms: int) -> None:
        wait = Wait({envelope.transaction_id: envelope.envelope_id for envelope in waiting.values()})
        ids = tuple(wait.missing)
        self.waits.add(wait)
        try:
            await wait.until(min(timeout_ms or DEFAULT_WAIT_MS, MAX_WAIT_MS) / 1_000)
        finally:
            self.waits.remove(wait, ids)
        for index, envelope in waiting.items():
            place = wait.found.get(envelope.transaction_id)
            if place is not None:
                item = response.items[index]
                item.status = pb.FINAL
                item.receipt.CopyFrom(self.proofs.receipt(*place))

    async def _until_replicated(
        self, response: pb.SubmitResponse, waiting: dict[int, Envelope], timeout_ms: int
    ) -> None:
        keeping = self.replication.begin(list(waiting.values()))
        if keeping is None:
            return
        try:
            async with asyncio.timeout(min(timeout_ms or DEFAULT_WAIT_MS, MAX_WAIT_MS) / 1_000):
                await keeping.all_done.wait()
        except TimeoutError:
            pass  # what is not replicated by now stays ACCEPTED
        finally:
            self.replication.end(keeping)
        for index, envelope in waiting.items():
            item = response.items[index]
            if not self._final_already(item, envelope) and envelope.envelope_id in keeping.done:
                item.status = pb.REPLICATED

    def _add_headers(self, response: pb.SubmitResponse) -> None:
        heights = {item.receipt.height for item in response.items if item.status == pb.FINAL}
        response.headers.extend(self.proofs.header(height) for height in sorted(heights))


_POOL_FULL = PoolFull(
    "the pool has no room for it", where="pool", next_step="hand it in again after retry_after_ms, or to another node"
)
_EXECUTED_BEFORE = ExecutedBefore(
    "this transaction was executed in a block that is not here: pruned, or of the predecessor chain",
    where="body",
    next_step="look for its receipt in an archive; sign another transaction if it is to be done twice",
)
_NOT_SERVING = NotServing(
    "this node takes no transactions now", where="node", next_step="hand it in to another node; see its status"
)


def _nonce_used(envelope: Envelope) -> NonceUsed:
    return NonceUsed(
        f"nonce {envelope.body.nonce} is used by another transaction of the account",
        where="body.nonce",
        next_step="ask for the receipt of this account and nonce; sign again with a fresh nonce",
    )


def _check_count(count: int) -> None:
    if not count:
        raise MalformedBytes("no envelopes", where="envelopes", next_step=f"hand in 1 to {MAX_ENVELOPES}")
    if count > MAX_ENVELOPES:
        raise Oversize(f"{count} envelopes at once", where="envelopes", next_step=f"hand in at most {MAX_ENVELOPES}")
