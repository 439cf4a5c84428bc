"""Heights at which execution diverged: faulty builds, the regulator's order, and what must hold of statements.

The rules of docs/spec/reopening.md, from the bytes written: nothing is cast at an attempt on which a statement is
durable, and nothing at an attempt above 0 before what opened it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import TYPE_CHECKING, Any

from chain_core.codec.reopening import approved, decode_reopening, decode_signed_statement, new_order, order_message
from chain_core.codec.seen import state_key
from chain_core.consensus.finality import DIVERGED
from chain_core.consensus.messages import Message
from chain_core.crypto.providers import signing_provider
from chain_core.execution.executor import BlockResult
from chain_core.ledger import keys
from chain_core.ledger.vote_log import record_key, split_record_key
from chain_core.node.journal import Kind
from chain_core.node.reopening import ReopeningRefused
from chain_core.node.replica import Replica
from chain_core.types.reopening import Approval, ReopenOrder, SignedOrder, SignedStatement
from tests.simulation.chain import GOVERNORS, account_of, private_key, public_key
from tests.simulation.disk import Change
from tests.simulation.soundness import quorum_of

BEFORE_LOG, AFTER_LOG = "before a log write", "between sync and send"
"""As ``node`` names them, which imports the checker."""

if TYPE_CHECKING:
    from tests.simulation.checker import Checker
    from tests.simulation.node import SimNode
    from tests.simulation.world import World

ODD = state_key("tally", b"odd")


class Statements:
    """What each correct node stated and may not do any more, over all its restarts."""

    def __init__(self, checker: Checker) -> None:
        self._checker = checker
        self._stated: dict[int, dict[tuple[int, int], bytes]] = {}
        self._opened: dict[int, set[tuple[int, int]]] = {}

    def durable(self, index: int, changes: Sequence[Change], records: Sequence[tuple[bytes, bytes]]) -> None:
        """A batch of a correct node's writes."""
        stated, opened = self._stated.setdefault(index, {}), self._opened.setdefault(index, set())
        for key, value in changes:
            if key[:1] == keys.REOPENING and value is not None:
                opened.add(self._judge(index, value))
        for key, value in records:
            height, kind, attempt = split_record_key(key)
            place = height or 0, attempt
            if kind == Kind.OWN_STATEMENT:
                made = decode_signed_statement(value).statement
                if stated.setdefault(place, made.digest) != made.digest:
                    self._checker.fail("statements", index, f"states two things on {place}")
                self._rests(index, place, made.digest)
            elif kind in (Kind.OWN_HEADER_VOTE, Kind.OWN_SKIP):
                if place in stated:
                    self._checker.fail(
                        "statements", index, f"casts a {Kind(kind).name} on {place}, having stated on it"
                    )
                skips = record_key(height, Kind.SKIPS, attempt - 1) if attempt else b""
                if attempt and (place[0], attempt - 1) not in opened and skips not in self._log(index):
                    self._checker.fail("statements", index, f"votes on {place}, which nothing opened")

    def sent(self, index: int, message: Message) -> None:
        """A statement leaves a correct node: its own one is durable by then."""
        if not isinstance(message, SignedStatement) or message.statement.signer != index:
            return
        place = message.statement.height, message.statement.attempt
        if self._stated.get(index, {}).get(place) != message.statement.digest:
            self._checker.fail("durability", index, f"sends a statement on {place} before it is durable")

    def _log(self, index: int) -> dict[bytes, bytes]:
        return self._checker.past[index].log.records

    def _rests(self, index: int, place: tuple[int, int], digest: bytes) -> None:
        """It names the vote that is in the log, or nothing."""
        cast = [
            kind
            for kind in (Kind.OWN_HEADER_VOTE, Kind.OWN_SKIP)
            if record_key(place[0], kind, place[1]) in self._log(index)
        ]
        if bool(cast) != any(digest):
            self._checker.fail("statements", index, f"states otherwise on {place} than it cast")

    def _judge(self, index: int, raw: bytes) -> tuple[int, int]:
        """All n, none of whose headers has a quorum."""
        made = decode_reopening(raw)
        digests = [one.statement.digest for one in made.statements if any(one.statement.digest)]
        n = self._checker.judge(index, made.order.order.epoch).validators.n
        most = max(map(digests.count, digests), default=0)
        if [one.statement.signer for one in made.statements] != list(range(n)) or most >= quorum_of(n):
            self._checker.fail(
                "statements", index, "opens an attempt without the statements of all, or beside a certificate"
            )
        return made.order.order.height, made.order.order.attempt


