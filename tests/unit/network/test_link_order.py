"""What overtakes what on the way to a peer, by its kind."""

from __future__ import annotations

from collections import Counter

import pytest

from chain_core.consensus.messages import FinalityNotice, Heartbeat, PrePrepare
from chain_core.network.frame_codec import encode_frame
from chain_core.network.frames import (
    BlocksFrame,
    BodiesKept,
    ConsensusFrame,
    EnvelopesFrame,
    Frame,
    KeepBodies,
    WantEnvelopes,
)
from chain_core.network.hello import Hello
from chain_core.network.links import PeerLinks
from chain_core.network.roster import Roster
from chain_core.types.block import Phase
from tests.vectors.keys import Signatures
from tests.vectors.samples import Samples

S = Samples(Signatures(may_sign=True))
PEER = 1
BODIES = EnvelopesFrame((b"a body",))
NAMES_BODIES: dict[str, Frame] = {
    "PRE-PREPARE": ConsensusFrame(PrePrepare(S.vote(Phase.PRE_PREPARE, 0), S.next_batch)),
    "keep bodies": KeepBodies(bytes(16), (bytes(32),)),
    "blocks": BlocksFrame((b"a block",)),
}
URGENT: dict[str, Frame] = {
    "vote": ConsensusFrame(S.vote(Phase.PREPARE, 1)),
    "finality notice": ConsensusFrame(FinalityNotice(S.header_bytes, S.certificate)),
    "heartbeat": ConsensusFrame(Heartbeat(0, 1, 0, 0, False)),
    "bodies kept": BodiesKept(bytes(16), (bytes(32),)),
    "a question": WantEnvelopes((bytes(32),)),
}


def sent(*frames: Frame) -> list[bytes]:
    """What the link hands over, in this order, when these were sent in theirs."""

    def nothing(*_: object) -> None:
        return

    def alarm(code: str, facts: dict[str, str | int]) -> None:
        raise AssertionError(code)

    links = PeerLinks(
        Hello(S.chain, 0, "a"),
        Roster(("a", "b"), {"b": "127.0.0.1:1"}),
        receive=nothing,
        alarm=alarm,
        link_up=nothing,
        counters=Counter(),
    )
    queue = links._outgoing[PEER].queue
    queue.link_up()
    for frame in frames:
        links.send(PEER, frame)
    found: list[bytes] = []
    while batch := queue.take():
        found += batch
    return found


@pytest.mark.parametrize("name", NAMES_BODIES)
def test_what_names_or_holds_bodies_stays_behind_those_sent_before(name: str) -> None:
    """Else the peer would be asked for what is just coming to it."""
    frame = NAMES_BODIES[name]
    assert sent(BODIES, frame) == [encode_frame(BODIES), encode_frame(frame)]


@pytest.mark.parametrize("name", URGENT)
def test_votes_and_questions_overtake_bodies(name: str) -> None:
    frame = URGENT[name]
    assert sent(BODIES, frame) == [encode_frame(frame), encode_frame(BODIES)]
