"""Handing in by business id: the same id takes effect once, and asked again gives the first result
(docs/spec/adapter.md §2).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from chain_core.codec.transaction import encode_body
from chain_core.crypto.hashing import sm3
from chain_core.execution.codes import Code
from chain_core.network.signing import sign_transaction
from chain_core.node.chain_view import VerifiedReceipt
from chain_core.node.verifying_client import NotFinal, Refused, Settled
from chain_core.types.block import Header
from chain_core.types.transaction import Operation, TransactionBody
from local_chain.adapter.errors import BusinessIdReused
from local_chain.adapter.journal import Entry, Journal
from service_registry.chain import Account

log = logging.getLogger(__name__)

WINDOW_MS = 60_000
_TAG = b"dualchain/business-id/v1"
_EXPIRED, _NONCE_USED = "EXPIRED", "NONCE_USED"
_MAX_ATTEMPTS = 1_000
MAX_WAITS = 5
"""How often more is handed in again before an import ends: about ten minutes with the chain's own waiting."""


class Chain(Protocol):
    """Where it is handed in."""

    @property
    def genesis_hash(self) -> bytes:
        """Which chain."""
        ...

    async def submit_many(self, raws: Sequence[bytes]) -> list[Settled]:
        """Envelopes until each is final or refused for good, in their order."""
        ...

    async def receipt_of_nonce(self, account: bytes, nonce: int) -> VerifiedReceipt | Header:
        """What used a nonce, proven; or the header under which nothing had."""
        ...


@dataclass(frozen=True, slots=True)
class Job:
    """Operations under a business id of at most 64 bytes. ``business_time_ms`` is when it happened in the business,
    which may be years before the block's time; 0: not said.
    """

    business_id: str
    operations: tuple[Operation, ...]
    business_time_ms: int = 0
    cosigned: bool = False


def nonce_of(business_id: str, attempt: int) -> int:
    """63 bits from the business id: whoever lost the journal finds the first result under it."""
    return int.from_bytes(sm3(_TAG + attempt.to_bytes(4, "big") + business_id.encode())[:8], "big") >> 1


class Submitter:
    """Raises BusinessIdReused, NotFinal, what the nodes refuse; MalformedBytes for what no node would take."""

    def __init__(
        self,
        chain: Chain,
        journal: Journal,
        who: Account,
        now_ms: Callable[[], int],
        cosigner: Account | None = None,
    ) -> None:
        self._chain, self._journal, self._who, self._now_ms, self._cosigner = chain, journal, who, now_ms, cosigner

    async def submit(self, jobs: Sequence[Job]) -> list[Entry]:
        """The result of each job, in order. One that was refused before is tried again under a new nonce."""
        entries = self._opened(jobs)
        by_id = {job.business_id: job for job in jobs}
        while left := [entry for entry in entries.values() if not entry.settled]:
            outcomes = await self._patiently([entry.raw for entry in left])
            told = [
                await self._told(entry, by_id[entry.business_id], outcome)
                for entry, outcome in zip(left, outcomes, strict=True)
            ]
            self._journal.put(told)
            entries.update((entry.business_id, entry) for entry in told)
        return [entries[job.business_id] for job in jobs]

    async def _patiently(self, raws: Sequence[bytes]) -> list[Settled]:
        """Handed in until they are settled: a chain that is slow for a while ends no import. Raises NotFinal."""
        for waited in range(MAX_WAITS):
            try:
                return await self._chain.submit_many(raws)
            except NotFinal as late:
                log.warning("not final yet, handed in again (%d of %d): %s", waited + 1, MAX_WAITS, late.what)
        return await self._chain.submit_many(raws)

    def done(self, jobs: Sequence[Job]) -> frozenset[str]:
        """Business ids of these that are final and took effect, as far as the journal knows."""
        known = self._journal.find([job.business_id for job in jobs])
        return frozenset(name for name, entry in known.items() if entry.done)

    def _opened(self, jobs: Sequence[Job]) -> dict[str, Entry]:
        """Entries of all jobs: those of the journal, and new ones, signed and stored before they are sent."""
        known: Mapping[str, Entry] = self._journal.find([job.business_id for job in jobs])
        entries: dict[str, Entry] = {}
        fresh = []
        for job in jobs:
            entry, digest = known.get(job.business_id), self._digest(job)
            if job.business_id in entries:
                raise BusinessIdReused("twice in one hand-in", where=job.business_id, next_step="give each its own id")
            if entry is not None and entry.digest != digest and (entry.done or not entry.settled):
                raise BusinessIdReused(
                    "other business was handed in under this id",
                    where=job.business_id,
                    next_step="use a new id, or hand in what it stood for",
                )
            if entry is None or (entry.settled and entry.code):
                attempt = 0 if entry is None else entry.attempt + 1
                entry = Entry(job.business_id, digest, attempt, self._signed(job, attempt))
                fresh.append(entry)
            entries[job.business_id] = entry
        if fresh:
            self._journal.put(fresh)
        return entries

    async def _told(self, entry: Entry, job: Job, outcome: Settled) -> Entry:
        """The entry with the chain's answer, or with the next envelope to hand in."""
        if not isinstance(outcome, Refused):
            return _settled(entry, outcome)
        if outcome.refusal.code == _EXPIRED:  # proven: this envelope will never count
            return replace(entry, raw=self._signed(job, entry.attempt))
        if outcome.refusal.code != _NONCE_USED:
            raise outcome.refusal
        first = await self._chain.receipt_of_nonce(self._who.account, nonce_of(job.business_id, entry.attempt))
        if not isinstance(first, VerifiedReceipt):
            return entry
        if first.receipt.code == Code.OK or entry.attempt >= _MAX_ATTEMPTS:
            return _settled(entry, first)  # the journal was lost: the first result, as it was
        return replace(entry, attempt=entry.attempt + 1, raw=self._signed(job, entry.attempt + 1))

    def _digest(self, job: Job) -> bytes:
        """Of what is asked for, whenever it is signed."""
        return sm3(
            encode_body(TransactionBody(0, self._who.account, 0, 1, job.operations, business_id=job.business_id))
        )

    def _signed(self, job: Job, attempt: int) -> bytes:
        cosigners = (self._cosigner,) if job.cosigned and self._cosigner is not None else ()
        body = TransactionBody(
            0,
            self._who.account,
            nonce_of(job.business_id, attempt),
            self._now_ms() + WINDOW_MS,
            job.operations,
            business_id=job.business_id,
            business_time_ms=job.business_time_ms,
            cosigners=tuple(one.account for one in cosigners),
        )
        keys = [(one.private, one.public) for one in (self._who, *cosigners)]
        return sign_transaction(self._chain.genesis_hash, body, keys)


def _settled(entry: Entry, verified: VerifiedReceipt) -> Entry:
    receipt, shown = verified.receipt, verified.proven
    return replace(
        entry,
        raw=b"",
        settled=True,
        code=receipt.code,
        rule=receipt.rule,
        height=verified.header.height,
        transaction_id=receipt.transaction_id,
        text=f"{shown.text_zh} / {shown.text_en}" if receipt.code else "",
    )
