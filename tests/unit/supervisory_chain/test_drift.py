"""A chain changes: announced at the desk it is noted, otherwise it is a case, once (docs/spec/drift.md §1)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from chain_core.codec.block import decode_header, encode_header
from chain_core.crypto.hashing import sm3
from chain_core.types.transaction import Operation
from chain_core.types.values import Value
from contracts.kernel.calendar import day_of
from crosschain.packets import count_in
from supervisory_chain.cases import case_key, count_key
from supervisory_chain.desk.in_force import MAX_KEPT, in_force_key
from supervisory_chain.drift import KEPT_CHANGES, declared_key
from tests.unit.crosschain.chains import Layers, op
from tests.unit.crosschain.changing import closing_row, newcomer, propose

PLAN = sm3(b"plan")


@pytest.fixture
def layers(tmp_path: Path) -> Iterator[Layers]:
    made = Layers.begin(tmp_path)
    made.register()
    yield made
    made.close()


def headers(layers: Layers, *parameters: bytes) -> None:
    """Followed headers, every second height, with those parameters."""
    rows: list[Value] = []
    for params_hash in parameters:
        layers.local.block()
        layers.local.block()
        raw = encode_header(
            replace(decode_header(layers.local.certified(layers.local.height)[0]), params_hash=params_hash)
        )
        rows.append({"header": raw, "certificate": layers.local.certify(raw)})
    layers.supervisory.time_ms = max(layers.supervisory.time_ms, layers.local.time_ms)
    receipt = layers.supervisory.one("courier", op("clients", "submit_headers", chain=layers.local.hash, headers=rows))
    assert receipt.code == 0, receipt


def cases(layers: Layers) -> list[dict[str, Any]]:
    chain = layers.local.hash
    numbers = range(count_in(layers.supervisory.store.get(count_key(chain))))
    return [cast(dict[str, Any], layers.supervisory.value(case_key(chain, number))) for number in numbers]


def declared(layers: Layers) -> dict[str, Any]:
    return cast(dict[str, Any], layers.supervisory.value(declared_key(layers.local.hash)))


def notice(layers: Layers) -> None:
    """A compatible upgrade that may begin today."""
    today = day_of(layers.supervisory.time_ms)
    args: dict[str, Value] = {"chain": layers.local.hash, "subject": "limits", "kind": "upgrade", "compatible": True}
    args |= {"plan": PLAN, "effective_day": today}
    assert layers.supervisory.one("operator", Operation("desk", "give_notice", args)).code == 0


def step(layers: Layers, who: str, name: str, number: int = 0) -> str:
    return layers.supervisory.one(who, op("desk", name, number=number, document=PLAN)).rule


def test_a_change_nobody_announced_is_a_case_once(layers: Layers) -> None:
    first, second = sm3(b"1"), sm3(b"2")
    headers(layers, first)
    assert cases(layers) == [] and declared(layers)["changes"] == [], (
        "the first header is what others are compared with"
    )
    headers(layers, first, second, second)
    headers(layers, second)
    (case,) = cases(layers)
    assert (case["kind"], case["facts"]["changed"], case["facts"]["height"]) == (
        "unannounced_change",
        ["parameters"],
        6,
    )
    assert case["facts"]["now"] == {"parameters": second}
    (change,) = declared(layers)["changes"]
    assert (change["notice"], change["case"], declared(layers)["parameters"]) == (-1, 0, second)
    headers(layers, first)
    assert len(cases(layers)) == 2, "back again is a change too"


def test_a_change_under_a_notice_in_force_is_noted_and_no_case(layers: Layers) -> None:
    headers(layers, sm3(b"1"))
    notice(layers)
    assert step(layers, "operator", "begin") == ""
    layers.local.time_ms = layers.supervisory.time_ms
    headers(layers, sm3(b"2"))
    assert cases(layers) == [] and declared(layers)["changes"][0]["notice"] == 0
    assert ("clients", "headers_changed") in layers.supervisory.events()
    assert step(layers, "operator", "finish") == ""
    layers.local.time_ms += 120_000
    headers(layers, sm3(b"3"))
    assert len(cases(layers)) == 1, "the notice was over"


def test_headers_that_come_late_are_judged_by_their_own_time(layers: Layers) -> None:
    headers(layers, sm3(b"1"))
    notice(layers)
    assert step(layers, "csrc-1", "propose_waiver") == step(layers, "csrc-2", "confirm_waiver") == ""
    layers.local.time_ms = layers.supervisory.time_ms
    layers.supervisory.time_ms += 300_000
    assert step(layers, "operator", "withdraw_notice") == ""
    layers.supervisory.time_ms += 300_000
    headers(layers, sm3(b"2"))
    assert cases(layers) == []


def test_other_validators_are_a_change_and_new_keys_are_none(layers: Layers) -> None:
    local, supervisory = layers.local, layers.supervisory
    first = layers.business("before")
    assert supervisory.one("courier", layers.headers_up(first)).code == 0
    barrier = propose(local, "replace_validator", name="beijing-1", by=newcomer(local, "beijing-9"))
    late = layers.business("after")
    rows: list[Value] = [closing_row(local, barrier - 1), local.row(late)]
    assert supervisory.one("courier", op("clients", "submit_headers", chain=local.hash, headers=rows)).code == 0
    (case,) = cases(layers)
    assert case["facts"]["changed"] == ["validators"]


def test_lists_are_bounded(layers: Layers) -> None:
    headers(layers, *(sm3(bytes([n])) for n in range(KEPT_CHANGES + 3)))
    assert [c["case"] for c in declared(layers)["changes"]] == list(range(2, KEPT_CHANGES + 2))
    for number in range(MAX_KEPT):
        notice(layers)
        assert step(layers, "operator", "begin", number) == ""
    notice(layers)
    assert step(layers, "operator", "begin", MAX_KEPT) == "desk.too_many_in_force"
    assert step(layers, "operator", "roll_back", 3) == step(layers, "operator", "begin", MAX_KEPT) == ""
    rows = cast(list[list[int]], layers.supervisory.value(in_force_key(layers.local.hash)))
    assert [row[0] for row in rows] == [*range(3), *range(4, MAX_KEPT + 1)]
