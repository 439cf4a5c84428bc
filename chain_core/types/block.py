"""Headers, certificates, batches, votes and blocks (docs/spec/formats.md §6-§8)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from chain_core.types.ids import FORMAT_VERSION, PROTOCOL_VERSION


class Phase(IntEnum):
    """The ordering phases a vote can belong to (PBFT §4.2)."""

    PRE_PREPARE = 1
    PREPARE = 2
    COMMIT = 3
    SKIP = 4
    """No phase of ordering: the signer asks to leave out an envelope whose execution breaks the engine."""


@dataclass(frozen=True, slots=True)
class Header:
    """A block header: 408 bytes at fixed offsets; the view and the proposer are not in it on purpose."""

    genesis_hash: bytes
    ledger: int
    epoch: int
    height: int
    attempt: int
    time_ms: int
    prev_hash: bytes
    history_root: bytes
    history_count: int
    transaction_root: bytes
    transaction_count: int
    receipt_root: bytes
    receipt_count: int
    outbox_root: bytes
    outbox_count: int
    state_root: bytes
    seen_root: bytes
    validator_set_hash: bytes
    next_validator_set_hash: bytes
    params_hash: bytes
    format_version: int = FORMAT_VERSION
    protocol_version: int = PROTOCOL_VERSION


@dataclass(frozen=True, slots=True)
class Certificate:
    """Exactly q signatures over one header, signers strictly ascending: the finality certificate."""

    header_hash: bytes
    signatures: tuple[tuple[int, bytes], ...]


@dataclass(frozen=True, slots=True)
class Batch:
    """What PBFT orders: a time and envelope ids. Its digest contains no view, so that any view can commit
    it. Ordered at attempt 0; executed at attempt k it names the at most k indices that are ``skipped``, ascending.
    """

    ledger: int
    epoch: int
    height: int
    attempt: int
    time_ms: int
    envelope_ids: tuple[bytes, ...]
    skipped: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Vote:
    """The body of a PRE-PREPARE, PREPARE or COMMIT; of a SKIP, whose ``view`` is the envelope's index."""

    phase: Phase
    ledger: int
    epoch: int
    height: int
    view: int
    attempt: int
    digest: bytes
    signer: int


@dataclass(frozen=True, slots=True)
class SignedVote:
    """A vote with the bytes that were signed and the signature over them."""

    vote: Vote
    body: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class HeaderVote:
    """One replica's signature over a header: 1/q of a finality certificate."""

    header: Header
    header_bytes: bytes
    header_hash: bytes
    signer: int
    signature: bytes


@dataclass(frozen=True, slots=True)
class PreparedCertificate:
    """Proof that a batch was prepared in a view: the PRE-PREPARE (the primary's prepare) and q-1 PREPAREs."""

    batch: Batch
    pre_prepare: SignedVote
    prepares: tuple[SignedVote, ...]


@dataclass(frozen=True, slots=True)
class ViewChange:
    """VIEW-CHANGE (PBFT §4.4): highest final header with its certificate, prepared certificates above it."""

    ledger: int
    epoch: int
    new_view: int
    signer: int
    final_header: bytes
    final_certificate: Certificate | None
    prepared: tuple[PreparedCertificate, ...]


@dataclass(frozen=True, slots=True)
class SignedViewChange:
    """A VIEW-CHANGE with its signed bytes."""

    message: ViewChange
    body: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class NewView:
    """NEW-VIEW (PBFT §4.4): q VIEW-CHANGEs and the new primary's PRE-PREPAREs for what they oblige it to
    re-propose.
    """

    ledger: int
    epoch: int
    view: int
    signer: int
    view_changes: tuple[SignedViewChange, ...]
    pre_prepares: tuple[SignedVote, ...]


@dataclass(frozen=True, slots=True)
class SignedNewView:
    """A NEW-VIEW with its signed bytes."""

    message: NewView
    body: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class CertifiedBlock:
    """A final block as peers exchange it: header, certificate, batch order and the envelopes, all as bytes."""

    header: bytes
    certificate: Certificate
    batch: Batch
    envelopes: tuple[bytes, ...]
