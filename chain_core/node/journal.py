"""What a replica writes to its vote log, and how it reads it back after a restart (docs/spec/pbft.md, durability).

Kinds of records: what rests under a vote is written with the vote, in one synced write. Records above the final height
carry their height; the view records (own VIEW-CHANGE, the NEW-VIEW entered) carry none and outlive blocks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

from chain_core.codec.block import MAX_BLOCK_BYTES, decode_batch, decode_certificate, encode_batch
from chain_core.codec.reopening import (
    decode_order,
    decode_reopening,
    decode_signed_statement,
    encode_order,
    encode_signed_statement,
)
from chain_core.codec.votes import (
    VOTE_SIZE,
    decode_header_vote,
    decode_prepared,
    decode_signed_new_view,
    decode_signed_view_change,
    decode_signed_vote,
    encode_header_vote,
    encode_prepared,
    encode_signed_new_view,
    encode_signed_view_change,
    encode_signed_vote,
)
from chain_core.codec.wire import Reader, Writer
from chain_core.consensus.messages import PrePrepare
from chain_core.consensus.state import RecoveredLog, RecoveredSlot
from chain_core.ledger.store import LedgerStore
from chain_core.ledger.vote_log import record_key, split_record_key
from chain_core.node.safe_signer import SafeSigner
from chain_core.node.vote_keys import Sign
from chain_core.types.block import (
    HeaderVote,
    Phase,
    PreparedCertificate,
    SignedNewView,
    SignedViewChange,
    SignedVote,
)
from chain_core.types.ids import SIGNATURE_SIZE
from chain_core.types.reopening import Reopening, SignedOrder, SignedStatement

Record = tuple[bytes, bytes]


class Kind(IntEnum):
    """Kinds of log records."""

    ACCEPTED = 1
    """An accepted PRE-PREPARE with its batch; a primary's own one is its vote."""
    PREPARED = 2
    OWN_PREPARE = 3
    OWN_COMMIT = 4
    OWN_HEADER_VOTE = 5
    OWN_VIEW_CHANGE = 6
    NEW_VIEW = 7
    OWN_SKIP = 9
    SKIPS = 10
    """The q SKIPs that ended an attempt: what the header vote at the next one rests on."""
    OWN_RE_PROPOSAL = 8
    """An own PRE-PREPARE of a NEW-VIEW: that record is replaced by the next view's, what was signed is remembered."""
    REOPEN_ORDER = 12
    OWN_STATEMENT = 13
    VOTES_LOST = 11
    """Votes of this key are known to be missing here, up to where; there until it may vote again."""


def encode_pre_prepare(message: PrePrepare) -> bytes:
    """Batch and signed vote."""
    return Writer().blob(encode_batch(message.batch)).blob(encode_signed_vote(message.vote)).take()


def decode_pre_prepare(data: bytes) -> PrePrepare:
    """The reverse of ``encode_pre_prepare``; nothing is verified here."""
    r = Reader(data, "pre-prepare")
    batch = decode_batch(r.blob(MAX_BLOCK_BYTES))
    vote = decode_signed_vote(r.blob(VOTE_SIZE + SIGNATURE_SIZE))
    r.end()
    return PrePrepare(vote, batch)


def accepted_record(message: PrePrepare) -> Record:
    """Write 1: the PRE-PREPARE that a PREPARE rests on, or the own one."""
    vote = message.vote.vote
    return record_key(vote.height, Kind.ACCEPTED, vote.view), encode_pre_prepare(message)


def own_vote_record(vote: SignedVote) -> Record:
    """The own PREPARE or COMMIT as signed."""
    kind = Kind.OWN_PREPARE if vote.vote.phase is Phase.PREPARE else Kind.OWN_COMMIT
    return record_key(vote.vote.height, kind, vote.vote.view), encode_signed_vote(vote)


def prepared_record(prepared: PreparedCertificate) -> Record:
    """Write 2: the prepared certificate that a COMMIT rests on."""
    vote = prepared.pre_prepare.vote
    return record_key(vote.height, Kind.PREPARED, vote.view), encode_prepared(prepared)


def own_skip_record(vote: SignedVote) -> Record:
    """The own SKIP."""
    return record_key(vote.vote.height, Kind.OWN_SKIP, vote.vote.attempt), encode_signed_vote(vote)


