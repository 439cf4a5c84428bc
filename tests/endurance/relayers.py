"""Two racing relayers for each market, killed (-9) at random under load: nothing is lost, nothing arrives twice.

    python -m tests.endurance.relayers --minutes 5 [--markets 3] [--backlog 5000] [--seed N] [--json]

A supervisory chain and market chains of four node processes each. The first market begins with a backlog. While
business and directives go on, relayers are killed and started again, at times both of a market. Then everything is to
arrive, and is counted on both sides: sequences and counters in proven state, and each packet, execution and
acknowledgement by the event of the block that took it, from the first block on.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import cast

from benchmarks.border_network import MARKETS, BorderNetwork, Chain, business, events_of
from chain_core.codec.block import decode_header
from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_map
from chain_core.node.event_filter import EventFilter
from crosschain.following import Position, decode_position
from crosschain.packets import (
    DIRECTIVES,
    INBOX,
    UPWARD_CHANNELS,
    client_key,
    count_in,
    directive_next_key,
    read_channel,
    received_key,
    sent_key,
    supervision_key,
)
from local_chain.reporting import read_totals, totals_key
from tests.endurance.crash_matrix import say

RELAYERS = 2
BUSINESS_PAUSE_S = 0.7
DIRECTIVE_PAUSE_S = 4.0
LONGEST_DOWN_S, LONGEST_PAUSE_S = 1.5, 4.0
DRAIN_S = 1_200.0
KINDS = ("freeze_holder", "unfreeze_holder")


class Lost(RuntimeError):
    """A packet, directive or acknowledgement did not arrive, or arrived twice."""


class Trial:
    """The network under load, its killer, and what was handed in."""

    def __init__(self, net: BorderNetwork, chance: random.Random) -> None:
        self.net, self.chance = net, chance
        self.over = asyncio.Event()
        self.accepted: Counter[str] = Counter()
        self.directives: Counter[str] = Counter()
        self.kills = self.on_their_way = self.both_down = 0

    async def run(self, seconds: float, kills: int) -> None:
        """Load and kills, for so long and so often at least; afterwards all relayers run."""
        names = [name for market in self.net.markets for name in self.net.relayers[market.name]]
        for name in names:
            await self.net.start_relayer(name)
        loading = [asyncio.create_task(self._business(market)) for market in self.net.markets]
        loading.append(asyncio.create_task(self._direct()))
        try:
            until = time.monotonic() + seconds
            while time.monotonic() < until or self.kills < kills:
                await self._pause(LONGEST_PAUSE_S)
                await self._kill(self.chance.choice(self.net.markets))
                for task in loading:
                    if task.done():
                        task.result()
        finally:
            self.over.set()
            ended = await asyncio.gather(*loading, return_exceptions=True)
        for error in ended:
            if isinstance(error, BaseException):
                raise error

    async def _pause(self, longest_s: float) -> None:
        await asyncio.sleep(self.chance.uniform(0.0, longest_s))

    async def _kill(self, market: Chain) -> None:
        """One of the market's relayers, or one after the other; each is started again a moment later."""
        names = list(self.net.relayers[market.name])
        self.chance.shuffle(names)
        if self.chance.random() < 0.6:
            del names[1:]
        else:
            self.both_down += 1
        self.on_their_way += await self.under_way(market) > 0
        for name in names:
            await self.net.group.kill(name)
            self.kills += 1
        await self._pause(LONGEST_DOWN_S)
        for name in names:
            await self.net.start_relayer(name)

    async def _business(self, market: Chain) -> None:
        while not self.over.is_set():
            await market.settle("operator", business(market.name, f"E{self.accepted[market.name]}"))
            self.accepted[market.name] += 1
            await self._until_over(BUSINESS_PAUSE_S)

    async def _direct(self) -> None:
        while not self.over.is_set():
            market = self.chance.choice(self.net.markets)
            number = self.directives[market.name]
            await self.net.confirm(await self.net.issue(market, KINDS[number % 2], f"trial {number}"))
            self.directives[market.name] += 1
            await self._until_over(DIRECTIVE_PAUSE_S)

    async def _until_over(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self.over.wait(), seconds)

    # ---- what the two sides say

    async def counts(self, market: Chain) -> tuple[dict[str, int], dict[str, int]]:
        """Packets sent and arrived, by channel."""
        above = self.net.above
        sent = {c: count_in(await market.value(sent_key(above.hash, c))) for c in UPWARD_CHANNELS}
        arrived = {c: read_channel(await above.value(received_key(market.hash, c)))[0] for c in UPWARD_CHANNELS}
        return sent, arrived

    async def positions(self, market: Chain) -> tuple[int, int, Position]:
        """Directives issued and acknowledged, and how far the market has followed."""
        above = self.net.above
        issued = count_in(await above.value(directive_next_key(market.hash)))
        acknowledged = count_in(await above.value(state_key(DIRECTIVES, b"a" + market.hash)))
        return issued, acknowledged, decode_position(await market.value(supervision_key()))

    async def under_way(self, market: Chain) -> int:
        """Packets and directives that have not arrived."""
        sent, arrived = await self.counts(market)
        issued, acknowledged, _ = await self.positions(market)
        return sum(sent.values()) - sum(arrived.values()) + issued - acknowledged

    async def drain(self) -> float:
        """Until everything has arrived; the seconds. Lost when it does not."""
        began = time.monotonic()
        for market in self.net.markets:
            while left := await self.under_way(market):
                self.net.group.check()
                if time.monotonic() - began > DRAIN_S:
                    raise Lost(f"{left} of {market.name} did not arrive within {DRAIN_S:.0f} s")
                await asyncio.sleep(0.2)
        return time.monotonic() - began


