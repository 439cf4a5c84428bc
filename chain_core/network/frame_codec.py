"""Frames of a peer link as bytes: protobuf around canonical bytes (docs/spec/network.md §4).

Decoding verifies nothing; it refuses, typed, whatever no correct peer sends.
"""

from __future__ import annotations

from typing import assert_never

from chain_core._pb.dualchain.p2p.v1 import p2p_pb2 as pb
from chain_core.codec import block, reopening, votes
from chain_core.codec.wire import malformed
from chain_core.consensus.messages import CommitProof, FinalityNotice, Heartbeat, Message, PrePrepare
from chain_core.network.frames import (
    NONCE_SIZE,
    BlocksFrame,
    BodiesKept,
    ConsensusFrame,
    EnvelopesFrame,
    Frame,
    HeldVotes,
    KeepBodies,
    PrunedFrame,
    SnapshotKind,
    SnapshotPart,
    SnapshotRequest,
    WantBlocks,
    WantEnvelopes,
    WantVotes,
)
from chain_core.network.raw_rpc import parse
from chain_core.types.block import HeaderVote, SignedNewView, SignedViewChange, SignedVote
from chain_core.types.ids import HASH_SIZE
from chain_core.types.reopening import SignedStatement
from chain_core.types.transaction import MAX_ENVELOPE_BYTES
from chain_core.types.validator_set import MAX_VALIDATORS

MAX_ENVELOPES_A_FRAME = 16_384
MAX_WANTED_BLOCKS = 1_024
MAX_HELD_VOTES = 256
"""Ordering votes of one signer in the window: three phases a height at most, 64 heights."""


def encode_frame(frame: Frame) -> bytes:
    """The frame as one entry of a LinkMessage."""
    match frame:
        case ConsensusFrame(message=message):
            return _consensus(message).SerializeToString()
        case EnvelopesFrame(envelopes=envelopes):
            return pb.Frame(envelopes=pb.Envelopes(envelopes=envelopes)).SerializeToString()
        case WantEnvelopes(ids=ids):
            return pb.Frame(want_envelopes=pb.WantEnvelopes(ids=ids)).SerializeToString()
        case WantBlocks(start=start, count=count):
            return pb.Frame(want_blocks=pb.WantBlocks(start=start, count=count)).SerializeToString()
        case BlocksFrame(blocks=blocks):
            return pb.Frame(blocks=pb.Blocks(blocks=blocks)).SerializeToString()
        case SnapshotRequest(height, kind, tree, start, count):
            asked = pb.SnapshotRequest(height=height, kind=kind, tree=tree, start=start, count=count)
            return pb.Frame(snapshot_request=asked).SerializeToString()
        case SnapshotPart(height, kind, tree, start, parts, sets):
            part = pb.SnapshotPart(height=height, kind=kind, tree=tree, start=start, parts=parts, validator_sets=sets)
            return pb.Frame(snapshot_part=part).SerializeToString()
        case PrunedFrame(height):
            return pb.Frame(pruned=pb.Pruned(height=height)).SerializeToString()
        case WantVotes(nonce=nonce):
            return pb.Frame(want_votes=pb.WantVotes(nonce=nonce)).SerializeToString()
        case HeldVotes():
            return _held_votes(frame).SerializeToString()
        case KeepBodies(nonce=nonce, ids=ids):
            return pb.Frame(keep_bodies=pb.KeepBodies(nonce=nonce, ids=ids)).SerializeToString()
        case BodiesKept(nonce=nonce, ids=ids):
            return pb.Frame(bodies_kept=pb.BodiesKept(nonce=nonce, ids=ids)).SerializeToString()
        case _:
            assert_never(frame)


