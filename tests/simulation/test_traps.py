"""Places where PBFT implementations stand still or go wrong, each built on purpose (docs/spec/pbft.md, liveness)."""

import shutil
from pathlib import Path
from random import Random

import pytest

from chain_core.codec import signed as signed_as
from chain_core.codec.votes import decode_vote, encode_vote
from chain_core.consensus.messages import Message
from chain_core.execution.pool import TransactionPool
from chain_core.network.frame_codec import encode_frame
from chain_core.network.frames import ConsensusFrame
from chain_core.node.halting import KEY_USED_ELSEWHERE
from chain_core.node.journal import LostVotes, lost_votes_record
from chain_core.types.block import HeaderVote, Phase, SignedVote, Vote
from tests.simulation.byzantine import Censor, Strategy
from tests.simulation.ending import the_end
from tests.simulation.node import SimNode
from tests.simulation.world import CENSORED_LIVENESS_MS, Size, World

SEED = 1


def quiet(directory: Path, **byzantine: type[Strategy]) -> World:
    """Four nodes, no faults but those a test makes; ``v3=Strategy`` makes a node Byzantine."""
    members = {int(name[1:]): [made] for name, made in byzantine.items()}
    world = World(SEED, Size(4), directory, byzantine=dict(members))
    world.begin()
    return world


def submit(world: World, node: int, nonce: int, client: int = 1) -> None:
    world.nodes[node].submit(world.promise(client, nonce).raw)


def all_final(world: World, within_ms: int = 10_000) -> None:
    world.until(lambda: not world.missing(), within_ms, "finality")
    world.advance(2_000)
    the_end(world.checker)


class DiesAfterCommit(Strategy):
    """Sends its COMMITs to replicas 0 and 1 and nothing after them."""

    def __init__(self, random: Random, n: int) -> None:
        super().__init__(random, n)
        self.dead = False

    def say(self, node: SimNode, to: int, message: Message) -> list[Message]:
        if self.dead:
            return []
        if isinstance(message, SignedVote) and message.vote.phase is Phase.COMMIT:
            self.dead = to == node.world.n - 2
            return [message] if to in (0, 1) else []
        return [] if isinstance(message, HeaderVote) else [message]


def test_committed_peers_pull_an_isolated_replica_along(tmp_path: Path) -> None:
    """Replica 2 asked for a view alone; 0 and 1 committed with 3, which is gone: their timers have stopped, and only
    replica 2 can complete the certificate.
    """
    world = quiet(tmp_path, v3=DiesAfterCommit)
    world.network.partition([{2}, {0, 1, 3}])
    submit(world, 2, 0)  # only replica 2 knows it, and waits for the primary in vain
    world.advance(3_000)
    replica = world.nodes[2].replica
    assert replica is not None and replica.core.state.view_changing
    world.promised.clear()
    submit(world, 0, 1, client=2)
    world.advance(300)
    assert [world.nodes[i].store.final_height for i in (0, 1, 2)] == [0, 0, 0]
    world.network.heal()
    all_final(world, 3_000)
    world.close()


@pytest.mark.parametrize("point", ["between sync and send", "in a broadcast", "before a commit", "after a commit"])
def test_all_nodes_crash_at_once_at(tmp_path: Path, point: str) -> None:
    """A power cut: everything must come back from the logs alone (Besu #8307, ChainMaker's stalls)."""
    world = quiet(tmp_path)
    submit(world, 0, 0)
    for round_number in range(1, 4):
        for node in world.nodes:
            node.crash_at = point
        submit(world, round_number, round_number)
        world.advance(400)
        for node in world.nodes:
            if node.up:
                node.crash()
            node.crash_at = ""
        world.advance(7_000)
        for node in world.nodes:
            if not node.up:
                node.boot()
    # What only crashed memories held is handed in again, as clients do until FINAL.
    for envelope_id in sorted(world.promised, key=lambda i: world.submitted[i].body.nonce):
        world.nodes[1].submit(world.submitted[envelope_id].raw)
    all_final(world, 20_000)
    world.close()


