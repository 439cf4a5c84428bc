"""Diverged chains go on by order, and what liars can do about it (docs/spec/reopening.md)."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from chain_core.codec.block import decode_header, header_hash, header_message
from chain_core.codec.evidence import check_equivocation
from chain_core.codec.reopening import decode_reopening, encode_statement, statement_message
from chain_core.consensus.finality import DIVERGED
from chain_core.consensus.messages import FinalityNotice, Message
from chain_core.crypto.providers import signing_provider
from chain_core.network.frame_codec import encode_frame
from chain_core.network.frames import ConsensusFrame
from chain_core.node.reopening import CERTIFICATE_DENIED, ReopeningRefused
from chain_core.types.block import Certificate, HeaderVote
from chain_core.types.evidence import Statement
from chain_core.types.ids import ZERO_HASH
from chain_core.types.reopening import AttemptStatement, Cast, SignedOrder, SignedStatement
from tests.simulation.byzantine import Strategy
from tests.simulation.chain import GOVERNORS, private_key
from tests.simulation.ending import the_end
from tests.simulation.node import AFTER_LOG, BEFORE_LOG, SimNode
from tests.simulation.reopenings import approval, faulty, order_of, replica_of
from tests.simulation.world import Size, World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(1, Size(4), tmp_path, byzantine={})
    made.begin()
    yield made
    made.close()


def diverged(world: World, odd: tuple[int, ...] = (2, 3)) -> None:
    """All are halted at height 1; then who ran the faulty build runs the right one."""
    world.checker.may_halt.update(range(world.n))
    faulty(*(world.nodes[i] for i in odd))
    world.nodes[0].submit(world.promise(1, 0).raw)
    correct = sum(node.correct for node in world.nodes[: world.n])
    world.until(lambda: len(world.checker.halts) >= correct, 10_000, "the halt of all")
    assert set(world.checker.halts.values()) == {DIVERGED}
    assert {node.store.final_height for node in world.nodes} == {0}
    for index in odd:
        world.nodes[index].crash()
        world.nodes[index].boot()
    world.advance(2_000)


def goes_on(world: World) -> None:
    world.until(lambda: not world.missing(), 10_000, "the height that was reopened")
    world.nodes[1].submit(world.promise(2, 0).raw)
    world.until(lambda: not world.missing(), 10_000, "what was handed in after it")
    world.advance(2_000)
    the_end(world.checker)
    assert not any(replica_of(node).halting.code for node in world.checker.followers())


@pytest.mark.parametrize(("n", "odd"), [(4, (2, 3)), (4, (0, 1)), (7, (1, 2, 5))])
def test_a_height_is_reopened_by_order_and_the_chain_goes_on(tmp_path: Path, n: int, odd: tuple[int, ...]) -> None:
    world = World(1, Size(n), tmp_path, byzantine={})
    world.begin()
    diverged(world, odd)
    order = order_of(world, 1)
    for node in world.nodes[:-1]:
        replica_of(node).take_order(order)
    world.advance(2_000)
    assert {node.store.final_height for node in world.nodes} == {0}, "one operator has not handed it in"
    replica_of(world.nodes[-1]).take_order(order)
    goes_on(world)
    for node in world.nodes:
        header = node.store.header(1)
        assert header is not None and decode_header(header).attempt == 1
        (kept,) = node.store.reopenings.start_at(0)
        assert len(decode_reopening(kept).statements) == n
    assert {replica_of(node).core.state.view for node in world.nodes} == {0}
    world.close()


@pytest.mark.parametrize("point", [BEFORE_LOG, AFTER_LOG])
@pytest.mark.parametrize("writes", [0, 1])
def test_a_crash_at_order_or_statement_forgets_neither(world: World, point: str, writes: int) -> None:
    """The order is the first record that is written, the statement the second."""
    diverged(world)
    order = order_of(world, 1)
    node = world.nodes[1]
    for other in (world.nodes[0], world.nodes[2], world.nodes[3]):
        replica_of(other).take_order(order)
    left = [writes]
    crash = node.maybe_crash

    def later(at: str) -> None:
        if at == point and left[0]:
            left[0] -= 1
        else:
            crash(at)

    node.maybe_crash = later  # type: ignore[method-assign]
    node.crash_at = point
    node._guard(lambda: replica_of(node).take_order(order))
    assert not node.up
    node.maybe_crash = crash  # type: ignore[method-assign]
    node.boot()
    world.advance(2_000)
    if (point, writes) == (BEFORE_LOG, 0):
        replica_of(node).take_order(order)
    goes_on(world)


def test_who_hears_no_statements_fetches_the_block_and_votes_again(world: World) -> None:
    diverged(world)
    deaf = world.nodes[3]
    hear = deaf.deliver
    deaf.deliver = lambda sender, data: None  # type: ignore[method-assign]
    for node in world.nodes:
        replica_of(node).take_order(order_of(world, 1))
    world.until(lambda: world.nodes[0].store.final_height == 1, 5_000, "the height, without validator 3")
    assert deaf.store.final_height == 0 and replica_of(deaf).halting.code == DIVERGED
    deaf.deliver = hear  # type: ignore[method-assign]
    goes_on(world)
    assert not deaf.store.reopenings.start_at(0)


def test_an_observer_follows_over_a_reopened_height(tmp_path: Path) -> None:
    world = World(1, Size(4, proposals=1), tmp_path, byzantine={})
    world.begin()
    world.checker.may_halt.add(4)
    diverged(world)
    for node in world.nodes[:4]:
        replica_of(node).take_order(order_of(world, 1))
    with pytest.raises(ReopeningRefused, match="no validator"):
        replica_of(world.nodes[4]).take_order(order_of(world, 1))
    goes_on(world)
    world.close()


def test_a_disk_that_lacks_the_statement_keeps_its_signer_silent(tmp_path: Path) -> None:
    """It is set back to before its statement, which the others show it: it signs nothing until the chain is beyond.
    What it stated binds it all the same, so that the height is reopened with the statement that it sent."""
    world = World(1, Size(4), None, byzantine={})
    world.begin()
    diverged(world)
    for node in world.nodes[:2]:
        replica_of(node).take_order(order_of(world, 1))
    node = world.nodes[2]
    image = node.image()
    assert image is not None
    replica_of(node).take_order(order_of(world, 1))
    world.advance(1_000)
    node.restore(image)
    node.boot()
    world.advance(2_000)
    replica = replica_of(node)
    assert replica.quiet is not None and "statement on height 1" in replica.quiet.words
    signed = dict(world.checker.past[2].signed)
    replica.take_order(order_of(world, 1))
    replica_of(world.nodes[3]).take_order(order_of(world, 1))
    world.until(lambda: not world.missing(), 10_000, "the height that was reopened")
    assert world.checker.past[2].signed == signed and replica.quiet.words
    goes_on(world)
    world.close()


Wrong = Callable[[World], SignedOrder]
TWO = GOVERNORS[:2]


def _foreign(world: World) -> SignedOrder:
    """Approved with the right keys for another chain."""
    order = order_of(world, 1)
    message = b"dualchain/reopen/v1".ljust(32, b"\0") + bytes(32) + bytes(32)
    signature = signing_provider().sm2_sign(private_key(f"client {TWO[0]}"), message)
    spoilt = tuple(replace(one, signature=signature) for one in order.approvals)
    return replace(order, approvals=spoilt)


def _borrowed(world: World) -> SignedOrder:
    """One officer signs for the other one's account, too."""
    order = order_of(world, 1)
    mine = approval(world, order, TWO[0])
    other = replace(mine, account=next(a.account for a in order.approvals if a.account != mine.account))
    return replace(order, approvals=tuple(sorted((mine, other), key=lambda one: one.account)))


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        (lambda world: order_of(world, 1, approvers=TWO[:1]), "1 approvals"),
        (lambda world: order_of(world, 1, approvers=(TWO[0], TWO[0])), "1 approvals"),
        (lambda world: order_of(world, 1, approvers=(TWO[0], 1)), "no active account with role"),
        (_borrowed, "no active account with role"),
        (_foreign, "does not verify"),
        (lambda world: order_of(world, 2), "for epoch 0"),
        (lambda world: order_of(world, 0), "final here"),
        (lambda world: order_of(world, 1, attempt=1), "another attempt"),
    ],
    ids=["one", "twice the same", "a stranger", "one for two", "another chain", "height above", "final", "attempt"],
)
def test_a_wrong_order_is_refused_and_moves_nothing(world: World, wrong: Wrong, what: str) -> None:
    diverged(world)
    with pytest.raises(ReopeningRefused, match=what):
        replica_of(world.nodes[0]).take_order(wrong(world))
    assert replica_of(world.nodes[0]).core.state.slot.order is None


