"""Casting a vote: signed, written with what it rests on, synced, sent, in that order; a failed write sends nothing."""

from collections.abc import Mapping, Sequence

import pytest

from chain_core.consensus import effects as fx
from chain_core.consensus import inputs as inp
from chain_core.ledger.errors import StoreFailed
from chain_core.ledger.vote_log import split_record_key
from chain_core.network.frames import ConsensusFrame
from chain_core.node.bodies import Bodies
from chain_core.node.journal import Kind
from chain_core.node.safe_signer import SafeSigner, SigningRefused
from chain_core.node.vote_keys import signing_messages
from chain_core.node.voting import Cast, Voter
from chain_core.types.block import NewView, Phase, ViewChange, Vote
from tests.unit.consensus.bench import (
    GENESIS_HASH,
    GENESIS_HEADER,
    digest_of,
    header_of,
    new_view,
    pre_prepare,
    prepared,
    view_change,
)
from tests.unit.node.stage import RecordingTransport, batch_over, envelopes

BODIES = envelopes(2)
PROPOSED = batch_over(1, BODIES)
RAW = {e.envelope_id: e.raw for e in BODIES}


class RecordingLog:
    """The ledger's vote log as far as voting uses it: what was written, in the same list as what was sent."""

    final_height = 0

    def __init__(self, events: list[object]) -> None:
        self.events = events
        self.fails = False

    def log_write(self, records: Sequence[tuple[bytes, bytes]], bodies: Mapping[bytes, bytes] | None = None) -> None:
        if self.fails:
            raise StoreFailed("no space", where="here", next_step="make room")
        self.events.append(([split_record_key(key) for key, _ in sorted(records)], dict(bodies or {})))


class Desk:
    """A voter with its log and transport."""

    def __init__(self, me: int = 1, view: int = 0) -> None:
        self.transport = RecordingTransport()
        self.log = RecordingLog(self.transport.events)
        bodies = Bodies({}.get)
        bodies.pooled.update({e.envelope_id: e for e in BODIES})
        bodies.pin(PROPOSED, 0)
        signer = SafeSigner(signing_messages(GENESIS_HASH, lambda message: message[:64]), me, GENESIS_HASH, 0, view)
        self.voter = Voter(signer, self.log, bodies, self.transport)  # type: ignore[arg-type]


def vote(phase: Phase, me: int = 1, view: int = 0) -> Vote:
    return Vote(phase, 0, 0, 1, view, 0, digest_of(PROPOSED), me)


CASTS: list[tuple[str, int, Cast, list[tuple[int | None, int, int]], bool, type[object]]] = [
    ("PRE-PREPARE", 0, fx.CastPrePrepare(vote(Phase.PRE_PREPARE, 0), PROPOSED),
     [(1, Kind.ACCEPTED, 0)], True, inp.OwnPrePrepare),
    ("PREPARE", 1, fx.CastPrepare(vote(Phase.PREPARE), pre_prepare(PROPOSED)),
     [(1, Kind.ACCEPTED, 0), (1, Kind.OWN_PREPARE, 0)], True, inp.OwnVote),
    ("COMMIT", 1, fx.CastCommit(vote(Phase.COMMIT), prepared(PROPOSED)),
     [(1, Kind.PREPARED, 0), (1, Kind.OWN_COMMIT, 0)], True, inp.OwnVote),
    ("header vote", 1, fx.CastHeaderVote(header_of(1)), [(1, Kind.OWN_HEADER_VOTE, 0)], False, inp.OwnHeaderVote),
    ("VIEW-CHANGE", 1, fx.CastViewChange(ViewChange(0, 0, 3, 1, GENESIS_HEADER, None, ())),
     [(None, Kind.OWN_VIEW_CHANGE, 0)], False, inp.OwnViewChange),
    ("NEW-VIEW", 1,
     fx.CastNewView(NewView(0, 0, 1, 1, (view_change(0, 1),), ()), ((vote(Phase.PRE_PREPARE, 1, 1), PROPOSED),)),
     [(1, Kind.OWN_RE_PROPOSAL, 1), (None, Kind.NEW_VIEW, 0)], False, inp.OwnNewView),
]  # fmt: skip


@pytest.mark.parametrize(
    ("me", "cast", "records", "bodies", "answer"), [c[1:] for c in CASTS], ids=[c[0] for c in CASTS]
)
def test_a_vote_is_written_with_what_it_rests_on_and_then_sent(
    me: int, cast: Cast, records: list[tuple[int | None, int, int]], bodies: bool, answer: type[object]
) -> None:
    desk = Desk(me)
    assert isinstance(desk.voter.cast(cast), answer)
    written, sent = desk.transport.events
    assert written == (records, RAW if bodies else {})
    assert isinstance(sent, tuple) and sent[0] is None and isinstance(sent[1], ConsensusFrame)


@pytest.mark.parametrize(("me", "cast"), [(c[1], c[2]) for c in CASTS], ids=[c[0] for c in CASTS])
def test_a_write_that_fails_sends_nothing(me: int, cast: Cast) -> None:
    desk = Desk(me)
    desk.log.fails = True
    with pytest.raises(StoreFailed):
        desk.voter.cast(cast)
    assert desk.transport.events == []


def test_a_new_view_entered_is_written_before_the_signer_votes_in_it_and_not_sent() -> None:
    desk = Desk(2)
    assert desk.voter.cast(fx.StoreNewView(new_view(1, [view_change(i, 1) for i in (0, 1, 3)]))) is None
    assert [event[0] for event in desk.transport.events if isinstance(event, tuple)] == [[(None, Kind.NEW_VIEW, 0)]]
    assert desk.voter.signer.highest_view == 1


def test_what_the_signer_refuses_is_neither_written_nor_sent() -> None:
    desk = Desk(1, view=5)
    with pytest.raises(SigningRefused):
        desk.voter.cast(fx.CastPrepare(vote(Phase.PREPARE), pre_prepare(PROPOSED)))
    assert desk.transport.events == []
