"""A market for benchmarks: one local chain of real node processes, accounts with a key each, transfers to sign.

Everything is set up by ordinary transactions. Half of a security's holders sell, the other half buys, so that no rule
of the market (five trading days between buy and sell, 200 holders) stands in the way of an ordinary transfer. Every
buyer has accepted transfers under its own signature, so that a transfer needs the seller's only.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from chain_core.codec import signed
from chain_core.codec.genesis import encode_genesis
from chain_core.codec.signed import derive_id
from chain_core.codec.transaction import encode_body, encode_envelope
from chain_core.crypto.multibuffer import MultiBufferProvider
from chain_core.crypto.providers import generate_private_key, provider, signing_provider
from chain_core.network.signing import sign_transaction
from chain_core.node.chain_view import ChainView
from chain_core.node.provision import (
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
from chain_core.types.transaction import Operation, Signer, TransactionBody
from chain_core.types.values import Value
from dualchain.demo.days import day_of_ms
from dualchain.demo.ports import LOOPBACK, draw_ports
from dualchain.demo.processes import ProcessGroup
from local_chain.genesis import MarketCalendar, market_accounts, market_genesis
from supervisory_chain.genesis import ACCOUNTS, CHAIN_ID, supervisory_genesis

T = TypeVar("T")

HOLDERS = 160
START_QUANTITY = 1_000_000
WINDOW_MS = 1_800_000
ROWS = 64
SIGNING_THREADS = 2
ACCEPTANCES = 1_000
"""Buyers whose acceptances are signed and handed in together."""


@dataclass(frozen=True, slots=True)
class Holder:
    """An investor with its own key."""

    account: bytes
    private: bytes
    public: bytes


@dataclass(frozen=True, slots=True)
class Security:
    """A security with the holders that only sell and those that only buy."""

    security: bytes
    sellers: tuple[Holder, ...]
    buyers: tuple[Holder, ...]


@dataclass(slots=True)
class Market:
    """A running chain with its holders; ``supply`` is the sum of all registered holdings."""

    directory: Path
    plans: tuple[NodePlan, ...]
    view: ChainView
    group: ProcessGroup
    client: VerifyingClient
    securities: tuple[Security, ...] = ()
    nonces: Iterator[int] = field(default_factory=lambda: itertools.count(time.time_ns()))

    @property
    def addresses(self) -> list[str]:
        """Client ports of the nodes."""
        return [f"{plan.host}:{plan.client_port}" for plan in self.plans]

    @property
    def supply(self) -> int:
        """Units registered over all securities."""
        return sum(len(s.sellers) + len(s.buyers) for s in self.securities) * START_QUANTITY

    def pids(self) -> dict[str, int]:
        """Process ids of the nodes."""
        return {name: one.process.pid for name, one in self.group.running.items()}


def lay_out(
    directory: Path, nodes: int, parameters: dict[str, int] | None = None, time_ms: int | None = None
) -> tuple[Genesis, tuple[NodePlan, ...]]:
    """Keys, genesis document and configurations of a chain of ``nodes`` nodes, which began at ``time_ms`` (now)."""
    new_directory(directory)
    ports = draw_ports(2 * nodes)
    plans = tuple(
        NodePlan(f"node-{i}", f"Institution {i}", LOOPBACK, ports[2 * i], ports[2 * i + 1]) for i in range(nodes)
    )
    now_ms = time.time_ns() // 1_000_000 if time_ms is None else time_ms
    supervisor = directory / "supervisory"
    supervisor.mkdir()
    upper_plans = [NodePlan(f"csrc-{i}", f"Office {i}", LOOPBACK, 0, 0) for i in range(4)]
    upper = supervisory_genesis(
        CHAIN_ID, now_ms, make_validators(supervisor, upper_plans), make_accounts(supervisor, ACCOUNTS)
    )
    today = day_of_ms(now_ms)
    genesis = market_genesis(
        "rem-beijing",
        "BJ",
        now_ms,
        make_validators(directory, plans),
        make_accounts(directory, market_accounts("Operator", "Bank")),
        encode_genesis(upper),
        MarketCalendar(opened=tuple(d for d in (today, today + 1) if (d + 3) % 7 >= 5)),
        {"max_window_ms": WINDOW_MS, "seen_retention_ms": WINDOW_MS, **(parameters or {})},
    )
    write_network(directory, genesis, plans, client_security="plaintext")
    return genesis, plans


async def start_market(
    directory: Path,
    nodes: int,
    parameters: dict[str, int] | None = None,
    under: Mapping[str, Sequence[str]] | None = None,
    prepare: Callable[[Path, tuple[NodePlan, ...]], Awaitable[None]] | None = None,
) -> Market:
    """Lay out a chain of ``nodes`` nodes and start their processes; ``under`` names commands that run some of them.
    ``prepare`` may change what was laid out.
    """
    genesis, plans = lay_out(directory, nodes, parameters)
    if prepare is not None:
        await prepare(directory, plans)
    group = ProcessGroup(directory / "logs")
    try:
        for plan in plans:
            command = ["node", "run", "--config", str(directory / plan.name / "node.toml")]
            await group.start(plan.name, command, (under or {}).get(plan.name, ()))
        await asyncio.gather(*(group.ready(one, 60) for one in list(group.running.values())))
    except BaseException:
        await group.stop()
        raise
    view = ChainView(encode_genesis(genesis))
    client = VerifyingClient(view, [f"{p.host}:{p.client_port}" for p in plans])
    return Market(directory, plans, view, group, client)


async def settle(market: Market, name: str, batches: Sequence[Sequence[Operation]]) -> None:
    """Submit operations as the genesis account ``name`` and wait until all are final and accepted."""
    account, private = account_key(market.directory, name)
    key = (private, signing_provider().sm2_public_key(private))
    raws = []
    for operations in batches:
        until = time.time_ns() // 1_000_000 + 60_000
        body = TransactionBody(0, account, next(market.nonces), until, tuple(operations))
        raws.append(sign_transaction(market.view.genesis_hash, body, [key]))
    await _hand_in(market, raws)


async def _hand_in(market: Market, raws: Sequence[bytes]) -> None:
    """Submit envelopes and wait until all are final and accepted; RuntimeError for one that is not."""
    for outcome in await market.client.submit_until_final(raws, within_s=90):
        if isinstance(outcome, Refused):
            raise outcome.refusal
        if outcome.receipt.code:
            raise RuntimeError(f"set-up refused: code {outcome.receipt.code} {outcome.receipt.rule}")


def new_holders(market: Market, count: int) -> list[Holder]:
    """Keys and account ids of ``count`` investors."""
    registrar = genesis_account_id("registrar")
    found = []
    for i in range(count):
        private = generate_private_key()
        account = derive_id(market.view.genesis_hash, "account", registrar, f"H{i}")
        found.append(Holder(account, private, signing_provider().sm2_public_key(private)))
    return found


async def populate(market: Market, accounts: int) -> None:
    """Register accounts, suitability, securities and their rolls; the buyers accept transfers."""
    holders = await asyncio.to_thread(new_holders, market, accounts)
    register = [
        Operation(
            "accounts",
            "register",
            {"reference": f"H{i}", "entity": f"H{i}", "roles": [], "keys": {"transaction": [h.public]}},
        )
        for i, h in enumerate(holders)
    ]
    await settle(market, "registrar", list(_chunks(register, 32)))
    until = day_of_ms(time.time_ns() // 1_000_000) + 365
    rows: list[Value] = [{"account": h.account, "category": 2, "expires_day": until} for h in holders]
    suitability = [Operation("kernel", "set_suitability", {"rows": chunk}) for chunk in _chunks(rows, ROWS)]
    await settle(market, "operator", list(_chunks(suitability, 16)))
    market.securities = tuple(
        await asyncio.gather(*(_issue(market, i, group) for i, group in enumerate(_chunks(holders, HOLDERS))))
    )
    signers = Signers(market)
    try:
        for chunk in _chunks([buyer for s in market.securities for buyer in s.buyers], ACCEPTANCES):
            await _hand_in(market, await asyncio.to_thread(signers.sign_acceptances, chunk))
    finally:
        signers.close()


async def _issue(market: Market, number: int, holders: Sequence[Holder]) -> Security:
    operator = genesis_account_id("operator")
    security = derive_id(market.view.genesis_hash, "security", operator, f"S{number}")
    register: dict[str, Value] = {
        "reference": f"S{number}",
        "name": f"Security {number}",
        "issuer": operator,
        "province": "BJ",
        "unit_decimals": 0,
        "declared": START_QUANTITY * len(holders),
        "legacy": False,
    }
    operations = [Operation("kernel", "register_security", register)]
    for chunk in _chunks(holders, ROWS):
        rows: list[Value] = [{"account": h.account, "quantity": START_QUANTITY, "acquired_day": 0} for h in chunk]
        operations.append(Operation("kernel", "register_holding", {"security": security, "rows": rows}))
    operations.append(Operation("kernel", "activate_security", {"security": security}))
    await settle(market, "operator", [operations])
    half = len(holders) // 2
    return Security(security, tuple(holders[:half]), tuple(holders[half:]))


def _chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


class Signers:
    """Signs the holders' transactions outside the nodes, in lanes where the provider has them, else in threads."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._threads = ThreadPoolExecutor(SIGNING_THREADS)
        pairs = [[(s, seller) for seller in s.sellers] for s in market.securities]
        mixed = [pair for row in itertools.zip_longest(*pairs) for pair in row if pair is not None]
        self._turn = itertools.cycle(mixed)
        self._round = itertools.count()

    def sign(self, count: int) -> list[bytes]:
        """``count`` new transfers, each by another holder in turn, signed once."""
        work = []
        for _ in range(count):
            security, seller = next(self._turn)
            buyer = security.buyers[next(self._round) % len(security.buyers)]
            args: dict[str, Value] = {"security": security.security, "to": buyer.account, "quantity": 1}
            work.append((seller, Operation("kernel", "transfer", args)))
        return self._envelopes(work)

    def sign_acceptances(self, holders: Sequence[Holder]) -> list[bytes]:
        """Each holder's standing acceptance of transfers, signed by itself."""
        return self._envelopes([(h, Operation("kernel", "accept_transfers", {"accept": True})) for h in holders])

    def _envelopes(self, work: Sequence[tuple[Holder, Operation]]) -> list[bytes]:
        market = self._market
        genesis_hash = market.view.genesis_hash
        until = time.time_ns() // 1_000_000 + WINDOW_MS - 60_000
        bodies = [
            encode_body(TransactionBody(0, holder.account, next(market.nonces), until, (operation,)))
            for holder, operation in work
        ]
        messages = [signed.message(signed.TX, genesis_hash, body) for body in bodies]
        signatures = self._signatures([(h.private, m) for (h, _), m in zip(work, messages, strict=True)])
        return [
            encode_envelope(body, (Signer(holder.public, signature),))
            for body, (holder, _), signature in zip(bodies, work, signatures, strict=True)
        ]

    def _signatures(self, items: list[tuple[bytes, bytes]]) -> list[bytes]:
        chosen = provider()
        if isinstance(chosen, MultiBufferProvider):
            signatures: list[bytes] = chosen.sm2_sign_many_for_clients(items)
            return signatures
        sign = signing_provider().sm2_sign
        return list(self._threads.map(lambda item: sign(*item), items, chunksize=64))

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown()
