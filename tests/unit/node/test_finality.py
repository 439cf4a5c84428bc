"""Who waits for a transaction is woken by the receipt that settles it, and by no other."""

import asyncio
from dataclasses import replace

import pytest

from chain_core.codec.transaction import decode_receipt, encode_receipt
from chain_core.execution.codes import Code
from chain_core.node import receipt_view
from chain_core.node.finality import FinalityWaits, Wait
from chain_core.node.ports import FinalBlock
from chain_core.types.transaction import Receipt

OWN, OTHER = b"e" * 32, b"f" * 32


def tid(name: str) -> bytes:
    return name.encode().ljust(32, b".")


def receipt(name: str, envelope_id: bytes = OWN, code: Code = Code.OK) -> bytes:
    return encode_receipt(Receipt(0, envelope_id, tid(name), b"a" * 16, 7, code, "some-rule", (1, "x"), b"d" * 32))


def block(height: int, *receipts: bytes) -> FinalBlock:
    return FinalBlock(height, b"", b"", (), receipts)


def test_fixed_places_of_a_receipt() -> None:
    for code in Code:
        raw = receipt("t", code=code)
        decoded = decode_receipt(raw)
        assert receipt_view.envelope_id(raw) == decoded.envelope_id
        assert receipt_view.transaction_id(raw) == decoded.transaction_id
        assert receipt_view.code(raw) == decoded.code


UNSETTLING = (
    Code.DUPLICATE,
    Code.NONCE_USED,
    Code.EXPIRED,
    Code.NOT_YET,
    Code.UNKNOWN_ACCOUNT,
    Code.UNAUTHORISED,
    Code.WRONG_LEDGER,
)


@pytest.mark.parametrize("code", Code, ids=lambda code: code.name)
def test_what_settles(code: Code) -> None:
    assert receipt_view.settles(receipt("t", OWN, code), OWN)
    assert receipt_view.settles(receipt("t", OTHER, code), OWN) is (code not in UNSETTLING)


def test_waits_are_woken_by_their_own() -> None:
    async def story() -> None:
        waits = FinalityWaits()
        first, second = Wait({tid("a"): OWN, tid("b"): OWN}), Wait({tid("b"): OWN})
        waits.add(first)
        waits.add(second)
        waits.finalised(block(4, receipt("x"), receipt("b")))
        await second.until(0)
        assert second.found == {tid("b"): (4, 1)}
        assert first.missing == {tid("a"): OWN}
        waits.finalised(block(5, receipt("a"), receipt("b")))
        assert first.found == {tid("b"): (4, 1), tid("a"): (5, 0)}, "the first receipt stays"
        await asyncio.wait_for(first.until(100), 5)
        for wait in (first, second):
            waits.remove(wait, (tid("a"), tid("b")))
        assert len(waits) == 0

    asyncio.run(story())


def test_a_strangers_copy_wakes_nobody() -> None:
    async def story() -> None:
        waits, wait = FinalityWaits(), Wait({tid("a"): OWN})
        waits.add(wait)
        waits.finalised(block(4, receipt("a", OTHER, Code.UNAUTHORISED)))
        assert not wait.found
        waits.finalised(block(5, receipt("a", OTHER, Code.OK)))
        assert wait.found == {tid("a"): (5, 0)}

    asyncio.run(story())


def test_refused_ones_are_not_waited_for() -> None:
    async def story() -> None:
        wait = Wait({tid("a"): OWN, tid("b"): OWN})
        wait.forget(tid("a"))
        assert set(wait.missing) == {tid("b")}
        wait.forget(tid("b"))
        await asyncio.wait_for(wait.until(100), 5)
        await asyncio.wait_for(Wait({}).until(100), 5)
        await Wait({tid("c"): OWN}).until(0.01)

    asyncio.run(story())


def test_nobody_waits() -> None:
    waits = FinalityWaits()
    waits.finalised(block(1, receipt("a")))
    assert replace(block(1), height=2).height == 2
    assert len(waits) == 0
