"""From a frame to the replica: what is verified reaches it in order, what is bad counts against its link."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

import pytest

from chain_core._pb.dualchain.node.v1 import node_pb2 as pb
from chain_core.codec.block import MAX_BATCH_IDS, encode_block
from chain_core.codec.transaction import encode_envelope
from chain_core.consensus.messages import Heartbeat, Message, PrePrepare
from chain_core.crypto.providers import provider
from chain_core.ledger.errors import DiskFull
from chain_core.network.frames import (
    BlocksFrame,
    BodiesKept,
    ConsensusFrame,
    EnvelopesFrame,
    Frame,
    HeldVotes,
    KeepBodies,
    WantBlocks,
    WantEnvelopes,
)
from chain_core.network.identity import LOOPBACK, Caller
from chain_core.network.ingress import Ingress
from chain_core.network.links import IncomingLink
from chain_core.network.refusals import Overloaded
from chain_core.network.verification import MAX_LINE_BYTES, Job, VerificationQueue
from chain_core.node import inbound as inbound_module
from chain_core.node import submit as submit_module
from chain_core.node.inbound import Inbound, _Nothing
from chain_core.node.ports import Admission, Origin
from chain_core.node.scope import OwnScope
from chain_core.node.submit import Submissions
from chain_core.types.block import CertifiedBlock, Phase
from chain_core.types.errors import InvalidTransaction
from chain_core.types.transaction import Envelope, Signer
from chain_core.types.verified import Verified
from tests.one_epoch import OneEpoch
from tests.vectors.keys import Signatures, public_key
from tests.vectors.samples import TIME_MS, Samples

S = Samples(Signatures(may_sign=True))
ASKED = bytes(16)
VOTE = S.vote(Phase.PREPARE, 1)
PROPOSAL = PrePrepare(S.vote(Phase.PRE_PREPARE, 0), S.next_batch)
BAD_BODY = encode_envelope(S.plain_envelope.body_bytes, (Signer(public_key(8), bytes(64)),))


@dataclass
class Told:
    """A replica that writes down what it is told."""

    calls: list[object] = field(default_factory=list)
    fault: Exception | None = None
    answer: Admission = Admission.ACCEPTED
    held: set[bytes] = field(default_factory=set)

    def note(self, call: object) -> None:
        if self.fault is not None:
            raise self.fault
        self.calls.append(call)

    def on_message(self, message: Verified[Message]) -> None:
        self.note(message.value)

    def admit(self, envelopes: Sequence[Verified[Envelope]], origin: Origin) -> list[Admission]:
        self.note((origin, [one.value.envelope_id for one in envelopes]))
        return [self.answer] * len(envelopes)

    def on_want_envelopes(self, peer: int, ids: Sequence[bytes]) -> None:
        self.note((peer, tuple(ids)))

    def on_want_blocks(self, peer: int, start: int, count: int) -> None:
        self.note((peer, start, count))

    def on_want_votes(self, peer: int, nonce: bytes) -> None:
        self.note((peer, nonce))

    def awaits(self, peer: int, nonce: bytes) -> bool:
        return nonce == ASKED

    def on_held_votes(self, peer: int, answer: Verified[HeldVotes]) -> None:
        self.note((peer, answer.value))

    def on_keep(self, peer: int, question: KeepBodies) -> None:
        self.note((peer, question))

    def on_kept(self, peer: int, answer: BodiesKept) -> None:
        self.note((peer, answer))

    def on_blocks(self, blocks: Sequence[Verified[CertifiedBlock]]) -> None:
        self.note([one.value for one in blocks])


@dataclass
class Bench:
    inbound: Inbound
    replica: Told
    cuts: list[object]
    link: IncomingLink
    task: asyncio.Task[None]

    async def feed(self, *frames: Frame) -> list[object]:
        """The replica's calls after all frames are through."""
        for frame in frames:
            self.inbound.receive(self.link, frame)
        votes_through = asyncio.Event()
        if self.inbound.queue.add_vote(Job(_Nothing, lambda _: votes_through.set(), 0, 0), self.link.peer):
            await votes_through.wait()
        await self.inbound.submit([b"the last one through"])
        return self.replica.calls


