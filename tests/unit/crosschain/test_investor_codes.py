"""Investor codes: nationally unique, the same for the same investor, without a gap that nobody can explain."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_map
from chain_core.execution.codes import Code
from chain_core.types.values import Value
from contracts.kernel.codes import BOUND_CODE
from contracts.kernel.records import KERNEL
from crosschain.channel_state import request_key
from crosschain.identity.digest import identity_digest
from crosschain.packets import count_in
from local_chain.assembly import local_assembly
from supervisory_chain.assembly import supervisory_assembly
from supervisory_chain.channel import HANDLERS
from supervisory_chain.codes import LAST, allocated_key, holder_key
from tests.unit.crosschain.chains import Chain, Layers, account, local_genesis, op, supervisory_genesis
from tests.unit.crosschain.couriers import Courier

SALT = bytes(range(32))
MARKETS = ("BJ", "SH", "JS", "ZJ", "GD")


def digest(number: int) -> bytes:
    return identity_digest(SALT, 1, f"11010119900101{number:04d}")


@pytest.fixture
def markets(tmp_path: Path) -> Iterator[list[Layers]]:
    """Five markets under one supervisory chain; their operators have units."""
    above = Chain.begin(tmp_path / "above", supervisory_genesis(), supervisory_assembly)
    made = []
    for market in MARKETS:
        genesis = local_genesis(market.lower(), market)
        layers = Layers(above, Chain.begin(tmp_path / market, genesis, local_assembly))
        layers.register()
        assert layers.local.one("operator", op("channel", "grant", account=account("operator"), units=1_000)).code == 0
        made.append(layers)
    yield made
    above.store.close()
    for layers in made:
        layers.local.store.close()


def ask(layers: Layers, *people: int, category: str = "Q") -> None:
    """One block of the market asks for these people's codes."""
    local = layers.local
    rows = [
        op(
            "channel",
            "request",
            service="investor_code",
            arguments={"category": category, "identity": digest(person)},
            timeout_ms=local.time_ms + 3_600_000,
        )
        for person in people
    ]
    receipts = local.block(*(local.sign("operator", row) for row in rows))
    assert {receipt.code for receipt in receipts} == {0}


def answers(layers: Layers) -> dict[bytes, str]:
    """The code that each identity was answered with, of all requests of a market."""
    found: dict[bytes, str] = {}
    for number in range(1_024):
        raw = layers.local.store.get(request_key(layers.local.hash, layers.supervisory.hash, number))
        if raw is None:
            break
        row = decode_map(raw, "request")
        if row["status"] == "answered":
            identity = cast(bytes, decode_map(cast(bytes, row["arguments"]), "arguments")["identity"])
            found[identity] = cast(str, decode_map(cast(bytes, row["response"]), "answer")["code"])
    return found


def carry(layers: Layers) -> None:
    courier = Courier(layers)
    while courier.up() + courier.down() + courier.services_down():
        pass


def test_a_hundred_applicants_in_five_markets_get_a_code_each(markets: list[Layers]) -> None:
    """Their requests arrive in any order, some people apply in two markets at once; couriers come and go."""
    draw = random.Random(7)
    people = list(range(100))
    first = [people[20 * i : 20 * (i + 1)] for i in range(5)]
    again = [draw.sample([p for p in people if p not in mine], 6) for mine in first]
    for mine, also, layers in zip(first, again, markets, strict=True):
        ask(layers, *mine, *also)
    order = [layers for layers in markets for _ in range(3)]
    draw.shuffle(order)
    for layers in order:
        carry(layers)
    found = [answers(layers) for layers in markets]
    codes: dict[bytes, str] = {}
    for row in found:
        for identity, code in row.items():
            assert codes.setdefault(identity, code) == code, "one investor, one code, in whichever market"
    assert set(codes) == {digest(person) for person in people}
    assert sorted(codes.values()) == [f"Q{number:09d}" for number in range(1, 101)], "no duplicate, no gap"
    above = markets[0].supervisory
    assert count_in(above.store.get(allocated_key("Q"))) == 100
    for identity, code in codes.items():
        assert above.store.get(holder_key(code)) == identity


