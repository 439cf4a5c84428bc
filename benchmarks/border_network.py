"""A supervisory chain and market chains of real node processes with relayers between them, for benchmarks and trials.

Four nodes a chain; plaintext client ports on this machine. The first market's chain may begin with a backlog: blocks of
business that were made before anybody carried one of them (``grown_chain.py``).
"""

from __future__ import annotations

import asyncio
import itertools
import json
import shutil
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from benchmarks.grown_chain import GrownChain
from chain_core.codec.genesis import encode_genesis
from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_map, decode_value
from chain_core.crypto.providers import signing_provider
from chain_core.network.signing import sign_transaction
from chain_core.node.answers import SubscribedBlock
from chain_core.node.chain_view import ChainView, VerifiedReceipt
from chain_core.node.client import NodeClient
from chain_core.node.event_filter import EventFilter
from chain_core.node.provision import (
    AccountPlan,
    NodePlan,
    account_key,
    genesis_account_id,
    make_accounts,
    make_validators,
    new_directory,
    write_network,
)
from chain_core.node.verifying_client import Refused, VerifyingClient
from chain_core.types.genesis import Genesis
from chain_core.types.transaction import Operation, TransactionBody
from chain_core.types.values import Value
from dualchain.demo.ports import LOOPBACK, draw_ports
from dualchain.demo.processes import ProcessGroup
from local_chain.genesis import MarketCalendar, market_accounts, market_genesis
from supervisory_chain.genesis import ACCOUNTS, CHAIN_ID, TRYING_OUT, supervisory_genesis

MARKETS = ("BJ", "SH", "ZJ")
NODES = 4
BLOCK_MS = 100
"""Between two blocks of the backlog, by their own time."""
READY_S = 300.0
WINDOW_MS = 600_000
PATIENCE_S = 240.0
RETENTION = {"max_window_ms": WINDOW_MS, "seen_retention_ms": WINDOW_MS}

Event = tuple[str, str, dict[str, Value]]
"""Contract, kind, fields."""


def now_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


@dataclass(slots=True)
class Chain:
    """One chain: its folder, nodes, and a client of it."""

    name: str
    directory: Path
    plans: tuple[NodePlan, ...]
    genesis: Genesis
    view: ChainView
    client: VerifyingClient
    nonces: Iterator[int] = field(default_factory=lambda: itertools.count(time.time_ns()))

    @classmethod
    def of(cls, name: str, directory: Path, plans: tuple[NodePlan, ...], genesis: Genesis) -> Chain:
        """A chain that was laid out."""
        view = ChainView(encode_genesis(genesis))
        return cls(name, directory, plans, genesis, view, VerifyingClient(view, addresses_of(plans)))

    @property
    def hash(self) -> bytes:
        """Genesis hash."""
        return self.view.genesis_hash

    def sign(self, name: str, operation: Operation, until_ms: int = 0) -> bytes:
        """A transaction of a genesis account."""
        account, private = account_key(self.directory, name)
        body = TransactionBody(0, account, next(self.nonces), until_ms or now_ms() + 120_000, (operation,))
        return sign_transaction(self.hash, body, [(private, signing_provider().sm2_public_key(private))])

    async def settle(self, name: str, operation: Operation) -> VerifiedReceipt:
        """One transaction, final and accepted; RuntimeError when it is refused."""
        (settled,) = await self.client.submit_until_final([self.sign(name, operation)], within_s=PATIENCE_S)
        if isinstance(settled, Refused):
            raise settled.refusal
        if settled.receipt.code:
            raise RuntimeError(f"{operation.method}: code {settled.receipt.code} {settled.receipt.rule}")
        return settled

    async def value(self, key: bytes) -> bytes | None:
        """A proven value."""
        return (await self.client.state([key]))[1][0]

    async def told(
        self, wanted: EventFilter, from_height: int = 0, node: int = 0
    ) -> AsyncGenerator[SubscribedBlock, None]:
        """Blocks as one node tells of them."""
        client = NodeClient(addresses_of(self.plans)[node], genesis_hash=self.hash)
        async with client, aclosing(client.subscribe(wanted, from_height)) as blocks:
            async for block in blocks:
                yield block


def addresses_of(plans: Sequence[NodePlan]) -> list[str]:
    """Client ports."""
    return [f"{plan.host}:{plan.client_port}" for plan in plans]


def events_of(block: SubscribedBlock) -> Iterator[Event]:
    """All events of the transactions told."""
    for _, raw in block.transactions:
        yield from (cast(Event, tuple(cast(Sequence[Value], row))) for row in cast(Sequence[Value], decode_value(raw)))


def business(market: str, reference: str) -> Operation:
    """A piece of business: a security enters the register."""
    args: dict[str, Value] = {
        "reference": reference,
        "name": "example",
        "issuer": genesis_account_id("operator"),
        "province": market,
        "unit_decimals": 0,
        "declared": 100,
        "legacy": False,
    }
    return Operation("kernel", "register_security", args)


