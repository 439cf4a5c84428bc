"""The vote log read back: from a real ledger, after each step that a crash can follow."""

from collections.abc import Callable
from pathlib import Path

import pytest

from chain_core.consensus import effects as fx
from chain_core.consensus.state import RecoveredLog
from chain_core.node import journal
from chain_core.node.bodies import Bodies
from chain_core.node.safe_signer import SafeSigner
from chain_core.node.vote_keys import signing_messages
from chain_core.node.voting import Voter
from chain_core.types.block import NewView, Phase, ViewChange, Vote
from tests.unit.consensus.bench import digest_of, header_of, new_view, pre_prepare, prepared, view_change
from tests.unit.node.stage import CHAIN, RecordingTransport, batch_over, envelopes, open_ledger

ME = 1
BODIES = envelopes(2)
A = batch_over(1, BODIES)
B = batch_over(1, BODIES[:1])


def vote(phase: Phase, view: int = 0, batch: object = A) -> Vote:
    return Vote(phase, 0, 0, 1, view, 0, digest_of(batch), ME)  # type: ignore[arg-type]


SIGN = signing_messages(CHAIN.genesis_hash, lambda message: message[:64])


class Life:
    """A validator's log in a ledger that is opened again and again."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.voter: Voter | None = None
        self.log: RecoveredLog | None = None
        self.reopen()

    def reopen(self) -> tuple[RecoveredLog, SafeSigner]:
        if self.voter is not None:
            self.store.close()
        self.store = open_ledger(self.directory)
        log, signer = journal.recover(self.store, ME, CHAIN.genesis_hash, SIGN)
        assert signer is not None
        bodies = Bodies(self.store.logged_body)
        bodies.pooled.update({e.envelope_id: e for e in BODIES})
        bodies.pin(A, 0)
        self.voter = Voter(signer, self.store, bodies, RecordingTransport())
        return log, signer

    def cast(self, *casts: fx.Effect) -> None:
        assert self.voter is not None
        for cast in casts:
            self.voter.cast(cast)  # type: ignore[arg-type]


PREPARE = fx.CastPrepare(vote(Phase.PREPARE), pre_prepare(A))
COMMIT = fx.CastCommit(vote(Phase.COMMIT), prepared(A))
ASK_3 = fx.CastViewChange(ViewChange(0, 0, 3, ME, header_of(0), None, (prepared(A),)))
CHANGES_3 = [view_change(i, 3, prepared(A)) for i in (0, 2, 3)]
ENTER_3 = fx.StoreNewView(new_view(3, CHANGES_3, A))
PREPARE_3 = fx.CastPrepare(vote(Phase.PREPARE, 3), pre_prepare(A, view=3))
ASK_5 = fx.CastViewChange(ViewChange(0, 0, 5, ME, header_of(0), None, (prepared(A),)))
LEAD_5 = fx.CastNewView(
    NewView(0, 0, 5, ME, (view_change(0, 5), view_change(2, 5)), ()), ((vote(Phase.PRE_PREPARE, 5), A),)
)
ENTER_6 = fx.StoreNewView(new_view(6, [view_change(i, 6, prepared(A)) for i in (0, 1, 3)], A))

Seen = Callable[[RecoveredLog, SafeSigner], bool]
LED = (1, 5, Phase.PRE_PREPARE)


def untouched(log: RecoveredLog, signer: SafeSigner) -> bool:
    return not log.slots and not signer.votes


def has_asked(view: int) -> Seen:
    return lambda log, s: log.own_view_change == s.view_change is not None and s.view_change.message.new_view == view


LIVES: list[tuple[str, list[fx.Effect], int, bool, Seen]] = [
    ("nothing", [], 0, False, untouched),
    ("PREPARE", [PREPARE], 0, False, lambda log, s: log.slots[0].accepted == PREPARE.accepted),
    ("COMMIT", [PREPARE, COMMIT], 0, False, lambda log, s: log.slots[0].prepared == COMMIT.prepared),
    (
        "both votes",
        [PREPARE, COMMIT],
        0,
        False,
        lambda log, s: None not in (log.slots[0].own_prepare, log.slots[0].own_commit),
    ),
    (
        "header vote",
        [fx.CastHeaderVote(header_of(1))],
        0,
        False,
        lambda log, s: log.slots[0].own_header_votes == (s.headers[1, 0],),
    ),
    ("VIEW-CHANGE", [PREPARE, COMMIT, ASK_3], 3, True, has_asked(3)),
    ("what it prepared", [PREPARE, COMMIT, ASK_3], 3, True, lambda log, s: log.slots[0].prepared == COMMIT.prepared),
    ("NEW-VIEW", [COMMIT, ASK_3, ENTER_3], 3, False, lambda log, s: log.new_view == ENTER_3.message),
    ("that it asked no more", [ASK_3, ENTER_3], 3, False, lambda log, s: log.own_view_change is None),
    ("NEW-VIEW unasked", [ENTER_3], 3, False, lambda log, s: log.new_view == ENTER_3.message),
    (
        "PREPARE there",
        [PREPARE, ENTER_3, PREPARE_3],
        3,
        False,
        lambda log, s: log.slots[0].accepted == PREPARE_3.accepted,
    ),
    ("votes of both views", [PREPARE, ENTER_3, PREPARE_3], 3, False, lambda log, s: len(s.votes) == 2),
    ("a view asked for after another", [ASK_3, ENTER_3, ASK_5], 5, True, has_asked(5)),
    ("that it leads", [ASK_5, LEAD_5], 5, False, lambda log, s: log.new_view == s.new_view and LED in s.votes),
    ("that it led", [ASK_5, LEAD_5, ENTER_6], 6, False, lambda log, s: s.new_view is None and LED in s.votes),
]


@pytest.mark.parametrize(("casts", "view", "changing", "seen"), [x[1:] for x in LIVES], ids=[x[0] for x in LIVES])
def test_after_a_crash_it_knows(tmp_path: Path, casts: list[fx.Effect], view: int, changing: bool, seen: Seen) -> None:
    life = Life(tmp_path / "ledger")
    life.cast(*casts)
    log, signer = life.reopen()
    assert (log.view, signer.highest_view, signer.view_changing) == (view, view, changing)
    assert seen(log, signer)
    life.store.close()


def test_bodies_under_a_vote_are_found_again(tmp_path: Path) -> None:
    life = Life(tmp_path / "ledger")
    life.cast(PREPARE)
    life.reopen()
    held = Bodies(life.store.logged_body)
    assert held.want(A, 0, digest_of(A), (), 1 << 24).missing == set()
    assert held.of(A) == tuple(BODIES)
    life.store.close()


def test_an_observer_reads_the_log_and_gets_no_signer(tmp_path: Path) -> None:
    store = open_ledger(tmp_path / "ledger")
    log, signer = journal.recover(store, None, CHAIN.genesis_hash, SIGN)
    assert signer is None and log.view == 0
    store.close()


def test_a_pre_prepare_record_is_read_as_it_was_written() -> None:
    message = pre_prepare(A)
    assert journal.decode_pre_prepare(journal.encode_pre_prepare(message)) == message


def test_views_of_an_epoch_that_is_over_are_not_resumed(tmp_path: Path) -> None:
    life = Life(tmp_path / "ledger")
    life.cast(ASK_3, ENTER_3, ASK_5)
    log, signer = journal.recover(life.store, ME, CHAIN.genesis_hash, SIGN, 1)
    assert signer is not None
    assert (log.view, log.new_view, signer.highest_view, signer.view_changing, signer.epoch) == (0, None, 0, False, 1)
    life.store.close()