def skips_record(votes: tuple[SignedVote, ...]) -> Record:
    """The SKIPs that ended an attempt, one after the other."""
    vote = votes[0].vote
    key = record_key(vote.height, Kind.SKIPS, vote.attempt)
    return key, b"".join(map(encode_signed_vote, votes))


def order_record(order: SignedOrder) -> Record:
    """The order to reopen an attempt; one with another reason replaces it."""
    return record_key(order.order.height, Kind.REOPEN_ORDER, order.order.attempt), encode_order(order)


def statement_record(made: SignedStatement) -> Record:
    """The own statement on an attempt; one for another order says the same and replaces it."""
    s = made.statement
    return record_key(s.height, Kind.OWN_STATEMENT, s.attempt), encode_signed_statement(made)


def header_vote_record(vote: HeaderVote) -> Record:
    """Write 3: the own header vote."""
    return record_key(vote.header.height, Kind.OWN_HEADER_VOTE, vote.header.attempt), encode_header_vote(vote)


def view_change_record(message: SignedViewChange) -> Record:
    """The own VIEW-CHANGE; a later one replaces it."""
    return record_key(None, Kind.OWN_VIEW_CHANGE, 0), encode_signed_view_change(message)


def re_proposal_records(message: SignedNewView, final_height: int) -> list[Record]:
    """The PRE-PREPAREs above the final height in an own NEW-VIEW."""
    return [
        (record_key(vote.vote.height, Kind.OWN_RE_PROPOSAL, vote.vote.view), encode_signed_vote(vote))
        for vote in message.message.pre_prepares
        if vote.vote.height > final_height
    ]


def new_view_record(message: SignedNewView) -> Record:
    """The NEW-VIEW entered; a later one replaces it."""
    return record_key(None, Kind.NEW_VIEW, 0), encode_signed_new_view(message)


@dataclass(frozen=True, slots=True)
class LostVotes:
    """How far votes that this log lacks reach: the highest height, and the highest view in ``epoch``. ``what`` names
    the first one found; empty once the chain is final beyond them all.
    """

    epoch: int
    height: int
    view: int
    what: str


_LOST_VOTES_KEY = record_key(None, Kind.VOTES_LOST, 0)
_MAX_WHAT = 256


def lost_votes_record(lost: LostVotes) -> Record:
    """What peers may be unable to tell a second time: they forget votes as heights become final."""
    what = lost.what.encode()[:_MAX_WHAT]
    return _LOST_VOTES_KEY, Writer().u64(lost.epoch).u64(lost.height).u64(lost.view).blob(what).take()


def lost_votes(store: LedgerStore, epoch: int) -> LostVotes | None:
    """The record, if votes are missing; a view of another epoch than ``epoch`` says nothing in it."""
    raw = dict(store.log_read()).get(_LOST_VOTES_KEY)
    if raw is None:
        return None
    r = Reader(raw, "lost votes")
    written, height, view, what = r.u64(), r.u64(), r.u64(), r.blob(_MAX_WHAT).decode(errors="replace")
    r.end()
    return LostVotes(epoch, height, view if written == epoch else 0, what)


@dataclass(slots=True)
class _Height:
    """The records of one height above the final one; of prepared certificates the one of the highest view."""

    accepted: dict[int, PrePrepare] = field(default_factory=dict)
    prepared: PreparedCertificate | None = None
    votes: list[SignedVote] = field(default_factory=list)
    headers: list[HeaderVote] = field(default_factory=list)
    skips: list[SignedVote] = field(default_factory=list)
    skip_proofs: list[tuple[SignedVote, ...]] = field(default_factory=list)
    reopenings: list[Reopening] = field(default_factory=list)
    order: SignedOrder | None = None
    statements: list[SignedStatement] = field(default_factory=list)

    def slot(self, height: int, view: int) -> RecoveredSlot:
        """What the core resumes from, in the log's highest view."""
        return RecoveredSlot(
            height,
            self.accepted.get(view),
            self.prepared,
            _latest(self.votes, Phase.PREPARE),
            _latest(self.votes, Phase.COMMIT),
            tuple(self.headers),
            tuple(self.skips),
            tuple(self.skip_proofs),
            tuple(self.reopenings),
            self.order,
            self.statements[-1] if self.statements else None,
        )


