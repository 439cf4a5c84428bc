"""What a signer signs: stories of one key on one ledger, and that no order of requests gets two answers out of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain_core.crypto.hashing import sm3
from chain_core.node.safe_signer import SigningRefused
from chain_core.node.signer.rules import MAX_ATTEMPTS, REACH, Item, Kind, Marks, Place, Track, item_of
from chain_core.types.block import NewView, Phase, SignedVote, ViewChange, Vote
from tests.unit.consensus.bench import GENESIS_HEADER

A, B = b"a", b"b"


def at(kind: Kind, height: int, number: int = 0, body: bytes = A, epoch: int = 0, inner: Any = ()) -> Item:
    return Item((kind, height, number), epoch, sm3(repr((kind, height, number, epoch, body)).encode()), tuple(inner))


def prepare(height: int, view: int = 0, body: bytes = A, epoch: int = 0) -> Item:
    return at(Kind.PREPARE, height, view, body, epoch)


def commit(height: int, view: int = 0, body: bytes = A, epoch: int = 0) -> Item:
    return at(Kind.COMMIT, height, view, body, epoch)


def header(height: int, attempt: int = 0, body: bytes = A, epoch: int = 0) -> Item:
    return at(Kind.HEADER, height, attempt, body, epoch)


def skip(height: int, attempt: int = 0, body: bytes = A) -> Item:
    return at(Kind.SKIP, height, attempt, body)


def states(height: int, named: Item | None = None, attempt: int = 0, order: bytes = A) -> Item:
    body = order + (named.digest if named else b"")
    return at(Kind.STATEMENT, height, attempt, body, 0, [(named.place, named.digest)] if named else ())


def asks(view: int, body: bytes = A, epoch: int = 0) -> Item:
    return at(Kind.VIEW_CHANGE, 0, view, body, epoch)


def propose(height: int, view: int, body: bytes = A) -> Item:
    return at(Kind.PRE_PREPARE, height, view, body)


def leads(view: int, *proposals: Item, body: bytes = A) -> Item:
    return at(Kind.NEW_VIEW, 0, view, body, 0, [(one.place, one.digest) for one in proposals])


@dataclass
class Key:
    """A track whose signatures are numbers, as SM2's differ from one another."""

    track: Track = field(default_factory=Track)
    count: int = 0

    def sign(self, *items: Item) -> list[bytes]:
        plan = self.track.plan(items)
        made: dict[Place, bytes] = {}
        for item in plan.fresh:
            self.count += 1
            made[item.place] = self.count.to_bytes(64, "big")
        self.track.apply(plan, made)
        return [self.track.signed[item.place][1] for item in items]


STORIES: dict[str, tuple[list[Item], Item, str]] = {
    "a second PREPARE": ([prepare(5)], prepare(5, body=B), "another body"),
    "a second header": ([header(5)], header(5, body=B), "another body"),
    "a second header in a later epoch": ([header(5)], header(5, body=B, epoch=1), "another body"),
    "a header beside a SKIP": ([skip(5)], header(5), "a SKIP of this attempt"),
    "a SKIP beside a header": ([header(5)], skip(5), "a HEADER of this attempt"),
    "a vote below a view voted in": ([prepare(5, 3)], commit(5, 2), "view 3 was signed in"),
    "a vote below a view asked for": ([asks(4)], prepare(5, 3), "view 4 was signed in"),
    "the same vote again, below a view asked for": ([prepare(5, 3), asks(4)], prepare(5, 3), "view 4"),
    "a VIEW-CHANGE for a view voted in": ([prepare(5, 3)], asks(3), "view 3 was signed in"),
    "a VIEW-CHANGE below": ([asks(4)], asks(3), "view 4"),
    "a second VIEW-CHANGE": ([asks(4)], asks(4, B), "another body"),
    "a second NEW-VIEW": ([leads(4)], leads(4, body=B), "another body"),
    "a NEW-VIEW below": ([asks(5)], leads(4), "view 5"),
    "a NEW-VIEW with a proposal it never signed": ([asks(4)], leads(4, propose(6, 4)), "height 6 is not this key's"),
    "a NEW-VIEW with another proposal": ([propose(6, 4)], leads(4, propose(6, 4, B)), "not this key's"),
    "an earlier epoch": ([prepare(5, 0, epoch=2)], prepare(9, 7, epoch=1), "epoch 2 was signed in"),
    "an earlier epoch's header": ([prepare(70, 0, epoch=2)], header(69, epoch=1), "epoch 2"),
    "a height below reach": ([header(1_000)], header(1_000 - REACH), f"at or below height {1_000 - REACH}"),
    "one attempt too many": (
        [skip(5, attempt) for attempt in range(MAX_ATTEMPTS)],
        skip(5, MAX_ATTEMPTS),
        "attempts are below 64",
    ),
}


