"""What one key may still sign on one ledger: the rules of the signer's record, without its disk (docs/spec/keys.md §5).

A ``Track`` is what was signed; ``Track.plan`` decides over the bodies of one request, all or none, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import TypeAlias

from chain_core.node.safe_signer import SigningRefused
from chain_core.types.block import Header, NewView, Phase, ViewChange, Vote
from chain_core.types.reopening import AttemptStatement, Cast

REACH = 256
"""So far below the highest height signed nothing is signed any more: more than twice the largest window (64), and more
than a NEW-VIEW re-proposes."""
MAX_ATTEMPTS = 64
"""Attempts at one height are counted from 0; each takes a quorum's SKIPs, so that a correct node needs one or two."""

Statement: TypeAlias = Vote | Header | ViewChange | NewView | AttemptStatement


class Kind(IntEnum):
    """Kinds of places; those of ordering votes and SKIP are the phases' numbers."""

    PRE_PREPARE = Phase.PRE_PREPARE
    PREPARE = Phase.PREPARE
    COMMIT = Phase.COMMIT
    SKIP = Phase.SKIP
    HEADER = 16
    VIEW_CHANGE = 17
    NEW_VIEW = 18
    STATEMENT = 19


Place: TypeAlias = tuple[Kind, int, int]
"""(kind, height, view or attempt); height 0 for VIEW-CHANGE and NEW-VIEW."""

_ORDERING = frozenset((Kind.PRE_PREPARE, Kind.PREPARE, Kind.COMMIT))
_OF_VIEWS = frozenset((Kind.VIEW_CHANGE, Kind.NEW_VIEW))


@dataclass(frozen=True, slots=True)
class Marks:
    """How far this key went: nothing below is signed again; ``view`` is of ``epoch``."""

    epoch: int = 0
    view: int = 0
    height: int = 0
    floor: int = 0


@dataclass(frozen=True, slots=True)
class Item:
    """One body to be signed: where it belongs, and its SM3."""

    place: Place
    epoch: int
    digest: bytes
    inner: tuple[tuple[Place, bytes], ...] = ()
    """Of a NEW-VIEW: its PRE-PREPAREs with their SM3, which must be this key's own; of a statement what it names."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a request leads to: the places to sign, the marks after it, the entries that go."""

    fresh: tuple[Item, ...]
    marks: Marks
    gone: tuple[Place, ...]


@dataclass(slots=True)
class Track:
    """What one key signed on one ledger: place -> (SM3 of the body, signature)."""

    marks: Marks = Marks()
    signed: dict[Place, tuple[bytes, bytes]] = field(default_factory=dict)

    def plan(self, items: Sequence[Item]) -> Plan:
        """Whether all of these may be signed, the same bodies again included. Raises SigningRefused."""
        if len({item.epoch for item in items}) > 1:
            raise _refused(items[0], "bodies of several epochs in one request")
        marks, fresh = self.marks, dict[Place, Item]()
        begins = bool(items) and items[0].epoch > marks.epoch

        def taken(place: Place) -> bytes | None:
            """SM3 of the body signed there, in this request or before; places of earlier epochs are free again."""
            if place in fresh:
                return fresh[place].digest
            known = self.signed.get(place)
            return None if known is None or (begins and not _lasting(place)) else known[0]

        for item in items:
            if taken(item.place) != item.digest:
                marks = _allowed(item, marks, taken)
                fresh[item.place] = item
        gone: tuple[Place, ...] = ()
        if (marks.epoch, marks.view, marks.floor) != (self.marks.epoch, self.marks.view, self.marks.floor):
            gone = tuple(place for place in self.signed if place not in fresh and _outlived(place, self.marks, marks))
        return Plan(tuple(fresh.values()), marks, gone)

    def apply(self, plan: Plan, signatures: Mapping[Place, bytes]) -> None:
        """The plan is durable: it is what was signed now."""
        self.marks = plan.marks
        for place in plan.gone:
            del self.signed[place]
        for item in plan.fresh:
            self.signed[item.place] = (item.digest, signatures[item.place])


