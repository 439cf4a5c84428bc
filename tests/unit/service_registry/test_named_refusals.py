"""Every way in which a call is refused has a name, and whatever the chain can know of is recorded under a code
(docs/spec/service-registry.md §7).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from chain_core.types.errors import DualchainError
from crosschain.packets import ALL_SERVICES
from service_registry.bodies import CODES, AccessCode
from service_registry.calls import (
    MAX_CLOCK_MS,
    BadCallSignature,
    BadRequest,
    NotAuthorised,
    OverQuota,
    ReplayedCall,
    SignedCall,
    SignedReply,
    StaleCall,
    TamperedRequest,
    UnknownCaller,
)
from tests.unit.execution.world import account
from tests.unit.service_registry.batching import usage
from tests.unit.service_registry.house import SERVICE, House
from tests.unit.service_registry.stage import Stage, honest

QUOTA = 2


@dataclass(frozen=True)
class Case:
    """``before`` happens first; ``call`` is then refused with ``kind`` and its ``reason``, recorded as ``code``."""

    kind: type[DualchainError]
    code: AccessCode | None
    reason: str = ""
    before: Callable[[House], object] = lambda _: None
    call: Callable[[House], SignedCall] = lambda house: house.call("consumer")[1]
    answered: int = 0


def _of(step: str, who: str = "publisher", **args: Any) -> Callable[[House], object]:
    return lambda house: house.ok(who, step, service=SERVICE, **args)


def _tampered(house: House) -> SignedCall:
    return replace(house.call("consumer")[1], request=b'{"question":2}')


def _replayed(house: House) -> SignedCall:
    return house.call("consumer", b'{"question":2}', call_id=1)[1]


def _forged(house: House) -> SignedCall:
    return house.call("tester", consumer=account("consumer"))[1]


CASES: dict[str, Case] = {
    "unauthorised: never applied": Case(
        NotAuthorised,
        AccessCode.NOT_AUTHORISED,
        "NOT_CONFIRMED",
        lambda house: house.certify("second consumer"),
        lambda house: house.call("second consumer")[1],
    ),
    "unauthorised: in another's name": Case(BadCallSignature, None, call=_forged),
    "expired: the call is old": Case(
        StaleCall, None, call=lambda house: house.call("consumer", time_ms=house.world.time_ms - MAX_CLOCK_MS - 1)[1]
    ),
    "expired: no trusted certificate any more": Case(UnknownCaller, None, before=lambda house: _lose_key(house)),
    "expired: the application ended": Case(
        NotAuthorised,
        AccessCode.NOT_AUTHORISED,
        "NOT_CONFIRMED",
        _of("revoke", consumer=account("consumer"), reason="the contract ended"),
    ),
    "over quota": Case(OverQuota, AccessCode.OVER_QUOTA, f"the {QUOTA} calls of the day", answered=QUOTA),
    "tampered": Case(TamperedRequest, None, call=_tampered),
    "replayed": Case(ReplayedCall, None, call=_replayed, answered=1),
    "wrong schema": Case(
        BadRequest, AccessCode.BAD_REQUEST, call=lambda house: house.call("consumer", b'{"question":"x"}')[1]
    ),
    "withdrawn": Case(NotAuthorised, AccessCode.NOT_AUTHORISED, "NOT_CONFIRMED", _of("withdraw", "consumer")),
    "cancelled": Case(NotAuthorised, AccessCode.NOT_AUTHORISED, "CANCELLED", _of("cancel")),
    "offline": Case(NotAuthorised, AccessCode.NOT_AUTHORISED, "NOT_ONLINE", _of("offline")),
    "suspended": Case(NotAuthorised, AccessCode.NOT_AUTHORISED, "SUSPENDED", lambda house: house.halt(SERVICE)),
    "suspended, with all of the market": Case(
        NotAuthorised, AccessCode.NOT_AUTHORISED, "SUSPENDED", lambda house: house.halt(ALL_SERVICES)
    ),
    "another version": Case(
        NotAuthorised,
        AccessCode.NOT_AUTHORISED,
        "WRONG_VERSION",
        call=lambda house: house.call("consumer", version=2)[1],
    ),
}


def _lose_key(house: House) -> None:
    """The account's assertion key is detached: what vouched for it vouches for nothing."""
    key = b"\x08accounts" + b"a" + account("consumer")
    house.world.state[key] = house.world.state[b"\x08accounts" + b"a" + account("nobody")]


