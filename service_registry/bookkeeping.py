"""Where a call's record goes: into a transaction of its own kind, or into a batch (docs/spec/service-records.md §1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from chain_core._pb.dualchain.registry.v1 import registry_pb2 as pb
from chain_core.codec.values import encode_value
from chain_core.node.chain_view import VerifiedReceipt
from chain_core.types.errors import DualchainError
from service_registry.admission import KnownCall
from service_registry.batch_records import Judged
from service_registry.batcher import Batcher
from service_registry.bodies import AccessCode, AccessRecord, record_row
from service_registry.calls import NotRecorded, SignedPromise, SignedReply
from service_registry.definition import BATCH, read_definition
from service_registry.recorder import Recorder


@dataclass(frozen=True, slots=True)
class Single:
    """The record is final."""

    receipt: VerifiedReceipt

    @property
    def where(self) -> str:
        """For people."""
        return f"at height {self.receipt.header.height}"

    def put(self, response: pb.CallResponse) -> None:
        """Tells the caller."""
        response.record.CopyFrom(record_message(self.receipt))


@dataclass(frozen=True, slots=True)
class InBatch:
    """The record is durable, and a batch is promised."""

    record: Judged
    promised: SignedPromise

    @property
    def where(self) -> str:
        """For people."""
        return "in the gateway's next batch"

    def put(self, response: pb.CallResponse) -> None:
        """Tells the caller."""
        raw = encode_value(dict(self.record.row))
        promised = pb.RecordPromise(record=raw, promise=self.promised.promise, signature=self.promised.signature)
        response.promise.CopyFrom(promised)


Entry: TypeAlias = Single | InBatch


class Books:
    """A gateway's records. ``batcher`` is None for a gateway without a store: then all are recorded each."""

    def __init__(self, recorder: Recorder, batcher: Batcher | None) -> None:
        self._recorder = recorder
        self.batcher = batcher

    def by_batch(self, known: KnownCall) -> Batcher | None:
        """The batcher, when the call is of a version in force whose definition says so."""
        found, raw = known.facts.found, known.facts.definition
        if self.batcher is None or found is None or raw is None or known.call.version != found.version:
            return None
        return self.batcher if read_definition(raw).recording == BATCH else None

    async def record(self, known: KnownCall, answer: SignedReply, code: AccessCode) -> Entry:
        """The call's entry; after this the answer may leave. Raises NotRecorded."""
        record = AccessRecord(known.signed.call, known.signed.signature, answer.reply, answer.signature, code)
        try:
            batcher = self.by_batch(known)
            if batcher is None:
                return Single(await self._recorder.record(record))
            judged = _judged(known, record)
            return InBatch(judged, await batcher.record(judged))
        except DualchainError as error:
            raise NotRecorded(
                f"the call could not be recorded, the answer is withheld: {error.what}",
                where=error.where,
                next_step="send the same call again: the publisher is not asked twice",
            ) from error


def _judged(known: KnownCall, record: AccessRecord) -> Judged:
    key = known.facts.caller_key
    assert key is not None, "the call was identified"
    return Judged(record_row(record), key, known.facts.publisher_key or b"")


def record_message(verified: VerifiedReceipt) -> pb.RecordReceipt:
    """The record's transaction for the wire."""
    return pb.RecordReceipt(
        transaction_id=verified.receipt.transaction_id,
        height=verified.header.height,
        receipt=verified.proven.receipt,
        proof=verified.proven.proof,
        header=verified.certified.header,
        certificate=verified.certified.certificate,
    )
