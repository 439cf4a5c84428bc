"""A chain in memory with the contract ``data``: an owner, readers, custodians, a regulator; real sealing keys."""

from __future__ import annotations

from functools import cache

from chain_core.codec.seen import state_key
from chain_core.codec.signed import derive_id
from chain_core.codec.values import decode_value
from chain_core.crypto.hashing import sm3
from chain_core.crypto.providers import generate_private_key, signing_provider
from chain_core.crypto.sm2_encryption import sm2_encrypt
from chain_core.execution.executor import Executor
from chain_core.execution.messages import Messages
from chain_core.types.genesis import DEFAULT_PARAMETERS, Genesis, GenesisAccount
from chain_core.types.transaction import Operation, Receipt
from chain_core.types.values import Value
from contracts.data.contract import Data
from contracts.data.records import DATA, Descriptor, Grant, decode_readers, find
from tests.unit.contracts.market import MONDAY, noon
from tests.unit.execution.world import GENESIS_HASH, World, account, key
from tests.unit.execution.world import genesis as coins_genesis

PEOPLE: dict[str, tuple[str, ...]] = {
    "owner": ("data_owner",),
    "operator": ("operator",),
    "ann": (),
    "bo": (),
    "cy": (),
    "vault": ("custodian",),
    "vault-2": ("custodian",),
    "csrc": ("regulator",),
    "csrc-2": ("regulator",),
}
DAY_MS = 86_400_000


@cache
def sealing_pair(name: str) -> tuple[bytes, bytes]:
    """A person's sealing key: private, public."""
    private = generate_private_key()
    return private, signing_provider().sm2_public_key(private)


def sealing(name: str) -> bytes:
    return sealing_pair(name)[1]


def reference(name: str) -> str:
    return sm3(name.encode())[:16].hex()


def op(method: str, **args: Value) -> Operation:
    return Operation(DATA, method, args)


def wrap(name: str) -> bytes:
    """A well-formed wrap; these tests do not open it."""
    return sm2_encrypt(sealing(name), bytes(16))


def custodian(name: str = "vault") -> dict[str, Value]:
    return {"account": account(name), "key": sealing(name)}


def row(name: str, expires_ms: int, wraps: int = 1) -> dict[str, Value]:
    return {"reader": account(name), "key": sealing(name), "expires_ms": expires_ms, "wraps": [wrap(name)] * wraps}


class House(World):
    """Blocks that are applied at once."""

    messages: Messages

    @classmethod
    def open(cls) -> House:
        house = cls(Executor((Data(),)))
        house.messages = Messages(house.executor.assembly.contracts, ())
        rows = tuple(
            GenesisAccount(
                account(name),
                f"entity {name}",
                roles,
                {"transaction": (key(name),), "sealing": (sealing(name),), "assertion": (key(f"{name} asserts"),)},
            )
            for name, roles in PEOPLE.items()
        )
        validators = coins_genesis().validators
        document = Genesis("data", "local", "BJ", noon(MONDAY), validators, DEFAULT_PARAMETERS, (), rows, {}, b"above")
        house.state.update(house.executor.genesis_writes(document, GENESIS_HASH))
        house.time_ms = noon(MONDAY)
        return house

    def ok(self, name: str, *operations: Operation, **options: object) -> Receipt:
        receipt = self.one(name, *operations, **options)
        assert receipt.code == 0, self.messages.render(receipt.code, receipt.rule, receipt.parameters, "en")
        return receipt

    def refused(self, name: str, *operations: Operation, **options: object) -> str:
        """The rule, or the code where no rule is named; its text exists in both languages."""
        receipt = self.one(name, *operations, **options)
        assert receipt.code != 0, "accepted"
        for language in ("zh", "en"):
            text = self.messages.render(receipt.code, receipt.rule, receipt.parameters, language)
            assert "{" not in text and text
        return receipt.rule or str(receipt.code)

    def read(self, contract: str, own: bytes) -> bytes | None:
        return self.state.get(state_key(contract, own))

    def events(self) -> list[str]:
        assert self.last is not None
        return [name for _, name, _ in decode_value(self.last.events[0])]  # type: ignore[union-attr,misc,str-unpack]

    # ---- usual steps

    def id_of(self, name: str, owner: str = "owner") -> bytes:
        return derive_id(GENESIS_HASH, DATA, account(owner), reference(name))

    def soon(self, days: int = 1) -> int:
        return self.time_ms + days * DAY_MS

    def sealed_args(self, *grants: dict[str, Value], **changes: Value) -> dict[str, Value]:
        args: dict[str, Value] = {
            "commitment": sm3(b"commitment"),
            "sealed": bytes(28 + 256),
            "own": {"key": sealing("owner"), "wrap": wrap("owner")},
            "custodians": [custodian()],
            "grants": list(grants),
        }
        return args | changes

    def limited(self, name: str, *readers: str) -> bytes:
        """A limited object of the owner; its id."""
        args = self.sealed_args(*(row(reader, self.soon()) for reader in readers))
        self.ok("owner", op("seal", reference=reference(name), kind="agreement", **args))
        return self.id_of(name)

    def private(self, name: str, *readers: str) -> bytes:
        """A private object of the owner; its id."""
        self.ok("owner", op("describe", **described(name)))
        identity = self.id_of(name)
        for reader in readers:
            self.ok("owner", op("allow", object=identity, reader=account(reader), expires_ms=self.soon()))
        return identity

    def public(self, name: str) -> bytes:
        self.ok("owner", op("publish", reference=reference(name), kind="disclosure", body=b"in plain"))
        return self.id_of(name)

    def descriptor(self, identity: bytes) -> Descriptor:
        found = find(Descriptor, self.read(DATA, b"d" + identity))
        assert found is not None
        return found

    def grant(self, identity: bytes, name: str) -> Grant | None:
        return find(Grant, self.read(DATA, b"g" + identity + account(name)))

    def readers(self, identity: bytes) -> list[bytes]:
        return decode_readers(self.read(DATA, b"n" + identity))


def described(name: str, **changes: Value) -> dict[str, Value]:
    return {
        "reference": reference(name),
        "kind": "identity",
        "size_class": 12,
        "commitment": sm3(b"salted"),
        "store": bytes(16),
        "custodian": custodian(),
        **changes,
    }


def access(identity: bytes, name: str, version: int = 1, **changes: Value) -> Operation:
    args: dict[str, Value] = {"object": identity, "version": version, "purpose": "audit", "key": sealing(name)}
    return op("record_access", **(args | changes))
