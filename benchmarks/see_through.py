"""A see-through query over three markets: python -m benchmarks.see_through [--holdings 1000000] [--held 50] [--json].

Three market states of a third of --holdings each on LevelDB (``benchmarks/market_states.py``), served by a real node
process each; a supervisory chain of four real node processes on which they are registered, admitted and followed. The
holder, who has --held securities in each market, is looked for as the regulator does it: markets proven, query recorded
and final, three markets asked at once, every proof checked. Wall time of the whole and of its steps, p50 and p95; CPU
time and peak memory of the desk. One answer with a holding left out, and one older than the desk allows, are handed to
the same judgement, and have to be refused.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

from benchmarks.market_states import MarketState, investor_code, make_market
from benchmarks.process_stats import usage
from chain_core.codec.genesis import encode_genesis
from chain_core.crypto.providers import provider, signing_provider
from chain_core.network.signing import sign_transaction
from chain_core.node.chain_view import ChainView
from chain_core.node.provision import (
    NodePlan,
    account_key,
    make_accounts,
    make_validators,
    new_directory,
    write_network,
)
from chain_core.node.verifying_client import Refused, VerifyingClient
from chain_core.types.errors import InvalidProof
from chain_core.types.genesis import GenesisAccount
from chain_core.types.transaction import Operation, TransactionBody
from chain_core.types.values import Value
from crosschain.looking.holder import HolderInMarket, check_holder
from crosschain.looking.inquiry import Fresh, StaleAnswer
from dualchain.demo.ports import LOOPBACK, draw_ports
from dualchain.demo.processes import ProcessGroup
from service_registry.config import KeyPair
from supervisory_chain.genesis import ACCOUNTS, CHAIN_ID, TRYING_OUT, supervisory_genesis
from supervisory_chain.looking import questions
from supervisory_chain.looking.config import DeskConfig
from supervisory_chain.looking.desk import Desk, Looked, Query

MARKETS = ("BJ", "SH", "ZJ")
NODES = 4
READY_S = 300.0
OPERATOR = "registrar"
Answered = Looked[questions.Proven[HolderInMarket]]


def plans_of(name: str, ports: list[int]) -> tuple[NodePlan, ...]:
    """Four nodes of four institutions; takes eight ports."""
    return tuple(
        NodePlan(f"{name}-{i}", f"Institution {i} of {name}", LOOPBACK, ports.pop(), ports.pop()) for i in range(NODES)
    )


def now_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


class World:
    """The chains' directories and processes."""

    def __init__(self, directory: Path, holdings: int, held: int) -> None:
        self.directory, self.group = directory, ProcessGroup(directory / "logs")
        ports = list(draw_ports(2 * NODES * (1 + len(MARKETS))))
        self.above = directory / "supervisory"
        new_directory(self.above)
        self.plans = plans_of("csrc", ports)
        accounts = self._accounts()
        validators = make_validators(self.above, self.plans)
        genesis = supervisory_genesis(CHAIN_ID, now_ms() - 1_000, validators, accounts, TRYING_OUT)
        write_network(self.above, genesis, self.plans, client_security="plaintext")
        self.document = encode_genesis(genesis)
        each = -(-holdings // len(MARKETS))
        # In a process of their own: what making the states takes is not the desk's memory.
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as maker:
            self.markets: list[MarketState] = [
                maker.submit(
                    make_market,
                    directory / code,
                    code,
                    self.document,
                    plans_of(code.lower(), ports),
                    now_ms(),
                    each,
                    held,
                ).result()
                for code in MARKETS
            ]
        self.client = VerifyingClient(ChainView(self.document), [f"{one.host}:{one.client_port}" for one in self.plans])

    def _accounts(self) -> list[GenesisAccount]:
        """The regulator's own, and a market's operator for the registrations."""
        made = make_accounts(self.above, ACCOUNTS)
        return [replace(one, roles=("operator", "registrar")) if one.roles == ("registrar",) else one for one in made]

    async def start(self) -> None:
        """All processes, registered, admitted and followed."""
        for plan in self.plans:
            await self.group.start(plan.name, ["node", "run", "--config", str(self.above / plan.name / "node.toml")])
        for market in self.markets:
            await self.group.start(market.plans[0].name, ["node", "run", "--config", str(market.config)])
        await asyncio.gather(*(self.group.ready(one, READY_S) for one in list(self.group.running.values())))
        for market in self.markets:
            endpoints: Value = [
                {"node": plan.name, "address": f"{plan.host}:{plan.client_port}"} for plan in market.plans[:2]
            ]
            row: dict[str, Value] = {"genesis": encode_genesis(market.genesis), "endpoints": endpoints}
            await self.settle(
                OPERATOR, Operation("chains", "register", {**row, "technology": "dualchain", "consensus": "PBFT"})
            )
            await self.settle("csrc-checker", Operation("chains", "approve", {"chain": market.chain}))
            await self.settle("csrc-issuer", Operation("chains", "admit", {"chain": market.chain}))
            header: Value = [{"header": market.header, "certificate": market.certificate}]
            await self.settle(
                OPERATOR, Operation("clients", "submit_headers", {"chain": market.chain, "headers": header})
            )

    async def settle(self, name: str, operation: Operation) -> None:
        """One transaction, final and accepted."""
        account, private = account_key(self.above, name)
        body = TransactionBody(0, account, time.time_ns(), now_ms() + 60_000, (operation,))
        key = (private, signing_provider().sm2_public_key(private))
        raw = sign_transaction(self.client.view.genesis_hash, body, [key])
        (settled,) = await self.client.submit_until_final([raw], within_s=120)
        if isinstance(settled, Refused):
            raise settled.refusal
        if settled.receipt.code:
            raise RuntimeError(f"{operation.method}: code {settled.receipt.code} {settled.receipt.rule}")

    def desk(self) -> Desk:
        """A desk of the regulator's that was never connected before."""
        account, private = account_key(self.above, "csrc-issuer")
        config = DeskConfig.model_validate(
            {
                "supervisory": {
                    "genesis": str(self.above / "genesis.bin"),
                    "nodes": [f"{one.host}:{one.client_port}" for one in self.plans],
                },
                "actor": {"account": account.hex(), "key": "unused"},
                "look": {"fresh_within_s": 86_400, "timeout_s": 60.0},
                "directory": self.directory,
            }
        )
        client = VerifyingClient(ChainView(self.document), config.supervisory.nodes)
        return Desk(config, client, KeyPair.of(private))

    async def stop(self) -> None:
        """Everything ends."""
        await self.client.close()
        await self.group.stop()


async def look(desk: Desk, number: int) -> tuple[Answered, float, float]:
    """One query; its wall and CPU milliseconds."""
    code = investor_code(0)
    query = Query("holder", code, "supervision", f"benchmark {number}")
    wall, cpu = time.perf_counter(), time.process_time()
    looked = await desk.look(query, questions.holder(code))
    return looked, (time.perf_counter() - wall) * 1e3, (time.process_time() - cpu) * 1e3


def refusals(world: World, looked: Answered) -> dict[str, str]:
    """What the judgement says to an answer with a holding left out, and to an old one."""
    market, code = world.markets[0], investor_code(0)
    view, evidence = ChainView(encode_genesis(market.genesis)), looked.answers[MARKETS[0]].answer.evidence
    said = {}
    try:
        check_holder(view, code, replace(evidence, items=evidence.items[:-1]))
    except InvalidProof as refusal:
        said["a holding left out"] = refusal.what
    try:
        check_holder(view, code, evidence, Fresh(not_before_ms=now_ms()))
    except StaleAnswer as refusal:
        said["stale"] = refusal.what
    if len(said) != 2:
        raise RuntimeError("an altered or an old answer was not refused")
    return said


def spread(values: list[float]) -> dict[str, float]:
    """p50 and p95."""
    ordered = sorted(values)
    return {
        "p50": round(statistics.median(ordered), 1),
        "p95": round(ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))], 1),
    }