def replica_of(node: SimNode) -> Replica:
    assert node.replica is not None
    return node.replica


def faulty(*nodes: SimNode) -> None:
    """Their builds leave something else in state, until they boot the next time."""
    for node in nodes:
        executor = replica_of(node).executor
        execute = executor.execute

        def otherwise(*args: Any, execute: Any = execute) -> BlockResult:
            result: BlockResult = execute(*args)
            result.writes[ODD] = b"odd"
            return result

        executor.execute = otherwise  # type: ignore[method-assign]


def order_of(
    world: World,
    height: int,
    attempt: int = 0,
    approvers: Sequence[int] = (),
    epoch: int = 0,
) -> SignedOrder:
    """An order of two of the chain's governors, who oversee it."""
    made = new_order(ReopenOrder(0, epoch, height, attempt, "two builds"))
    for client in approvers or GOVERNORS[:2]:
        made = approved(made, approval(world, made, client))
    return made


def approval(world: World, order: SignedOrder, client: int) -> Approval:
    name = f"client {client}"
    signature = signing_provider().sm2_sign(private_key(name), order_message(world.chain.genesis_hash, order.body))
    return Approval(account_of(client), public_key(name), signature)


def halt_and_reopen(world: World, random: Random, wait: Callable[[Callable[[], bool], int], bool]) -> None:
    """The story of a faulty build on so many members that no header has a quorum: they get the right one, the operators
    hand the order in one by one, some of them more than once, and a node may crash over it.

    Told only when all members are correct: a liar may keep the height closed.
    """
    members = world.nodes[: world.n]
    if not _all_in_place(world):
        return
    checker, allowed = world.checker, set(world.checker.may_halt)
    checker.may_halt |= set(range(world.places))
    odd = random.sample(members, world.n - quorum_of(world.n) + 1)
    faulty(*odd)
    world.hand_in()
    wait(lambda: all(node.up and replica_of(node).halting.code == DIVERGED for node in members), 20_000)
    for node in odd:
        node.crash()
        node.boot()
    height = max(node.store.final_height for node in members if node.up) + 1
    end_ms = world.schedule.now_ms + world.liveness_ms
    while not all(node.up and node.store.final_height >= height for node in members):
        if world.schedule.now_ms > end_ms:
            checker.fail("liveness", 0, f"height {height} is not reopened")
        node = random.choice(members)
        if node.up:
            node.crash_at = random.choice(("", "", "", BEFORE_LOG, AFTER_LOG))
            node._guard(lambda: _hand_in(world, node, height))  # noqa: B023 - within this round
            node.crash_at = ""
        world.advance(random.randrange(300))
    world.counted["heights reopened"] += 1
    wait(lambda: not any(replica_of(node).halting.code for node in members if node.up), 5_000)
    checker.may_halt = allowed


def _all_in_place(world: World) -> bool:
    """Whether the founders are the validators, all of them correct and voting."""
    for node in world.nodes[: world.n]:
        if not node.correct or not node.up or node.index == world.forgetful:
            return False
        state = replica_of(node).core.state
        if not state.may_vote or state.me != node.index or state.config.validators.n != world.n or state.config.barrier:
            return False
    return True


def _hand_in(world: World, node: SimNode, height: int) -> None:
    state = replica_of(node).core.state
    made = order_of(world, height, state.slot.attempt, epoch=state.config.epoch)
    try:
        replica_of(node).take_order(made)
    except ReopeningRefused:
        world.counted["orders refused"] += 1
