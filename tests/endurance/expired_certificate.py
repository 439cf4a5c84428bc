"""A chain runs on for ten minutes, restarts included, with an expired validator certificate and its CRL source gone.

    python -m tests.endurance.expired_certificate [--seconds 600] [--json]

Four node processes of a supervisory chain make a block a second. One node's certificate ended yesterday, no node has a
revocation list, one node's copy of another's is revoked; every ``--restart-every`` seconds the next node is killed
(every other time: stopped) and started again. Printed are blocks, the longest time without one, and who alarmed how.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from chain_core.node.client import NodeClient
from chain_core.node.provision import NodePlan, make_accounts, make_validators, new_directory, write_network
from chain_core.types.errors import DualchainError
from dualchain.demo.ports import draw_ports
from dualchain.demo.processes import ProcessGroup
from supervisory_chain.genesis import ACCOUNTS, supervisory_genesis
from tests.endurance.crash_matrix import say
from tests.integration.bad_certificates import expire, revoke

NODES = 4
EXPIRED, REVOKED = 1, 2
LOOK_S = 0.5
GAP_S = 60.0
"""No longer may the chain stand still: a restart takes a view change at most, on a busy machine some."""
CODES = ("CERTIFICATE_EXPIRED", "CERTIFICATE_REVOKED", "CRL_MISSING")


class Story:
    """The network, and what is seen of it."""

    def __init__(self, directory: Path) -> None:
        ports = draw_ports(2 * NODES)
        self.plans = tuple(
            NodePlan(f"node-{i}", f"office {i}", "127.0.0.1", ports[2 * i], ports[2 * i + 1]) for i in range(NODES)
        )
        self.directory = directory / "network"
        new_directory(self.directory)
        validators = make_validators(self.directory, self.plans)
        accounts = make_accounts(self.directory, ACCOUNTS)
        now_ms = time.time_ns() // 1_000_000
        genesis = supervisory_genesis("certificates-end", now_ms, validators, accounts, {"idle_block_ms": 1_000})
        write_network(self.directory, genesis, self.plans, client_security="plaintext")
        expire(self.directory, self.plans[EXPIRED].name)
        revoke(self.directory, self.plans[REVOKED].name)
        for plan in self.plans:
            if plan is not self.plans[REVOKED]:
                (self.directory / plan.name / "crl.pem").unlink()
        self.group = ProcessGroup(directory / "logs")
        self.restarts = Counter[str]()
        self.longest_gap_s = 0.0
        self.best, self.best_at = 0, time.monotonic()

    async def start(self, plan: NodePlan) -> None:
        """Start one and wait until it serves."""
        config = self.directory / plan.name / "node.toml"
        await self.group.ready(await self.group.start(plan.name, ["node", "run", "--config", str(config)]), 120)

    async def restart(self, plan: NodePlan, *, kill: bool) -> None:
        """End one by kill -9 or SIGTERM, and start it again."""
        one = self.group.running[plan.name]
        if kill:
            await self.group.kill(plan.name)
        else:
            one.process.terminate()
            await one.process.wait()
        self.restarts["killed" if kill else "stopped"] += 1
        await self.start(plan)

    async def height(self, plan: NodePlan) -> int:
        """Its final height, -1 while it cannot be asked."""
        try:
            async with NodeClient(f"{plan.host}:{plan.client_port}") as client:
                return (await client.status()).height
        except DualchainError:
            return -1

    async def look(self) -> None:
        """Where the chain is; how long it stood still."""
        reached = max([await self.height(plan) for plan in self.plans])
        now = time.monotonic()
        self.longest_gap_s = max(self.longest_gap_s, now - self.best_at)
        if reached > self.best:
            self.best, self.best_at = reached, now
        if now - self.best_at > GAP_S:
            raise RuntimeError(f"no block above {self.best} for {GAP_S:.0f} s")

    async def alarms(self, plan: NodePlan) -> list[str]:
        """What its status shows."""
        async with NodeClient(f"{plan.host}:{plan.client_port}") as client:
            status = await client.status()
        return [f"{alarm.code} of {alarm.of}" for alarm in status.security_alarms]

    async def run(self, seconds: float, every: float) -> dict[str, object]:
        """Runs it; the figures. RuntimeError when the chain stands still or a node keeps silent about what is wrong."""
        await asyncio.gather(*map(self.start, self.plans))
        began, turn = time.monotonic(), 0
        self.best_at = began
        while time.monotonic() - began < seconds:
            await self.look()
            if time.monotonic() - began > (turn + 1) * every:
                await self.restart(self.plans[turn % NODES], kill=turn % 2 == 0)
                say(f"{time.monotonic() - began:.0f} s: height {self.best}, {sum(self.restarts.values())} restarts")
                turn += 1
            await asyncio.sleep(LOOK_S)
        shown = {plan.name: await self.alarms(plan) for plan in self.plans}
        self.judge(shown)
        heights = [await self.height(plan) for plan in self.plans]
        logs = "".join(path.read_text("utf-8") for path in (self.group.directory).glob("*.log"))
        return {
            "seconds": round(time.monotonic() - began),
            "blocks": max(heights),
            "longest_gap_s": round(self.longest_gap_s, 1),
            "restarts": dict(self.restarts),
            "heights": heights,
            "alarms": shown,
            "log_lines": {code: sum(f" {code} " in line for line in logs.splitlines()) for code in CODES},
        }

    def judge(self, shown: dict[str, list[str]]) -> None:
        """Each node says what it knows: of itself, and of whom its links' sessions show."""
        expired, revoked = self.plans[EXPIRED].name, self.plans[REVOKED].name
        wanted = {name: ["CRL_MISSING of security.crl"] for name in shown if name != revoked}
        wanted[revoked] = [f"CERTIFICATE_REVOKED of {revoked}"]
        for codes in wanted.values():
            codes.append(f"CERTIFICATE_EXPIRED of {expired}")
        silent = {name: set(codes) - set(shown[name]) for name, codes in wanted.items()}
        if any(silent.values()):
            raise RuntimeError(f"not told: {silent}; told: {shown}")


async def run(directory: Path, seconds: float, every: float) -> dict[str, object]:
    """The story, and its processes ended in any case."""
    story = Story(directory)
    try:
        return await story.run(seconds, every)
    finally:
        await story.group.stop()


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description="A chain runs on with bad certificates and without revocation lists.")
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--restart-every", type=float, default=45.0)
    parser.add_argument("--json", action="store_true", help="one JSON line on standard output")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        found = asyncio.run(run(Path(directory), arguments.seconds, arguments.restart_every))
    if arguments.json:
        print(json.dumps(found))
    else:
        sys.stdout.writelines(f"{name}: {value}\n" for name, value in found.items())


if __name__ == "__main__":
    main()
