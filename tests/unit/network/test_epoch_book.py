"""Whose signatures count: those of the epoch's validators, at its heights, and only where that epoch is known."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from chain_core.codec.block import decode_header, encode_block, encode_certificate, encode_header, header_hash
from chain_core.codec.validator_set import validator_set_hash
from chain_core.codec.votes import encode_view_change
from chain_core.consensus.messages import CommitProof, FinalityNotice, Heartbeat, Message, PrePrepare
from chain_core.execution.epochs import EpochInfo
from chain_core.network.epoch_book import UnknownEpoch
from chain_core.network.frames import HeldVotes
from chain_core.network.held_votes import held_signatures
from chain_core.network.ingress import Ingress
from chain_core.network.message_signatures import signature_triples
from chain_core.types.block import Certificate, Phase, SignedViewChange, SignedVote
from chain_core.types.errors import PeerFault
from chain_core.types.validator_set import ValidatorSet
from chain_core.types.verified import Verified
from tests.vectors.keys import Signatures
from tests.vectors.samples import TIME_MS, Samples

S = Samples(Signatures(may_sign=False))
LATER = ValidatorSet(tuple(reversed(S.validators.validators)))
"""The same people on other seats: who counts by index sees other keys."""


@dataclass(frozen=True)
class TwoEpochs:
    """Epoch 0 up to ``barrier``, epoch 1 from there on."""

    barrier: int

    def current(self) -> EpochInfo:
        return EpochInfo(0, 0, S.validators, validator_set_hash(S.validators), self.barrier)

    def by_number(self, epoch: int) -> EpochInfo | None:
        later = EpochInfo(1, self.barrier, LATER, validator_set_hash(LATER))
        return {0: self.current(), 1: later}.get(epoch)


def in_epoch(vote: SignedVote, epoch: int) -> SignedVote:
    return replace(vote, vote=replace(vote.vote, epoch=epoch))


def header_in(epoch: int, **changes: object) -> FinalityNotice:
    raw = encode_header(replace(decode_header(S.header_bytes), epoch=epoch, **changes))  # type: ignore[arg-type]
    return FinalityNotice(raw, Certificate(header_hash(raw), S.certificate.signatures))


def change_in(epoch: int, **changes: object) -> SignedViewChange:
    message = replace(S.view_change(1).message, epoch=epoch, prepared=(), **changes)  # type: ignore[arg-type]
    return replace(S.view_change(1), message=message, body=encode_view_change(message))


COMMIT = S.vote(Phase.COMMIT, 3)

OF_HEIGHT_2: dict[str, Message] = {
    "PRE-PREPARE": PrePrepare(S.vote(Phase.PRE_PREPARE, 0), S.next_batch),
    "PREPARE": S.vote(Phase.PREPARE, 1),
    "COMMIT": COMMIT,
    "commit proof": CommitProof(S.next_batch, S.commits),
    "VIEW-CHANGE with prepared": S.view_change(1),
}


@pytest.mark.parametrize("message", OF_HEIGHT_2.values(), ids=OF_HEIGHT_2)
def test_an_epoch_has_no_votes_at_or_above_its_barrier(message: Message) -> None:
    assert signature_triples(message, TwoEpochs(3), S.chain, S.genesis_header)
    with pytest.raises(PeerFault) as fault:
        signature_triples(message, TwoEpochs(2), S.chain, S.genesis_header)
    assert not isinstance(fault.value, UnknownEpoch)


def test_a_later_epoch_has_none_below_it() -> None:
    with pytest.raises(PeerFault, match="height 2 in epoch 1, which has 3 to now"):
        signature_triples(in_epoch(COMMIT, 1), TwoEpochs(3), S.chain, S.genesis_header)


def test_keys_are_those_of_the_votes_epoch() -> None:
    ((first, _, _),) = signature_triples(COMMIT, TwoEpochs(3), S.chain, S.genesis_header)
    ((second, _, _),) = signature_triples(in_epoch(COMMIT, 1), TwoEpochs(2), S.chain, S.genesis_header)
    assert (first, second) == (S.validators.key(3), LATER.key(3))


@pytest.mark.parametrize(
    "make",
    [
        lambda: in_epoch(COMMIT, 7),
        lambda: header_in(7),
        lambda: change_in(7),
        lambda: replace(S.new_view, message=replace(S.new_view.message, epoch=7)),
    ],
    ids=["vote", "finality notice", "VIEW-CHANGE", "NEW-VIEW"],
)
def test_what_is_of_an_epoch_ahead_is_nobodys_fault(make: Callable[[], Message]) -> None:
    with pytest.raises(UnknownEpoch):
        signature_triples(make(), TwoEpochs(3), S.chain, S.genesis_header)


def test_a_heartbeat_of_an_epoch_ahead_is_a_hint_like_any_other() -> None:
    assert signature_triples(Heartbeat(200, 9, 7, 0, False), TwoEpochs(3), S.chain, S.genesis_header) == []
    with pytest.raises(PeerFault):
        signature_triples(Heartbeat(200, 9, 1, 0, False), TwoEpochs(3), S.chain, S.genesis_header)


def test_a_view_change_rests_on_the_last_header_of_the_epoch_before_or_on_its_own() -> None:
    """Height 1 is final in epoch 0: that serves epoch 1 when it begins at height 2, and not when it begins later."""
    assert signature_triples(change_in(1), TwoEpochs(2), S.chain, S.genesis_header)
    with pytest.raises(PeerFault, match="final header, of height 1, is of epoch 0"):
        signature_triples(change_in(1), TwoEpochs(3), S.chain, S.genesis_header)


def test_who_left_certifies_nothing_above_the_barrier() -> None:
    """A block and a notice of height 1, signed by a quorum of epoch 0: good, unless the epoch ended before."""

    def block(barrier: int) -> object:
        ingress = Ingress(
            S.chain, 0, TwoEpochs(barrier), S.genesis_header, lambda: TIME_MS, lambda: 1, lambda account, key: True
        )
        return ingress.verify_blocks([encode_block(S.block)])[0]

    assert isinstance(block(2), Verified)
    assert isinstance(block(1), PeerFault)
    assert signature_triples(FinalityNotice(S.header_bytes, S.certificate), TwoEpochs(2), S.chain, S.genesis_header)
    with pytest.raises(PeerFault):
        signature_triples(FinalityNotice(S.header_bytes, S.certificate), TwoEpochs(1), S.chain, S.genesis_header)
    assert encode_certificate(S.certificate)


def test_held_votes_of_the_scheduled_epoch_are_verified_by_its_seats_and_a_missing_seat_is_refused() -> None:
    """It begins before its first block is final: until then the state has the epoch before in force."""
    vote = in_epoch(COMMIT, 1)
    held = HeldVotes(bytes(32), b"", None, (vote,), (), None)
    (item,) = held_signatures(held, 3, TwoEpochs(2), S.chain)
    assert item[0] == LATER.key(3) != S.validators.key(3)
    newcomer = replace(vote, vote=replace(vote.vote, signer=S.validators.n))
    with pytest.raises(PeerFault):
        held_signatures(replace(held, votes=(newcomer,)), S.validators.n, TwoEpochs(2), S.chain)
    assert held_signatures(replace(held, votes=()), S.validators.n, TwoEpochs(2), S.chain) == []
    with pytest.raises(UnknownEpoch):
        held_signatures(replace(held, votes=(COMMIT, vote)), 3, TwoEpochs(2), S.chain)


def test_held_votes_of_another_seat_are_no_lie_in_the_scheduled_epoch() -> None:
    """Who asks may have that seat there; in the present epoch it has its own."""
    held = HeldVotes(bytes(32), b"", None, (in_epoch(COMMIT, 1),), (), None)
    with pytest.raises(UnknownEpoch):
        held_signatures(held, 2, TwoEpochs(2), S.chain)
    with pytest.raises(PeerFault) as fault:
        held_signatures(replace(held, votes=(COMMIT,)), 2, TwoEpochs(2), S.chain)
    assert not isinstance(fault.value, UnknownEpoch)
