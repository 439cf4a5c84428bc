"""Questions between signers and to keepers of bodies: what is asked for arrives verified, the rest costs nothing."""

from dataclasses import replace

import pytest

from chain_core.network.frames import BodiesKept, EnvelopesFrame, HeldVotes, KeepBodies, WantVotes
from chain_core.node.ports import Origin
from chain_core.types.block import Phase
from tests.unit.node.test_inbound import ASKED, ONE, TWO, VOTE, Bench, S, run

HELD = HeldVotes(ASKED, S.header_bytes, S.certificate, (VOTE,), (S.header_votes[1],), S.view_change(1))


def test_what_peers_hold_under_the_own_key_arrives_verified_and_only_when_asked_for() -> None:
    async def story(bench: Bench) -> None:
        stray = replace(HELD, nonce=b"x" * 16, votes=(replace(VOTE, signature=bytes(64)),))
        calls = await bench.feed(WantVotes(b"n" * 16), stray, replace(HELD, nonce=b"y" * 16), HELD)
        assert calls == [(2, b"n" * 16), (2, HELD)] and bench.cuts == []

    run(story)


@pytest.mark.parametrize(
    "frame",
    [
        replace(HELD, votes=(replace(VOTE, signature=bytes(64)),)),
        replace(HELD, header_votes=(replace(S.header_votes[1], signature=bytes(64)),)),
        replace(HELD, view_change=replace(S.view_change(1), signature=bytes(64))),
        replace(HELD, votes=(S.vote(Phase.PREPARE, 3),)),
        replace(HELD, header_votes=(S.header_votes[3],)),
        replace(HELD, view_change=S.view_change(3)),
        replace(HELD, certificate=replace(S.certificate, signatures=S.certificate.signatures[:2])),
    ],
    ids=["vote", "header vote", "view change", "alien vote", "alien header", "alien view change", "two signatures"],
)
def test_a_lie_about_the_own_votes_is_no_answer(frame: HeldVotes) -> None:
    async def story(bench: Bench) -> None:
        assert await bench.feed(frame) == []
        await bench.feed(frame, frame)
        assert len(bench.cuts) == 1

    run(story)


def test_a_question_to_keep_bodies_waits_behind_them() -> None:
    async def story(bench: Bench) -> None:
        keep, kept = KeepBodies(b"n" * 16, (ONE.envelope_id,)), BodiesKept(b"m" * 16, (TWO.envelope_id,))
        calls = await bench.feed(EnvelopesFrame((ONE.raw,)), keep, kept)
        assert calls == [(2, kept), (Origin.PEER, [ONE.envelope_id]), (2, keep)]

    run(story)
