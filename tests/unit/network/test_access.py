"""The guard around a port's methods: quota, role, record, and only then the handler."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any

import pytest

from chain_core.network.access import Access, Named, Rule, Standing, by_certificate
from chain_core.network.identity import LOOPBACK, Caller
from chain_core.network.methods import Method, ServerStream, Stream, Unary
from chain_core.network.quota import Limit, Quota, Quotas
from chain_core.network.refusals import AuditUnavailable, Oversize, PermissionDenied, QuotaExceeded
from chain_core.network.sm_session.refused import Reason, SessionRefused
from chain_core.types.errors import DualchainError, MalformedBytes

M = "/test.Service/M"
ALICE = Caller("sm", "alice", ("client", "auditor"), b"\xaa" * 32, address="10.0.0.1")
BOB = Caller("sm", "bob", ("client",), b"\xbb" * 32)
NODE = Caller("sm", "one", ("peer",), b"\xcc" * 32)
LOCAL = Caller(LOOPBACK, "ipv4:127.0.0.1:5", address="127.0.0.1")


def protected(data: bytes) -> Named | None:
    if data == b"bad":
        raise MalformedBytes("no request")
    return Named(0, data.decode()) if data else None


class World:
    """What happened, in order."""

    def __init__(self, rule: Rule | None, limits: Mapping[Quota, Limit] | None = None) -> None:
        self.told: list[str] = []
        self.facts: list[Mapping[str, Any]] = []
        self.full = False
        quotas = Quotas(limits or {})
        self.counted: list[str] = []
        self.access = Access(
            {M: rule} if rule else {},
            quotas,
            by_certificate,
            self,
            lambda: 0,
            hold_s=0.0,
            count=lambda refusal: self.counted.append(refusal.code),
        )

    async def read(self, facts: Mapping[str, Any]) -> None:
        if self.full:
            raise AuditUnavailable("no space")
        await asyncio.sleep(0)
        self.told.append("recorded")
        self.facts.append(facts)

    def refused(self, facts: Mapping[str, Any]) -> None:
        self.told.append(f"refused {facts['rule']}")
        self.facts.append(facts)

    async def handler(self, caller: Caller, data: bytes) -> bytes:
        self.told.append("handled")
        return data

    def call(self, caller: Caller, data: bytes = b"") -> bytes:
        method = self.access.guard({M: Unary(self.handler)})[M]
        assert isinstance(method, Unary)
        return asyncio.run(method.handler(caller, data))  # type: ignore[arg-type]


OPEN = Rule("client", Quota.READ)
READERS = Rule("client", Quota.READ, frozenset(("auditor", "reader")))


@pytest.mark.parametrize(
    ("rule", "caller", "said"),
    [
        (OPEN, BOB, ""),
        (OPEN, NODE, "does not name the role client"),
        (READERS, ALICE, ""),
        (READERS, BOB, "none of the roles auditor, reader"),
        (READERS, NODE, "role client"),
        (Rule("peer", Quota.LINK), NODE, ""),
        (Rule("peer", Quota.LINK), ALICE, "role peer"),
        (READERS, LOCAL, ""),
        (None, ALICE, "no rule"),
        (None, LOCAL, "no rule"),
    ],
)
def test_roles(rule: Rule | None, caller: Caller, said: str) -> None:
    world = World(rule)
    if not said:
        assert world.call(caller, b"x") == b"x"
        assert world.told == ["handled"]
        return
    with pytest.raises(PermissionDenied, match=said) as refused:
        world.call(caller, b"x")
    assert refused.value.next_step
    assert world.told == ["refused PERMISSION_DENIED"]
    assert world.facts[0]["by"]["name"] == caller.name


def test_quota_comes_before_role_and_decoding() -> None:
    world = World(Rule("client", Quota.READ, protected=protected), {Quota.READ: Limit(1, 1)})
    with pytest.raises(PermissionDenied):
        world.call(NODE, b"bad")
    with pytest.raises(QuotaExceeded) as refused:
        world.call(NODE, b"bad")
    assert refused.value.retry_after_ms == 1_000
    assert world.told == ["refused PERMISSION_DENIED", "refused QUOTA_EXCEEDED"]
    assert world.counted == ["PERMISSION_DENIED", "QUOTA_EXCEEDED"]


@pytest.mark.parametrize(
    ("raised", "counted"),
    [
        (Oversize("too much"), ["OVERSIZE"]),
        (MalformedBytes("no request"), ["MALFORMED"]),
        (PermissionDenied("not yours"), ["PERMISSION_DENIED"]),
        (SessionRefused(Reason.TRUNCATED, "the port counts these"), []),
    ],
    ids=lambda value: getattr(value, "code", ""),
)
def test_refusals_of_handlers_are_counted_and_those_of_the_session_left_to_the_port(
    raised: DualchainError, counted: list[str]
) -> None:
    world = World(OPEN)

    async def refuse(caller: Caller, data: bytes) -> bytes:
        raise raised

    async def stream(caller: Caller, requests: object) -> AsyncIterator[bytes]:
        yield b"first"
        raise raised

    methods: list[Method] = [Unary(refuse), ServerStream(stream, 1.0), Stream(stream)]  # type: ignore[arg-type]
    for method in methods:
        world.counted.clear()
        guarded = world.access.guard({M: method})[M]

        async def call(guarded: Any = guarded) -> None:
            if isinstance(guarded, Unary):
                await guarded.handler(ALICE, b"")
                return
            async for _ in guarded.handler(ALICE, b""):
                pass

        with pytest.raises(type(raised)):
            asyncio.run(call())
        assert world.counted == counted, method


def test_a_protected_read_is_recorded_before_it_is_handled() -> None:
    world = World(Rule("client", Quota.READ, frozenset(("auditor",)), protected))
    world.call(ALICE, b"height 7")
    assert world.told == ["recorded", "handled"]
    assert world.facts == [
        {
            "by": {"kind": "sm", "name": "alice", "at": "10.0.0.1", "cert": "aa" * 32},
            "method": M,
            "ledger": 0,
            "object": "height 7",
            "rule": "client,auditor",
        }
    ]
    world.call(LOCAL, b"height 8")
    assert world.facts[1]["by"] == {"kind": "loopback", "name": "ipv4:127.0.0.1:5", "at": "127.0.0.1"}
    assert world.facts[1]["rule"] == "plaintext port"


def test_what_is_not_protected_leaves_no_record() -> None:
    world = World(Rule("client", Quota.READ, protected=protected))
    world.call(BOB, b"")
    assert world.told == ["handled"]


def test_no_record_no_read() -> None:
    world = World(Rule("client", Quota.READ, protected=protected))
    world.full = True
    with pytest.raises(AuditUnavailable):
        world.call(BOB, b"height 7")
    assert world.told == []
    world.call(BOB, b"")  # nothing protected is asked for: served
    with pytest.raises(MalformedBytes):
        world.call(BOB, b"bad")


def test_who_has_lost_its_standing_is_told_why() -> None:
    world = World(OPEN)
    world.access._judge = lambda caller: Standing(frozenset(("client",)), ended="account 01 has revoked this key")
    with pytest.raises(PermissionDenied, match="revoked this key"):
        world.call(BOB)


def test_a_stream_of_responses_begins_behind_the_guard_and_hears_of_slow_readers() -> None:
    world = World(Rule("client", Quota.SUBSCRIBE, frozenset(("auditor",)), protected))

    async def responses(caller: Caller, data: bytes) -> AsyncGenerator[bytes, None]:
        world.told.append("begun")
        try:
            yield b"one"
            yield b"two"
        except TimeoutError:
            world.told.append("slow")
            raise MalformedBytes("slow") from None

    method = world.access.guard({M: ServerStream(responses, 5.0)})[M]
    assert isinstance(method, ServerStream)
    assert method.patience_s == 5.0

    async def story() -> None:
        with pytest.raises(PermissionDenied):
            await anext(method.handler(BOB, b"all"))
        async with aclosing(method.handler(ALICE, b"all")) as stream:
            assert await anext(stream) == b"one"
            with pytest.raises(MalformedBytes, match="slow"):
                await stream.athrow(TimeoutError())

    asyncio.run(story())
    assert world.told == ["refused PERMISSION_DENIED", "recorded", "begun", "slow"]


def test_a_link_is_guarded_once() -> None:
    world = World(Rule("peer", Quota.LINK))

    async def link(caller: Caller, requests: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for request in requests:
            yield request

    async def frames() -> AsyncIterator[bytes]:
        yield b"1"
        yield b"2"

    method = world.access.guard({M: Stream(link)})[M]
    assert isinstance(method, Stream)

    async def story(caller: Caller) -> list[bytes]:
        return [frame async for frame in method.handler(caller, frames())]

    assert asyncio.run(story(NODE)) == [b"1", b"2"]
    with pytest.raises(PermissionDenied):
        asyncio.run(story(BOB))
