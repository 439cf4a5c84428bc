"""Signed consensus messages: ordering votes, header votes, VIEW-CHANGE, NEW-VIEW (docs/spec/formats.md §7)."""

from __future__ import annotations

from chain_core.codec.block import (
    HEADER_SIZE,
    MAX_BLOCK_BYTES,
    decode_batch,
    decode_certificate,
    decode_header,
    encode_batch,
    encode_certificate,
    header_hash,
)
from chain_core.codec.wire import Layout, Reader, Writer, ascending, malformed
from chain_core.types.block import (
    HeaderVote,
    NewView,
    Phase,
    PreparedCertificate,
    SignedNewView,
    SignedViewChange,
    SignedVote,
    ViewChange,
    Vote,
)
from chain_core.types.ids import FORMAT_VERSION, SIGNATURE_SIZE
from chain_core.types.validator_set import MAX_VALIDATORS

_VOTE = Layout("BBIQQQI32sH")
VOTE_SIZE = _VOTE.size
_PHASES = frozenset(Phase)
MAX_WINDOW = 64
MAX_MESSAGE_BYTES = 64_000_000


def encode_vote(vote: Vote) -> bytes:
    """The body of an ordering vote."""
    return _VOTE.pack(
        FORMAT_VERSION,
        vote.phase,
        vote.ledger,
        vote.epoch,
        vote.height,
        vote.view,
        vote.attempt,
        vote.digest,
        vote.signer,
    )


def decode_vote(data: bytes) -> Vote:
    """An ordering vote's body from its one encoding."""
    r = Reader(data, "vote")
    version, phase, ledger, epoch, height, view, attempt, digest, signer = r.unpack(_VOTE)
    r.end()
    if version != FORMAT_VERSION:
        r.fail(f"unknown format version {version}")
    if phase not in _PHASES:
        malformed("vote", 1, f"unknown phase {phase}")
    return Vote(Phase(phase), ledger, epoch, height, view, attempt, digest, signer)


def encode_signed_vote(vote: SignedVote) -> bytes:
    """Body and signature, as they travel and are logged."""
    return Writer().fixed(vote.body, VOTE_SIZE).fixed(vote.signature, SIGNATURE_SIZE).take()


def decode_signed_vote(data: bytes) -> SignedVote:
    """A signed ordering vote; the signature is not verified here."""
    r = Reader(data, "signed vote")
    body, signature = r.fixed(VOTE_SIZE), r.fixed(SIGNATURE_SIZE)
    r.end()
    return SignedVote(decode_vote(body), body, signature)


def encode_header_vote(vote: HeaderVote) -> bytes:
    """Header, signer and signature."""
    return Writer().fixed(vote.header_bytes, HEADER_SIZE).u16(vote.signer).fixed(vote.signature, SIGNATURE_SIZE).take()


def decode_header_vote(data: bytes) -> HeaderVote:
    """A header vote; the signature is not verified here."""
    r = Reader(data, "header vote")
    raw = r.fixed(HEADER_SIZE)
    signer, signature = r.u16(), r.fixed(SIGNATURE_SIZE)
    r.end()
    return HeaderVote(decode_header(raw), raw, header_hash(raw), signer, signature)


def encode_prepared(prepared: PreparedCertificate) -> bytes:
    """A prepared certificate: batch, PRE-PREPARE, PREPAREs. ValueError unless their signers are ascending."""
    if not ascending(vote.vote.signer for vote in prepared.prepares):
        raise ValueError("PREPAREs stand in strictly ascending order of signers")
    w = Writer().u8(FORMAT_VERSION).blob(encode_batch(prepared.batch))
    w.blob(encode_signed_vote(prepared.pre_prepare)).u16(len(prepared.prepares))
    for vote in prepared.prepares:
        w.blob(encode_signed_vote(vote))
    return w.take()


def decode_prepared(data: bytes) -> PreparedCertificate:
    """A prepared certificate; signatures and quorum are not verified here."""
    r = Reader(data, "prepared certificate")
    r.version()
    batch = decode_batch(r.blob(MAX_BLOCK_BYTES))
    pre_prepare = decode_signed_vote(r.blob(MAX_MESSAGE_BYTES))
    prepares = tuple(decode_signed_vote(r.blob(MAX_MESSAGE_BYTES)) for _ in range(r.count(1, MAX_VALIDATORS, r.u16())))
    r.end()
    if not ascending(vote.vote.signer for vote in prepares):
        r.fail("PREPAREs are not strictly ascending by signer")
    return PreparedCertificate(batch, pre_prepare, prepares)


