"""The silence of a start: what is told to others meanwhile, and to the operator."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from chain_core.consensus.messages import FinalityNotice
from chain_core.network.frames import ConsensusFrame, HeldVotes, WantVotes
from chain_core.node.ports import FinalBlock
from chain_core.node.quiet_start import VOTES_AGAIN, VOTES_LOST, QuietStart
from chain_core.node.safe_signer import SafeSigner
from chain_core.node.signer_questions import SignerQuestions
from chain_core.node.vote_keys import signing_messages
from chain_core.types.block import Phase
from tests.unit.node.stage import RecordingTransport, open_ledger
from tests.vectors.keys import Signatures
from tests.vectors.samples import Samples

S = Samples(Signatures(may_sign=True))
ME = 1
OTHERS = (0, 2, 3)
EMPTY = HeldVotes(b"", b"", None, (), (), None)
OF_OTHERS = replace(S.certificate, signatures=tuple((i + 2, s) for i, s in S.certificate.signatures))
"""A certificate without this signer's name."""
SHOWN = ConsensusFrame(FinalityNotice(S.header_bytes, OF_OTHERS))


@dataclass
class Told:
    """What the replica's ports recorded."""

    transport: RecordingTransport = field(default_factory=RecordingTransport)
    alarms: list[str] = field(default_factory=list)

    @property
    def observer(self) -> Told:
        return self

    def alarm(self, code: str, facts: dict[str, str | int]) -> None:
        self.alarms.append(code)

    def halted(self, code: str, facts: dict[str, str | int]) -> None:
        raise AssertionError(code)

    def finalised(self, block: FinalBlock) -> None:
        raise AssertionError(block)


def instance(epoch: int, barrier: int | None = None) -> Any:
    """What is needed of the core of an epoch; W is 1."""
    config = SimpleNamespace(epoch=epoch, barrier=barrier, parameters=SimpleNamespace(window_heights=1))
    return SimpleNamespace(state=SimpleNamespace(silent=False, config=config))


class Stage:
    """A validator that starts on an empty ledger of height 0; ``again`` starts it once more."""

    def __init__(self, directory: Path) -> None:
        self.store = open_ledger(directory)
        self.again()

    def again(self) -> None:
        self.told = Told()
        core = instance(0)
        self.state = core.state
        self.drawn = 0
        self.questions = SignerQuestions(OTHERS, 2, self.draw)
        self.signer = SafeSigner(signing_messages(S.chain, lambda message: bytes(64)), ME, S.chain, 0)
        self.quiet = QuietStart(self.questions, self.signer, self.store, core, self.told)
        self.quiet.begin()

    def draw(self, count: int) -> bytes:
        """For the first questions the peer's index, other bytes for all later ones."""
        self.drawn += 1
        return bytes([(*OTHERS, *range(10, 99))[self.drawn - 1]]) * count

    def answer(self, peer: int, **changes: Any) -> None:
        self.quiet.take(peer, replace(EMPTY, nonce=bytes([peer]) * 16, **changes))

    def said(self) -> list[object]:
        """What goes out in the next re-sending period."""
        self.told.transport.events.clear()
        self.quiet.ask()
        return self.told.transport.events


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path / "ledger")
    yield made
    made.store.close()


def test_a_certificate_that_an_answer_shows_goes_to_everybody_until_its_height_is_final_here(stage: Stage) -> None:
    """Whoever showed it may serve nothing else; the others, who lack this signer's vote alone, are final by it."""
    assert stage.said() == [(peer, WantVotes(bytes([peer]) * 16)) for peer in OTHERS]
    stage.answer(3, final_header=S.header_bytes, certificate=OF_OTHERS)
    assert stage.said() == [(0, WantVotes(bytes(16))), (2, WantVotes(bytes([2]) * 16)), (None, SHOWN)]
    stage.answer(0)
    assert stage.said() == [(None, SHOWN)], "enough have answered, and it still waits for the block"
    assert stage.state.silent and not stage.quiet.ends()
    stage.questions.target = 0  # as if that height were final here
    assert stage.said() == []
    assert stage.quiet.ends() and not stage.state.silent and not stage.told.alarms


def test_a_lower_certificate_does_not_take_its_place(stage: Stage) -> None:
    stage.answer(3, final_header=S.header_bytes, certificate=OF_OTHERS)
    stage.answer(0, final_header=S.header_bytes, certificate=replace(OF_OTHERS, signatures=OF_OTHERS.signatures[:1]))
    assert stage.said() == [(None, SHOWN)]


def test_lost_votes_are_told_once_and_so_is_their_end(stage: Stage) -> None:
    stage.answer(3, votes=(S.vote(Phase.COMMIT, ME), S.vote(Phase.PREPARE, ME)))
    stage.answer(0, votes=(S.vote(Phase.COMMIT, ME),))
    assert stage.told.alarms == [VOTES_LOST] and not stage.quiet.ends()
    stage.questions.horizon = -2  # as if the chain were final beyond what was lost
    assert stage.quiet.ends() and stage.told.alarms == [VOTES_LOST, VOTES_AGAIN]


