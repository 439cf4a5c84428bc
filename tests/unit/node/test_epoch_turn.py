"""From one epoch to the next on production replicas: the last height of the old one, then views from 0 in the next."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from chain_core.codec.block import decode_header, encode_certificate
from chain_core.codec.validator_set import validator_set_hash
from chain_core.consensus.messages import FinalityNotice, Heartbeat
from chain_core.consensus.state import ConsensusParameters, ReplicaConfig
from chain_core.execution.epochs import EpochInfo
from chain_core.network.frames import ConsensusFrame
from chain_core.node.epoch_turn import ClosingNotices, index_of
from chain_core.types.validator_set import ValidatorSet
from chain_core.types.verified import Verified
from tests.simulation.node import SimNode
from tests.simulation.world import Size, World
from tests.unit.node.stage import CHAIN
from tests.vectors.keys import Signatures
from tests.vectors.samples import Samples

BARRIER = 3
S = Samples(Signatures(may_sign=True))


class Scheduled:
    """What governance would say when an epoch with the same members begins at BARRIER."""

    def __init__(self, world: World) -> None:
        members = world.chain.genesis.validators
        digest = validator_set_hash(members)
        self.first = EpochInfo(0, 0, members, digest, BARRIER)
        self.second = EpochInfo(1, BARRIER, members, digest)

    def at(self, height: int) -> EpochInfo:
        return self.second if height >= BARRIER else self.first

    def current(self) -> EpochInfo:
        return self.first

    def by_number(self, epoch: int) -> EpochInfo | None:
        return {0: self.first, 1: self.second}.get(epoch)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    made = World(3, Size(4), tmp_path, byzantine={})
    made.begin()
    scheduled = Scheduled(made)
    for node in made.nodes:
        assert node.replica is not None and node.ingress is not None
        node.ingress = replace(node.ingress, epochs=scheduled)
        executor = node.replica.executor
        monkeypatch.setattr(executor, "epoch_at", lambda state, height: scheduled.at(height))
        monkeypatch.setattr(executor, "epoch", lambda state, number: (scheduled.first, scheduled.second)[number])
        monkeypatch.setattr(executor, "barrier", lambda state: BARRIER)
    yield made
    made.close()


def block(world: World, nonce: int) -> None:
    world.nodes[0].submit(world.promise(1, nonce).raw)
    world.until(lambda: not world.missing(), 20_000, "finality")


def epoch_of(node: SimNode) -> int:
    assert node.replica is not None
    return node.replica.core.state.config.epoch


def test_all_go_from_one_epoch_to_the_next_and_views_start_again(world: World) -> None:
    for node in world.nodes[1:]:
        assert node.replica is not None
        node.replica.core.state.work = True
    told: list[int] = []
    first = world.nodes[2].replica
    assert first is not None
    first.on_epoch.append(lambda info: told.append(info.epoch))
    for nonce in range(5):
        block(world, nonce)
    store = world.nodes[1].store
    headers = [decode_header(store.header(height) or b"") for height in range(1, store.final_height + 1)]
    assert [h.epoch for h in headers] == [0, 0, 1, 1, 1] and told == [1]
    assert {epoch_of(node) for node in world.nodes} == {1}
    assert {node.replica.core.state.view for node in world.nodes if node.replica} == {0}
    assert {node.replica.voter.signer.epoch for node in world.nodes if node.replica and node.replica.voter} == {1}


def test_who_missed_the_end_of_the_epoch_is_shown_its_last_header_and_comes_along(world: World) -> None:
    block(world, 0)
    world.network.partition([{3}, {0, 1, 2}])
    for nonce in range(1, 4):
        world.nodes[0].submit(world.promise(1, nonce).raw)
        world.advance(1_000)
    assert [epoch_of(node) for node in world.nodes] == [1, 1, 1, 0]
    world.network.heal()
    world.until(lambda: not world.missing(), 20_000, "catching up")
    assert epoch_of(world.nodes[3]) == 1
    block(world, 4)


def test_an_old_heartbeat_is_answered_once_a_period_with_the_closing_header(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for nonce in range(4):
        block(world, nonce)
    sent: list[tuple[int, object]] = []
    node = world.nodes[0]
    assert node.replica is not None
    monkeypatch.setattr(node, "send", lambda peer, frame: sent.append((peer, frame)))
    for beat in (Heartbeat(2, 1, 0, 0, False), Heartbeat(2, 1, 0, 0, False), Heartbeat(9, 1, 0, 0, False)):
        node.replica.on_message(Verified(beat))
    ((peer, frame),) = sent
    assert isinstance(frame, ConsensusFrame) and isinstance(frame.message, FinalityNotice)
    assert peer == 2 and decode_header(frame.message.header_bytes).height == BARRIER - 1


def test_a_replica_is_a_member_by_its_consensus_key(world: World) -> None:
    members = world.chain.genesis.validators
    assert [index_of((v.consensus_key,), members) for v in members.validators] == [0, 1, 2, 3]
    assert index_of((), members) is index_of((bytes(64),), members) is None


def test_who_is_no_member_of_the_next_epoch_follows_it_and_signs_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed = world.nodes[3].replica
    assert removed is not None
    removed.own_keys = ()
    for nonce in range(4):
        block(world, nonce)
    assert removed.me is None and removed.voter is None and world.nodes[3].store.final_height == 4
    removed.own_keys = (world.chain.genesis.validators.key(3),)


ENDED = EpochInfo(0, 0, CHAIN.genesis.validators, bytes(32), 5)
"""The epoch that is over, its last height 4."""
*STAYING, LEAVING = CHAIN.genesis.validators.validators
NOW = ReplicaConfig(
    ValidatorSet((*reversed(STAYING), replace(LEAVING, name="newcomer"))),
    0,
    0,
    1,
    CHAIN.genesis_hash,
    ConsensusParameters.from_chain(dict(CHAIN.genesis.parameters)),
    None,
)
BEAT = Heartbeat(2, 1, 0, 0, False)


class Kept:
    """A ledger that has all headers, and an executor that knows some epochs."""

    def __init__(self, *, certificate: bytes = encode_certificate(S.certificate), **epochs: EpochInfo) -> None:
        self.signed, self.epochs = certificate, {int(name[1:]): info for name, info in epochs.items()}

    def header(self, height: int) -> bytes:
        return f"header {height}".encode()

    def certificate(self, height: int) -> bytes:
        return self.signed

    def epoch(self, store: object, number: int) -> EpochInfo | None:
        return self.epochs.get(number)

    def notices(self) -> ClosingNotices:
        return ClosingNotices(self, self)  # type: ignore[arg-type]


def test_who_has_not_left_an_epoch_is_told_under_its_index_of_now_once_a_period() -> None:
    notices = Kept(e0=ENDED).notices()
    told = [(0, FinalityNotice(b"header 4", S.certificate))]
    assert list(notices.answer(BEAT, NOW)) == told
    assert list(notices.answer(BEAT, NOW)) == []
    assert [peer for peer, _ in notices.answer(replace(BEAT, sender=0), NOW)] == [2]
    notices.period_over()
    assert list(notices.answer(BEAT, NOW)) == told


UNANSWERED = {
    "of the present epoch": (replace(BEAT, epoch=1), Kept(e1=replace(ENDED, epoch=1))),
    "of a later epoch": (replace(BEAT, epoch=2), Kept(e2=replace(ENDED, epoch=2))),
    "of an unknown epoch": (BEAT, Kept()),
    "from nobody": (replace(BEAT, sender=4), Kept(e0=ENDED)),
    "from below": (replace(BEAT, sender=-4), Kept(e0=ENDED)),
    "from who is no member now": (replace(BEAT, sender=3), Kept(e0=ENDED)),
    "while nothing is certified here": (BEAT, Kept(e0=ENDED, certificate=b"")),
}


@pytest.mark.parametrize(("beat", "kept"), UNANSWERED.values(), ids=UNANSWERED)
def test_a_heartbeat_that_is_not_answered(beat: Heartbeat, kept: Kept) -> None:
    assert list(kept.notices().answer(beat, NOW)) == []
