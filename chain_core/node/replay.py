"""A recording run again offline, through the production core: the same effects, the same state, or where it differs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from chain_core.consensus.inputs import MessageReceived
from chain_core.consensus.pbft import Pbft
from chain_core.consensus.state import ReplicaConfig, ReplicaState
from chain_core.node import recording_codec as codec
from chain_core.node.recorder import (
    CHECKPOINT,
    DIGEST_SIZE,
    DRIVEN,
    HEAD,
    MAGIC,
    RAISED,
    STATE,
    STEP,
    STEP_HEAD,
    segments,
)
from chain_core.node.recorder import digest as digest_of
from chain_core.types.errors import LocalFault, MalformedBytes

MAX_RECORD = 256_000_000
_KEPT = 100


class NoRecording(LocalFault):
    """Nothing there that can be replayed."""

    code = "NO_RECORDING"


@dataclass(slots=True)
class Replayed:
    """What came of it; ``differences`` is empty when every digest was the recorded one."""

    segments: int = 0
    steps: int = 0
    checked_states: int = 0
    raised: int = 0
    torn: int = 0
    """Segments that end in the middle of a record: the process or machine went down there."""
    first_ms: int = 0
    last_ms: int = 0
    state_digest: str = ""
    final_height: int = 0
    view: int = 0
    differences: list[str] = field(default_factory=list)
    kinds: dict[str, int] = field(default_factory=dict)

    def differs(self, what: str) -> None:
        """Note a difference; only the first ones matter."""
        if len(self.differences) < _KEPT:
            self.differences.append(what)


def replay(directory: Path) -> Replayed:
    """Runs all segments, oldest first. Raises NoRecording, MalformedBytes for what is no recording of this release."""
    found = segments(directory)
    if not found:
        raise NoRecording(
            "no segments there",
            where=str(directory),
            next_step="name the directory recording/ in the node's data directory; see [recorder] in node.toml",
        )
    told, core = Replayed(), None
    for path in found:
        told.segments += 1
        core = _segment(path, core, told)
    if core is not None:
        told.state_digest = digest_of(core.state).hex()
        told.final_height, told.view = core.state.final_height, core.state.view
    return told


def _segment(path: Path, core: Pbft | None, told: Replayed) -> Pbft | None:
    for place, kind, payload in _records(path, told):
        if kind == CHECKPOINT:
            core = _resumed(payload)
        elif core is None:
            raise MalformedBytes("no checkpoint before it", where=place, next_step="replay whole segments")
        elif kind == DRIVEN:
            core.state.config, core.state.halted, core.state.silent = _driven(place, payload)
        elif kind == STATE:
            told.checked_states += 1
            if digest_of(core.state) != payload:
                told.differs(f"{place}: the state differs after step {told.steps}")
        elif kind == STEP:
            _step(core, place, payload, told)
    return core


def _resumed(payload: bytes) -> Pbft:
    state = codec.decode(payload)
    if not isinstance(state, ReplicaState):
        raise MalformedBytes("a checkpoint that is no state", where="checkpoint", next_step="record anew")
    core = Pbft.__new__(Pbft)
    core.state = state
    return core


def _driven(place: str, payload: bytes) -> tuple[ReplicaConfig, bool, bool]:
    found = codec.decode(payload)
    if not isinstance(found, tuple) or [type(part) for part in found] != [ReplicaConfig, bool, bool]:
        raise MalformedBytes("no change that a driver makes", where=place, next_step="record anew")
    return found


def _step(core: Pbft, place: str, payload: bytes, told: Replayed) -> None:
    if len(payload) < STEP_HEAD.size:
        raise MalformedBytes("a step that is cut", where=place, next_step="record anew")
    now_ms, asked = STEP_HEAD.unpack_from(payload)
    event = codec.decode(payload[STEP_HEAD.size :])
    told.steps += 1
    told.first_ms, told.last_ms = told.first_ms or now_ms, now_ms
    name = type(getattr(event.message, "value", None) if isinstance(event, MessageReceived) else event).__name__
    told.kinds[name] = told.kinds.get(name, 0) + 1
    try:
        got = digest_of(tuple(core.step(event, now_ms)))
    except Exception as error:  # noqa: BLE001 - what the core raised is what is being looked for
        told.raised += 1
        if asked != RAISED:
            told.differs(f"{place}: step {told.steps} ({name}) raises {type(error).__name__}: {error}")
        return
    if got != asked:
        what = "raised when it was recorded" if asked == RAISED else "asks for something else"
        told.differs(f"{place}: step {told.steps} ({name}) {what}")


def _records(path: Path, told: Replayed) -> Iterator[tuple[str, bytes, bytes]]:
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise MalformedBytes("no recording", where=str(path), next_step="name a directory that a recorder wrote")
        while True:
            at = file.tell()
            head = file.read(HEAD.size)
            if not head:
                return
            kind, size = HEAD.unpack(head) if len(head) == HEAD.size else (b"", MAX_RECORD)
            payload = file.read(min(size, MAX_RECORD))
            if len(payload) < size or (kind == STATE and size != DIGEST_SIZE):
                told.torn += 1
                return
            if kind == b"T":
                if payload != codec.TABLE.encode():
                    raise MalformedBytes(
                        "recorded by another release", where=str(path), next_step="replay it with that release"
                    )
                continue
            yield f"{path.name} at {at}", kind, payload
