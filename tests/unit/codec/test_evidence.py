"""Equivocation proofs: what convicts a validator, and what convicts nobody."""

from dataclasses import replace
from pathlib import Path

import pytest

from chain_core.codec import signed
from chain_core.codec.block import encode_header
from chain_core.codec.evidence import check_equivocation, encode_equivocation, equivocation
from chain_core.codec.votes import encode_new_view, encode_view_change, encode_vote
from chain_core.types.block import Header, NewView, Phase, ViewChange, Vote
from chain_core.types.errors import InvalidProof, MalformedBytes
from chain_core.types.evidence import Equivocation, Statement
from chain_core.types.ids import ZERO_HASH
from tests.simulation.chain import chain
from tests.unit.node.stage import open_ledger

CHAIN = chain(4)
VALIDATORS = CHAIN.genesis.validators
TAGS = {
    Statement.ORDERING: signed.VOTE,
    Statement.HEADER: signed.HEADER,
    Statement.VIEW_CHANGE: signed.VIEW_CHANGE,
    Statement.NEW_VIEW: signed.NEW_VIEW,
}
VOTE = Vote(Phase.COMMIT, 0, 0, 5, 2, 0, bytes(32), 1)
HEADER = Header(
    *(CHAIN.genesis_hash, 0, 0, 5, 0, 1, ZERO_HASH, ZERO_HASH, 5, ZERO_HASH, 0, ZERO_HASH, 0, ZERO_HASH, 0),
    *(ZERO_HASH, ZERO_HASH, ZERO_HASH, ZERO_HASH, ZERO_HASH),
)
CHANGE = ViewChange(0, 0, 3, 1, encode_header(HEADER), None, ())


def vote(**fields: object) -> bytes:
    return encode_vote(replace(VOTE, **fields))  # type: ignore[arg-type]


def header(**fields: object) -> bytes:
    return encode_header(replace(HEADER, **fields))  # type: ignore[arg-type]


def change(**fields: object) -> bytes:
    return encode_view_change(replace(CHANGE, **fields))  # type: ignore[arg-type]


def new_view(*others: bytes) -> bytes:
    from chain_core.types.block import SignedViewChange

    inner = tuple(SignedViewChange(CHANGE, body, bytes(64)) for body in (change(), *others)[-1:])
    return encode_new_view(NewView(0, 0, 1, 1, inner, ()))


def proof(statement: Statement, one: bytes, other: bytes, by: str = "v1", signer: int = 1) -> Equivocation:
    signatures = [CHAIN.sign(by, TAGS[statement], body) for body in (one, other)]
    return equivocation(statement, (0, 0, signer), (one, signatures[0]), (other, signatures[1]))


CONVICTED = [
    proof(Statement.ORDERING, vote(), vote(digest=bytes([1] * 32))),
    proof(Statement.HEADER, header(), header(state_root=bytes([1] * 32))),
    proof(Statement.VIEW_CHANGE, change(), change(final_header=header(time_ms=2))),
    proof(Statement.NEW_VIEW, new_view(), new_view(change(final_header=header(time_ms=2)))),
]


@pytest.mark.parametrize("found", CONVICTED, ids=[p.statement.name for p in CONVICTED])
def test_two_bodies_of_one_place_convict(found: Equivocation) -> None:
    assert check_equivocation(encode_equivocation(found), VALIDATORS, CHAIN.genesis_hash) == found


FLAWED: list[tuple[str, Equivocation]] = [
    ("of two heights", proof(Statement.ORDERING, vote(), vote(height=6))),
    ("of two views", proof(Statement.ORDERING, vote(), vote(view=3))),
    ("of two phases", proof(Statement.ORDERING, vote(), vote(phase=Phase.PREPARE))),
    ("of two attempts", proof(Statement.ORDERING, vote(), vote(attempt=1))),
    ("of two epochs", proof(Statement.ORDERING, vote(), vote(epoch=1))),
    ("of two signers", proof(Statement.ORDERING, vote(), vote(signer=2))),
    (
        "of another epoch than it says",
        proof(Statement.ORDERING, vote(epoch=1), vote(epoch=1, view=3, digest=VOTE.digest)),
    ),
    ("headers of two heights", proof(Statement.HEADER, header(), header(height=6))),
    ("headers of two attempts", proof(Statement.HEADER, header(), header(attempt=1))),
    (
        "headers of another chain",
        proof(Statement.HEADER, header(genesis_hash=ZERO_HASH), header(genesis_hash=bytes([9] * 32))),
    ),
    ("signed by another", proof(Statement.ORDERING, vote(), vote(digest=bytes([1] * 32)), by="v2")),
    ("of nobody in the set", replace(CONVICTED[1], signer=4)),
    ("of another signer than it says", replace(CONVICTED[0], signer=2)),
    ("one signature forged", replace(CONVICTED[0], second_signature=CONVICTED[0].first_signature)),
    ("garbage for a body", replace(CONVICTED[0], second=bytes([255] * 8))),
]


@pytest.mark.parametrize("found", [p for _, p in FLAWED], ids=[name for name, _ in FLAWED])
def test_it_convicts_nobody(found: Equivocation) -> None:
    with pytest.raises(InvalidProof):
        check_equivocation(encode_equivocation(found), VALIDATORS, CHAIN.genesis_hash)


def test_another_chains_proof_convicts_nobody_here() -> None:
    with pytest.raises(InvalidProof):
        check_equivocation(encode_equivocation(CONVICTED[0]), VALIDATORS, bytes(32))


def test_the_same_body_twice_is_no_proof() -> None:
    with pytest.raises(ValueError, match="differ"):
        encode_equivocation(replace(CONVICTED[0], second=CONVICTED[0].first))
    raw = bytearray(encode_equivocation(CONVICTED[0]))
    with pytest.raises(MalformedBytes):
        check_equivocation(bytes(raw) + b"x", VALIDATORS, CHAIN.genesis_hash)


def test_the_ledger_keeps_the_first_of_each_signer_epoch_and_kind(tmp_path: Path) -> None:
    with open_ledger(tmp_path / "ledger") as store:
        assert store.add_equivocation(CONVICTED[0])
        again = proof(Statement.ORDERING, vote(height=9), vote(height=9, digest=bytes([1] * 32)))
        assert not store.add_equivocation(again)
        assert store.add_equivocation(CONVICTED[1])
    with open_ledger(tmp_path / "ledger") as store:
        assert store.equivocations() == [encode_equivocation(CONVICTED[0]), encode_equivocation(CONVICTED[1])]