def ingress() -> Ingress:
    """Of the sample chain, at a time when its samples are good; every account is known."""
    return Ingress(
        S.chain,
        0,
        OneEpoch(S.validators),
        S.genesis_header,
        lambda: TIME_MS,
        lambda: 600_000,
        lambda account, key: True,
    )


def run(story: Callable[[Bench], Awaitable[None]]) -> None:
    async def main() -> None:
        queue = VerificationQueue(provider().sm2_verify_many, Counter())
        replica, cuts = Told(), list[object]()
        link = IncomingLink(2, Caller(LOOPBACK, "test"), lambda link, why: cuts.append(why))
        task = asyncio.create_task(queue.run())
        try:
            inbound = Inbound(ingress(), queue, replica, replica, replica.held.__contains__, lambda: 1)
            await story(Bench(inbound, replica, cuts, link, task))
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())


def test_every_frame_reaches_the_replica_verified() -> None:
    async def story(bench: Bench) -> None:
        calls = await bench.feed(
            EnvelopesFrame((S.envelope.raw, S.plain_envelope.raw)),
            ConsensusFrame(PROPOSAL),
            ConsensusFrame(VOTE),
            ConsensusFrame(Heartbeat(2, 41, 0, 0, False)),
            BlocksFrame((encode_block(S.block),)),
            WantEnvelopes((b"i" * 32,)),
            WantBlocks(3, 4),
        )
        bodies = (Origin.PEER, [S.envelope.envelope_id, S.plain_envelope.envelope_id])
        votes = [VOTE, Heartbeat(2, 41, 0, 0, False), (2, (b"i" * 32,)), (2, 3, 4)]
        assert [call for call in calls if call in votes] == votes
        assert [call for call in calls if call not in votes] == [[S.block], bodies, PROPOSAL], (
            "what was asked for comes first, a proposal behind the bodies sent before it"
        )
        assert bench.inbound.heard == {2: 41}
        assert bench.cuts == []

    run(story)


@pytest.mark.parametrize(
    "frame",
    [
        ConsensusFrame(replace(VOTE, signature=bytes(64))),
        ConsensusFrame(PrePrepare(PROPOSAL.vote, S.batch)),
        EnvelopesFrame((BAD_BODY,)),
        EnvelopesFrame((b"no envelope",)),
        BlocksFrame((encode_block(replace(S.block, envelopes=S.block.envelopes[::-1])),)),
        BlocksFrame((b"no block",)),
    ],
    ids=["forged vote", "twisted proposal", "forged body", "no body", "twisted block", "no block"],
)
def test_what_is_bad_reaches_nobody_and_cuts_the_link_in_the_end(frame: Frame) -> None:
    async def story(bench: Bench) -> None:
        for times in range(3):
            assert len(bench.cuts) == 0, times
            assert await bench.feed(frame) == []
        assert len(bench.cuts) == 1

    run(story)


ONE, TWO = S.envelope, S.plain_envelope


def test_heartbeats_do_not_make_up_for_forged_votes() -> None:
    async def story(bench: Bench) -> None:
        beats = [ConsensusFrame(Heartbeat(2, 41, 0, 0, False))] * 150
        await bench.feed(*[ConsensusFrame(replace(VOTE, signature=bytes(64))), *beats] * 3)
        assert bench.cuts

    run(story)