def test_an_order_for_a_height_that_is_final_elsewhere_brings_the_block(world: World) -> None:
    """Three are final; the one that was away is handed an order, states nothing, and fetches."""
    world.network.partition([{3}, {0, 1, 2}])
    world.nodes[0].submit(world.promise(1, 0).raw)
    world.advance(1_000)
    replica_of(world.nodes[3]).take_order(order_of(world, 1))
    world.network.heal()
    with pytest.raises(ReopeningRefused, match="final here"):
        replica_of(world.nodes[0]).take_order(order_of(world, 1))
    goes_on(world)


class Liar(Strategy):
    """States that it cast nothing, whatever everybody heard."""

    def say(self, node: SimNode, to: int, said: Message) -> list[Message]:
        if not isinstance(said, SignedStatement):
            return [said]
        s = said.statement
        lie = AttemptStatement(s.order, s.ledger, s.epoch, s.height, s.attempt, s.signer, Cast.NOTHING, ZERO_HASH)
        body = encode_statement(lie)
        message = statement_message(node.world.chain.genesis_hash, body)
        signature = node.world.chain.signatures.sign(private_key(f"v{node.index}"), message)
        return [SignedStatement(lie, body, None, signature)]


def test_a_statement_that_votes_contradict_convicts_its_signer_and_opens_nothing(tmp_path: Path) -> None:
    world = World(1, Size(4), tmp_path, byzantine={3: [Liar]})
    world.begin()
    world.checker.may_halt.update(range(3))
    faulty(world.nodes[2], world.nodes[3])
    world.nodes[0].submit(world.promise(1, 0).raw)
    world.until(lambda: len(world.checker.halts) == 3, 10_000, "the halt of all")
    for node in world.nodes:
        replica_of(node).take_order(order_of(world, 1))
    world.advance(3_000)
    for node in world.nodes[:3]:
        assert node.store.final_height == 0 and not node.store.reopenings.start_at(0)
        (proof,) = node.store.equivocations()
        found = check_equivocation(proof, world.chain.validators, world.chain.genesis_hash)
        assert (found.statement, found.signer) == (Statement.DENIAL, 3)
    world.close()