def test_lost_votes_are_known_after_another_start_though_nobody_shows_them_again(stage: Stage) -> None:
    stage.answer(3, votes=(S.vote(Phase.COMMIT, ME),))
    lost = stage.questions.horizon, stage.questions.view
    assert lost > (0, 0)
    stage.again()
    assert stage.told.alarms == [VOTES_LOST]
    stage.answer(0)
    stage.answer(3)
    assert (stage.questions.horizon, stage.questions.view) == lost and not stage.quiet.ends()


def test_the_view_of_a_lost_vote_stays_closed_after_the_chain_has_passed_it(stage: Stage) -> None:
    stage.answer(3, view_change=S.view_change(ME))
    view = S.view_change(ME).message.new_view
    stage.answer(0)
    stage.questions.horizon = -2  # as if the chain were final beyond what was lost
    assert stage.quiet.ends() and stage.told.alarms == [VOTES_LOST, VOTES_AGAIN]
    stage.again()
    assert not stage.told.alarms and stage.signer.forgotten_view == view
    stage.answer(0)
    stage.answer(3)
    assert stage.quiet.ends() and not stage.told.alarms


def test_a_second_loss_opens_no_view_that_the_first_one_closed(stage: Stage) -> None:
    stage.answer(3, view_change=S.view_change(ME))
    stage.answer(0)
    stage.questions.horizon = -2  # as if the chain were final beyond what was lost
    assert stage.quiet.ends()
    view = stage.signer.forgotten_view
    stage.again()
    stage.answer(3, votes=(S.vote(Phase.COMMIT, ME),))
    assert stage.questions.view < view, "the vote that is lost now names a lower one"
    for _ in range(2):
        stage.again()
        stage.answer(3)
        stage.answer(0)
        stage.questions.horizon = -2
        assert stage.quiet.ends() and stage.signer.forgotten_view == view


def turned(stage: Stage, peers: tuple[int, ...] = OTHERS, needed: int = 2, member: bool = True) -> list[object]:
    """Epoch 1 begins in it; what goes out."""
    core = instance(1)
    stage.state = core.state
    stage.signer = SafeSigner(signing_messages(S.chain, lambda message: bytes(64)), ME, S.chain, 0, epoch=1)
    stage.quiet.follow(core, stage.signer if member else None, peers, needed)
    return stage.said()


def test_the_members_of_the_next_epoch_are_asked_anew_and_as_many_as_it_needs(stage: Stage) -> None:
    """n goes from 4 to 7: the two answers of four were enough in their epoch, four of seven are in this one."""
    stage.answer(3)
    said = turned(stage, (0, 2, 3, 4, 5, 6), 4)
    assert said == [(peer, WantVotes(bytes([10 + at]) * 16)) for at, peer in enumerate((0, 2, 3, 4, 5, 6))]
    stage.answer(0)
    assert not stage.quiet.questions.answered, "the answer to a question of the former epoch"
    for at, peer in enumerate((0, 2, 3)):
        stage.quiet.take(peer, replace(EMPTY, nonce=bytes([10 + at]) * 16))
    assert stage.state.silent and not stage.quiet.ends() and "3 of 4" in stage.quiet.words
    stage.quiet.take(4, replace(EMPTY, nonce=bytes([13]) * 16))
    assert stage.quiet.ends() and not stage.state.silent


def test_a_view_of_the_former_epoch_closes_none_of_the_next_one(stage: Stage) -> None:
    stage.answer(3, view_change=S.view_change(ME))
    horizon = stage.questions.horizon
    assert stage.questions.view > 0
    turned(stage)
    assert stage.quiet.questions.horizon == horizon and stage.quiet.questions.view == 0
    for at, peer in enumerate((0, 2)):
        stage.quiet.take(peer, replace(EMPTY, nonce=bytes([10 + at]) * 16))
    assert not stage.quiet.ends(), "what is lost stays so"
    stage.quiet.questions.horizon = -2  # as if the chain were final beyond what was lost
    assert stage.quiet.ends() and stage.signer.highest_view == 0 and not stage.signer.view_changing


def test_the_silence_does_not_end_between_two_epochs(stage: Stage) -> None:
    """The last height of the epoch is final here: what q-1 said of it says nothing of the next one."""
    stage.state.config.barrier = 1
    stage.answer(0)
    stage.answer(3)
    assert not stage.quiet.ends() and stage.state.silent and len(turned(stage)) == 3


def test_an_observer_is_not_silent_and_asks_when_it_becomes_a_member(stage: Stage) -> None:
    assert turned(stage, (0, 1, 2, 3), 2, member=False) == [] and not stage.state.silent and not stage.quiet.words
    stage.quiet.take(0, replace(EMPTY, nonce=bytes([10]) * 16))
    assert not stage.quiet.ends()
    assert len(turned(stage)) == 3 and stage.state.silent and stage.quiet.words


def test_who_votes_already_asks_nobody_in_the_next_epoch(stage: Stage) -> None:
    stage.answer(0)
    stage.answer(3)
    assert stage.quiet.ends() and turned(stage) == [] and not stage.state.silent
