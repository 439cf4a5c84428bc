"""Supervision rules: switched on by two houses, they see every movement, report and refuse; a defect stops nobody."""

from __future__ import annotations

from typing import Any

import pytest

from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_value
from chain_core.crypto.hashing import sm3
from chain_core.types.transaction import Operation
from chain_core.types.values import Value
from contracts.engine.nodes import encode_tree
from contracts.engine.parser import parse_template
from contracts.engine.refusals import TemplateRefused
from contracts.watch.catalogue import SOURCES, TREES, shipped_rules
from contracts.watch.hook import FIRED, WATCH_HOOK, count_of
from contracts.watch.rule import compile_rule
from tests.unit.contracts.market import MONDAY, Market, account, op, transfer

A, B, C = "investor-0", "investor-1", "investor-2"
GOVERNOR, SECOND, SAME_HOUSE = "governor-2", "governor-3", "governor-2"

PROBE = """
RULE = {
    "id": "test.probe",
    "version": 1,
    "engine": "tpl/1",
    "title": "试验",
    "article": "试验",
    "observes": ["trade"],
    "params": {"limit": {"type": "quantity", "note": "quantity"}},
    "findings": {"large": {"zh": "数量 {0}", "en": "{0} units"}},
}


def judge(ctx, move, params):
    if move["quantity"] > params["limit"]:
        return {"refuse": "large", "facts": [move["quantity"]]}
    return None
"""


def tree_of(source: str) -> bytes:
    return encode_tree(parse_template(source.encode()))


def on(name: str, params: dict[str, Value], *, day: int = MONDAY, source: str = "", **changes: Value) -> Operation:
    if source:
        tree = sent = tree_of(source)
    else:
        tree, sent = (TREES / f"{name}.tree").read_bytes(), b""
    args: dict[str, Value] = {
        "rule": name,
        "version": 1,
        "tree": sent,
        "tree_sm3": sm3(tree),
        "source_sm3": bytes(32),
        "params": params,
        "effective_from": day,
        **changes,
    }
    return Operation("watch", "switch_on", args)


def fired(market: Market) -> list[Any]:
    """What rules said of the last block's transactions."""
    assert market.last is not None
    rows = [row for events in market.last.events for row in decode_value(events)]  # type: ignore[union-attr]
    return [row[2] for row in rows if row[0] == "watch-rules"]  # type: ignore[index]


def market_with(operation: Operation) -> tuple[Market, bytes]:
    market = Market.open()
    security = market.listed({A: 1_000, B: 500})
    market.qualified(A, B, C)
    market.ok(GOVERNOR, operation, cosigners=(SECOND,))
    return market, security


def test_a_trade_back_is_reported_once_it_happens() -> None:
    """The five-day rule keeps A from selling back at once: the report comes with the trade that the rule allows."""
    market, security = market_with(on("csrc.suspicious-trades", {"window_days": 30, "max_trades": 2}))
    market.ok(A, transfer(security, B, 10))
    assert fired(market) == []
    market.go_to(MONDAY + 7)
    market.ok(B, transfer(security, A, 10))
    [report] = fired(market)
    assert (report["rule"], report["reason"]) == ("csrc.suspicious-trades", "traded_back")
    assert report["facts"] == [security.hex(), account(B).hex(), account(A).hex(), 7]


def test_often_on_one_day_is_reported_once() -> None:
    market, security = market_with(on("csrc.suspicious-trades", {"window_days": 5, "max_trades": 2}))
    said = []
    for _ in range(4):
        market.ok(A, transfer(security, C, 1))
        said += fired(market)
    assert [row["reason"] for row in said] == ["too_often"] and said[0]["facts"][2] == 3
    assert count_of(market.state.get(state_key(WATCH_HOOK, FIRED))) == 1, "reports carry it to the regulator"


def test_concentration_is_reported_when_it_is_reached() -> None:
    market, security = market_with(on("csrc.concentration-limit", {"limit_bps": 1_000}))
    market.ok(A, transfer(security, C, 150))
    assert fired(market) == []
    market.ok(A, transfer(security, C, 1))
    assert [row["facts"][2:] for row in fired(market)] == [[151, 1_500, 1_000]]
    market.ok(A, transfer(security, C, 100))
    assert fired(market) == []


def test_money_within_a_window_is_added_up() -> None:
    market, _ = market_with(on("csrc.capital-flow-watch", {"window_days": 3, "limit_fen": 1_000}))
    market.funded(A, 600)
    assert fired(market) == []
    market.go_to(MONDAY + 2)
    market.funded(A, 400)
    assert [(row["reason"], row["facts"]) for row in fired(market)] == [("inflow", [account(A).hex(), 3, 1_000])]
    market.go_to(MONDAY + 6)
    market.funded(A, 400)
    assert fired(market) == []


