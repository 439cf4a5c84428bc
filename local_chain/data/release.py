"""The custodian's service: releases to a reader what a recorded access allows, and carries out deletions
(docs/spec/data-tiers.md §6, §8).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from chain_core._pb.dualchain.data.v1 import data_pb2 as pb
from chain_core.crypto.errors import CryptoError
from chain_core.network.identity import Caller
from chain_core.network.raw_rpc import Unary, parse
from chain_core.network.refusals import Overloaded
from chain_core.node.log import event
from chain_core.types.errors import DualchainError, MalformedBytes
from chain_core.types.ids import ACCOUNT_ID_SIZE
from contracts.data.authority import Denied, ReleasePermit, judge_release, release_keys
from contracts.data.records import ACTIVE, DATA, DELETED, DELETING, LIMITED, Descriptor, find, object_key
from local_chain.data import items
from local_chain.data.chain import DataChain
from local_chain.data.errors import DataRefused, NotReleased
from local_chain.data.items import Place
from local_chain.data.key_ring import KeyRing
from local_chain.data.store import ObjectStore
from local_chain.data.vault import Entry, Vault
from service_registry.chain import Account, RefusedByChain

log = logging.getLogger(__name__)

FETCH: Final = "/dualchain.data.v1.Release/Fetch"
MAX_RELEASES = 8
"""Under way at once: an item may take 16 MiB several times over."""
_AT_ONCE = 200
"""Descriptors asked for together."""
FRESH_MS = 60_000
"""A header older than this proves nothing about who may read now."""
ORPHAN_MS = 86_400_000
"""An item that the chain has not described after this long is destroyed."""

_NEXT = {
    Denied.NOT_RECORDED: "record the access first: dualchain local data get does both",
    Denied.RECORD_OVER: "record the access again",
    Denied.NO_GRANT: "ask the owner for a grant",
    Denied.GRANT_OVER: "ask the owner for a new grant",
    Denied.OTHER_CUSTODIAN: "ask a custodian that the descriptor names",
    Denied.KEY_REVOKED: "record the access with an active sealing key",
}


@dataclass(frozen=True, slots=True)
class Custodian:
    """The account with its transaction key, its sealing keys, and vault and store where it keeps private data."""

    who: Account
    sealing: KeyRing
    vault: Vault | None
    store: ObjectStore | None


class Releaser:
    """Serves Release/Fetch. ``clock`` is milliseconds since the epoch."""

    def __init__(self, chain: DataChain, custodian: Custodian, clock: Callable[[], int]) -> None:
        self._chain = chain
        self._own = custodian
        self._now_ms = clock
        self._under_way = 0

    def methods(self) -> dict[str, Unary]:
        """The method table for RawServer."""
        return {FETCH: Unary(self.fetch)}

    async def fetch(self, caller: Caller, data: bytes) -> bytes:
        """One release. Raises NotReleased, Overloaded, MalformedBytes."""
        request = parse(pb.FetchRequest, data)
        if len(request.object) != ACCOUNT_ID_SIZE or len(request.reader) != ACCOUNT_ID_SIZE:
            raise MalformedBytes("object and reader have 16 bytes each", where="request")
        if self._under_way >= MAX_RELEASES:
            what = f"{MAX_RELEASES} releases are under way"
            raise Overloaded(what, where="release", next_step="try again", retry_after_ms=1_000)
        self._under_way += 1
        try:
            return await self._fetch(request)
        finally:
            self._under_way -= 1

    async def _fetch(self, request: pb.FetchRequest) -> bytes:
        identity, reader = request.object, request.reader
        permit = await self._permit(identity, reader, request.not_below)
        found = permit.descriptor
        place = self._chain.place(identity, found)
        if found.tier == LIMITED:
            released = pb.FetchResponse(version=found.version, wrap=self._inner(place, reader, permit))
        else:
            package = await self._package(place, reader, permit)
            released = pb.FetchResponse(version=found.version, wrap=package.wrap, sealed=package.sealed)
        facts: dict[str, str | int] = {"object": identity.hex(), "reader": reader.hex(), "tier": found.tier}
        event(log, logging.INFO, "RELEASED", facts | {"access": permit.log.height})
        return released.SerializeToString()

    async def _permit(self, identity: bytes, reader: bytes, not_below: int) -> ReleasePermit:
        """The chain's word, no older than a minute."""
        proven = await self._chain.proven(release_keys(identity, reader), not_below=not_below)
        now = self._now_ms()
        if now - proven.header.time_ms > FRESH_MS:
            raise NotReleased(
                f"the nodes' last block is {(now - proven.header.time_ms) // 1_000} s old",
                where=f"height {proven.header.height}",
                next_step="look at the nodes' status, then try again",
                code="STALE_STATE",
            )
        judged = judge_release(proven.read, identity, reader, self._own.who.account, max(now, proven.header.time_ms))
        if isinstance(judged, Denied):
            facts = {"object": identity.hex(), "reader": reader.hex(), "why": judged.name}
            event(log, logging.WARNING, "NOT_RELEASED", facts)
            raise NotReleased(judged.value, where=identity.hex(), next_step=_NEXT.get(judged, ""), code=judged.name)
        return judged

    def _inner(self, place: Place, reader: bytes, permit: ReleasePermit) -> bytes:
        outer, (_, key) = permit.grant.wraps[permit.place], permit.descriptor.custodians[permit.place]
        try:
            return items.unwrap_outer(place, reader, permit.grant.key, self._own.sealing.of(key).private, outer)
        except (CryptoError, DataRefused) as error:
            raise NotReleased(
                error.what, where=error.where, next_step="ask the owner to grant it anew", code="BAD_CONTEXT"
            ) from error

    async def _package(self, place: Place, reader: bytes, permit: ReleasePermit) -> items.Package:
        vault, store = self._own.vault, self._own.store
        entry = await asyncio.to_thread(vault.get, place.identity) if vault is not None else None
        if entry is None or store is None:
            raise NotReleased(
                "the vault has no key of this item",
                where=place.identity.hex(),
                next_step="tell the owner",
                code="NOT_IN_STORE",
            )
        sealed = await store.get(entry.store)
        return await asyncio.to_thread(_repacked, place, reader, permit, entry, sealed)

    # ---- deletions

    async def sweep(self, *, undescribed: bool = False) -> list[bytes]:
        """Destroys what the chain orders to delete; the objects confirmed as deleted.

        With ``undescribed`` also what the chain has not described after a day: left by deposits that failed. Never by
        itself, for with the wrong chain's genesis document that would be everything. An interrupted sweep goes on
        where it was: marks stay in the vault until the chain has the confirmation.
        """
        vault, store = self._own.vault, self._own.store
        if vault is None or store is None:
            return []
        entries = await asyncio.to_thread(vault.entries)
        known = await self._described(list(entries))
        doomed = [one for one in entries.values() if self._must_go(one, known[one.identity], undescribed)]
        if doomed:
            await asyncio.to_thread(vault.destroy, [one.identity for one in doomed])
        confirmed = []
        for one in doomed:
            try:
                if await self._finish(one, known[one.identity], vault, store):
                    confirmed.append(one.identity)
            except DualchainError as error:
                _not_swept(error)
        return confirmed

    async def _described(self, identities: Sequence[bytes]) -> dict[bytes, Descriptor | None]:
        """What the chain says of these objects, proven."""
        known: dict[bytes, Descriptor | None] = {}
        for start in range(0, len(identities), _AT_ONCE):
            keys = [(DATA, object_key(identity)) for identity in identities[start : start + _AT_ONCE]]
            values = (await self._chain.proven(keys)).values
            known |= {key[1:]: find(Descriptor, raw) for (_, key), raw in values.items()}
        return known

    def _must_go(self, entry: Entry, found: Descriptor | None, undescribed: bool) -> bool:
        if entry.destroyed:
            return True
        if found is None:
            return undescribed and self._now_ms() - entry.made_ms > ORPHAN_MS
        return found.status != ACTIVE

    async def _finish(self, entry: Entry, found: Descriptor | None, vault: Vault, store: ObjectStore) -> bool:
        """What follows the destruction of key and salt; whether the chain was told."""
        await store.remove(entry.store)
        ordered = found is not None and found.status == DELETING
        if ordered:
            try:
                await self._chain.data(self._own.who, "confirm_deletion", object=entry.identity)
            except RefusedByChain:
                # Another process of this custodian sweeps as well: the command `delete` beside the service.
                now = (await self._described([entry.identity]))[entry.identity]
                if now is None or now.status != DELETED:
                    raise
        await asyncio.to_thread(vault.forget, entry.identity)
        event(log, logging.INFO, "DESTROYED", {"object": entry.identity.hex(), "described": int(found is not None)})
        return ordered

    async def sweep_for_ever(self, every_s: float) -> None:
        """Sweeps again and again; what hinders one is logged, and mended by a later one."""
        while True:
            try:
                await self.sweep()
            except DualchainError as error:
                _not_swept(error)
            await asyncio.sleep(every_s)


def _not_swept(error: DualchainError) -> None:
    facts = {"code": error.code, "reason": error.what, "where": error.where}
    event(log, logging.ERROR, "NOT_SWEPT", facts)


def _repacked(place: Place, reader: bytes, permit: ReleasePermit, entry: Entry, sealed: bytes) -> items.Package:
    try:
        content = items.open_private(place, entry.key, entry.salt, sealed, permit.descriptor.commitment)
    except (CryptoError, DataRefused) as error:
        raise NotReleased(
            f"the stored item is not the one described: {error.what}",
            where=entry.store.hex(),
            next_step="restore the store from its backup",
            code="ITEM_DAMAGED",
        ) from error
    return items.pack(place, reader, permit.log.key, entry.salt, content)
