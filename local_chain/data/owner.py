"""What an owner does: make objects, say who reads them, take that back, order a deletion (docs/spec/data-tiers.md)."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chain_core.codec.signed import derive_id
from chain_core.node.chain_view import VerifiedReceipt
from chain_core.types.values import Value
from contracts.data import records
from contracts.data.commitments import commitment
from contracts.data.records import DATA, LIMITED, PRIVATE, Descriptor, OwnWrap, body_key, find, own_key
from local_chain.data import items
from local_chain.data.chain import DataChain
from local_chain.data.errors import DataRefused
from local_chain.data.items import Place
from local_chain.data.key_ring import KeyRing
from local_chain.data.store import ObjectStore
from local_chain.data.vault import Entry, Vault
from service_registry.chain import Account, wall_clock_ms

Wrapped = Mapping[bytes, tuple[bytes, int]]
"""Readers: the key to wrap for, and when the grant ends."""


@dataclass(frozen=True, slots=True)
class Made:
    """An object, and the transaction that made it or changed it. ``left_out``: readers that a new version could not be
    sealed for, since their grants ended or they have no sealing key any more.
    """

    identity: bytes
    receipt: VerifiedReceipt
    left_out: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Archive:
    """Where private data goes: store and vault of its custodian."""

    custodian: bytes
    store: ObjectStore
    vault: Vault


class Owner:
    """An account with its keys, on a chain. Raises RefusedByChain, DataRefused, and what reading proofs raises."""

    def __init__(self, chain: DataChain, who: Account, sealing: KeyRing | None, custodians: Sequence[bytes]) -> None:
        self._chain = chain
        self._who = who
        self._sealing = sealing
        self._custodians = tuple(custodians)

    # ---- making

    async def publish(self, kind: str, content: bytes) -> Made:
        """Public data."""
        reference, place = self._new()
        if not 0 < len(content) <= records.MAX_BODY_BYTES:
            raise DataRefused(f"{len(content)} bytes, public data has 1 to {records.MAX_BODY_BYTES}", where="content")
        receipt = await self._chain.data(self._who, "publish", reference=reference, kind=kind, body=content)
        return Made(place.identity, receipt)

    async def seal(self, kind: str, content: bytes, readers: Mapping[bytes, int]) -> Made:
        """Limited data for these readers, each until its time in ms."""
        reference, place = self._new()
        wrapped = {reader: (await self._chain.sealing_key(reader), end) for reader, end in readers.items()}
        args = await self._sealed(place, content, wrapped)
        receipt = await self._chain.data(self._who, "seal", reference=reference, kind=kind, **args)
        return Made(place.identity, receipt)

    async def deposit(self, kind: str, content: bytes, archive: Archive) -> Made:
        """Private data: vault, store, chain, in this order; what fails in between is swept away by its custodian."""
        reference, place = self._new()
        key, salt, name = items.new_key(), items.new_salt(), secrets.token_bytes(16)
        sealed = items.seal_private(place, key, content)
        size_class = records.class_of_sealed(len(sealed))
        custodian_key = await self._chain.sealing_key(archive.custodian)
        archive.vault.put(Entry(place.identity, key, salt, name, wall_clock_ms()))
        await archive.store.put(name, sealed)
        receipt = await self._chain.data(
            self._who,
            "describe",
            reference=reference,
            kind=kind,
            size_class=size_class,
            commitment=commitment(salt, content),
            store=name,
            custodian={"account": archive.custodian, "key": custodian_key},
        )
        return Made(place.identity, receipt)

    # ---- who reads

    async def grant(self, identity: bytes, reader: bytes, expires_ms: int) -> Made:
        """A reader more, or the same one for longer."""
        found = await self._chain.descriptor(identity)
        if found.tier == PRIVATE:
            args: dict[str, Value] = {"object": identity, "reader": reader, "expires_ms": expires_ms}
            return Made(identity, await self._chain.data(self._who, "allow", **args))
        place = self._chain.place(identity, found)
        key = await self._content_key(identity, found)
        wrapped = {reader: (await self._chain.sealing_key(reader), expires_ms)}
        rows = _rows(place, key, wrapped, [row for _, row in found.custodians])
        args = {"object": identity, "version": found.version, "grants": rows}
        return Made(identity, await self._chain.data(self._who, "share", **args))

    async def withdraw(self, identity: bytes, reader: bytes) -> Made:
        """Private data: ends the grant. Limited data: a new version, sealed for the rest."""
        present = await self._chain.readers(identity)
        found = present.descriptor
        if found.tier == PRIVATE:
            return Made(identity, await self._chain.data(self._who, "withdraw", object=identity, reader=reader))
        if reader not in present.grants:
            raise DataRefused("该账户没有授权 / the account has no grant", where=reader.hex())
        now, rest = wall_clock_ms(), dict[bytes, tuple[bytes, int]]()
        for name, grant in present.grants.items():
            keys = await self._chain.sealing_keys(name) if name != reader and grant.expires_ms > now else ()
            if keys:
                rest[name] = grant.key if grant.key in keys else keys[0], grant.expires_ms
        content = await self.content(identity, found)
        args = await self._sealed(self._place(identity, found.version + 1), content, rest)
        receipt = await self._chain.data(self._who, "reseal", object=identity, version=found.version, **args)
        return Made(identity, receipt, tuple(name for name in present.grants if name not in rest and name != reader))

    async def delete(self, identity: bytes, reason: str) -> Made:
        """The order to destroy private data."""
        return Made(identity, await self._chain.data(self._who, "delete", object=identity, reason=reason))

    async def content(self, identity: bytes, found: Descriptor) -> bytes:
        """The owner's own limited data: needs nobody, records nothing."""
        key = await self._content_key(identity, found)
        place = DATA, body_key(identity)
        sealed = (await self._chain.proven([place])).values[place] or b""
        return items.open_limited(self._chain.place(identity, found), key, sealed, found.commitment)

    # ---- what they share

    def _new(self) -> tuple[str, Place]:
        """A reference drawn at random, and where the object will be."""
        reference = secrets.token_hex(16)
        identity = derive_id(self._chain.genesis_hash, DATA, self._who.account, reference)
        return reference, self._place(identity, 1)

    def _place(self, identity: bytes, version: int) -> Place:
        """Where a version sealed now will be."""
        return Place(self._chain.genesis_hash, self._chain.client.view.ledger, identity, version)

    @property
    def _ring(self) -> KeyRing:
        if self._sealing is None:
            raise DataRefused("no sealing key", where="actor.sealing_key", next_step="dualchain local data key")
        return self._sealing

    async def _content_key(self, identity: bytes, found: Descriptor) -> bytes:
        if found.tier != LIMITED or found.owner != self._who.account:
            raise DataRefused(
                "只有所有者可以 / only the owner of limited data can do this",
                where=identity.hex(),
                next_step="ask the owner, or read it by its custodian: dualchain local data get",
            )
        place = DATA, own_key(identity)
        own = find(OwnWrap, (await self._chain.proven([place])).values[place])
        assert own is not None, "a limited object has its owner's wrap"
        return items.unwrap_inner(self._ring.of(own.key).private, own.wrap)

    async def _sealed(self, place: Place, content: bytes, wrapped: Wrapped) -> dict[str, Value]:
        """Arguments of a sealed version under a fresh key."""
        if not self._custodians:
            raise DataRefused("no custodian is named", where="release.custodians", next_step="name one or more")
        key, own = items.new_key(), self._ring.current.public
        sealed, committed = items.seal_limited(place, key, content)
        custodians = {account: await self._chain.sealing_key(account) for account in self._custodians}
        return {
            "commitment": committed,
            "sealed": sealed,
            "own": {"key": own, "wrap": items.wrap_own(key, own)},
            "custodians": [{"account": account, "key": row} for account, row in custodians.items()],
            "grants": _rows(place, key, wrapped, list(custodians.values())),
        }


def _rows(place: Place, key: bytes, wrapped: Wrapped, custodians: Sequence[bytes]) -> list[Value]:
    return [
        {
            "reader": reader,
            "key": reader_key,
            "expires_ms": expires_ms,
            "wraps": [items.wrap(place, key, reader, reader_key, custodian) for custodian in custodians],
        }
        for reader, (reader_key, expires_ms) in wrapped.items()
    ]