def test_it_begins_on_its_day() -> None:
    market, security = market_with(on("test.probe", {"limit": 5}, source=PROBE, day=MONDAY + 1))
    market.ok(A, transfer(security, C, 6))
    market.go_to(MONDAY + 1)
    assert market.one(A, transfer(security, C, 6)).rule == "test.probe.large"
    market.ok(A, transfer(security, C, 5))


def test_switched_off_it_sees_nothing() -> None:
    market, security = market_with(on("test.probe", {"limit": 5}, source=PROBE))
    off = op("switch_off", "watch", rule="test.probe")
    assert market.refused(GOVERNOR, off) == "kernel.four_eyes"
    market.ok(GOVERNOR, off, cosigners=(SECOND,))
    market.ok(A, transfer(security, C, 6))
    assert market.refused(GOVERNOR, off, cosigners=(SECOND,)) == "watch.not_on"


DEFECTS = {
    "no end": ("    return None\n", "    for i in range(100000):\n        i += 1\n    return None\n", "fuel"),
    "a wrong type": ("    return None\n", '    return move["quantity"] + "x"\n', "wrong_type"),
    "an answer of another shape": (
        "    return None\n",
        '    return {"report": "unknown", "facts": []}\n',
        "wrong_type",
    ),
}


@pytest.mark.parametrize(("before", "after", "reason"), DEFECTS.values(), ids=DEFECTS.keys())
def test_a_defect_of_a_rule_is_said_and_stops_nobody(before: str, after: str, reason: str) -> None:
    market, security = market_with(on("test.probe", {"limit": 5}, source=PROBE.replace(before, after)))
    market.ok(A, transfer(security, C, 1))
    assert [(row["rule"], row["reason"]) for row in fired(market)] == [("test.probe", reason)]


REFUSED = {
    "alone": (on("test.probe", {"limit": 5}, source=PROBE), (), "kernel.four_eyes"),
    "another tree": (on("test.probe", {"limit": 5}, source=PROBE, tree_sm3=bytes(32)), (SECOND,), "watch.other_tree"),
    "no tree at all": (on("csrc.none", {}, source=PROBE, tree=b"", tree_sm3=bytes(32)), (SECOND,), "watch.other_tree"),
    "another name": (on("test.other", {"limit": 5}, source=PROBE), (SECOND,), "watch.other_name"),
    "another version": (on("test.probe", {"limit": 5}, source=PROBE, version=2), (SECOND,), "watch.other_name"),
    "no rule": (on("test.probe", {"limit": 5}, source="A = 1\n"), (SECOND,), "watch.no_rule"),
    "parameters": (on("test.probe", {"limit": 0}, source=PROBE), (SECOND,), "watch.bad_parameters"),
    "yesterday": (on("test.probe", {"limit": 5}, source=PROBE, day=MONDAY - 1), (SECOND,), "watch.too_early"),
}  # fmt: skip


@pytest.mark.parametrize(("operation", "cosigners", "rule"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_not_switched_on(operation: Operation, cosigners: tuple[str, ...], rule: str) -> None:
    assert Market.open().refused(GOVERNOR, operation, cosigners=cosigners) == rule


def test_what_a_filed_rule_refuses_is_said_in_its_own_words() -> None:
    """As long as it is on."""
    market, security = market_with(on("test.probe", {"limit": 5}, source=PROBE))
    receipt = market.one(A, transfer(security, B, 6))
    assert receipt.rule == "test.probe.large"
    assert "数量 6" in market.text(receipt, "zh") and "6 units" in market.text(receipt)
    market.ok(GOVERNOR, Operation("watch", "switch_off", {"rule": "test.probe"}), cosigners=(SECOND,))
    assert "refused by a rule (test.probe.large)" in market.text(receipt)


def test_nobody_else_switches() -> None:
    assert Market.open().refused("operator", on("test.probe", {"limit": 5}, source=PROBE), cosigners=(SECOND,)) == "12"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"engine": "tpl/1"', '"engine": "tpl/2"'),
        ('"observes": ["trade"]', '"observes": ["dreams"]'),
        ("def judge(ctx, move, params)", "def judge(ctx, move)"),
        ('"version": 1', '"version": "1"'),
        ('"zh": "数量 {0}", ', ""),
        ('"id": "test.probe"', '"id": "probe"'),
    ],
)
def test_a_rule_that_contradicts_itself_is_none(before: str, after: str) -> None:
    assert before in PROBE
    with pytest.raises(TemplateRefused):
        compile_rule(tree_of(PROBE.replace(before, after)))


def test_the_trees_of_this_build_are_those_of_its_sources() -> None:
    """Otherwise: ``dualchain template build``."""
    assert list(shipped_rules()) == [tree_of(path.read_text("utf-8")) for path in sorted(SOURCES.glob("*.star"))]
