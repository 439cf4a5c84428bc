"""Frames of a peer link: what is sent is what arrives, signature bytes travel as they are, nonsense is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain_core._pb.dualchain.p2p.v1 import p2p_pb2 as pb
from chain_core.codec.block import encode_block
from chain_core.consensus.messages import CommitProof, FinalityNotice, Heartbeat, PrePrepare
from chain_core.network.frame_codec import (
    MAX_ENVELOPES_A_FRAME,
    MAX_HELD_VOTES,
    MAX_WANTED_BLOCKS,
    decode_frame,
    encode_frame,
)
from chain_core.network.frames import (
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
from chain_core.types.block import Phase, SignedNewView, SignedViewChange
from chain_core.types.errors import MalformedBytes
from chain_core.types.transaction import MAX_ENVELOPE_BYTES
from tests.vectors.keys import Signatures
from tests.vectors.reopenings import statements
from tests.vectors.samples import Samples

S = Samples(Signatures(may_sign=True))
PREPARE = S.vote(Phase.PREPARE, 1)

FRAMES: dict[str, Frame] = {
    "pre-prepare": ConsensusFrame(PrePrepare(S.vote(Phase.PRE_PREPARE, 0), S.next_batch)),
    "prepare": ConsensusFrame(PREPARE),
    "commit": ConsensusFrame(S.vote(Phase.COMMIT, 3)),
    "commit proof": ConsensusFrame(CommitProof(S.next_batch, tuple(S.vote(Phase.COMMIT, i) for i in (0, 1, 3)))),
    "header vote": ConsensusFrame(S.header_votes[2]),
    "statement": ConsensusFrame(statements(S)[0]),
    "view change": ConsensusFrame(S.view_change(1)),
    "first view change": ConsensusFrame(S.view_change(3, first=True)),
    "new view": ConsensusFrame(S.new_view),
    "finality notice": ConsensusFrame(FinalityNotice(S.header_bytes, S.certificate)),
    "heartbeat": ConsensusFrame(Heartbeat(3, 2**63, 0, 7, True)),
    "envelopes": EnvelopesFrame((S.envelope.raw, S.plain_envelope.raw)),
    "no envelopes": EnvelopesFrame(()),
    "want envelopes": WantEnvelopes(S.batch.envelope_ids),
    "want blocks": WantBlocks(1, MAX_WANTED_BLOCKS),
    "want votes": WantVotes(b"n" * 16),
    "held votes": HeldVotes(
        b"n" * 16,
        S.header_bytes,
        S.certificate,
        (S.vote(Phase.COMMIT, 3), S.vote(Phase.PREPARE, 3)),
        (S.header_votes[3],),
        S.view_change(3),
    ),
    "no held votes": HeldVotes(b"n" * 16, b"", None, (), (), None),
    "keep bodies": KeepBodies(b"n" * 16, S.batch.envelope_ids),
    "bodies kept": BodiesKept(b"n" * 16, ()),
    "snapshot request": SnapshotRequest(7, SnapshotKind.BUCKETS, 1, 2**40, 9),
    "snapshot part": SnapshotPart(7, SnapshotKind.HEADERS, 0, 3, (b"header", b""), (b"set",)),
    "no snapshot part": SnapshotPart(0, SnapshotKind.MANIFEST, 0, 0, ()),
    "pruned": PrunedFrame(2**50),
    "blocks": BlocksFrame((encode_block(S.block),)),
}


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_round_trip(frame: Frame) -> None:
    assert decode_frame(encode_frame(frame)) == frame


@pytest.mark.parametrize("name", ["pre-prepare", "prepare", "commit", "header vote", "view change", "new view"])
def test_signatures_travel_as_they_are(name: str) -> None:
    frame = FRAMES[name]
    assert isinstance(frame, ConsensusFrame)
    message = frame.message
    if isinstance(message, PrePrepare):
        message = message.vote
    assert not isinstance(message, CommitProof | FinalityNotice | Heartbeat)
    assert message.signature in encode_frame(frame)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (pb.Frame(), "no content"),
        (pb.Frame(vote=PREPARE.body), "signed vote"),
        (pb.Frame(vote=PREPARE.body + PREPARE.signature + b"\0"), "signed vote"),
        (pb.Frame(header_vote=b"x" * 474), "header"),
        (pb.Frame(finality_notice=pb.FinalityNotice(header=b"", certificate=b"")), "header"),
        (pb.Frame(want_blocks=pb.WantBlocks(start=1, count=0)), "0 blocks"),
        (pb.Frame(want_blocks=pb.WantBlocks(start=1, count=MAX_WANTED_BLOCKS + 1)), "blocks wanted"),
        (pb.Frame(keep_bodies=pb.KeepBodies(nonce=bytes(16), ids=[b"short"])), "id of 5 bytes"),
        (pb.Frame(bodies_kept=pb.BodiesKept(nonce=bytes(15))), "nonce of 15 bytes"),
        (pb.Frame(snapshot_request=pb.SnapshotRequest(kind=5)), "piece of a snapshot"),
        (pb.Frame(snapshot_part=pb.SnapshotPart()), "piece of a snapshot"),
        (pb.Frame(want_votes=pb.WantVotes(nonce=b"short")), "nonce of 5 bytes"),
        (pb.Frame(held_votes=pb.HeldVotes(nonce=bytes(16), votes=[b""] * (MAX_HELD_VOTES + 1))), "votes of one"),
        (pb.Frame(held_votes=pb.HeldVotes(nonce=bytes(16), final_header=b"x")), "header"),
        (pb.Frame(want_envelopes=pb.WantEnvelopes(ids=[b"short"])), "id of 5 bytes"),
        (pb.Frame(envelopes=pb.Envelopes(envelopes=[b""] * (MAX_ENVELOPES_A_FRAME + 1))), "envelopes"),
        (pb.Frame(envelopes=pb.Envelopes(envelopes=[bytes(MAX_ENVELOPE_BYTES + 1)])), "bytes"),
    ],
)
def test_what_no_correct_peer_sends(message: pb.Frame, reason: str) -> None:
    with pytest.raises(MalformedBytes, match=reason):
        decode_frame(message.SerializeToString())


def decoded_or_refused(data: bytes) -> Frame | None:
    """Anything but these two outcomes fails the test by its exception."""
    try:
        return decode_frame(data)
    except MalformedBytes:
        return None


@given(st.binary(max_size=300))
def test_garbage_is_a_frame_or_a_refusal(data: bytes) -> None:
    frame = decoded_or_refused(data)
    assert frame is None or decode_frame(encode_frame(frame)) == frame


@given(st.sampled_from(sorted(FRAMES)), st.integers(0), st.integers(0, 255))
def test_a_changed_byte_is_a_frame_or_a_refusal(name: str, place: int, value: int) -> None:
    data = bytearray(encode_frame(FRAMES[name]))
    if not data:
        return
    data[place % len(data)] = value
    decoded_or_refused(bytes(data))


def test_message_kinds_are_all_covered() -> None:
    kinds = {pb.Frame.FromString(encode_frame(frame)).WhichOneof("content") for frame in FRAMES.values()}
    assert kinds == {field.name for field in pb.Frame.DESCRIPTOR.fields}
    assert any(isinstance(f, ConsensusFrame) and isinstance(f.message, SignedViewChange) for f in FRAMES.values())
    assert any(isinstance(f, ConsensusFrame) and isinstance(f.message, SignedNewView) for f in FRAMES.values())