async def measure(directory: Path, holdings: int, held: int, rounds: int) -> dict[str, object]:
    """The figures."""
    started = time.perf_counter()
    world = World(directory, holdings, held)
    made_s = time.perf_counter() - started
    try:
        await world.start()
        cold_desk = world.desk()
        cold, cold_ms, _ = await look(cold_desk, 0)
        rows = [await look(cold_desk, number) for number in range(1, rounds + 1)]
        await cold_desk.close()
        for looked, _, _ in (*rows, (cold, 0, 0)):
            found = [len(told.answer.found.holdings) for told in looked.answers.values()]
            if not looked.complete() or looked.alarms or found != [held] * len(MARKETS):
                raise RuntimeError(f"incomplete: {looked.missing} {looked.alarms} {found}")
        pids = {name: one.process.pid for name, one in world.group.running.items()}
        said = refusals(world, cold)
        return {
            "provider": provider().name,
            "markets": len(MARKETS),
            "holdings": sum(market.holdings for market in world.markets),
            "held_by_the_holder": held * len(MARKETS),
            "proofs_checked": sum(len(told.answer.evidence.items) for told in cold.answers.values()),
            "queries": rounds,
            "total_ms": spread([wall for _, wall, _ in rows]),
            "first_query_ms": round(cold_ms, 1),
            **{f"{step}_ms": spread([one.took_ms[step] for one, _, _ in rows]) for step in cold.took_ms},
            "desk_cpu_ms": spread([cpu for _, _, cpu in rows]),
            "desk_peak_mb": round(usage(os.getpid()).peak_rss_mb, 1),
            "market_node_peak_mb": max(
                round(usage(pids[market.plans[0].name]).peak_rss_mb, 1) for market in world.markets
            ),
            "states_made_s": round(made_s, 1),
            "load_average": round(os.getloadavg()[0], 1),
            "refused": said,
        }
    finally:
        await world.stop()


def main() -> None:
    """Measures and prints one line of JSON, or a table."""
    parser = argparse.ArgumentParser(description="A see-through query over three markets")
    parser.add_argument("--holdings", type=int, default=1_000_000, help="of all three markets together")
    parser.add_argument("--held", type=int, default=50, help="securities of the holder in each market")
    parser.add_argument("--rounds", type=int, default=30, help="queries after the first one")
    parser.add_argument("--directory", default=None, help="where to write; a temporary directory otherwise")
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.directory) as name:
        directory = Path(name) / "world"
        directory.mkdir()
        result = asyncio.run(measure(directory, options.holdings, options.held, options.rounds))
    print(json.dumps(result, ensure_ascii=False) if options.json else json.dumps(result, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