@pytest.mark.parametrize("name", STORIES)
def test_what_is_refused_and_leaves_no_trace(name: str) -> None:
    before, last, why = STORIES[name]
    key = Key()
    for item in before:
        key.sign(item)
    marks, signed = key.track.marks, dict(key.track.signed)
    with pytest.raises(SigningRefused, match=why):
        key.sign(last)
    with pytest.raises(SigningRefused):
        key.sign(header(900), last)
    assert (key.track.marks, key.track.signed) == (marks, signed)


ALLOWED: dict[str, list[Item]] = {
    "a height's way": [propose(1, 0), prepare(1), commit(1), header(1), propose(2, 0)],
    "the window": [prepare(height) for height in range(1, 65)],
    "the window backwards": [prepare(height) for height in range(64, 0, -1)],
    "a view entered after asking": [asks(1), prepare(5, 1)],
    "a view entered without asking": [prepare(5, 7), asks(8)],
    "leading": [asks(4), propose(6, 4), propose(7, 4), leads(4, propose(6, 4), propose(7, 4)), propose(8, 4)],
    "leading a view voted in": [propose(6, 4), leads(4, propose(6, 4))],
    "views begin anew in an epoch": [prepare(70, 9), prepare(71, 0, epoch=1), asks(1, epoch=1)],
    "an attempt after a SKIP": [skip(5, 0), header(5, 1)],
    "a header in whichever view": [prepare(5, 9), header(5), header(6)],
    "the lowest height in reach": [header(1_000), header(1_001 - REACH)],
}


@pytest.mark.parametrize("name", ALLOWED)
def test_what_a_correct_node_asks_for_is_signed(name: str) -> None:
    key = Key()
    for item in ALLOWED[name]:
        key.sign(item)
    assert key.count == len(ALLOWED[name])


@pytest.mark.parametrize(
    "item", [prepare(5), header(5), skip(5), asks(3), leads(0)], ids=lambda item: item.place[0].name
)
def test_the_same_body_gets_the_same_signature(item: Item) -> None:
    key = Key()
    assert key.sign(item) == key.sign(item) == [(1).to_bytes(64, "big")]
    assert key.sign(item, item) == [(1).to_bytes(64, "big")] * 2


def test_a_request_is_signed_whole_or_not() -> None:
    key = Key()
    with pytest.raises(SigningRefused, match="several epochs"):
        key.sign(prepare(5), prepare(5, epoch=1))
    with pytest.raises(SigningRefused, match="another body"):
        key.sign(prepare(5), prepare(5, body=B))
    assert key.track == Track()
    assert len(key.sign(prepare(5), commit(5), prepare(6))) == 3


def test_a_floor_from_the_beginning() -> None:
    key = Key(Track(Marks(floor=500)))
    with pytest.raises(SigningRefused, match="at or below height 500"):
        key.sign(header(500))
    key.sign(header(501))


def test_it_forgets_what_nothing_could_be_signed_for_any_more() -> None:
    key = Key()
    for height in range(1, 3_000):
        for item in (propose(height, 0), prepare(height), commit(height), header(height)):
            key.sign(item)
    assert len(key.track.signed) == 4 * REACH
    key.sign(asks(1))
    assert len(key.track.signed) == REACH + 1, "header votes stay, votes of an earlier view need not"
    key.sign(prepare(3_000, 0, epoch=1))
    assert len(key.track.signed) == REACH
    for view in range(1, 500):
        key.sign(asks(view, epoch=1))
    assert len(key.track.signed) == REACH