def encode_view_change(message: ViewChange) -> bytes:
    """The body of a VIEW-CHANGE. ValueError unless the prepared certificates' heights are ascending."""
    if not ascending(prepared.batch.height for prepared in message.prepared):
        raise ValueError("prepared certificates stand in strictly ascending order of heights")
    w = Writer().u8(FORMAT_VERSION).u32(message.ledger).u64(message.epoch).u64(message.new_view).u16(message.signer)
    w.fixed(message.final_header, HEADER_SIZE)
    w.blob(encode_certificate(message.final_certificate) if message.final_certificate else b"")
    w.u8(len(message.prepared))
    for prepared in message.prepared:
        w.blob(encode_prepared(prepared))
    return w.take()


def decode_view_change(data: bytes) -> ViewChange:
    """A VIEW-CHANGE's body from its one encoding."""
    r = Reader(data, "view change")
    r.version()
    ledger, epoch, new_view, signer = r.u32(), r.u64(), r.u64(), r.u16()
    final_header = r.fixed(HEADER_SIZE)
    raw_certificate = r.blob(MAX_MESSAGE_BYTES)
    certificate = decode_certificate(raw_certificate) if raw_certificate else None
    prepared = tuple(decode_prepared(r.blob(MAX_MESSAGE_BYTES)) for _ in range(r.count(0, MAX_WINDOW, r.u8())))
    r.end()
    if not ascending(p.batch.height for p in prepared):
        r.fail("prepared certificates are not strictly ascending by height")
    return ViewChange(ledger, epoch, new_view, signer, final_header, certificate, prepared)


def encode_signed_view_change(message: SignedViewChange) -> bytes:
    """Body and signature, as they travel and are logged."""
    return Writer().blob(message.body).fixed(message.signature, SIGNATURE_SIZE).take()


def decode_signed_view_change(data: bytes) -> SignedViewChange:
    """A signed VIEW-CHANGE; signatures are not verified here."""
    r = Reader(data, "signed view change")
    body = r.blob(MAX_MESSAGE_BYTES)
    signature = r.fixed(SIGNATURE_SIZE)
    r.end()
    return SignedViewChange(decode_view_change(body), body, signature)


def encode_new_view(message: NewView) -> bytes:
    """The body of a NEW-VIEW. ValueError unless senders and re-proposed heights are ascending."""
    if not ascending(change.message.signer for change in message.view_changes):
        raise ValueError("VIEW-CHANGEs stand in strictly ascending order of senders")
    if not ascending(vote.vote.height for vote in message.pre_prepares):
        raise ValueError("PRE-PREPAREs stand in strictly ascending order of heights")
    w = Writer().u8(FORMAT_VERSION).u32(message.ledger).u64(message.epoch).u64(message.view).u16(message.signer)
    w.u16(len(message.view_changes))
    for view_change in message.view_changes:
        w.blob(encode_signed_view_change(view_change))
    w.u8(len(message.pre_prepares))
    for vote in message.pre_prepares:
        w.blob(encode_signed_vote(vote))
    return w.take()


def decode_new_view(data: bytes) -> NewView:
    """A NEW-VIEW's body from its one encoding."""
    r = Reader(data, "new view")
    r.version()
    ledger, epoch, view, signer = r.u32(), r.u64(), r.u64(), r.u16()
    changes = tuple(
        decode_signed_view_change(r.blob(MAX_MESSAGE_BYTES)) for _ in range(r.count(1, MAX_VALIDATORS, r.u16()))
    )
    votes = tuple(decode_signed_vote(r.blob(MAX_MESSAGE_BYTES)) for _ in range(r.count(0, MAX_WINDOW, r.u8())))
    r.end()
    if not ascending(change.message.signer for change in changes):
        r.fail("VIEW-CHANGEs are not strictly ascending by signer")
    if not ascending(vote.vote.height for vote in votes):
        r.fail("PRE-PREPAREs are not strictly ascending by height")
    return NewView(ledger, epoch, view, signer, changes, votes)


def encode_signed_new_view(message: SignedNewView) -> bytes:
    """Body and signature, as they travel and are logged."""
    return Writer().blob(message.body).fixed(message.signature, SIGNATURE_SIZE).take()


def decode_signed_new_view(data: bytes) -> SignedNewView:
    """A signed NEW-VIEW; signatures are not verified here."""
    r = Reader(data, "signed new view")
    body = r.blob(MAX_MESSAGE_BYTES)
    signature = r.fixed(SIGNATURE_SIZE)
    r.end()
    return SignedNewView(decode_new_view(body), body, signature)
