"""The table of JR/T 0314 annex C, its cascade, and any sequence of operations against a plain model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.data_model.faults import SnapshotRefused, refuse
from contracts.data_model.lifecycle import (
    Change,
    LifecycleRefused,
    Version,
    apply,
    is_deleted,
    latest,
    replaced,
    version_at,
)
from contracts.data_model.snapshot import Operation

CREATE, UPDATE, OVERWRITE, DELETE = Operation


def after(*changes: Change) -> list[Version]:
    history: list[Version] = []
    for change in changes:
        history = replaced(history, apply(history, change))
    return history


ABSENT: tuple[Change, ...] = ()
LIVE = (Change(CREATE, 10, {"a": 1, "b": 1}), Change(UPDATE, 20, {"b": 2, "c": 1}, increment=True))
DELETED = (*LIVE, Change(DELETE, 30))


@pytest.mark.parametrize(
    ("before", "change", "written"),
    [
        (ABSENT, Change(CREATE, 10, {}), [0]),
        (ABSENT, Change(UPDATE, 10, {}), None),
        (ABSENT, Change(OVERWRITE, 10, {}, version=0), None),
        (ABSENT, Change(DELETE, 10), None),
        (LIVE, Change(CREATE, 40, {}), None),
        (LIVE, Change(UPDATE, 40, {}), [2]),
        (LIVE, Change(UPDATE, 19, {}), None),
        (LIVE, Change(OVERWRITE, 40, {}, version=0), [0, 1]),
        (LIVE, Change(OVERWRITE, 40, {}, version=1), [1]),
        (LIVE, Change(OVERWRITE, 40, {}, version=2), None),
        (LIVE, Change(OVERWRITE, 40, {}, version=-1), None),
        (LIVE, Change(OVERWRITE, 40, {}, version=0, increment=True), None),
        (LIVE, Change(DELETE, 40), [2]),
        (LIVE, Change(DELETE, 40, {"a": 1}), None),
        (LIVE, Change(UPDATE, 40, {}, expected=0), None),
        (LIVE, Change(UPDATE, 40, {}, expected=1), [2]),
        (LIVE, Change(UPDATE, 40), None),
        (DELETED, Change(CREATE, 40, {}), None),
        (DELETED, Change(UPDATE, 40, {}), None),
        (DELETED, Change(OVERWRITE, 40, {}, version=0), None),
        (DELETED, Change(DELETE, 40), None),
        (ABSENT, Change(CREATE, 10, {}, increment=True), None),
    ],
)
def test_the_table(before: tuple[Change, ...], change: Change, written: list[int] | None) -> None:
    history = after(*before)
    if written is None:
        with pytest.raises(LifecycleRefused):
            apply(history, change)
    else:
        done = apply(history, change)
        assert [one.number for one in done] == written
        assert all(one.version.operation is change.operation for one in done)


def test_a_correction_reaches_the_later_versions_that_did_not_change_it_themselves() -> None:
    history = after(
        Change(CREATE, 10, {"name": "wrong", "count": 1}),
        Change(UPDATE, 20, {"name": "wrong", "count": 2}),  # full, as we write them
        Change(UPDATE, 30, {"count": None, "note": "n"}, increment=True),
        Change(UPDATE, 40, {"name": "renamed"}, increment=True),
    )
    done = apply(history, Change(OVERWRITE, 50, {"name": "right", "count": 1}, version=0))
    assert [one.version.body for one in done] == [
        {"name": "right", "count": 1},
        {"name": "right", "count": 2},
        {"name": "right", "note": "n"},
        {"name": "renamed", "note": "n"},
    ]
    rewritten = replaced(history, done)
    assert [one.timestamp for one in rewritten] == [50] * 4 and [one.since for one in rewritten] == [10, 20, 30, 40]
    assert [version_at(rewritten, time) for time in (9, 10, 25, 99)] == [None, 0, 1, 3]
    assert version_at(after(*DELETED), 35) is None and version_at(after(*DELETED), 25) == 1


def test_a_cascade_that_fails_a_check_writes_nothing() -> None:
    def no_b_without_a(body: Mapping[str, Any]) -> None:
        if "b" in body and "a" not in body:
            raise refuse("/body/a", "required", "b needs a")

    history = after(Change(CREATE, 10, {"a": 1}), Change(UPDATE, 20, {"b": 1}, increment=True))
    with pytest.raises(SnapshotRefused):
        apply(history, Change(OVERWRITE, 30, {}, version=0), no_b_without_a)
    with pytest.raises(SnapshotRefused):
        apply(history, Change(UPDATE, 30, {"a": None}, increment=True), no_b_without_a)
    assert [one.body for one in history] == [{"a": 1}, {"a": 1, "b": 1}]


PATCHES = st.dictionaries(st.sampled_from("abc"), st.none() | st.integers(0, 2), max_size=3)
STEPS = st.lists(st.tuples(st.sampled_from(list(Operation)), PATCHES, st.integers(0, 4), st.booleans()), max_size=12)


@given(STEPS)
def test_versions_have_no_gaps_history_is_never_removed_and_delete_is_the_end(steps: list[Any]) -> None:
    history: list[Version] = []
    for clock, (operation, patch, number, increment) in enumerate(steps):
        body = None if operation is DELETE else {k: v for k, v in patch.items() if v is not None or increment}
        version = number if operation is OVERWRITE else None
        change = Change(operation, clock, body, version, increment)
        allowed = {
            CREATE: not history and not increment,
            UPDATE: bool(history),
            OVERWRITE: bool(history) and number <= latest(history) and not (increment and number == 0),
            DELETE: bool(history),
        }[operation] and not is_deleted(history)
        try:
            done = apply(history, change)
        except LifecycleRefused:
            assert not allowed
            continue
        assert allowed
        before, history = history, replaced(history, done)
        grown = operation is not OVERWRITE
        assert len(history) == len(before) + grown
        first = done[0].number
        assert [one.number for one in done] == list(range(first, len(history)))
        assert history[:first] == before[:first]
        assert all(None not in one.body.values() for one in history)
