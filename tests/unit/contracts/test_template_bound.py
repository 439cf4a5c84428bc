"""What a template may read of pledges and court orders (docs/spec/templates.md §3)."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.engine.nodes import encode_tree
from contracts.engine.parser import parse_template
from contracts.sandbox.cases import run_cases
from contracts.sandbox.market import MONDAY
from contracts.templates.compiled import compile_tree

READER = """
TEMPLATE = {
    "id": "test.bound",
    "version": 1,
    "engine": "tpl/1",
    "title": "读数",
    "category": "试验",
    "capabilities": ["order", "pledge"],
    "params": {},
    "roles": {"anybody": "anybody"},
    "initial": ["open"],
    "states": {"open": ["open"]},
    "create": {"roles": ["anybody"]},
    "methods": {
        "pledged": {
            "roles": ["anybody"],
            "states": ["open"],
            "args": {"pledge": {"type": "id"}, "quantity": {"type": "integer"}, "fruit_fen": {"type": "integer"}},
        },
        "ordered": {
            "roles": ["anybody"],
            "states": ["open"],
            "args": {"order": {"type": "id"}, "wanted": {"type": "integer"}, "held": {"type": "integer"}},
        },
    },
    "refusals": {
        "none": {"zh": "无", "en": "none"},
        "differs": {"zh": "不同", "en": "differs"},
    },
}


def create(ctx, call):
    return "open"


def pledged(ctx, call, pledge, quantity, fruit_fen):
    found = ctx.read_pledge(pledge)
    if found == None:
        ctx.refuse("none")
    if found != {"quantity": quantity, "fruit_fen": fruit_fen}:
        ctx.refuse("differs")
    return "open"


def ordered(ctx, call, order, wanted, held):
    found = ctx.read_order(order)
    if found == None:
        ctx.refuse("none")
    if found != {"wanted": wanted, "held": held, "fruit_fen": 0, "expires_day": LAST_DAY}:
        ctx.refuse("differs")
    return "open"
""".replace("LAST_DAY", str(MONDAY + 9))

PLEDGE = "a kernel.pledge reference=p security=security quantity=40 pledgee=b"
ORDER = (
    "operator kernel.place_order reference=o security=security account=a quantity=70 expires_day=+9d evidence=e "
    "with governor-2"
)
ANNOUNCE = (
    "operator kernel.announce_action reference=d security=security base=1 cash_fen=2 shares=0 grows=true "
    "largest_remainder=false record_day=+0d evidence=e with issuer"
)
DIVIDEND = [
    ANNOUNCE,
    "issuer kernel.fund_action action=action amount_fen=200",
    "day 1",
    "b kernel.step_action action=action",
]
CASES: dict[str, tuple[list[Any], str]] = {
    "a pledge": (["c pledged pledge=pledge quantity=40 fruit_fen=0"], ""),
    "a pledge with its fruits": ([*DIVIDEND, "c pledged pledge=pledge quantity=40 fruit_fen=80"], ""),
    "a pledge released in part": (
        ["b kernel.release_pledge pledge=pledge quantity=15", "c pledged pledge=pledge quantity=25 fruit_fen=0"],
        "",
    ),
    "a pledge that is over": (
        ["b kernel.release_pledge pledge=pledge", "c pledged pledge=pledge quantity=40 fruit_fen=0"],
        "test.bound.none",
    ),
    "no pledge": (["c pledged pledge=nothing quantity=40 fruit_fen=0"], "test.bound.none"),
    "an order that holds less than it wants": (["c ordered order=order wanted=70 held=60"], ""),
    "an order that took effect": (
        ["b kernel.release_pledge pledge=pledge", "c ordered order=order wanted=70 held=70"],
        "",
    ),
    "an order on its last day": (["day 9", "c ordered order=order wanted=70 held=60"], ""),
    "an order that has expired": (["day 10", "c ordered order=order wanted=70 held=60"], "test.bound.none"),
    "no order": (["c ordered order=nothing wanted=70 held=60"], "test.bound.none"),
}


@pytest.mark.parametrize(("steps", "refused"), CASES.values(), ids=CASES.keys())
def test_what_binds_shares(steps: list[Any], refused: str) -> None:
    tree = encode_tree(parse_template(READER.encode()))
    case: dict[str, Any] = {"name": "probe", "setup": [PLEDGE, ORDER], "steps": ["c create", *steps]}
    file = {
        "template": "test.bound",
        "people": ["a", "b", "c"],
        "setup": {"holdings": {"a": 100}, "cash": {"issuer": 1000}},
        "case": [{**case, **({"refused": refused} if refused else {})}],
    }
    [outcome] = run_cases(file, compile_tree(tree), tree)
    assert outcome.wrong == ""
