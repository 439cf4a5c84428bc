"""Owner, reader and custodian against a chain in memory: no nodes, no proofs, the same contract."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

from chain_core.types.transaction import Operation
from chain_core.types.values import Value
from local_chain.data.chain import DataChain, Key, Proven
from local_chain.data.key_ring import KeyRing
from local_chain.data.owner import Archive, Owner
from local_chain.data.release import Custodian, Releaser
from local_chain.data.store import ObjectStore
from local_chain.data.vault import Vault
from service_registry.chain import Account, RefusedByChain
from service_registry.config import KeyPair
from tests.unit.contracts.data.house import GENESIS_HASH, House, account, op, sealing_pair


class MemoryChain(DataChain):
    """Reads and writes the house's state; what is proven elsewhere is simply read here."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.names = {account(name): name for name in ("owner", "ann", "bo", "csrc", "vault", "vault-2")}
        self.client = SimpleNamespace(view=SimpleNamespace(genesis_hash=GENESIS_HASH, ledger=0))  # type: ignore[assignment]
        self.refusing: set[str] = set()
        """Methods that the chain refuses for now."""

    async def proven(self, keys: Sequence[Key], *, not_below: int = 0) -> Proven:
        header = SimpleNamespace(height=self.house.height, time_ms=self.house.time_ms)
        return Proven(header, {key: self.house.read(*key) for key in keys})  # type: ignore[arg-type]

    async def data(self, who: Account, method: str, **args: Value) -> object:  # type: ignore[override]
        receipt = None if method in self.refusing else self.house.one(self.names[who.account], op(method, **args))
        if receipt is None or receipt.code:
            rule = receipt.rule if receipt is not None else "refused for the test"
            raise RefusedByChain(rule, rule=rule, where="", next_step="")
        return SimpleNamespace(header=SimpleNamespace(height=self.house.height))


def pair(name: str) -> KeyPair:
    return KeyPair(*sealing_pair(name))


class Stage:
    """Everybody, with a vault and a store below ``directory``."""

    def __init__(self, directory: Path) -> None:
        self.house = House.open()
        self.house.time_ms += 1
        self.chain = MemoryChain(self.house)
        self.newer: dict[str, list[KeyPair]] = {}
        self.directory = directory
        self.key_folders = [directory / "keys"]
        self.key_folders[0].mkdir()
        self.vault = Vault.create(directory / "vault", self.key_folders, pair("the vault itself"))
        self.store = ObjectStore.folder(directory / "objects")
        self.archive = Archive(account("vault"), self.store, self.vault)

    def who(self, name: str) -> Account:
        return Account(account(name), b"", b"")

    def ring(self, name: str) -> KeyRing:
        """What ``new_key`` gave last, then the first one."""
        return KeyRing([*reversed(self.newer.get(name, [])), pair(name)])

    def new_key(self, name: str) -> None:
        """Attaches another sealing key and revokes the one in use."""
        before, after = self.ring(name).current, pair(f"{name}, key {len(self.newer.get(name, []))}")
        attach: dict[str, Value] = {"purpose": "sealing", "key": after.public}
        self.house.ok(name, Operation("accounts", "attach_key", attach))
        self.house.ok(name, Operation("accounts", "revoke_key", {"key": before.public}))
        self.newer.setdefault(name, []).append(after)

    def owner(self, name: str = "owner", *custodians: str) -> Owner:
        return Owner(self.chain, self.who(name), self.ring(name), [account(one) for one in custodians or ("vault",)])

    def releaser(self, name: str = "vault") -> Releaser:
        custodian = Custodian(self.who(name), self.ring(name), self.vault, self.store)
        return Releaser(self.chain, custodian, lambda: self.house.time_ms)
