"""A chain of four nodes in one event loop: real gRPC on drawn ports, real LevelDB, a toy ledger of coins."""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path

from chain_core.codec.signed import derive_id
from chain_core.crypto.providers import signing_provider
from chain_core.ledger.store import LedgerStore
from chain_core.network.link_door import LinkDoor
from chain_core.network.links import PeerLinks
from chain_core.network.raw_rpc import Method
from chain_core.network.signing import sign_transaction
from chain_core.node.assembly import Assembly
from chain_core.node.chain_view import ChainView
from chain_core.node.config import NodeConfig, join, load_config
from chain_core.node.ports import FinalBlock
from chain_core.node.process import Node
from chain_core.node.provision import (
    AccountPlan,
    NodePlan,
    account_key,
    make_accounts,
    make_validators,
    new_directory,
    write_network,
)
from chain_core.node.verifying_client import VerifyingClient
from chain_core.types.genesis import DEFAULT_PARAMETERS, Genesis
from chain_core.types.transaction import Operation, TransactionBody
from dualchain.demo.ports import draw_ports
from local_chain.main_ledger import MainLedger
from tests.unit.execution.world import Coins

NAMES = ("one", "two", "three", "four")
ACCOUNTS = ("alice", "bob", "carol")


def assembly(genesis: Genesis) -> Assembly:
    return Assembly("coins", (Coins(),), followers=(MainLedger(),))


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def drawn_ports(count: int) -> list[int]:
    """Ports that nobody has, and that no outgoing connection of the tests is given meanwhile."""
    return draw_ports(count)


def lay_out(directory: Path, governors: Sequence[str] = (), names: Sequence[str] = NAMES, **parameters: int) -> bytes:
    """Keys, genesis document and configurations of four nodes; the genesis hash. ``governors`` are of ACCOUNTS."""
    new_directory(directory)
    ports = drawn_ports(2 * len(names))
    plans = [
        NodePlan(name, f"entity {name}", "127.0.0.1", ports[2 * i], ports[2 * i + 1]) for i, name in enumerate(names)
    ]
    roles = {"alice": ("issuer",), **dict.fromkeys(governors, ("governor",))}
    accounts = make_accounts(directory, [AccountPlan(name, f"entity {name}", roles.get(name, ())) for name in ACCOUNTS])
    genesis = Genesis(
        "coins-of-four",
        "supervisory",
        "",
        now_ms(),
        make_validators(directory, plans),
        DEFAULT_PARAMETERS | {"idle_block_ms": 0} | parameters,
        (),
        accounts,
    )
    return write_network(directory, genesis, plans, client_security="plaintext")


class Wallet:
    """Signs for one genesis account."""

    def __init__(self, directory: Path, name: str, genesis_hash: bytes) -> None:
        self.account, self.private = account_key(directory, name)
        self.public = signing_provider().sm2_public_key(self.private)
        self.genesis_hash = genesis_hash
        self.nonces = itertools.count(1)

    def sign(self, *operations: Operation, valid_ms: int = 60_000, **changes: object) -> bytes:
        body = TransactionBody(0, self.account, next(self.nonces), now_ms() + valid_ms, operations)
        body = replace(body, **changes)  # type: ignore[arg-type]
        return sign_transaction(self.genesis_hash, body, [(self.private, self.public)])

    def transfer(self, to: bytes, amount: int, **changes: object) -> bytes:
        return self.sign(Operation("coins", "transfer", {"to": to, "amount": amount}), **changes)  # type: ignore[arg-type]


def other_account(name: str) -> bytes:
    return derive_id(bytes(32), "test", bytes(16), name)


def served(*links: PeerLinks) -> dict[str, Method]:
    """A peer port with these links, of ledger 0, 1 and so on."""
    door = LinkDoor()
    door.links |= dict(enumerate(links))
    return door.methods()


class Network:
    """The nodes of one directory that ``lay_out`` made; each can be started and stopped."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.configs: dict[str, NodeConfig] = {name: load_config(directory / name / "node.toml") for name in NAMES}
        self.genesis = (directory / "genesis.bin").read_bytes()
        self.view = ChainView(self.genesis)
        self.nodes: dict[str, Node] = {}
        self.wallets = {name: Wallet(directory, name, self.view.genesis_hash) for name in ACCOUNTS}

    async def start(self, *names: str) -> None:
        for name in names or NAMES:
            membership = join(self.configs[name])
            node = Node(self.configs[name], membership, assembly(membership.genesis))
            await node.start()
            self.nodes[name] = node

    async def stop(self, *names: str) -> None:
        for name in names or tuple(self.nodes):
            await self.nodes.pop(name).stop()

    def addresses(self, *names: str) -> list[str]:
        return [self.configs[name].listen.client for name in names or NAMES]

    def client(self, *names: str) -> VerifyingClient:
        return VerifyingClient(self.view, self.addresses(*names))

    async def until(self, height: int, *names: str) -> None:
        """These nodes (all that run) are final at ``height`` or above."""
        for name in names or tuple(self.nodes):
            node = self.nodes[name]
            reached = asyncio.Event()

            def told(block: FinalBlock, reached: asyncio.Event = reached) -> None:
                if block.height >= height:
                    reached.set()

            node.observer.told.append(told)
            if node.store.final_height < height:
                await asyncio.wait_for(reached.wait(), 30)
            node.observer.told.remove(told)

    def store(self, name: str) -> LedgerStore:
        return self.nodes[name].store

    def roots_agree(self) -> bool:
        """Whether all running nodes have one header at the height that all of them have."""
        height = min(node.store.final_height for node in self.nodes.values())
        return len({node.store.header(height) for node in self.nodes.values()}) == 1


def run(directory: Path, story: Callable[[Network], Awaitable[None]], *names: str) -> None:
    """Tells ``story`` on a network of which all nodes (or the named ones) run; it is stopped in any case."""

    async def main() -> None:
        network = Network(directory)
        try:
            await network.start(*names)
            await story(network)
        finally:
            await network.stop()

    asyncio.run(main())