def _consensus(message: Message) -> pb.Frame:
    match message:
        case PrePrepare(vote=vote, batch=batch):
            proposal = pb.PrePrepare(vote=votes.encode_signed_vote(vote), batch=block.encode_batch(batch))
            return pb.Frame(pre_prepare=proposal)
        case SignedVote():
            return pb.Frame(vote=votes.encode_signed_vote(message))
        case CommitProof(batch=batch, commits=commits):
            encoded_votes = [votes.encode_signed_vote(vote) for vote in commits]
            return pb.Frame(commit_proof=pb.CommitProof(batch=block.encode_batch(batch), commits=encoded_votes))
        case HeaderVote():
            return pb.Frame(header_vote=votes.encode_header_vote(message))
        case SignedStatement():
            return pb.Frame(statement=reopening.encode_signed_statement(message))
        case SignedViewChange():
            return pb.Frame(view_change=votes.encode_signed_view_change(message))
        case SignedNewView():
            return pb.Frame(new_view=votes.encode_signed_new_view(message))
        case FinalityNotice(header_bytes=header, certificate=certificate):
            encoded = block.encode_certificate(certificate)
            return pb.Frame(finality_notice=pb.FinalityNotice(header=header, certificate=encoded))
        case Heartbeat():
            return pb.Frame(
                heartbeat=pb.Heartbeat(
                    sender=message.sender,
                    final_height=message.final_height,
                    epoch=message.epoch,
                    view=message.view,
                    view_changing=message.view_changing,
                )
            )
        case _:
            assert_never(message)


def _held_votes(answer: HeldVotes) -> pb.Frame:
    change = answer.view_change
    held = pb.HeldVotes(
        nonce=answer.nonce,
        final_header=answer.final_header,
        final_certificate=b"" if answer.certificate is None else block.encode_certificate(answer.certificate),
        votes=[votes.encode_signed_vote(vote) for vote in answer.votes],
        header_votes=[votes.encode_header_vote(vote) for vote in answer.header_votes],
        view_change=b"" if change is None else votes.encode_signed_view_change(change),
        statements=[reopening.encode_signed_statement(made) for made in answer.statements],
    )
    return pb.Frame(held_votes=held)


def decode_frame(data: bytes) -> Frame:
    """The frame in one entry of a LinkMessage. Raises MalformedBytes."""
    frame = parse(pb.Frame, data)
    match frame.WhichOneof("content"):
        case "vote":
            return ConsensusFrame(votes.decode_signed_vote(frame.vote))
        case "header_vote":
            return ConsensusFrame(votes.decode_header_vote(frame.header_vote))
        case "pre_prepare":
            proposal = frame.pre_prepare
            vote = votes.decode_signed_vote(proposal.vote)
            return ConsensusFrame(PrePrepare(vote, block.decode_batch(proposal.batch)))
        case "commit_proof":
            return ConsensusFrame(_commit_proof(frame.commit_proof))
        case "finality_notice":
            notice = frame.finality_notice
            block.decode_header(notice.header)
            return ConsensusFrame(FinalityNotice(notice.header, block.decode_certificate(notice.certificate)))
        case "heartbeat":
            beat = frame.heartbeat
            return ConsensusFrame(Heartbeat(beat.sender, beat.final_height, beat.epoch, beat.view, beat.view_changing))
        case "view_change":
            return ConsensusFrame(votes.decode_signed_view_change(frame.view_change))
        case "new_view":
            return ConsensusFrame(votes.decode_signed_new_view(frame.new_view))
        case "envelopes":
            return EnvelopesFrame(_envelopes(frame.envelopes))
        case "want_envelopes":
            return WantEnvelopes(_ids(frame.want_envelopes))
        case "want_blocks":
            want = frame.want_blocks
            if not 1 <= want.count <= MAX_WANTED_BLOCKS:
                malformed("frame", 0, f"{want.count} blocks wanted, 1 to {MAX_WANTED_BLOCKS} may be")
            return WantBlocks(want.start, want.count)
        case "blocks":
            return BlocksFrame(tuple(frame.blocks.blocks))
        case _:
            return _decode_rare(frame)