def test_what_waits_is_bounded_by_what_it_takes_in_memory() -> None:
    """A proposal may name 65,536 ids, two million bytes: a few dozen of them are all that one line takes."""
    counters: Counter[str] = Counter()
    queue = VerificationQueue(provider().sm2_verify_many, counters)
    inbound = Inbound(ingress(), queue, Told(), Told(), lambda envelope_id: False, lambda: 1)
    link = IncomingLink(2, Caller(LOOPBACK, "test"), lambda link, why: None)
    ids = tuple(number.to_bytes(32, "big") for number in range(MAX_BATCH_IDS))
    frame = ConsensusFrame(PrePrepare(PROPOSAL.vote, replace(S.next_batch, envelope_ids=ids)))
    for _ in range(100):
        inbound.receive(link, frame)
    assert queue.backlog * 32 * MAX_BATCH_IDS <= MAX_LINE_BYTES
    assert counters["ingress_bodies_dropped"] + counters["ingress_votes_dropped"] >= 60


def test_bodies_that_are_here_or_wait_already_are_passed_over() -> None:
    async def story(bench: Bench) -> None:
        bench.replica.held.add(ONE.envelope_id)
        calls = await bench.feed(*[EnvelopesFrame((ONE.raw, TWO.raw, TWO.raw))] * 3, EnvelopesFrame((ONE.raw,)))
        assert calls == [(Origin.PEER, [TWO.envelope_id])]
        bench.replica.held.clear()
        await bench.feed(EnvelopesFrame((TWO.raw, ONE.raw)))
        assert bench.replica.calls[1:] == [(Origin.PEER, [TWO.envelope_id, ONE.envelope_id])]

    run(story)


def test_a_peer_has_one_open_question_of_a_kind_and_the_newest_is_answered() -> None:
    """Sixteen bytes ask for megabytes, in the line that votes stand in."""

    async def story(bench: Bench) -> None:
        other = IncomingLink(3, Caller(LOOPBACK, "other"), lambda link, why: None)
        for start in range(1, 1_001):
            bench.inbound.receive(bench.link, WantBlocks(start, 16))
        bench.inbound.receive(bench.link, WantEnvelopes((b"i" * 32,)))
        bench.inbound.receive(other, WantBlocks(7, 1))
        assert bench.inbound.queue.backlog == 3
        assert await bench.feed(ConsensusFrame(VOTE)) == [(2, 1_000, 16), (2, (b"i" * 32,)), VOTE, (3, 7, 1)]
        assert (await bench.feed(WantBlocks(9, 1)))[4:] == [(2, 9, 1)], "answered: the next one may be asked"

    run(story)


def test_a_question_that_finds_no_room_is_lost_and_may_be_asked_again() -> None:
    async def story(bench: Bench) -> None:
        add_vote = bench.inbound.queue.add_vote
        bench.inbound.queue.add_vote = lambda job, sender: False  # type: ignore[method-assign]
        assert await bench.feed(WantBlocks(1, 1)) == []
        bench.inbound.queue.add_vote = add_vote  # type: ignore[method-assign]
        assert await bench.feed(WantBlocks(2, 1)) == [(2, 2, 1)]

    run(story)


def test_what_a_proposal_lacks_goes_ahead_of_what_is_pushed() -> None:
    async def story(bench: Bench) -> None:
        wanted: set[bytes] = set()
        bench.inbound.ingress = replace(bench.inbound.ingress, wanted=wanted.__contains__)
        bench.inbound.receive(bench.link, EnvelopesFrame((ONE.raw, TWO.raw)))
        wanted.add(TWO.envelope_id)
        calls = await bench.feed(*[EnvelopesFrame((TWO.raw,))] * 3)
        assert calls == [(Origin.PEER, [TWO.envelope_id]), (Origin.PEER, [ONE.envelope_id, TWO.envelope_id])]

    run(story)


def test_behind_a_long_line_a_proposal_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbound_module, "PATIENT_SIGNATURES", 1)

    async def story(bench: Bench) -> None:
        bench.inbound.receive(bench.link, EnvelopesFrame((ONE.raw, TWO.raw)))
        before = bench.inbound.queue.peers_backlog
        bench.inbound.receive(bench.link, ConsensusFrame(PROPOSAL))
        assert bench.inbound.queue.peers_backlog == before > 1
        assert PROPOSAL in await bench.feed()

    run(story)


