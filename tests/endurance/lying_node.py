"""Runs a node that alters what it hands over of snapshots: every part with state in it has one byte changed.

python -m tests.endurance.lying_node [python -m dualchain] node run --config FILE
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any


def install() -> None:
    """Puts the lie between the ledger and those who ask for its snapshots."""
    from chain_core.network.frames import SnapshotKind, SnapshotPart, SnapshotRequest
    from chain_core.node.snapshot_serving import SnapshotServer

    honest = SnapshotServer.answer

    def answer(self: Any, request: SnapshotRequest) -> SnapshotPart:
        part = honest(self, request)
        if part.kind is not SnapshotKind.BUCKETS or not part.parts:
            return part
        first = bytearray(part.parts[0])
        first[-1] ^= 1
        return replace(part, parts=(bytes(first), *part.parts[1:]))

    SnapshotServer.answer = answer  # type: ignore[method-assign]


def main(arguments: list[str]) -> None:
    """Install the lie, then be the node."""
    command = arguments[arguments.index("dualchain") + 1 :]
    install()
    from dualchain.cli import main as run

    sys.argv = ["dualchain", *command]
    run()


if __name__ == "__main__":
    main(sys.argv[1:])