class BorderNetwork:
    """The supervisory chain, ``markets`` market chains, ``relayers`` relayers for each of them."""

    def __init__(self, directory: Path, markets: int, relayers: int, backlog: int) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory, self.group = directory, ProcessGroup(directory / "logs")
        self.backlog = backlog
        self._ports = draw_ports(2 * NODES * (1 + markets))
        self._start_ms = now_ms() - (backlog + 20) * BLOCK_MS - 1_000
        names = MARKETS[:markets]
        couriers = [AccountPlan(f"relayer-{m}-{i}", "Courier", ()) for m in names for i in range(relayers)]
        self.above = self._lay_out_above([*ACCOUNTS, AccountPlan("operator", "Operators", ("operator",)), *couriers])
        self.markets = [self._lay_out_market(name, relayers) for name in names]
        self.relayers: dict[str, list[str]] = {}
        for market in self.markets:
            for number in range(relayers):
                self._write_relayer(market, number)
        if backlog:
            self._grow(self.markets[0])

    # ---- laying out

    def _plans(self, name: str) -> tuple[NodePlan, ...]:
        ports = self._ports
        return tuple(
            NodePlan(f"{name}-{i}", f"Institution {i} of {name}", LOOPBACK, ports.pop(), ports.pop())
            for i in range(NODES)
        )

    def _lay_out_above(self, accounts: Sequence[AccountPlan]) -> Chain:
        directory, plans = self.directory / "supervisory", self._plans("csrc")
        new_directory(directory)
        genesis = supervisory_genesis(
            CHAIN_ID,
            self._start_ms,
            make_validators(directory, plans),
            make_accounts(directory, accounts),
            RETENTION | TRYING_OUT,
        )
        write_network(directory, genesis, plans, client_security="plaintext")
        return Chain.of("supervisory", directory, plans, genesis)

    def _lay_out_market(self, name: str, relayers: int) -> Chain:
        directory, plans = self.directory / name, self._plans(name.lower())
        new_directory(directory)
        couriers = [AccountPlan(f"relayer-{i}", "Courier", ()) for i in range(relayers)]
        genesis = market_genesis(
            f"rem-{name.lower()}",
            name,
            self._start_ms,
            make_validators(directory, plans),
            make_accounts(directory, [*market_accounts("Operator", "Bank"), *couriers]),
            encode_genesis(self.above.genesis),
            MarketCalendar(),
            RETENTION,
        )
        write_network(directory, genesis, plans, client_security="plaintext")
        return Chain.of(name, directory, plans, genesis)

    def _write_relayer(self, market: Chain, number: int) -> None:
        name = f"relayer-{market.name}-{number}"
        lines = []
        for section, chain, account in (("supervisory", self.above, name), ("local", market, f"relayer-{number}")):
            key = chain.directory / "accounts" / f"{account}.key"
            lines += [
                f"[{section}]",
                f"genesis = {json.dumps(str((chain.directory / 'genesis.bin').resolve()))}",
                f"nodes = {json.dumps(addresses_of(chain.plans))}",
                f'account = "{genesis_account_id(account).hex()}"',
                f"key = {json.dumps(str(key.resolve()))}",
                "",
            ]
        (self.directory / f"{name}.toml").write_text("\n".join(lines), encoding="utf-8")
        self.relayers.setdefault(market.name, []).append(name)

    def _grow(self, market: Chain) -> None:
        """The backlog: a block for each piece of business."""
        grown = GrownChain(market.directory, market.genesis, market.plans)
        for height in range(1, self.backlog + 1):
            time_ms = self._start_ms + height * BLOCK_MS
            grown.append(
                height,
                time_ms,
                [market.sign("operator", business(market.name, f"B{height}"), time_ms + WINDOW_MS // 2)],
            )
        grown.close()
        for plan in market.plans[1:]:
            shutil.copytree(grown.data, market.directory / plan.name / "data")

    # ---- running

    async def start(self) -> None:
        """All nodes; the markets registered and admitted. No relayer runs yet."""
        commands = {
            plan.name: ["node", "run", "--config", str(chain.directory / plan.name / "node.toml")]
            for chain in (self.above, *self.markets)
            for plan in chain.plans
        }
        await self.group.start_all(commands, READY_S)
        for market in self.markets:
            endpoints: Value = [
                {"node": plan.name, "address": f"{plan.host}:{plan.client_port}"} for plan in market.plans[:2]
            ]
            args: dict[str, Value] = {"genesis": encode_genesis(market.genesis), "endpoints": endpoints}
            args |= {"technology": "dualchain", "consensus": "PBFT"}
            await self.above.settle("operator", Operation("chains", "register", args))
            await self.above.settle("csrc-issuer", Operation("chains", "approve", {"chain": market.hash}))
            await self.above.settle("csrc-checker", Operation("chains", "admit", {"chain": market.hash}))

    async def start_relayer(self, name: str) -> None:
        """One relayer, until it has reached both chains."""
        one = await self.group.start(name, ["relayer", "run", "--config", str(self.directory / f"{name}.toml")])
        await self.group.ready(one, READY_S)

    async def issue(self, market: Chain, kind: str, reference: str) -> int:
        """Proposes a directive about the market's custodian; the number to confirm it by."""
        args: dict[str, Value] = {
            "chain": market.hash,
            "kind": kind,
            "account": genesis_account_id("custodian"),
            "deadline_ms": now_ms() + 3_600_000,
            "reference": reference,
        }
        await self.above.settle("csrc-issuer", Operation("directives", "issue", args))
        raw = await self.above.value(state_key("directives", b"q"))
        assert raw is not None
        return cast(int, decode_map(raw)["last"])

    async def confirm(self, number: int) -> VerifiedReceipt:
        """By another officer: now it binds."""
        return await self.above.settle("csrc-checker", Operation("directives", "confirm", {"number": number}))

    async def stop(self) -> None:
        """Everything ends."""
        await asyncio.gather(*(chain.client.close() for chain in (self.above, *self.markets)), return_exceptions=True)
        await self.group.stop()
