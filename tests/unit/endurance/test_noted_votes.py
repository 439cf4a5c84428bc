"""The notes of faulty nodes are read right: a second vote at one place is found, a repeated one is none."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from chain_core.codec.votes import encode_signed_vote, encode_vote
from chain_core.ledger.vote_log import record_key
from chain_core.node.journal import Kind, own_vote_record
from chain_core.types.block import Phase, SignedVote, Vote
from tests.endurance.votes import double_votes

VOTE = Vote(Phase.COMMIT, 0, 0, 7, 2, 0, b"\x01" * 32, 3)


def signed(vote: Vote) -> SignedVote:
    return SignedVote(vote, encode_vote(vote), b"\x05" * 64)


def noted(path: Path, votes: list[SignedVote]) -> Path:
    lines = [json.dumps([part.hex() for part in own_vote_record(vote)]) for vote in votes]
    path.write_text("\n".join([*lines, lines[0][:40]]) + "\n", encoding="utf-8")
    return path


def test_other_places_and_repetitions_are_no_double_votes(tmp_path: Path) -> None:
    votes = [VOTE, VOTE, replace(VOTE, height=8), replace(VOTE, view=3), replace(VOTE, phase=Phase.PREPARE)]
    assert double_votes(noted(tmp_path / "votes", [signed(vote) for vote in votes])) == (4, [])


def test_a_second_content_at_one_place_is_found(tmp_path: Path) -> None:
    votes = [VOTE, replace(VOTE, digest=b"\x02" * 32)]
    count, found = double_votes(noted(tmp_path / "votes", [signed(vote) for vote in votes]))
    assert count == 1
    assert len(found) == 1
    assert "validator 3 signed twice at ('COMMIT'" in found[0]


def test_two_re_proposals_of_one_view_are_found(tmp_path: Path) -> None:
    first = replace(VOTE, phase=Phase.PRE_PREPARE)
    records = [
        (record_key(first.height, Kind.OWN_RE_PROPOSAL, first.view), encode_signed_vote(signed(vote)))
        for vote in (first, replace(first, digest=b"\x03" * 32))
    ]
    path = tmp_path / "votes"
    path.write_text("".join(json.dumps([key.hex(), value.hex()]) + "\n" for key, value in records), encoding="utf-8")
    assert len(double_votes(path)[1]) == 1