def test_clocks_and_states_differ_between_correct_nodes() -> None:
    async def story(bench: Bench) -> None:
        late = replace(bench.inbound.ingress, now_ms=lambda: TIME_MS + 10**9)
        bench.inbound.ingress = late
        assert await bench.feed(*[EnvelopesFrame((S.envelope.raw,))] * 5) == []
        assert bench.cuts == []

    run(story)


def test_a_fault_of_the_replica_ends_the_queue() -> None:
    async def story(bench: Bench) -> None:
        bench.replica.fault = DiskFull("no room", where="here", next_step="free some")
        bench.inbound.receive(bench.link, ConsensusFrame(VOTE))
        with pytest.raises(DiskFull):
            await bench.task

    run(story)


def test_a_client_gets_an_answer_an_envelope_in_order() -> None:
    async def story(bench: Bench) -> None:
        raws = [S.envelope.raw, b"", *[S.plain_envelope.raw] * 150, BAD_BODY]
        answers = await bench.inbound.submit(raws)
        assert [isinstance(outcome, InvalidTransaction) for outcome, _ in answers] == [
            False,
            True,
            *[False] * 150,
            True,
        ]
        assert [admission for _, admission in answers] == [
            Admission.ACCEPTED,
            None,
            *[Admission.ACCEPTED] * 150,
            None,
        ]
        assert all(isinstance(call, tuple) and call[0] is Origin.CLIENT for call in bench.replica.calls)

    run(story)


class Nowhere:
    """A store in which nothing is final."""

    final_height = 0

    def locate(self, transaction_id: bytes) -> None:
        return None


ANSWERS = {
    Admission.ACCEPTED: (pb.ACCEPTED, ""),
    Admission.ALREADY_FINAL: (pb.REFUSED, "EXECUTED_BEFORE"),  # and not on this chain: on the one that it succeeds
    Admission.NONCE_USED: (pb.REFUSED, "NONCE_USED"),
    Admission.POOL_FULL: (pb.REFUSED, "RESOURCE_EXHAUSTED"),
    Admission.NOT_SERVING: (pb.REFUSED, "NOT_SERVING"),
}


def submissions(bench: Bench) -> Submissions:
    scope = OwnScope("test", S.chain, 0)
    return Submissions(scope, bench.inbound, Nowhere(), None, None, Counter(), None)  # type: ignore[arg-type]


def request(*raws: bytes) -> bytes:
    return pb.SubmitRequest(scope=pb.Scope(genesis_hash=S.chain), envelopes=raws).SerializeToString()


@pytest.mark.parametrize("admission", Admission, ids=lambda admission: admission.name)
def test_what_the_replica_says_in_the_apis_words(admission: Admission) -> None:
    async def story(bench: Bench) -> None:
        bench.replica.answer = admission
        data = await submissions(bench).submit(bench.link.caller, request(S.envelope.raw))
        (item,) = pb.SubmitResponse.FromString(data).items
        assert (item.status, item.refusal.code) == ANSWERS[admission]
        assert bool(item.refusal.retry_after_ms) is (admission is Admission.POOL_FULL)
        assert bool(item.refusal.next_step) is (item.status == pb.REFUSED)

    run(story)


def test_one_callers_bytes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submit_module, "MAX_CALLER_BYTES", 2_000)

    async def story(bench: Bench) -> None:
        service = submissions(bench)
        large = request(S.envelope.raw, S.envelope.raw)
        assert 1_000 < len(large) < 2_000
        first = asyncio.create_task(service.submit(bench.link.caller, large))
        await asyncio.sleep(0)
        with pytest.raises(Overloaded) as caught:
            await service.submit(bench.link.caller, large)
        assert caught.value.retry_after_ms
        await service.submit(Caller(LOOPBACK, "another"), large)
        await first
        await service.submit(bench.link.caller, large)
        assert not service._in_flight

    run(story)
