"""The supervisory chain as services' users see it: proven reads of the registry, transactions until they are final."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_map
from chain_core.crypto.hashing import sm3
from chain_core.execution.codes import Code
from chain_core.network.refusals import ServiceRefusal
from chain_core.network.secured.security import PLAINTEXT, ClientSecurity
from chain_core.network.signing import sign_transaction
from chain_core.node.chain_view import ChainView, VerifiedReceipt
from chain_core.node.verifying_client import Refused, VerifyingClient
from chain_core.types.errors import InvalidProof
from chain_core.types.transaction import Operation, TransactionBody
from chain_core.types.values import Value
from crosschain.following import Position, decode_position
from crosschain.packets import CHAINS, CLIENTS, SUCCEEDED
from service_registry.authority import (
    Denied,
    Key,
    Permit,
    Read,
    find_service,
    first_keys,
    further_keys,
    judge,
    trusted_key,
)
from service_registry.records import (
    SERVICES,
    AccessLog,
    Service,
    consumers_key,
    decode,
    decode_consumers,
    definition_key,
    log_key,
)
from service_registry.rules import RULES

T = TypeVar("T")

_KEYS_AT_ONCE = 200
_PIECE_BYTES = 60_000
WINDOW_MS = 60_000
_BEHIND_TRIES, _BEHIND_S = 100, 0.05


def wall_clock_ms() -> int:
    """Milliseconds since the Unix epoch, UTC."""
    return time.time_ns() // 1_000_000


class RefusedByChain(ServiceRefusal):
    """The transaction is final and was refused; ``where`` names code and rule."""

    code = "REFUSED_BY_CHAIN"

    def __init__(self, what: str, *, rule: str, where: str, next_step: str, parameters: Sequence[Value] = ()) -> None:
        """``parameters``: of the rule, without the operation's index."""
        self.rule = rule
        self.parameters = tuple(parameters)
        super().__init__(what, where=where, next_step=next_step)


class NodesBehind(ServiceRefusal):
    """The nodes asked have not yet reached a height that is final elsewhere."""

    code = "NODES_BEHIND"


class NotRegistered(ServiceRefusal):
    """The chain has no such service or version."""

    code = "NOT_REGISTERED"


@dataclass(frozen=True, slots=True)
class Account:
    """An account with its transaction key."""

    account: bytes
    private: bytes
    public: bytes


@dataclass(frozen=True, slots=True)
class Facts:
    """Proven values around one call: what the contract itself would judge by."""

    values: dict[Key, bytes | None]
    service: bytes
    version: int
    caller: bytes
    _known: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)
    """What was read from the values already: facts may serve many calls."""

    def read(self, contract: str, key: bytes) -> bytes | None:
        """A value that was asked for. KeyError for one that was not: nothing unproven is ever taken for absent."""
        return self.values[contract, key]

    @property
    def found(self) -> Service | None:
        """The service."""
        return self._once("found", lambda: find_service(self.read, self.service))

    @property
    def caller_key(self) -> bytes | None:
        """The caller's trusted key."""
        return self._once("caller", lambda: trusted_key(self.read, self.caller))

    @property
    def publisher_key(self) -> bytes | None:
        """The publisher's trusted key; needs a service."""
        found = self.found
        assert found is not None, "asked of a known service"
        return self._once("publisher", lambda: trusted_key(self.read, found.publisher))

    @property
    def log(self) -> AccessLog:
        """The caller's access log of the service."""
        raw = self.read(SERVICES, log_key(self.service, self.caller))
        return self._once("log", lambda: AccessLog() if raw is None else decode(AccessLog, raw))

    @property
    def definition(self) -> bytes | None:
        """The version's definition."""
        return self.read(SERVICES, definition_key(self.service, self.version))

    def verdict(self, found: Service) -> Permit | Denied:
        """Whether the caller may call; ``found`` is the service of these facts."""
        return self._once("verdict", lambda: judge(self.read, self.service, found, self.version, self.caller))

    def _once(self, name: str, make: Callable[[], T]) -> T:
        if name not in self._known:
            self._known[name] = make()
        return cast(T, self._known[name])