def item_of(statement: Statement, digest: bytes, inner: Sequence[bytes] = ()) -> Item:
    """The place of a decoded body with this SM3; ``inner`` are the SM3s of a NEW-VIEW's PRE-PREPARE bodies."""
    match statement:
        case Vote(phase=Phase.SKIP):
            return Item((Kind.SKIP, statement.height, statement.attempt), statement.epoch, digest)
        case Vote():
            return Item((Kind(statement.phase), statement.height, statement.view), statement.epoch, digest)
        case Header():
            return Item((Kind.HEADER, statement.height, statement.attempt), statement.epoch, digest)
        case ViewChange():
            return Item((Kind.VIEW_CHANGE, 0, statement.new_view), statement.epoch, digest)
        case AttemptStatement(height=height, attempt=attempt):
            kinds = {Cast.HEADER: Kind.HEADER, Cast.SKIP: Kind.SKIP}
            named = (((kinds[statement.cast], height, attempt), statement.digest),) if any(statement.digest) else ()
            return Item((Kind.STATEMENT, height, attempt), statement.epoch, digest, named)
        case NewView():
            votes = zip(statement.pre_prepares, inner, strict=True)
            own = tuple(((Kind.PRE_PREPARE, v.vote.height, v.vote.view), body) for v, body in votes)
            return Item((Kind.NEW_VIEW, 0, statement.view), statement.epoch, digest, own)


def _allowed(item: Item, marks: Marks, taken: Callable[[Place], bytes | None]) -> Marks:
    """The marks after signing ``item``, or SigningRefused."""
    kind, height, number = item.place
    if item.epoch < marks.epoch:
        raise _refused(item, f"epoch {marks.epoch} was signed in")
    if item.epoch > marks.epoch:
        marks = replace(marks, epoch=item.epoch, view=0)
    if taken(item.place) is not None and kind is not Kind.STATEMENT:
        raise _refused(item, "another body is signed there")
    if kind in _OF_VIEWS:
        return _of_view(item, marks, taken)
    if height <= marks.floor:
        raise _refused(item, f"nothing is signed at or below height {marks.floor}")
    if kind in _ORDERING:
        if number < marks.view:
            raise _refused(item, f"view {marks.view} was signed in")
        marks = replace(marks, view=number)
    elif kind is Kind.STATEMENT:
        _states_the_truth(item, taken)
    else:
        if taken((Kind.STATEMENT, height, number)) is not None:
            raise _refused(item, "a statement on this attempt is signed")
        beside = (Kind.HEADER if kind is Kind.SKIP else Kind.SKIP, height, number)
        if taken(beside) is not None:
            raise _refused(item, f"a {beside[0].name} of this attempt is signed")
        if number >= MAX_ATTEMPTS:
            raise _refused(item, f"attempts are below {MAX_ATTEMPTS}")
    return replace(marks, height=max(marks.height, height), floor=max(marks.floor, height - REACH))


def _states_the_truth(item: Item, taken: Callable[[Place], bytes | None]) -> None:
    """It names what this key cast at that attempt, or nothing when it cast nothing; under one order or another."""
    _, height, attempt = item.place
    for kind in (Kind.HEADER, Kind.SKIP):
        place = (kind, height, attempt)
        if taken(place) != dict(item.inner).get(place):
            raise _refused(item, f"it does not say which {kind.name} was signed")


def _of_view(item: Item, marks: Marks, taken: Callable[[Place], bytes | None]) -> Marks:
    """A VIEW-CHANGE asks for a view above all it signed in; a NEW-VIEW begins one not below, with own proposals."""
    kind, _, view = item.place
    if kind is Kind.VIEW_CHANGE:
        if view <= marks.view:
            raise _refused(item, f"view {marks.view} was signed in")
        return replace(marks, view=view)
    if view < marks.view:
        raise _refused(item, f"view {marks.view} was signed in")
    for place, digest in item.inner:
        if taken(place) != digest:
            raise _refused(item, f"its PRE-PREPARE at height {place[1]} is not this key's")
    return replace(marks, view=view)


def _lasting(place: Place) -> bool:
    """Header votes, SKIPs and statements count for ever, in whichever epoch; the others in theirs."""
    return place[0] in (Kind.HEADER, Kind.SKIP, Kind.STATEMENT)


def _outlived(place: Place, before: Marks, after: Marks) -> bool:
    """Whether nothing at this place could be signed any more, whatever the body."""
    kind, height, number = place
    if kind in _OF_VIEWS:
        return after.epoch > before.epoch or number < after.view
    if height <= after.floor:
        return True
    return kind in _ORDERING and (after.epoch > before.epoch or number < after.view)


def _refused(item: Item, why: str) -> SigningRefused:
    kind, height, number = item.place
    name = "attempt" if _lasting(item.place) else "view"
    where = f"epoch {item.epoch}, " + (f"height {height}, " if height else "") + f"{name} {number}"
    step = "look for a second node with this signer, or an old disk of the node that was restored"
    return SigningRefused(f"{kind.name}: {why}", where=where, next_step=step)
