"""Runs a node that kills itself with SIGKILL at a chosen persistence step, and notes every vote it made durable.

    python -m tests.endurance.faulty_node NOTES POINT AFTER [python -m dualchain] node run --config FILE

``POINT`` is one of ``POINTS``, met for the ``AFTER``-th time; "none" never. ``NOTES`` is a directory: ``votes`` gets
the records of each log write once it is synced and before it can be sent, ``torn`` says what of the write-ahead log
was synced when the node died inside a write: power loss may take what lies behind it (``lose_unsynced``).
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

POINTS = ("before-log", "in-log", "after-log", "before-commit", "in-commit", "after-commit")
NONE = "none"


def _die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("SIGKILL does not return")


def write_ahead_log(directory: Path) -> Path:
    """LevelDB's newest log file."""
    return max(directory.glob("*.log"), key=lambda path: int(path.stem))


class Fault:
    """Counts how often the chosen point was met, and dies at the right time."""

    def __init__(self, notes: Path, point: str, after: int) -> None:
        self.notes, self.point, self.left = notes, point, after
        self.doing = ""
        self.votes = (notes / "votes").open("ab", buffering=0)

    def meets(self, point: str) -> bool:
        """Whether the node has to die here."""
        if point != self.point:
            return False
        self.left -= 1
        return self.left == 0

    def pass_by(self, point: str) -> None:
        """Dies here when it is time."""
        if self.meets(point):
            _die()

    def note_votes(self, records: Sequence[tuple[bytes, bytes]]) -> None:
        """Durable now, not sent yet."""
        lines = [json.dumps([key.hex(), value.hex()]) for key, value in records]
        self.votes.write(("\n".join(lines) + "\n").encode())

    def note_torn(self, log: Path, synced: int) -> None:
        """What of the log may be lost."""
        (self.notes / "torn").write_text(json.dumps({"log": str(log), "synced": synced}), encoding="utf-8")


def lose_unsynced(notes: Path, chance: random.Random) -> bool:
    """What power loss does to a node that died inside a write: cuts the log somewhere behind what was synced."""
    note = notes / "torn"
    if not note.exists():
        return False
    torn = json.loads(note.read_text(encoding="utf-8"))
    note.unlink()
    log, synced = Path(torn["log"]), int(torn["synced"])
    size = log.stat().st_size
    os.truncate(log, chance.randint(synced, size))
    return size > synced


def install(fault: Fault) -> None:
    """Puts the fault between the ledger and its disk; all writes are synced as before, by hand."""
    from chain_core.ledger.database import Database
    from chain_core.ledger.store import LedgerStore

    log_write, commit_block = LedgerStore.log_write, LedgerStore.commit_block

    def batch(self: Any) -> Any:
        return self._raw.write_batch(sync=False)

    def write(self: Any, batch: Any) -> None:
        dying = bool(fault.doing) and fault.meets(f"in-{fault.doing}")
        if not dying:
            batch.write()
            with write_ahead_log(self.path).open("rb") as log:
                os.fdatasync(log.fileno())
            return
        before = write_ahead_log(self.path)
        synced = before.stat().st_size
        batch.write()
        after = write_ahead_log(self.path)
        fault.note_torn(after, synced if after == before else 0)
        _die()

    def watched_log_write(
        self: Any,
        records: Sequence[tuple[bytes, bytes]],
        bodies: Mapping[bytes, bytes] | None = None,
        deletes: Sequence[bytes] = (),
    ) -> None:
        fault.pass_by("before-log")
        fault.doing = "log"
        log_write(self, records, bodies, deletes)
        fault.doing = ""
        fault.note_votes(records)
        fault.pass_by("after-log")

    def watched_commit(self: Any, block: Any) -> None:
        fault.pass_by("before-commit")
        fault.doing = "commit"
        commit_block(self, block)
        fault.doing = ""
        fault.pass_by("after-commit")

    Database.batch = batch  # type: ignore[method-assign]
    Database.write = write  # type: ignore[method-assign]
    LedgerStore.log_write = watched_log_write  # type: ignore[method-assign]
    LedgerStore.commit_block = watched_commit  # type: ignore[method-assign]


def main(arguments: list[str]) -> None:
    """Install the fault, then be the node."""
    notes, point, after, *rest = arguments
    command = rest[rest.index("dualchain") + 1 :]
    directory = Path(notes)
    directory.mkdir(parents=True, exist_ok=True)
    install(Fault(directory, point, int(after)))
    from dualchain.cli import main as run

    sys.argv = ["dualchain", *command]
    run()


if __name__ == "__main__":
    main(sys.argv[1:])