@pytest.mark.parametrize("recording", ["each", "batch"])
@pytest.mark.parametrize("case", CASES)
def test_each_refusal_has_its_name_and_its_record(
    case: str, recording: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    row = CASES[case]
    caplog.set_level("INFO", "service_registry")

    async def main() -> None:
        async with Stage(store=tmp_path if recording == "batch" else None) as stage:
            quota = {"calls_a_day": QUOTA, "at_once": 8}
            stage.house.confirmed(endpoints=[stage.endpoint], recording=recording, quota=quota)
            for _ in range(row.answered):
                await stage.call(stage.house.call("consumer")[1])
            row.before(stage.house)
            with pytest.raises(row.kind) as told:
                await stage.call(row.call(stage.house))
            assert row.reason in str(told.value)
            if stage.batcher is not None:
                await stage.batcher.hand_in()
            who = "second consumer" if "never applied" in case else "consumer"
            expected = [0] * CODES
            expected[AccessCode.OK] = row.answered
            if row.code is not None:
                expected[row.code] += 1
                assert f"recorded as {row.code.name}" in str(told.value)
            assert list(usage(stage.house, who).codes) == expected
            assert stage.asked == row.answered, "the publisher never hears of it"
            if row.code is None:
                assert f"REFUSED code={row.kind.code}" in caplog.text, "no caller is known: the gateway's log has it"

    asyncio.run(main())


def test_a_quota_begins_anew_with_the_day_and_counts_answers_only(tmp_path: Path) -> None:
    async def main() -> None:
        async with Stage(store=tmp_path) as stage:
            quota = {"calls_a_day": QUOTA, "at_once": 8}
            stage.house.confirmed(endpoints=[stage.endpoint], recording="batch", quota=quota)

            async def nonsense(signed: SignedCall) -> SignedReply:
                return SignedReply(b"", b"", b"")

            stage.answer = nonsense
            for request in (b"{", b'{"question":1}', b'{"question":2}'):
                with pytest.raises(DualchainError):
                    await stage.call(stage.house.call("consumer", request)[1])
            stage.answer = honest
            for _ in range(2):
                for _ in range(QUOTA):
                    await stage.call(stage.house.call("consumer")[1])
                with pytest.raises(OverQuota):
                    await stage.call(stage.house.call("consumer")[1])
                stage.house.world.time_ms += 86_400_000
            assert stage.batcher is not None
            await stage.batcher.hand_in()
            await _restarted(stage)
            for _ in range(QUOTA):
                await stage.call(stage.house.call("consumer")[1])
            with pytest.raises(OverQuota):
                await stage.call(stage.house.call("consumer")[1])

    asyncio.run(main())


async def _restarted(stage: Stage) -> None:
    assert stage.batcher is not None
    await stage.batcher.stop()
    stage.begin()


def test_the_proven_count_holds_where_this_gateway_knows_nothing() -> None:
    async def main() -> None:
        async with Stage() as stage:
            stage.house.confirmed(endpoints=[stage.endpoint], quota={"calls_a_day": QUOTA, "at_once": 8})
            for _ in range(QUOTA):
                stage.house.ok("gateway", "record_access", records=[stage.house.record("consumer")])
            with pytest.raises(OverQuota):
                await stage.call(stage.house.call("consumer")[1])
            row = stage.house.record("consumer")
            assert stage.house.do("gateway", "record_access", records=[row]).rule == "services.record_denied"

    asyncio.run(main())
