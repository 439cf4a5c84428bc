"""A market's chain of four nodes in one event loop with people who own, read and keep data."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from chain_core.codec.genesis import encode_genesis
from chain_core.crypto.keys import write_private_key
from chain_core.crypto.providers import generate_private_key, signing_provider
from chain_core.network.raw_rpc import RawServer
from chain_core.node.chain_view import ChainView
from chain_core.node.config import join, load_config
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
from local_chain.assembly import local_assembly
from local_chain.data.chain import DataChain
from local_chain.data.key_ring import KeyRing
from local_chain.data.owner import Archive, Owner
from local_chain.data.reader import Reader
from local_chain.data.release import Custodian, Releaser
from local_chain.data.store import ObjectStore
from local_chain.data.vault import Vault
from local_chain.genesis import MarketCalendar, market_genesis
from service_registry.chain import Account, wall_clock_ms
from service_registry.config import KeyPair
from supervisory_chain.genesis import supervisory_genesis
from tests.integration.network import NAMES, drawn_ports, now_ms

PEOPLE = {
    "owner": ("data_owner",),
    "ann": (),
    "bo": (),
    "cy": (),
    "csrc": ("regulator",),
    "custodian": ("custodian",),
}


def lay_out(
    directory: Path,
    client_security: str = "plaintext",
    people: Mapping[str, tuple[str, ...]] = PEOPLE,
    above: bytes = b"",
) -> None:
    """Keys, genesis document and configurations; each person has a sealing key beside the transaction key.

    ``above``: the supervisory chain's genesis document, one of its own unless given.
    """
    new_directory(directory)
    ports = drawn_ports(8)
    plans = [NodePlan(n, f"entity {n}", "127.0.0.1", ports[2 * i], ports[2 * i + 1]) for i, n in enumerate(NAMES)]
    validators = make_validators(directory, plans)
    accounts = []
    for row, name in zip(
        make_accounts(directory, [AccountPlan(name, f"entity {name}", roles) for name, roles in people.items()]),
        people,
        strict=True,
    ):
        if name == "cy":  # attaches his own later
            accounts.append(row)
            continue
        private = generate_private_key()
        write_private_key(directory / "accounts" / f"{name}-sealing.key", private)
        accounts.append(replace(row, keys={**row.keys, "sealing": (signing_provider().sm2_public_key(private),)}))
    above = above or encode_genesis(supervisory_genesis("above", now_ms(), validators, accounts))
    genesis = market_genesis(
        "data", "BJ", now_ms(), validators, accounts, above, MarketCalendar(), {"idle_block_ms": 1_000}
    )
    write_network(directory, genesis, plans, client_security=client_security)


class DataHouse:
    """The running chain; ``store`` may be set to another one before the custodian opens."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.configs = {name: load_config(directory / name / "node.toml") for name in NAMES}
        self.addresses = [config.listen.client for config in self.configs.values()]
        self.view = ChainView((directory / "genesis.bin").read_bytes())
        self._chain: DataChain | None = None
        self.nodes: dict[str, Node] = {}
        self.vault_folder = directory / "vault"
        self.key_folders = [directory / "keys-a", directory / "keys-b"]
        self.vault_key = KeyPair.of(generate_private_key())
        self.store = ObjectStore.folder(directory / "objects")
        self.release = ""

    @property
    def chain(self) -> DataChain:
        if self._chain is None:
            self._chain = DataChain(self.view, self.addresses)
        return self._chain

    def account(self, name: str) -> bytes:
        return account_key(self.directory, name)[0]

    def who(self, name: str) -> Account:
        identity, private = account_key(self.directory, name)
        return Account(identity, private, signing_provider().sm2_public_key(private))

    def sealing(self, name: str) -> KeyPair:
        return KeyPair.load(self.directory / "accounts" / f"{name}-sealing.key")

    def owner(self, name: str = "owner") -> Owner:
        return Owner(self.chain, self.who(name), KeyRing([self.sealing(name)]), [self.account("custodian")])

    def reader(self, name: str) -> Reader:
        return Reader(self.chain, self.who(name), KeyRing([self.sealing(name)]), [self.release])

    def vault(self) -> Vault:
        return Vault(self.vault_folder, self.key_folders, self.vault_key)

    def archive(self) -> Archive:
        return Archive(self.account("custodian"), self.store, self.vault())

    def releaser(self) -> Releaser:
        custodian = Custodian(self.who("custodian"), KeyRing([self.sealing("custodian")]), self.vault(), self.store)
        return Releaser(self.chain, custodian, wall_clock_ms)

    async def start(self) -> None:
        for name, config in self.configs.items():
            membership = join(config)
            self.nodes[name] = Node(config, membership, local_assembly(membership.genesis))
            await self.nodes[name].start()

    async def until(self, height: int) -> None:
        """All nodes are final at ``height`` or above."""
        for node in self.nodes.values():
            reached = asyncio.Event()

            def told(block: FinalBlock, reached: asyncio.Event = reached) -> None:
                if block.height >= height:
                    reached.set()

            node.observer.told.append(told)
            if node.store.final_height < height:
                await asyncio.wait_for(reached.wait(), 30)
            node.observer.told.remove(told)

    async def stop(self) -> None:
        for name in tuple(self.nodes):
            await self.nodes.pop(name).stop()


@asynccontextmanager
async def data_house(
    directory: Path, people: Mapping[str, tuple[str, ...]] = PEOPLE, above: bytes = b""
) -> AsyncIterator[DataHouse]:
    """Nodes and the custodian's service, stopped in any case."""
    lay_out(directory, people=people, above=above)
    house = DataHouse(directory)
    for folder in house.key_folders:
        folder.mkdir()
    Vault.create(house.vault_folder, house.key_folders, house.vault_key)
    server: RawServer | None = None
    try:
        await house.start()
        await house.until(1)  # nothing can be proven under height 0
        server = RawServer(house.releaser().methods())
        house.release = server.bind("127.0.0.1:0")
        await server.start()
        yield house
    finally:
        if server is not None:
            await server.stop(0)
        await house.chain.close()
        await house.stop()


def files_below(*roots: Path) -> Iterable[Path]:
    for root in roots:
        for folder, _, names in os.walk(root):
            yield from (Path(folder) / name for name in names)