def test_replicas_spread_over_views_meet_again(tmp_path: Path) -> None:
    """Besu #7642: everybody asks for another view, on ever longer timers; here nobody has to restart anything."""
    world = quiet(tmp_path)
    submit(world, 1, 0)
    world.network.partition([{0}, {1}, {2}, {3}])
    submit(world, 2, 0, client=2)
    submit(world, 3, 0, client=3)
    world.advance(30_000)
    world.network.partition([{0, 1}, {2, 3}])
    world.advance(30_000)
    world.network.heal()
    all_final(world, 20_000)
    world.close()


def test_a_primary_that_cannot_hear_one_node_gets_its_transactions_from_others(tmp_path: Path) -> None:
    """And keeps its office: nobody changes view."""
    world = quiet(tmp_path)
    world.network.cut(1, 0)
    submit(world, 1, 0)
    all_final(world, 1_900)
    assert {node.replica.core.state.view for node in world.nodes if node.replica} == {0}
    world.close()


def test_a_body_lost_on_its_way_is_given_again_though_blocks_go_by(tmp_path: Path) -> None:
    """Under load there is always a proposal in flight; a body that the primary never got must not wait for a pause."""
    world = quiet(tmp_path)
    world.network.partition([{1}, {0, 2, 3}])
    submit(world, 1, 0)
    world.network.heal()  # the push is lost already, and nobody is told so
    for number in range(1, 60):
        submit(world, 2, number, client=2)
        world.advance(50)
    assert not world.missing().get(0)
    all_final(world)
    assert world.nodes[0].store.final_height > 20
    world.close()