@dataclass(slots=True)
class _Found:
    """The log sorted by height and kind."""

    heights: dict[int, _Height] = field(default_factory=dict)
    view_change: SignedViewChange | None = None
    new_view: SignedNewView | None = None


def _read(store: LedgerStore, epoch: int) -> _Found:
    found = _Found()
    for key, value in sorted(store.log_read()):
        height, kind, view = split_record_key(key)
        if height is None:
            match Kind(kind):
                case Kind.OWN_VIEW_CHANGE:
                    change = decode_signed_view_change(value)
                    found.view_change = change if change.message.epoch == epoch else None
                case Kind.NEW_VIEW:
                    new_view = decode_signed_new_view(value)
                    found.new_view = new_view if new_view.message.epoch == epoch else None
                case _:
                    pass  # lost_votes reads it
        elif height > store.final_height:
            _add(found.heights.setdefault(height, _Height()), Kind(kind), view, value)
    for raw in store.reopenings.start_at(store.final_height + 1):
        reopening = decode_reopening(raw)
        found.heights.setdefault(reopening.order.order.height, _Height()).reopenings.append(reopening)
    return found


def _add(at: _Height, kind: Kind, view: int, value: bytes) -> None:
    """One record of a height; they come in ascending order of kinds and views."""
    match kind:
        case Kind.ACCEPTED:
            at.accepted[view] = decode_pre_prepare(value)
        case Kind.PREPARED:
            at.prepared = decode_prepared(value)
        case Kind.OWN_SKIP:
            at.skips.append(decode_signed_vote(value))
        case Kind.SKIPS:
            size = VOTE_SIZE + SIGNATURE_SIZE
            parts = (value[start : start + size] for start in range(0, len(value), size))
            at.skip_proofs.append(tuple(map(decode_signed_vote, parts)))
        case Kind.REOPEN_ORDER:
            at.order = decode_order(value)
        case Kind.OWN_STATEMENT:
            at.statements.append(decode_signed_statement(value))
        case Kind.OWN_HEADER_VOTE:
            at.headers.append(decode_header_vote(value))
        case _:
            at.votes.append(decode_signed_vote(value))


def recover(
    store: LedgerStore, me: int | None, genesis_hash: bytes, sign: Sign, epoch: int = 0
) -> tuple[RecoveredLog, SafeSigner | None]:
    """Read the log back: what the core resumes from, and a signer that knows all it signed above the final height.

    ``epoch`` is that of the height above the final one. Records of a height are of it, for the others went when the
    last height before it became final; view records of earlier epochs are of no use any more.
    """
    found = _read(store, epoch)
    header = store.header(store.final_height)
    if header is None:
        raise ValueError("the store holds no header at its final height")
    raw_certificate = store.certificate(store.final_height)
    certificate = decode_certificate(raw_certificate) if raw_certificate else None
    changed = found.view_change.message.new_view if found.view_change is not None else 0
    entered = found.new_view.message.view if found.new_view is not None else 0
    views = [view for at in found.heights.values() for view in (*at.accepted, *(v.vote.view for v in at.votes))]
    view = max([changed, entered, *views])
    log = RecoveredLog(
        header,
        certificate,
        view,
        found.view_change if changed > entered else None,
        found.new_view,
        tuple(at.slot(height, view) for height, at in sorted(found.heights.items())),
    )
    if me is None:
        return log, None
    signer = SafeSigner(sign, me, genesis_hash, store.final_height, view, changed > entered, epoch=epoch)
    for at in found.heights.values():
        own_proposals = [a.vote for a in at.accepted.values() if a.vote.vote.signer == me]
        for vote in at.votes + own_proposals:
            signer.votes[(vote.vote.height, vote.vote.view, vote.vote.phase)] = vote
        for skip in at.skips:
            signer.votes[(skip.vote.height, skip.vote.attempt, Phase.SKIP)] = skip
        for made in at.statements:
            signer.statements[(made.statement.height, made.statement.attempt)] = made
        for header_vote in at.headers:
            signer.headers[(header_vote.header.height, header_vote.header.attempt)] = header_vote
    signer.view_change = found.view_change
    if found.new_view is not None and found.new_view.message.signer == me:
        signer.new_view = found.new_view
    return log, signer


def _latest(votes: list[SignedVote], phase: Phase) -> SignedVote | None:
    return max((v for v in votes if v.vote.phase is phase), key=lambda v: v.vote.view, default=None)