def test_where_each_body_belongs() -> None:
    vote = Vote(Phase.COMMIT, 0, 3, 9, 4, 0, sm3(b"x"), 1)
    assert item_of(vote, b"d").place == (Kind.COMMIT, 9, 4)
    skipped = Vote(Phase.SKIP, 0, 3, 9, 0, 2, sm3(b"x"), 1)
    assert item_of(skipped, b"d").place == (Kind.SKIP, 9, 2)
    assert item_of(ViewChange(0, 3, 5, 1, GENESIS_HEADER, None, ()), b"d").place == (Kind.VIEW_CHANGE, 0, 5)
    proposal = Vote(Phase.PRE_PREPARE, 0, 3, 9, 5, 0, sm3(b"x"), 1)
    new_view = NewView(0, 3, 5, 1, (), (SignedVote(proposal, b"body", bytes(64)),))
    item = item_of(new_view, b"d", [b"inner"])
    assert (item.place, item.epoch, item.inner) == ((Kind.NEW_VIEW, 0, 5), 3, (((Kind.PRE_PREPARE, 9, 5), b"inner"),))


_KINDS = st.sampled_from(list(Kind))
_ITEMS = st.builds(
    lambda kind, height, number, body, epoch: at(
        kind, 0 if kind in (Kind.VIEW_CHANGE, Kind.NEW_VIEW) else height, number, body, epoch
    ),
    _KINDS,
    st.integers(1, 4) | st.integers(250, 260),
    st.integers(0, 3),
    st.sampled_from([A, B]),
    st.integers(0, 2),
)


def same_place(item: Item) -> tuple[object, ...]:
    """Where two bodies would be an equivocation."""
    return item.place if item.place[0] in (Kind.HEADER, Kind.SKIP) else (item.epoch, *item.place)


@settings(max_examples=400)
@given(st.lists(st.lists(_ITEMS, min_size=1, max_size=3), max_size=60))
def test_whatever_is_asked_in_whatever_order_it_never_contradicts_itself(requests: Sequence[Sequence[Item]]) -> None:
    key = Key()
    digests: dict[tuple[object, ...], bytes] = {}
    seen: dict[bytes, bytes] = {}
    asked_view: dict[int, int] = {}
    for request in requests:
        try:
            signatures = key.sign(*request)
        except SigningRefused:
            continue
        for item, signature in zip(request, signatures, strict=True):
            assert digests.setdefault(same_place(item), item.digest) == item.digest
            assert seen.setdefault(item.digest, signature) == signature
            kind, height, number = item.place
            if kind is Kind.VIEW_CHANGE:
                asked_view[item.epoch] = max(asked_view.get(item.epoch, 0), number)
            elif kind in (Kind.PRE_PREPARE, Kind.PREPARE, Kind.COMMIT):
                assert number >= asked_view.get(item.epoch, 0), "a view that was left is not voted in again"
            elif kind is Kind.HEADER:
                assert (Kind.SKIP, height, number) not in digests
            elif kind is Kind.SKIP:
                assert (Kind.HEADER, height, number) not in digests


def test_a_statement_names_what_was_signed_and_ends_the_attempt() -> None:
    key = Key()
    key.sign(header(5))
    key.sign(states(5, header(5)))
    for refused in (skip(5), header(5, body=B), states(5), states(5, header(5, body=B)), states(5, skip(5))):
        with pytest.raises(SigningRefused):
            key.sign(refused)
    assert key.sign(header(5)), "the vote that it named is given again"
    assert key.sign(states(5, header(5), order=B)), "the same under another order"
    key.sign(header(5, 1))


def test_who_cast_nothing_states_that_and_casts_nothing_more() -> None:
    key = Key()
    with pytest.raises(SigningRefused, match="HEADER"):
        key.sign(states(5, header(5)))
    key.sign(states(5))
    for refused in (header(5), skip(5)):
        with pytest.raises(SigningRefused, match="a statement on this attempt"):
            key.sign(refused)
    skipped = Key()
    skipped.sign(skip(5))
    assert skipped.sign(states(5, skip(5)))