def test_categories_count_apart_and_a_change_of_category_gives_another_code(markets: list[Layers]) -> None:
    layers = markets[0]
    for category in "QRS":
        ask(layers, 1, category=category)
        carry(layers)
        assert answers(layers)[digest(1)] == f"{category}000000001"


def test_while_nobody_carries_an_applicant_waits_and_asking_again_is_harmless(markets: list[Layers]) -> None:
    layers = markets[0]
    ask(layers, 1)
    assert answers(layers) == {}
    bind = op("identities", "take_code", account=account("holder"), request=0)
    assert layers.local.one("operator", bind).rule == "identities.no_answer"
    ask(layers, 1)
    carry(layers)
    assert answers(layers) == {digest(1): "Q000000001"}
    assert layers.local.one("operator", bind).code == Code.OK
    assert layers.local.store.get(_bound("holder")) == b"Q000000001"
    other = op("identities", "take_code", account=account("buyer"), request=1)
    assert layers.local.one("operator", other).rule == "kernel.code_taken"
    nothing = op("identities", "take_code", account=account("buyer"), request=9)
    assert layers.local.one("operator", nothing).rule == "identities.no_answer"


def test_a_category_that_is_used_up_gives_no_code_and_no_number_is_lost(
    markets: list[Layers], monkeypatch: pytest.MonkeyPatch
) -> None:
    layers = markets[0]
    monkeypatch.setattr("supervisory_chain.codes.LAST", 1)
    ask(layers, 1, 2)
    carry(layers)
    assert answers(layers) == {digest(1): "Q000000001", digest(2): ""}
    bind = op("identities", "take_code", account=account("holder"), request=1)
    assert layers.local.one("operator", bind).rule == "identities.no_answer"
    monkeypatch.undo()
    ask(layers, 2)
    carry(layers)
    assert answers(layers)[digest(2)] == "Q000000002"


def _bound(name: str) -> bytes:
    return state_key(KERNEL, BOUND_CODE + account(name))


def test_another_services_answer_is_no_code(markets: list[Layers]) -> None:
    layers = markets[0]
    row = op(
        "channel",
        "request",
        service="party_status",
        arguments={"entity": "somebody"},
        timeout_ms=layers.local.time_ms + 3_600_000,
    )
    assert layers.local.one("operator", row).code == Code.OK
    carry(layers)
    bind = op("identities", "take_code", account=account("holder"), request=0)
    assert layers.local.one("operator", bind).rule == "identities.no_answer"


@pytest.mark.parametrize("answer", [{"other": "Q000000001"}, {"code": 7}, {"code": ["Q000000001"]}, [1], "Q000000001"])
def test_an_answer_that_is_none_stops_no_block(layers: Layers, monkeypatch: pytest.MonkeyPatch, answer: Value) -> None:
    """What the regulator's validators certify is proven, and need not make sense."""
    monkeypatch.setitem(cast(dict[str, object], HANDLERS), "investor_code", lambda _ctx, _arguments: answer)
    assert layers.local.one("operator", op("channel", "grant", account=account("operator"), units=1)).code == Code.OK
    ask(layers, 1)
    carry(layers)
    bind = op("identities", "take_code", account=account("holder"), request=0)
    assert layers.local.one("operator", bind).rule == "identities.no_answer"


def test_the_digest_needs_the_whole_salt_and_reads_numbers_in_one_spelling() -> None:
    assert identity_digest(SALT, 1, "1101 0119 900101 123x") == identity_digest(SALT, 1, "11010119900101123X")
    assert identity_digest(SALT, 1, "1") != identity_digest(SALT, 2, "1") != identity_digest(bytes(32), 1, "1")
    for salt, number in ((SALT[:31], "1"), (SALT, "  ")):
        with pytest.raises(ValueError, match=r"salt|nobody"):
            identity_digest(salt, 1, number)
    assert LAST == 999_999_999
