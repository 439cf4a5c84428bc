"""A network that is left running: which processes it has, how to talk to it, and how to stop it later."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from chain_core.node.client_security import ENVIRONMENT_VARIABLE, PASSPHRASE_VARIABLE
from chain_core.types.errors import LocalFault
from dualchain.demo.layout import PROCESSES, Chain
from dualchain.demo.report import program

if TYPE_CHECKING:
    from dualchain.demo.story import Story

GRACE_S = 10.0
LOOK_S = 0.05


class NothingRuns(LocalFault):
    """There is no kept network in this directory."""

    code = "NOTHING_RUNS"


def write_down(work: Path, running: Mapping[str, int]) -> None:
    """The processes that run in this directory, from now on until they are stopped."""
    (work / PROCESSES).write_text(json.dumps(running), encoding="utf-8")


def strike_out(work: Path) -> None:
    """None of them runs any more."""
    (work / PROCESSES).unlink(missing_ok=True)


def environment(chain: Chain) -> dict[str, str]:
    """What a command at a terminal opens sessions with the chain's nodes by."""
    found = {ENVIRONMENT_VARIABLE: str(chain.credentials("cli"))}
    if chain.protection.source is not None:
        found[PASSPHRASE_VARIABLE] = str(chain.protection.source)
    return found


def leave_running(story: Story) -> None:
    """Print how to talk to each part."""
    say, call = story.report.say, program()
    say("")
    say(f"The network stays up: {len(story.group.running)} processes, logs in {story.work / 'logs'}.")
    for label, chain in story.chains.items():
        asked = f"--node {chain.addresses[0]} --genesis {shlex.quote(str(chain.genesis_file))}"
        say(f"  {chain.genesis.chain_id}, nodes {', '.join(chain.addresses)}:")
        for name, value in environment(chain).items():
            say(f"    export {name}={shlex.quote(value)}")
        say(f"    {call} node status --node {chain.addresses[0]}")
        say(f"    {call} node header {asked} --json")
        for line in story.questions(label):
            say(f"    {call} {line} {asked}")
    say(f"Ask for each article of the guideline: {call} guideline report --demo-dir {shlex.quote(str(story.work))}")
    say(f"Stop it with: {call} demo stop {shlex.quote(str(story.work))}")


def _is_ours(pid: int, work: Path) -> bool:
    """Whether the process is one of ours: a number may have gone to a stranger meanwhile."""
    with contextlib.suppress(OSError):
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
        return b"dualchain" in line and os.fsencode(work) in line
    return False


def stop(directory: Path) -> int:
    """SIGTERM to all processes of a kept network, SIGKILL to those that do not end; how many there were."""
    work = directory.resolve()
    path = work / PROCESSES
    if not path.is_file():
        raise NothingRuns("no kept network", where=str(directory), next_step="name the --work-dir of a run with --keep")
    running: dict[str, int] = json.loads(path.read_text(encoding="utf-8"))
    ours = [pid for pid in running.values() if _is_ours(pid, work)]
    _signal(ours, work, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_S
    while any(_is_ours(pid, work) for pid in ours) and time.monotonic() < deadline:
        time.sleep(LOOK_S)
    _signal(ours, work, signal.SIGKILL)
    strike_out(work)
    return len(ours)


def _signal(pids: list[int], work: Path, number: signal.Signals) -> None:
    for pid in pids:
        if _is_ours(pid, work):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