def test_a_censoring_primary_is_deposed(tmp_path: Path) -> None:
    world = quiet(tmp_path, v0=Censor)
    submit(world, 2, 0, client=0)  # the victim
    for number in range(1, CENSORED_LIVENESS_MS // 1_000):
        world.nodes[2].submit(world.transaction(1, number, 300_000).raw)
        world.advance(1_000)
        if not world.missing():
            break
    assert not world.missing()
    assert world.nodes[1].store.final_height > 20  # the censor ordered everything else
    world.close()


def test_what_expires_unproposed_deposes_nobody(tmp_path: Path) -> None:
    """A transaction that reached one backup only and expired before the primary could have it."""
    world = quiet(tmp_path)
    world.network.partition([{1}, {0, 2, 3}])
    world.nodes[1].submit(world.transaction(1, 0, 1_200).raw)
    world.advance(4_000)
    world.network.heal()
    world.advance(2_000)
    assert {node.replica.core.state.view for node in world.nodes if node.replica} == {0}
    world.close()


def test_what_every_other_node_refuses_deposes_nobody(tmp_path: Path) -> None:
    """A client hands one node a second transaction under a nonce that is final elsewhere: nobody can order it, and
    without care each such pair would cost the chain a view.
    """
    world = quiet(tmp_path)
    for nonce in range(4):
        world.network.partition([{3}, {0, 1, 2}])
        world.nodes[3].submit(world.transaction(1, nonce, 100_000).raw)
        submit(world, 1, nonce)
        world.advance(200)
        world.network.heal()
        world.advance(5_000)
    all_final(world)
    assert {node.replica.core.state.view for node in world.nodes if node.replica} == {0}
    assert [len(node.replica.pool) for node in world.nodes if node.replica] == [0, 0, 0, 0]
    world.close()


def test_transactions_of_a_lost_proposal_are_proposed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FISCO #4308: a deposed primary's transactions stayed sealed. Nobody else has the body here."""
    world = quiet(tmp_path)
    submit(world, 1, 0, client=3)
    all_final(world)
    world.network.partition([{0}, {1, 2, 3}])
    submit(world, 0, 1)  # proposed by the primary, heard by nobody
    submit(world, 1, 1, client=2)  # deposes it meanwhile
    world.advance(6_000)
    assert world.nodes[1].store.final_height == 2
    world.network.heal()
    all_final(world)
    pool = world.nodes[0].replica.pool if world.nodes[0].replica else None
    assert isinstance(pool, TransactionPool) and len(pool) == 0
    world.close()


def test_a_lost_proposal_seals_nothing(tmp_path: Path) -> None:
    """What it took from the pool may be proposed again, or expires like everything else."""
    world = quiet(tmp_path)
    world.network.partition([{0}, {1, 2, 3}])
    world.nodes[0].submit(world.transaction(1, 0, 12_000).raw)  # proposed by the primary, heard by nobody
    submit(world, 1, 0, client=2)
    world.advance(6_000)
    deposed, leader = world.nodes[0].replica, world.nodes[1].replica
    assert deposed is not None and leader is not None and leader.core.state.new_view is not None
    assert deposed.pool.in_flight == 1
    world.nodes[0].deliver(1, encode_frame(ConsensusFrame(leader.core.state.new_view)))
    assert deposed.core.state.view == 1 and deposed.pool.in_flight == 0
    world.network.heal()
    all_final(world)
    world.close()


def backed_up(world: World, directory: Path, change_view: bool = False) -> SimNode:
    """Node 2 after three blocks more than the backup that its disk is restored from; the first in view 1 perhaps."""
    submit(world, 0, 0)
    all_final(world)
    node = world.nodes[2]
    node.crash()
    shutil.copytree(node.directory, directory)
    node.boot()
    if change_view:
        world.advance(1_000)
        world.network.partition([{0}, {1, 2, 3}])
        submit(world, 1, 1)
        world.advance(5_000)
        world.network.heal()
    for number in range(1 + change_view, 4):
        submit(world, 0, number)
        world.advance(1_000)
    node.crash()
    shutil.rmtree(node.directory)
    shutil.copytree(directory, node.directory)
    world.checker.past[2].final.clear()  # it has lost them, and nobody else has
    return node


def test_an_old_disk_that_was_restored_votes_when_the_chain_is_beyond_what_it_forgot(tmp_path: Path) -> None:
    """It learns of lost votes, says so, follows and signs nothing; beyond them it votes again, without a restart."""
    world = quiet(tmp_path)
    node = backed_up(world, tmp_path / "backup")
    signed = len(world.checker.past[2].signed)
    node.boot()
    world.advance(3_000)
    assert node.store.final_height == world.nodes[0].store.final_height
    assert node.alarms == ["VOTES_LOST"] and len(world.checker.past[2].signed) == signed
    assert node.replica is not None and node.replica.quiet is not None
    lost = node.replica.quiet.questions.horizon
    while node.store.final_height <= lost + 1:  # W is 1
        assert len(world.checker.past[2].signed) == signed
        assert "was an old disk restored?" in node.replica.quiet.words
        submit(world, 0, 4 + node.store.final_height - lost)
        world.advance(2_000)
    submit(world, 0, 20)
    all_final(world)
    assert node.alarms == ["VOTES_LOST", "VOTES_AGAIN"] and not node.replica.quiet.words
    assert len(world.checker.past[2].signed) > signed and not world.checker.halts
    world.close()


def test_an_old_disk_from_before_a_view_change_is_no_twin_of_itself(tmp_path: Path) -> None:
    """The NEW-VIEW in force holds the VIEW-CHANGE that it lost: shown to it again and again, at every start, and it
    enters that view and votes in it."""
    world = quiet(tmp_path)
    node = backed_up(world, tmp_path / "backup", change_view=True)
    leader = world.nodes[1].replica
    assert leader is not None and leader.core.state.new_view is not None and leader.core.state.view == 1
    assert 2 in [change.message.signer for change in leader.core.state.new_view.message.view_changes]
    node.boot()
    world.advance(3_000)
    for nonce in range(4, 9):
        submit(world, 0, nonce)
        world.advance(2_000)
    assert node.alarms == ["VOTES_LOST", "VOTES_AGAIN"] and not world.checker.halts
    for nonce in (9, 10):
        replica = node.replica
        assert replica is not None and replica.voter is not None
        assert (replica.core.state.view, replica.core.state.view_changing, replica.voter.signer.forgotten_view) == (
            1,
            False,
            1,
        )
        world.network.partition([{0}, {1, 2, 3}])  # now nothing is final without it
        submit(world, 1, nonce)
        world.advance(2_000)
        world.network.heal()
        all_final(world)
        node.crash()
        node.boot()
        world.advance(2_000)
    assert not world.checker.halts and "SIGNING_REFUSED" not in node.alarms
    world.close()


@pytest.mark.parametrize("view", [1, 5])
def test_a_signer_that_may_not_ask_for_a_view_goes_on_to_the_next_with_the_others(tmp_path: Path, view: int) -> None:
    """It lost votes of that view long ago; a node is down, the others ask for lower views and need this one."""
    world = quiet(tmp_path)
    submit(world, 0, 0)
    all_final(world)
    node = world.nodes[2]
    node.store.log_write((lost_votes_record(LostVotes(0, 0, view, "")),))
    node.crash()
    node.boot()
    world.advance(2_000)
    world.network.partition([{0}, {1, 2, 3}])  # the primary is gone
    submit(world, 1, 1)
    world.until(lambda: world.nodes[1].store.final_height == 2, 60_000, "finality without the primary")
    world.network.heal()
    all_final(world)
    assert world.nodes[1].replica is not None and world.nodes[1].replica.core.state.view > view
    assert "SIGNING_REFUSED" not in node.alarms and not world.checker.halts
    world.close()


def test_a_key_that_goes_on_signing_elsewhere_halts_who_waits(tmp_path: Path) -> None:
    """What comes to light beyond all that was forgotten is no old vote: another process has the key (FISCO #3617)."""
    world = quiet(tmp_path)
    node = backed_up(world, tmp_path / "backup")
    world.checker.may_halt.add(2)
    signed = len(world.checker.past[2].signed)
    node.boot()
    world.advance(500)
    assert node.replica is not None and node.replica.quiet is not None and node.replica.quiet.words
    body = encode_vote(Vote(Phase.COMMIT, 0, 0, node.store.final_height + 9, 0, 0, bytes(32), 2))
    alien = SignedVote(decode_vote(body), body, world.chain.sign("v2", signed_as.VOTE, body))
    node.deliver(1, encode_frame(ConsensusFrame(alien)))
    assert world.checker.halts == {2: KEY_USED_ELSEWHERE}
    submit(world, 0, 4)
    all_final(world)
    assert len(world.checker.past[2].signed) == signed
    world.close()


def test_a_signer_without_enough_answers_follows_and_signs_nothing(tmp_path: Path) -> None:
    """Two of three others must answer; a network that starts as a whole waits for nobody else."""
    world = quiet(tmp_path)
    submit(world, 0, 0)
    all_final(world)
    world.nodes[2].crash()
    world.network.partition([{2, 1}, {0, 3}])
    signed = len(world.checker.past[2].signed)
    world.nodes[2].boot()
    world.advance(5_000)
    replica = world.nodes[2].replica
    assert replica is not None and replica.quiet is not None and "1 of 2 have answered" in replica.quiet.words
    assert len(world.checker.past[2].signed) == signed
    world.network.heal()
    for node in world.nodes:
        node.crash()
    for node in world.nodes:
        node.boot()
    submit(world, 3, 1)
    all_final(world)
    assert all(node.replica is not None and not node.replica.core.state.silent for node in world.nodes)
    world.close()


def test_own_old_votes_said_again_by_a_peer_halt_nobody(tmp_path: Path) -> None:
    """Before and after a restart, in the height in flight and below it, of the present view and of replaced ones."""
    heard: list[tuple[int, bytes]] = []
    world = quiet(tmp_path)
    send = world.network.send

    def record(sender: int, receiver: int, data: bytes) -> None:
        heard.append((sender, data))
        send(sender, receiver, data)

    world.network.send = record  # type: ignore[method-assign]
    submit(world, 1, 0)
    world.advance(200)
    world.network.partition([{0}, {1}, {2, 3}])
    submit(world, 2, 1)
    submit(world, 1, 2)
    world.advance(20_000)
    world.network.heal()
    world.advance(300)
    for node in world.nodes:
        for _ in range(2):
            for sender, data in list(dict.fromkeys(heard)):
                if sender == node.index and node.up:
                    node.deliver((sender + 1) % 4, data)
            if node.up:
                node.crash()
            node.boot()
    all_final(world, 30_000)
    assert world.checker.halts == {}
    world.close()