async def events(chain: Chain, *contracts: str) -> dict[tuple[str, bytes], list[dict[str, object]]]:
    """Fields of all events of these contracts from the first block on, by kind and the chain they name."""
    last = decode_header((await chain.client.nodes[0].header()).header).height
    found: dict[tuple[str, bytes], list[dict[str, object]]] = defaultdict(list)
    async with asyncio.timeout(DRAIN_S):
        async for block in chain.told(EventFilter(contracts=frozenset(contracts)), 1):
            for contract, kind, fields in events_of(block):
                if contract in contracts:
                    about = cast(bytes, fields.get("source", fields.get("chain", b"")))
                    found[kind, about].append(cast(dict[str, object], fields))
            if decode_header(block.header.header).height >= last:
                return found
    raise AssertionError("a subscription does not end")


def once(what: str, found: Sequence[object], count: int) -> None:
    """Lost unless the sequences are 0, 1, 2 ... in this order, each once."""
    if list(found) != list(range(count)):
        twice = [sequence for sequence, times in Counter(found).items() if times > 1]
        missing = sorted(set(range(count)) - set(found))
        raise Lost(f"{what}: {len(found)} for {count}; twice {twice[:5]}, missing {missing[:5]}")


def same(what: str, *values: object) -> None:
    """Lost unless all are equal."""
    if any(value != values[0] for value in values):
        raise Lost(f"{what}: {values}")


