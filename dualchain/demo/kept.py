"""A network that is left running: how to talk to it, and how to stop it later."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from chain_core.types.errors import LocalFault

if TYPE_CHECKING:
    from dualchain.demo.story import Story

PROCESSES = "processes.json"


class NothingRuns(LocalFault):
    """There is no kept network in this directory."""

    code = "NOTHING_RUNS"


def leave_running(story: Story) -> None:
    """Write down the processes and print how to talk to each part."""
    running = {name: one.process.pid for name, one in story.group.running.items()}
    (story.work / PROCESSES).write_text(json.dumps(running), encoding="utf-8")
    say = story.report.console.print
    say(f"\nThe network stays up: {len(running)} processes, logs in {story.work / 'logs'}.", highlight=False)
    for chain in story.chains.values():
        node, genesis = chain.addresses[0], chain.genesis_file
        say(f"  {chain.genesis.chain_id}:", highlight=False)
        say(f"    dualchain node status --node {node}", highlight=False, soft_wrap=True)
        say(f"    dualchain node header --node {node} --genesis {genesis} --json", highlight=False, soft_wrap=True)
    say(f"Stop it with: dualchain demo stop {story.work}", highlight=False, soft_wrap=True)


def _is_ours(pid: int) -> bool:
    """Whether the process is one of ours: a number may have gone to a stranger meanwhile."""
    with contextlib.suppress(OSError):
        return b"dualchain" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def stop(work: Path) -> int:
    """SIGTERM to all processes of a kept network; how many there were."""
    path = work / PROCESSES
    if not path.is_file():
        raise NothingRuns("no kept network", where=str(work), next_step="name the --work-dir of a run with --keep")
    running: dict[str, int] = json.loads(path.read_text(encoding="utf-8"))
    stopped = 0
    for pid in running.values():
        if _is_ours(pid):
            os.kill(pid, signal.SIGTERM)
            stopped += 1
    path.unlink()
    return stopped