def _decode_rare(frame: pb.Frame) -> Frame:
    match frame.WhichOneof("content"):
        case "snapshot_request":
            asked = frame.snapshot_request
            return SnapshotRequest(asked.height, _snapshot_kind(asked.kind), asked.tree, asked.start, asked.count)
        case "snapshot_part":
            part = frame.snapshot_part
            kind, sets = _snapshot_kind(part.kind), tuple(part.validator_sets)
            return SnapshotPart(part.height, kind, part.tree, part.start, tuple(part.parts), sets)
        case "statement":
            return ConsensusFrame(reopening.decode_signed_statement(frame.statement))
        case "pruned":
            return PrunedFrame(frame.pruned.height)
        case "want_votes":
            return WantVotes(_nonce(frame.want_votes.nonce))
        case "held_votes":
            return _decode_held_votes(frame.held_votes)
        case "keep_bodies":
            return KeepBodies(_nonce(frame.keep_bodies.nonce), _ids(frame.keep_bodies))
        case "bodies_kept":
            return BodiesKept(_nonce(frame.bodies_kept.nonce), _ids(frame.bodies_kept))
        case _:
            malformed("frame", 0, "no content that this build knows")


def _commit_proof(message: pb.CommitProof) -> CommitProof:
    if len(message.commits) > MAX_VALIDATORS:
        malformed("frame", 0, f"{len(message.commits)} commits, at most {MAX_VALIDATORS} may be")
    return CommitProof(block.decode_batch(message.batch), tuple(map(votes.decode_signed_vote, message.commits)))


def _nonce(nonce: bytes) -> bytes:
    if len(nonce) != NONCE_SIZE:
        malformed("frame", 0, f"a nonce of {len(nonce)} bytes, it has {NONCE_SIZE}")
    return nonce


def _decode_held_votes(message: pb.HeldVotes) -> HeldVotes:
    count = max(len(message.votes), len(message.header_votes), len(message.statements))
    if count > MAX_HELD_VOTES:
        malformed("frame", 0, f"{count} votes of one signer, at most {MAX_HELD_VOTES} may be")
    if message.final_header:
        block.decode_header(message.final_header)
    return HeldVotes(
        _nonce(message.nonce),
        message.final_header,
        block.decode_certificate(message.final_certificate) if message.final_header else None,
        tuple(map(votes.decode_signed_vote, message.votes)),
        tuple(map(votes.decode_header_vote, message.header_votes)),
        votes.decode_signed_view_change(message.view_change) if message.view_change else None,
        tuple(map(reopening.decode_signed_statement, message.statements)),
    )


def _envelopes(message: pb.Envelopes) -> tuple[bytes, ...]:
    if len(message.envelopes) > MAX_ENVELOPES_A_FRAME:
        malformed("frame", 0, f"{len(message.envelopes)} envelopes, at most {MAX_ENVELOPES_A_FRAME} may be")
    for raw in message.envelopes:
        if len(raw) > MAX_ENVELOPE_BYTES:
            malformed("frame", 0, f"an envelope of {len(raw)} bytes, at most {MAX_ENVELOPE_BYTES} may be")
    return tuple(message.envelopes)


def _snapshot_kind(number: int) -> SnapshotKind:
    try:
        return SnapshotKind(number)
    except ValueError:
        malformed("frame", 0, f"no piece of a snapshot has number {number}")


def _ids(message: pb.WantEnvelopes | pb.KeepBodies | pb.BodiesKept) -> tuple[bytes, ...]:
    if len(message.ids) > block.MAX_BATCH_IDS:
        malformed("frame", 0, f"{len(message.ids)} ids, at most {block.MAX_BATCH_IDS} may be")
    for wanted in message.ids:
        if len(wanted) != HASH_SIZE:
            malformed("frame", 0, f"an envelope id of {len(wanted)} bytes")
    return tuple(message.ids)