class RegistryChain:
    """Verified reads and final transactions of the supervisory chain. Raises what VerifyingClient raises."""

    def __init__(self, view: ChainView, addresses: Sequence[str], security: ClientSecurity = PLAINTEXT) -> None:
        self.client = VerifyingClient(view, addresses, security)

    @property
    def genesis_hash(self) -> bytes:
        """Which chain."""
        return self.client.view.genesis_hash

    async def close(self) -> None:
        """End all connections."""
        await self.client.close()

    async def values(self, keys: Sequence[Key], *, not_below: int = 0) -> dict[Key, bytes | None]:
        """Proven values of (contract, key), under headers of height ``not_below`` or higher. Raises NodesBehind."""
        found: dict[Key, bytes | None] = {}
        for start in range(0, len(keys), _KEYS_AT_ONCE):
            part = keys[start : start + _KEYS_AT_ONCE]
            full = [state_key(contract, key) for contract, key in part]
            found.update(zip(part, await self._state(full, not_below), strict=True))
        return found

    async def _state(self, full: list[bytes], not_below: int) -> list[bytes | None]:
        header, values = await self.client.state(full)
        for _ in range(_BEHIND_TRIES):
            if header.height >= not_below:
                return values
            await asyncio.sleep(_BEHIND_S)
            header, values = await self.client.state(full)
        raise NodesBehind(
            f"the node is at height {header.height}, {not_below} is final",
            where="state",
            next_step="ask again, or name other nodes",
        )

    async def values_when(
        self, keys: Sequence[Key], settled: Callable[[Mapping[Key, bytes | None]], bool]
    ) -> dict[Key, bytes | None]:
        """Proven values, asked for until they are ``settled``: what is final reaches every node. Raises NodesBehind."""
        values = await self.values(keys)
        for _ in range(_BEHIND_TRIES):
            if settled(values):
                return values
            await asyncio.sleep(_BEHIND_S)
            values = await self.values(keys)
        raise NodesBehind("the nodes do not have it yet", where="state", next_step="ask again, or name other nodes")

    async def facts(self, service: bytes, version: int, caller: bytes) -> Facts:
        """All that a judgement of one call reads."""
        values = await self.values(first_keys(service, version, caller))
        facts = Facts(values, service, version, caller)
        found = facts.found
        if found is not None:
            listed = values[SERVICES, consumers_key(service)] if version == found.draft else None
            keys = further_keys(service, found, decode_consumers(listed))
            values.update(await self.values([key for key in keys if key not in values]))
        return facts

    async def service(self, service: bytes) -> Service:
        """The service's proven record. Raises NotRegistered."""
        read = await self.reader([(SERVICES, b"s" + service)])
        found = find_service(read, service)
        if found is None:
            raise NotRegistered(
                "there is no such service",
                where=service.hex(),
                next_step="list them: dualchain registry list",
            )
        return found

    async def reader(self, keys: Sequence[Key]) -> Read:
        """A reader of these proven values."""
        values = await self.values(keys)
        return lambda contract, key: values[contract, key]

    async def market_chain(self, chain: bytes) -> tuple[ChainView, Position]:
        """A registered chain's verifier from its proven genesis document, and how far it was followed; of one that was
        succeeded, the last of its line: there the market's books are kept now.

        Raises InvalidProof when the chain is not registered or the document is not the one its identity names.
        """
        record_key, client_key = (CHAINS, b"r" + chain), (CLIENTS, b"c" + chain)
        values = await self.values([record_key, client_key])
        raw = values[record_key]
        if raw is None:
            raise InvalidProof(
                "the chain is not registered", where=chain.hex(), next_step="ask the publisher which chain this is"
            )
        record = decode_map(raw, "chain")
        if record["status"] == SUCCEEDED:
            return await self.market_chain(cast(bytes, record["successor"]))
        size = cast(int, record["document_bytes"])
        pieces: list[Key] = [
            (CHAINS, b"g" + chain + number.to_bytes(4, "big")) for number in range(-(-size // _PIECE_BYTES))
        ]
        parts = [(await self.values([key]))[key] or b"" for key in pieces]
        document = b"".join(parts)
        if sm3(document) != chain:
            raise InvalidProof("the registered document has another hash", where=chain.hex())
        return ChainView(document), decode_position(values[client_key])

    # ---- transactions

    async def submit(self, who: Account, operations: Sequence[Operation], *, within_s: float = 30.0) -> VerifiedReceipt:
        """A transaction of ``who``, final and successful. Raises RefusedByChain, NotFinal, the node's refusal."""
        until = wall_clock_ms() + WINDOW_MS
        body = TransactionBody(0, who.account, secrets.randbits(63), until, tuple(operations))
        raw = sign_transaction(self.genesis_hash, body, [(who.private, who.public)])
        (outcome,) = await self.client.submit_until_final([raw], within_s=within_s)
        if isinstance(outcome, Refused):
            raise outcome.refusal
        if outcome.receipt.code != Code.OK:
            raise _refusal(outcome)
        return outcome


def _refusal(verified: VerifiedReceipt) -> RefusedByChain:
    receipt, shown = verified.receipt, verified.proven
    text = RULES.get(receipt.rule)
    what = f"{shown.text_zh} / {shown.text_en}" if shown.text_en else f"code {receipt.code} {receipt.rule}"
    return RefusedByChain(
        what,
        rule=receipt.rule,
        parameters=receipt.parameters[1:],
        where=f"height {verified.header.height}, code {receipt.code} {receipt.rule}".strip(),
        next_step="see docs/spec/service-registry.md" if text is not None else "see docs/spec/execution.md §5",
    )
