"""View changes carry hundreds of signatures: they weigh as much, and are verified once a peer."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from chain_core.consensus.messages import CommitProof, Heartbeat
from chain_core.network.frames import ConsensusFrame
from chain_core.network.identity import LOOPBACK, Caller
from chain_core.network.links import IncomingLink
from chain_core.network.message_signatures import signature_count
from chain_core.types.block import SignedNewView, SignedViewChange
from tests.unit.node.test_inbound import VOTE, Bench, S, run

NEW_VIEW, VIEW_CHANGE = S.new_view, S.view_change(1)


def test_a_message_weighs_what_stands_in_it() -> None:
    async def story(bench: Bench) -> None:
        q, queue = S.validators.q, bench.inbound.queue
        weighed = []
        for message in (VOTE, Heartbeat(2, 41, 0, 0, False), CommitProof(S.batch, S.commits), VIEW_CHANGE, NEW_VIEW):
            before = queue.backlog
            bench.inbound.receive(bench.link, ConsensusFrame(message))
            weighed.append(queue.backlog - before)
            claimed = signature_count(message)
            items = bench.inbound.ingress.check_messages((message,)).items
            assert len(items) <= claimed
        prepared = 1 + q + len(VIEW_CHANGE.message.prepared) * q
        first = 1 + len(NEW_VIEW.message.view_changes[2].message.prepared) * q
        assert weighed == [1, 1, q, prepared, 1 + len(NEW_VIEW.message.pre_prepares) + 2 * prepared + first]

    run(story)


@pytest.mark.parametrize("message", [VIEW_CHANGE, NEW_VIEW], ids=["VIEW-CHANGE", "NEW-VIEW"])
def test_a_view_change_sent_again_is_told_again_and_not_verified_again(
    message: SignedViewChange | SignedNewView,
) -> None:
    """The replica may have had no use for it the first time."""

    async def story(bench: Bench) -> None:
        verified: Callable[[], int] = lambda: bench.inbound.queue._counters["signatures_verified"]  # noqa: E731
        await bench.feed(ConsensusFrame(message))
        once, judged = verified(), bench.link.quality._checked
        assert await bench.feed(*[ConsensusFrame(message)] * 5) == [message] * 6
        assert verified() == once > 1 and bench.link.quality._checked == judged, "and it makes up for no bad signature"
        forged = replace(message, signature=bytes(64))
        assert await bench.feed(ConsensusFrame(forged), ConsensusFrame(message)) == [message] * 7
        other = IncomingLink(3, Caller(LOOPBACK, "other"), lambda link, why: None)
        bench.inbound.receive(other, ConsensusFrame(replace(message, signature=bytes(64))))
        assert await bench.feed() == [message] * 7, "what one peer sent speaks for no other, and for no other signature"

    run(story)


def test_one_of_each_kind_a_peer_is_remembered() -> None:
    async def story(bench: Bench) -> None:
        frames = [ConsensusFrame(m) for m in (S.view_change(1), S.view_change(2), NEW_VIEW, VOTE)]
        await bench.feed(*frames)
        assert len(bench.inbound.ingress.last_changes) == 2
        assert bench.inbound.ingress.repeated(2, S.view_change(1)) is None, "only the last one"
        assert bench.inbound.ingress.repeated(2, S.view_change(2)) is not None
        assert bench.inbound.ingress.repeated(3, NEW_VIEW) is None

    run(story)
