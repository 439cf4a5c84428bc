"""The life of a data object: create, update, overwrite with its cascade, delete (JR/T 0314 clause 6.3, annex C).

Pure: a history and a change give the snapshots to write, or a refusal and nothing. States: absent → live → deleted.
Rules and choices: docs/spec/data-objects.md §7.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chain_core.types.errors import DualchainError
from contracts.data_model.json_text import Json, difference, merge_patch, without_nulls
from contracts.data_model.snapshot import Operation


class LifecycleRefused(DualchainError):
    """An operation that the object's state does not allow."""

    code = "LIFECYCLE_REFUSED"


@dataclass(frozen=True, slots=True)
class Version:
    """A version as it stands: the operation that wrote it last, when, and the whole body. Times are in seconds.

    ``since`` is when the version first came to be, which no overwrite changes; ``increment`` what its body was written
    as when that was no full one.
    """

    operation: Operation
    timestamp: int
    since: int
    body: Mapping[str, Any]
    increment: Mapping[str, Any] | None = None


History = Sequence[Version]
"""Versions 0 to the latest. Empty: absent."""


@dataclass(frozen=True, slots=True)
class Change:
    """One operation. ``body`` is None for delete; ``version`` is for overwrite alone. ``expected`` is compared with
    the latest version (None: not), so that of two writers one is refused.
    """

    operation: Operation
    timestamp: int
    body: Mapping[str, Any] | None = None
    version: int | None = None
    increment: bool = False
    expected: int | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """A snapshot to write: its version, and what stands under it from now on."""

    number: int
    version: Version


Check = Callable[[Mapping[str, Any]], None]
"""Raises when a whole body may not stand: each step of a cascade is asked before anything is written."""


def latest(history: History) -> int:
    """The latest version; -1 while absent."""
    return len(history) - 1


def is_deleted(history: History) -> bool:
    """Whether no operation is possible any more."""
    return bool(history) and history[-1].operation is Operation.DELETE


def apply(history: History, change: Change, check: Check = lambda _: None) -> list[Written]:
    """What the change writes, ascending. Raises LifecycleRefused, and what ``check`` raises."""
    if is_deleted(history):
        raise _refused("the object is deleted for good", change)
    if change.expected is not None and change.expected != latest(history):
        raise _refused(f"the latest version is {latest(history)}, not {change.expected}", change)
    if change.operation is Operation.CREATE:
        return [_create(history, change, check)]
    if not history:
        raise _refused("there is no such object", change)
    if history and change.timestamp < history[-1].timestamp:
        raise _refused(f"the time lies before that of the latest version, {history[-1].timestamp}", change)
    if change.operation is Operation.UPDATE:
        return [_update(history, change, check)]
    if change.operation is Operation.DELETE:
        if change.body:
            raise _refused("a delete has no body", change)
        return [Written(len(history), Version(Operation.DELETE, change.timestamp, change.timestamp, {}))]
    return _overwrite(history, change, check)


def replaced(history: History, written: Sequence[Written]) -> list[Version]:
    """The history with what was written."""
    after = list(history)
    for one in written:
        after[one.number : one.number + 1] = [one.version]
    return after


def version_at(history: History, timestamp: int) -> int | None:
    """The version that was valid at a business time; None before there was one, or when it was deleted."""
    valid = [number for number, version in enumerate(history) if version.since <= timestamp]
    return None if not valid or history[valid[-1]].operation is Operation.DELETE else valid[-1]


def _create(history: History, change: Change, check: Check) -> Written:
    if history:
        raise _refused("the object exists", change)
    if change.increment:
        raise _refused("nothing precedes it: the body must be full", change)
    return Written(0, _version(change, change.timestamp, _full(change), None, check))


def _update(history: History, change: Change, check: Check) -> Written:
    body = _body(change)
    if not change.increment:
        return Written(len(history), _version(change, change.timestamp, _full(change), None, check))
    whole = merge_patch(history[-1].body, body)
    return Written(len(history), _version(change, change.timestamp, whole, body, check))


def _overwrite(history: History, change: Change, check: Check) -> list[Written]:
    """Version v and all after it: each later one keeps what it changed, on top of what is rewritten."""
    first = change.version
    if first is None or not 0 <= first < len(history):
        raise _refused(f"there is no version {first}; the latest is {latest(history)}", change)
    if first == 0 and change.increment:
        raise _refused("nothing precedes version 0: the body must be full", change)
    body = _body(change)
    base = merge_patch(history[first - 1].body, body) if change.increment else _full(change)
    increment = body if change.increment else None
    written = [Written(first, _version(change, history[first].since, base, increment, check))]
    for number in range(first + 1, len(history)):
        old = history[number]
        own = old.increment if old.increment is not None else difference(history[number - 1].body, old.body)
        base = merge_patch(base, own)
        written.append(Written(number, _version(change, old.since, base, old.increment, check)))
    return written


def _version(change: Change, since: int, body: Json, increment: Mapping[str, Any] | None, check: Check) -> Version:
    check(body)
    return Version(change.operation, change.timestamp, since, body, increment)


def _body(change: Change) -> Mapping[str, Any]:
    if change.body is None:
        raise _refused("a body is needed", change)
    return change.body


def _full(change: Change) -> Json:
    full: Json = without_nulls(_body(change))
    return full


def _refused(what: str, change: Change) -> LifecycleRefused:
    return LifecycleRefused(what, where=change.operation.value, next_step="see docs/spec/data-objects.md §7")
