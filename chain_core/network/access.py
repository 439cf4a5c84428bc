"""Between session and handlers: quota, role, and the record of a protected read, before anything is decoded
(docs/spec/access.md §1).

A port's methods go through ``Access.guard``; one without a rule is served to nobody.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final, Protocol

from chain_core.network.held_refusals import HOLD_S, HeldRefusals
from chain_core.network.identity import LOOPBACK, Caller
from chain_core.network.methods import Method, ServerStream, Stream, Unary
from chain_core.network.quota import Quota, Quotas
from chain_core.network.refusals import PermissionDenied, QuotaExceeded
from chain_core.network.sm_session.refused import SessionRefused
from chain_core.types.errors import DualchainError

CLIENT: Final = "client"
PEER: Final = "peer"


@dataclass(frozen=True, slots=True)
class Named:
    """What a protected read is about: the ledger, and the keys, heights or filters that were asked for."""

    ledger: int
    what: str


@dataclass(frozen=True, slots=True)
class Rule:
    """What one method needs.

    ``door``: a role without which nobody gets in. ``one_of``: of these roles any one besides; empty: none.
    ``protected``: names what a request reads when that is protected; None: it never is. Raises MalformedBytes.
    """

    door: str
    quota: Quota
    one_of: frozenset[str] = frozenset()
    protected: Callable[[bytes], Named | None] | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """What a caller may act as now. ``everything``: whoever calls a plaintext port; it has no names.

    ``account``: the on-chain account it is, if it has shown to be one. ``ended``: why it may nothing any more.
    """

    roles: frozenset[str]
    everything: bool = False
    account: bytes = b""
    ended: str = ""


class Records(Protocol):
    """Where reads and refusals are written down: a node's audit record."""

    async def read(self, facts: Mapping[str, Any]) -> None:
        """Returns when it is on disk. Raises AuditUnavailable, Overloaded."""

    def refused(self, facts: Mapping[str, Any]) -> None:
        """Soon, or counted."""


Judge = Callable[[Caller], Standing]


def by_certificate(caller: Caller) -> Standing:
    """What the session alone says; on a plaintext port everything."""
    return Standing(frozenset(caller.roles), everything=caller.kind == LOOPBACK)


class Access:
    """One port's guard. ``clock_ns`` never goes back."""

    def __init__(
        self,
        rules: Mapping[str, Rule],
        quotas: Quotas,
        judge: Judge,
        records: Records,
        clock_ns: Callable[[], int],
        hold_s: float = HOLD_S,
        count: Callable[[DualchainError], None] = lambda _: None,
    ) -> None:
        """``count`` is told of every refusal here and from behind; those of the session are the port's to count."""
        self._rules, self._quotas, self._judge = rules, quotas, judge
        self._records, self._clock_ns = records, clock_ns
        self._held = HeldRefusals(hold_s)
        self._count = count

    def guard(self, methods: Mapping[str, Method]) -> dict[str, Method]:
        """The same table; nothing in it runs for who may not call it."""
        return {name: self._guarded(name, method) for name, method in methods.items()}

    def _guarded(self, name: str, method: Method) -> Method:
        if isinstance(method, Unary):
            return Unary(self._unary(name, method))
        if isinstance(method, ServerStream):
            return ServerStream(self._server_stream(name, method), method.patience_s)
        return Stream(self._stream(name, method))

    def _unary(self, name: str, method: Unary) -> Any:
        async def call(caller: Caller, data: bytes) -> bytes:
            try:
                await self._admit(name, caller, data)
                return await method.handler(caller, data)
            except DualchainError as refusal:
                await self._refused(name, caller, refusal)
                raise

        return call

    def _server_stream(self, name: str, method: ServerStream) -> Any:
        async def call(caller: Caller, data: bytes) -> AsyncGenerator[bytes, None]:
            try:
                await self._admit(name, caller, data)
                async with aclosing(method.handler(caller, data)) as responses:
                    async for response in responses:
                        try:
                            yield response
                        except TimeoutError as late:
                            await responses.athrow(late)
            except DualchainError as refusal:
                await self._refused(name, caller, refusal)
                raise

        return call

    def _stream(self, name: str, method: Stream) -> Any:
        async def call(caller: Caller, requests: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
            try:
                await self._admit(name, caller, b"")
                async for response in method.handler(caller, requests):
                    yield response
            except DualchainError as refusal:
                await self._refused(name, caller, refusal)
                raise

        return call

    async def _admit(self, name: str, caller: Caller, data: bytes) -> None:
        """Raises QuotaExceeded, PermissionDenied, AuditUnavailable, Overloaded, MalformedBytes."""
        rule = self._rules.get(name)
        if rule is None:
            raise _denied("this method has no rule here", name, "ask the node's operator for another release")
        self._quotas.call(caller.key, rule.quota, len(data), self._clock_ns())
        standing = self._judge(caller)
        allowed = _allowed(name, rule, standing)
        named = rule.protected(data) if rule.protected is not None else None
        if named is not None:
            facts = {"method": name, "ledger": named.ledger, "object": named.what, "rule": allowed}
            await self._records.read({**facts, "by": describe(caller, standing.account)})

    async def _refused(self, name: str, caller: Caller, refusal: DualchainError) -> None:
        """Counts it; one for a quota or a role is recorded too, and held back."""
        if not isinstance(refusal, SessionRefused):
            self._count(refusal)
        if not isinstance(refusal, PermissionDenied | QuotaExceeded):
            return
        facts = {"method": name, "object": refusal.where, "rule": refusal.code}
        self._records.refused({**facts, "by": describe(caller)})
        await self._held.hold(caller.key, refusal.retry_after_ms)


def _allowed(name: str, rule: Rule, standing: Standing) -> str:
    """The roles that let the caller in, as one word. Raises PermissionDenied."""
    if standing.ended:
        raise _denied(standing.ended, name, "attach the key that is certified now, or ask the account's registrar")
    if standing.everything:
        return "plaintext port"
    if rule.door not in standing.roles:
        raise _denied(
            f"the caller's certificate does not name the role {rule.door}",
            name,
            f"have a certificate issued with the role {rule.door} (dualchain ca issue)",
        )
    if not rule.one_of:
        return rule.door
    held = sorted(rule.one_of & standing.roles)
    if not held:
        wanted = ", ".join(sorted(rule.one_of))
        raise _denied(
            f"the caller has none of the roles {wanted}",
            name,
            "ask the operator for one of them: in the certificate, or on chain where the account's key is used",
        )
    return ",".join((rule.door, *held))


def describe(caller: Caller, account: bytes = b"") -> dict[str, str]:
    """Who it was, for a record."""
    facts = {"kind": caller.kind, "name": caller.name, "at": caller.address}
    if caller.fingerprint:
        facts["cert"] = caller.fingerprint.hex()
    if account:
        facts["account"] = account.hex()
    return facts


def _denied(what: str, name: str, next_step: str) -> PermissionDenied:
    return PermissionDenied(what, where=name, next_step=next_step)
