"""Equivocation seen by a replica: told each time, proven once a signer and kind."""

from chain_core.consensus import effects as fx
from chain_core.types.evidence import Statement
from tests.unit.consensus.bench import (
    Bench,
    alarms,
    batch,
    commit,
    header_of,
    header_vote,
    new_view,
    pre_prepare,
    prepare,
    prepared,
    view_change,
)

A, B = batch(1, "a"), batch(1, "b")
CHANGES = [view_change(0, 1), view_change(1, 1, prepared(A)), view_change(3, 1)]


def accused(effects: list[fx.Effect]) -> list[tuple[Statement, int]]:
    return [(e.proof.statement, e.proof.signer) for e in effects if isinstance(e, fx.Accuse)]


def test_two_view_changes_to_one_view_are_proven_once() -> None:
    bench = Bench(3)
    assert accused(bench.hear(view_change(2, 1), view_change(2, 1), view_change(2, 4))) == []
    effects = bench.hear(view_change(2, 4, prepared(A)), view_change(2, 4, prepared(B)))
    assert alarms(effects) == ["EQUIVOCATION"] * 2 and accused(effects) == [(Statement.VIEW_CHANGE, 2)]


def test_two_new_views_of_one_view_are_proven() -> None:
    bench = Bench(3)
    one, other = new_view(1, CHANGES, A), new_view(1, [view_change(i, 1) for i in (0, 1, 2)])
    assert accused(bench.hear(one, one)) == []
    assert accused(bench.hear(other)) == [(Statement.NEW_VIEW, 1)]
    assert bench.core.state.new_view == one


def test_two_votes_and_two_headers_are_proven() -> None:
    bench = Bench(3)
    effects = bench.hear(pre_prepare(A), pre_prepare(B), prepare(1, A), prepare(1, B), commit(2, A), commit(2, B))
    assert accused(effects) == [(Statement.ORDERING, i) for i in (0, 1, 2)]
    effects = bench.hear(header_vote(2, header_of(1, A)), header_vote(2, header_of(1, B)))
    assert accused(effects) == [(Statement.HEADER, 2)]
