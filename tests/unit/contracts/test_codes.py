"""Codes: JR/T 0326's own examples; one account a code and one code an account; what is issued is listed whole."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_value
from chain_core.execution.account_records import ACCOUNTS, decode_record, encode_record
from chain_core.types.transaction import Operation
from chain_core.types.values import Value
from contracts.codes.investor import CATEGORIES, PATTERN, investor_code_fault
from contracts.kernel.codes import CREDIT_CODE, INVESTOR_CODE, code_key
from contracts.kernel.roll import ISSUED_CHUNK, ISSUED_HEAD, decode_chunk, decode_head
from tests.unit.contracts.market import Market, account, op

A, B = "investor-0", "investor-1"
CODE, OTHER = "Q000000001", "R000000042"
CREDIT = "91110000MA0000000X"
TWO = ("governor-2",)


@pytest.mark.parametrize("code", ["Q000000001", "Q123456789", "R000000042", "S999999999", "R100200300"])
def test_the_standards_good_examples(code: str) -> None:
    assert investor_code_fault(code) == "" and PATTERN.match(code)


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("A123456789", "category: position 1"),
        ("Q12345678", "digits: 8 of them"),
        ("Q1234567890", "digits: 10 of them"),
        ("q123456789", "category: position 1"),
        ("QQ12345678", "digits: position 2"),
        ("Q12345678X", "digits: position 10"),
        ("Q12345678９", "digits: position 10"),
        ("Q123456789\n", "digits: 10 of them"),
        ("", "category: position 1"),
    ],
)
def test_what_is_no_investor_code_is_told_by_its_first_wrong_part(code: str, fault: str) -> None:
    assert investor_code_fault(code).startswith(fault) and not PATTERN.match(code)
    assert sorted(CATEGORIES) == ["Q", "R", "S"]


@pytest.fixture
def market() -> Market:
    return Market.open()


def bind(name: str, code: str) -> Operation:
    return op("bind_code", account=account(name), code=code)


def unbind(name: str) -> Operation:
    return op("unbind_code", account=account(name), evidence=bytes(32))


def leads(market: Market, code: str, kind: bytes = INVESTOR_CODE) -> bytes | None:
    return market.kernel(code_key(kind, code))


def test_one_account_a_code_and_one_code_an_account(market: Market) -> None:
    assert leads(market, CODE) is None
    market.ok("operator", bind(A, CODE))
    assert leads(market, CODE) == account(A) and market.kernel(b"b" + account(A)) == CODE.encode()
    assert market.refused("operator", bind(B, CODE)) == "kernel.code_taken"
    assert market.refused("operator", bind(A, OTHER)) == "kernel.account_bound"
    assert market.refused("operator", bind(A, CODE)) == "kernel.account_bound"
    assert market.refused("operator", bind(B, "q000000001")) == "kernel.bad_code"
    assert market.refused("operator", bind("nobody", OTHER)) == "kernel.unknown_party"
    assert market.refused(A, bind(A, OTHER)) == "12", "the operator's alone"


def test_another_spelling_is_no_second_house(market: Market) -> None:
    market.ok("operator", bind(A, CODE))
    place = state_key(ACCOUNTS, b"a" + account("governor-2"))
    record = decode_record(market.state[place])
    market.state[place] = encode_record(replace(record, entity="Exchange\u3000House"))
    assert market.refused("operator", unbind(A), cosigners=TWO) == "kernel.four_eyes"


def test_a_wrong_binding_takes_two_houses_to_end(market: Market) -> None:
    assert market.refused("operator", unbind(A), cosigners=TWO) == "kernel.not_bound"
    market.ok("operator", bind(A, CODE))
    assert market.refused("operator", unbind(A)) == "kernel.four_eyes"
    market.ok("operator", unbind(A), cosigners=TWO)
    assert leads(market, CODE) is None and market.kernel(b"b" + account(A)) is None
    market.ok("operator", bind(B, CODE))
    assert leads(market, CODE) == account(B)


def enterprise(name: str, code: str) -> Operation:
    row: dict[str, Value] = {"credit_code": code, "province": "BJ", "attributes": {}}
    return op("register_enterprise", account=account(name), evidence=bytes(32), **row)


def test_a_credit_code_leads_to_one_enterprise(market: Market) -> None:
    other = CREDIT[:-1] + "Y"
    market.ok("operator", enterprise("issuer", CREDIT))
    assert market.refused("operator", enterprise(A, CREDIT)) == "kernel.code_taken"
    market.ok("operator", enterprise("issuer", CREDIT))
    market.ok("operator", enterprise("issuer", other))
    assert leads(market, CREDIT, CREDIT_CODE) is None, "the former code is free again"
    assert leads(market, other, CREDIT_CODE) == account("issuer")
    market.ok("operator", enterprise(A, CREDIT))
    assert leads(market, CREDIT) is None, "a credit code is no investor code"


def test_what_an_account_issued_is_a_complete_list(market: Market) -> None:
    first, second = (market.listed({A: 10}, reference=name) for name in ("S1", "S2"))
    head = market.kernel(ISSUED_HEAD + account("issuer"))
    assert head is not None and decode_head(head)[:2] == (2, 1)
    chunk = market.kernel(ISSUED_CHUNK + account("issuer") + bytes(4)) or b""
    assert decode_chunk(chunk) == [first, second] == decode_value(chunk)
    assert market.kernel(ISSUED_HEAD + account(A)) is None