async def check(trial: Trial) -> dict[str, int]:
    """Both sides of every border agree on everything, once; how much that was. Lost otherwise."""
    net, total = trial.net, Counter[str]()
    above = await events(net.above, INBOX, DIRECTIVES)
    for market in net.markets:
        sent, arrived = await trial.counts(market)
        same(f"packets of {market.name}", sent, arrived)
        for channel in UPWARD_CHANNELS:
            taken = [row["sequence"] for row in above["delivered", market.hash] if row["channel"] == channel]
            once(f"{channel} of {market.name}", taken, sent[channel])
        issued, acknowledged, position = await trial.positions(market)
        same(f"directives of {market.name}", issued, acknowledged, position.count, trial.directives[market.name])
        below = await events(market, "supervision")
        executed = below["directive", b""]
        once(f"directives executed by {market.name}", [row["sequence"] for row in executed], issued)
        acks = above["acknowledged", market.hash]
        once(f"acknowledgements of {market.name}", [row["sequence"] for row in acks], issued)
        same("codes", [0] * issued, [row["code"] for row in executed], [row["code"] for row in acks])
        raw = await net.above.value(state_key(INBOX, b"r" + market.hash))
        tally = decode_map(raw) if raw is not None else {}
        totals = read_totals(await market.value(totals_key()))
        same(f"reports of {market.name}", sent["report"], tally["reports"], totals.reports)
        handed_in = trial.accepted[market.name] + (net.backlog if market is net.markets[0] else 0)
        same(f"business of {market.name}", handed_in, tally["transactions"], totals.transactions)
        same(f"unreadable of {market.name}", 0, tally["unreadable"])
        followed = decode_position(await net.above.value(client_key(market.hash)))
        same("frozen", -1, followed.frozen, position.frozen)
        total.update(packets=sum(sent.values()), directives=issued, headers_verified=followed.count)
    return dict(total)


def read_logs(net: BorderNetwork) -> dict[str, int]:
    """What the relayers wrote; Lost when one of them ended by a fault of its own."""
    text = "".join((net.group.directory / f"{n}.log").read_text("utf-8") for ns in net.relayers.values() for n in ns)
    if "Traceback" in text or "BAD_RPC_NODE" in text:
        raise Lost(f"a relayer's log tells of a fault: {text[text.find('Traceback') :][:600]}")
    return {"relayer_transactions": text.count(" CARRIED "), "relayer_failures": text.count(" NOT_CARRIED ")}


async def story(
    directory: Path, *, markets: int, backlog: int, seconds: float, kills: int, seed: int
) -> dict[str, object]:
    """Runs it; the figures. Raises whatever went wrong."""
    began = time.monotonic()
    net = BorderNetwork(directory, markets, RELAYERS, backlog)
    say(f"laid out in {time.monotonic() - began:.0f} s")
    trial = Trial(net, random.Random(seed))
    try:
        await net.start()
        say("nodes run, markets are admitted")
        await trial.run(seconds, kills)
        left = sum([await trial.under_way(market) for market in net.markets])
        say(f"{trial.kills} kills; {left} packets and directives are under way")
        drained_s = await trial.drain()
        total = await check(trial)
    finally:
        await net.stop()
    return {
        "markets": markets,
        "relayers": RELAYERS * markets,
        "seconds": seconds,
        "kills": trial.kills,
        "both_of_a_market_down": trial.both_down,
        "with_something_on_its_way": trial.on_their_way,
        "backlog": backlog,
        "business": sum(trial.accepted.values()),
        **total,
        "under_way_when_load_ended": left,
        "all_arrived_after_s": round(drained_s, 1),
        **read_logs(net),
        "seed": seed,
        "load_average": round(os.getloadavg()[0], 1),
    }


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description="Racing relayers of real chains, killed at random under load.")
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--markets", type=int, default=3, choices=range(1, len(MARKETS) + 1))
    parser.add_argument("--backlog", type=int, default=5_000, help="blocks that wait at the first market")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--json", action="store_true", help="one JSON line on standard output")
    arguments = parser.parse_args()
    seed = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(1 << 32)
    say(f"seed {seed}")
    with tempfile.TemporaryDirectory(prefix="dualchain-relayers-") as temporary:
        found = asyncio.run(
            story(
                Path(temporary) / "network",
                markets=arguments.markets,
                backlog=arguments.backlog,
                seconds=60 * arguments.minutes,
                kills=1,
                seed=seed,
            )
        )
    print(json.dumps(found) if arguments.json else "\n".join(f"{name:>26}  {value}" for name, value in found.items()))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
