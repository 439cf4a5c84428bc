"""What a reader does: record the access, have it released, open it, check it (docs/spec/data-tiers.md §5, §8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chain_core._pb.dualchain.data.v1 import data_pb2 as pb
from chain_core.network.raw_rpc import RawChannel, parse
from chain_core.network.secured.security import PLAINTEXT, ClientSecurity
from chain_core.types.errors import DualchainError
from chain_core.types.values import Value
from contracts.data.records import DATA, LIMITED, PUBLIC, Descriptor, Grant, body_key, find, grant_key
from local_chain.data import items
from local_chain.data.chain import DataChain
from local_chain.data.errors import DataRefused, NotReleased
from local_chain.data.items import Place
from local_chain.data.key_ring import KeyRing
from local_chain.data.release import FETCH
from service_registry.chain import Account
from service_registry.config import KeyPair

_FETCH_S = 60.0


@dataclass(frozen=True, slots=True)
class Read:
    """The content, checked against the commitment, and the height of the access record (0: public, needs none)."""

    content: bytes
    descriptor: Descriptor
    height: int


async def read_public(chain: DataChain, identity: bytes) -> Read:
    """Public data, proven. Raises DataRefused for another tier."""
    found = await chain.descriptor(identity)
    if found.tier != PUBLIC:
        raise DataRefused(f"it is {found.tier}, not public", where=identity.hex(), next_step="read it as its reader")
    key = DATA, body_key(identity)
    return Read((await chain.proven([key])).values[key] or b"", found, 0)


class Reader:
    """An account with transaction and sealing key. Raises RefusedByChain, NotReleased, DataRefused."""

    def __init__(
        self,
        chain: DataChain,
        who: Account,
        sealing: KeyRing,
        addresses: Sequence[str],
        security: ClientSecurity = PLAINTEXT,
    ) -> None:
        """``addresses``: of custodians' services, ``security``: how they are talked to."""
        self._security = security
        self._chain = chain
        self._who = who
        self._sealing = sealing
        self._addresses = tuple(addresses)

    async def record(self, identity: bytes, version: int, purpose: str, key: bytes = b"") -> int:
        """The access record, to be released to ``key`` (the one in use); its height."""
        key = key or self._sealing.current.public
        args: dict[str, Value] = {"object": identity, "version": version, "purpose": purpose, "key": key}
        receipt = await self._chain.data(self._who, "record_access", **args)
        return receipt.header.height

    async def get(self, identity: bytes, purpose: str) -> Read:
        """Records, fetches, opens, checks."""
        found = await self._chain.descriptor(identity)
        if found.tier == PUBLIC:
            return await read_public(self._chain, identity)
        pair = await self._pair_for(identity)
        height = await self.record(identity, found.version, purpose, pair.public)
        answer = await self.fetch(identity, height)
        if answer.version != found.version:
            raise DataRefused(
                f"version {answer.version} came into force meanwhile", where=identity.hex(), next_step="read it again"
            )
        place = self._chain.place(identity, found)
        if found.tier == LIMITED:
            content = await self._open_limited(place, found, pair, answer.wrap)
        else:
            package = items.Package(answer.wrap, answer.sealed)
            content = items.unpack(place, self._who.account, pair.private, package, found.commitment)
        return Read(content, found, height)

    async def _pair_for(self, identity: bytes) -> KeyPair:
        """Limited data is released to the key that it was wrapped for; private data to the one in use."""
        place = DATA, grant_key(identity, self._who.account)
        grant = find(Grant, (await self._chain.proven([place])).values[place])
        return self._sealing.of(grant.key) if grant is not None and grant.key else self._sealing.current

    async def fetch(self, identity: bytes, not_below: int) -> pb.FetchResponse:
        """From the first custodian that releases. Raises the last one's refusal."""
        request = pb.FetchRequest(object=identity, reader=self._who.account, not_below=not_below)
        last: DualchainError | None = None
        for address in self._addresses:
            channel = RawChannel(address, self._security)
            try:
                answer = await channel.unary(FETCH, request.SerializeToString(), timeout_s=_FETCH_S)
                return parse(pb.FetchResponse, answer)
            except DualchainError as error:
                last = error
            finally:
                await channel.close()
        if last is None:
            raise NotReleased("no custodian's address is given", where="release.addresses", next_step="name one")
        raise last

    async def _open_limited(self, place: Place, found: Descriptor, pair: KeyPair, inner: bytes) -> bytes:
        key = items.unwrap_inner(pair.private, inner)
        body = DATA, body_key(place.identity)
        sealed = (await self._chain.proven([body])).values[body] or b""
        return items.open_limited(place, key, sealed, found.commitment)
