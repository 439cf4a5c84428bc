"""A market's chain as owners, readers and custodians of data see it: proven reads of one state, final transactions."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chain_core.codec.seen import state_key
from chain_core.execution.account_records import ACCOUNTS, ACTIVE, decode_record
from chain_core.node.chain_view import VerifiedReceipt
from chain_core.types.block import Header
from chain_core.types.transaction import Operation
from chain_core.types.values import Value
from contracts.data.records import (
    DATA,
    SEALING,
    Deletion,
    Descriptor,
    Grant,
    decode_readers,
    deletion_key,
    find,
    grant_key,
    object_key,
    readers_key,
)
from local_chain.data.errors import DataRefused
from local_chain.data.items import Place
from service_registry.chain import Account, NodesBehind, RegistryChain

Key = tuple[str, bytes]
_TRIES, _PAUSE_S = 40, 0.05


@dataclass(frozen=True, slots=True)
class Proven:
    """Values by (contract, key), all under one certified header."""

    header: Header
    values: Mapping[Key, bytes | None]

    def read(self, contract: str, key: bytes) -> bytes | None:
        """A value that was asked for. KeyError for one that was not: nothing unproven is taken for absent."""
        return self.values[contract, key]


@dataclass(frozen=True, slots=True)
class Readers:
    """An object with all who may read it now."""

    descriptor: Descriptor
    grants: Mapping[bytes, Grant]


class DataChain(RegistryChain):
    """Raises what VerifyingClient raises."""

    async def proven(self, keys: Sequence[Key], *, not_below: int = 0) -> Proven:
        """Values under one header of height ``not_below`` or higher. Raises NodesBehind."""
        full = [state_key(contract, key) for contract, key in keys]
        header, values = await self.client.state(full)
        for _ in range(_TRIES):
            if header.height >= not_below:
                return Proven(header, dict(zip(keys, values, strict=True)))
            await asyncio.sleep(_PAUSE_S)
            header, values = await self.client.state(full)
        raise NodesBehind(
            f"the node is at height {header.height}, {not_below} is asked for",
            where="state",
            next_step="ask again, or name other nodes",
        )

    async def descriptor(self, identity: bytes) -> Descriptor:
        """An object's descriptor. Raises DataRefused when there is none."""
        key = (DATA, object_key(identity))
        found = find(Descriptor, (await self.proven([key])).values[key])
        if found is None:
            raise DataRefused(
                "没有该数据对象 / there is no such object", where=identity.hex(), next_step="check the id and the chain"
            )
        return found

    def place(self, identity: bytes, found: Descriptor) -> Place:
        """What the version in force is bound to: the chain it was sealed on, perhaps an earlier one of the line."""
        return Place(found.chain, self.client.view.ledger, identity, found.version)

    async def readers(self, identity: bytes) -> Readers:
        """All grants, proven complete by the list that the contract keeps."""
        descriptor, listed = await self.descriptor(identity), (DATA, readers_key(identity))
        names = decode_readers((await self.proven([listed])).values[listed])
        keys = [(DATA, grant_key(identity, name)) for name in names]
        values = (await self.proven(keys)).values if keys else {}
        grants = {name: find(Grant, values[key]) for name, key in zip(names, keys, strict=True)}
        return Readers(descriptor, {name: grant for name, grant in grants.items() if grant is not None})

    async def deletion(self, identity: bytes) -> Deletion | None:
        """An object's deletion record."""
        key = (DATA, deletion_key(identity))
        return find(Deletion, (await self.proven([key])).values[key])

    async def sealing_keys(self, account: bytes) -> tuple[bytes, ...]:
        """Active keys of purpose ``sealing`` of an active account; none otherwise."""
        key = (ACCOUNTS, b"a" + account)
        raw = (await self.proven([key])).values[key]
        record = None if raw is None else decode_record(raw)
        return record.keys.get(SEALING, ()) if record is not None and record.status == ACTIVE else ()

    async def sealing_key(self, account: bytes) -> bytes:
        """The first of them. Raises DataRefused when there is none."""
        keys = await self.sealing_keys(account)
        if not keys:
            raise DataRefused(
                "该账户没有有效的加密公钥 / the account has no active sealing key",
                where=account.hex(),
                next_step="let its holder attach one: dualchain local data key",
            )
        return keys[0]

    async def data(self, who: Account, method: str, **args: Value) -> VerifiedReceipt:
        """One operation of ``data``, final and successful. Raises RefusedByChain."""
        return await self.submit(who, [Operation(DATA, method, args)])