def test_a_certificate_beside_the_statements_convicts_the_liars_and_moves_nobody(tmp_path: Path) -> None:
    """Validator 3 stated the faulty header, and had signed the right one for whom it may concern: with two honest votes
    that makes a certificate, which assumption 4 of the specification excludes. The proof is what is left."""
    world = World(1, Size(4), tmp_path, byzantine={3: [Strategy]})
    world.begin()
    right: list[HeaderVote] = []
    listen = world.nodes[2].deliver

    def overhear(sender: int, data: bytes) -> None:
        listen(sender, data)
        for slot in replica_of(world.nodes[2]).core.state.slots.values():
            right.extend(vote for vote in slot.header_votes.values() if vote.signer in (0, 1))

    world.nodes[2].deliver = overhear  # type: ignore[method-assign]
    diverged(world)
    for node in world.nodes:
        replica_of(node).take_order(order_of(world, 1))
    goes_on(world)
    honest = {vote.signer: vote for vote in right if vote.header.attempt == 0 and vote.header.height == 1}
    header = honest[0].header_bytes
    second = world.chain.signatures.sign(
        private_key("v3"), header_message(world.chain.genesis_hash, header_hash(header))
    )
    votes = ((0, honest[0].signature), (1, honest[1].signature), (3, second))
    before = world.nodes[0].store.header(1)
    notice = FinalityNotice(header, Certificate(header_hash(header), votes))
    world.nodes[0].deliver(3, encode_frame(ConsensusFrame(notice)))
    assert CERTIFICATE_DENIED in world.nodes[0].alarms and world.nodes[0].store.header(1) == before
    (proof,) = world.nodes[0].store.equivocations()
    found = check_equivocation(proof, world.chain.validators, world.chain.genesis_hash)
    assert (found.statement, found.signer) == (Statement.DENIAL, 3)
    world.close()
