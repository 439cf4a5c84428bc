"""What a template may read of the ledger, and the second signature it may ask for (docs/spec/templates.md §3)."""

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
    "id": "test.reader",
    "version": 1,
    "engine": "tpl/1",
    "title": "读数",
    "category": "试验",
    "capabilities": ["disclose"],
    "params": {},
    "roles": {"anybody": "anybody"},
    "initial": ["open"],
    "states": {"open": ["open"]},
    "create": {"roles": ["anybody"]},
    "methods": {
        "proof": {"roles": ["anybody"], "states": ["open"], "args": {"account": {"type": "account"}}},
        "enterprise": {"roles": ["anybody"], "states": ["open"], "args": {"account": {"type": "account"}}},
        "second": {"roles": ["anybody"], "states": ["open"]},
        "disclose": {"roles": ["anybody"], "states": ["open"], "args": {"digest": {"type": "hash"}}},
    },
    "refusals": {
        "none": {"zh": "无", "en": "none"},
        "found": {"zh": "{0}", "en": "{0}"},
        "number": {"zh": "{0}", "en": "{0}"},
    },
}


def create(ctx, call):
    return "open"


def proof(ctx, call, account):
    found = ctx.suitability(account)
    if found == None:
        ctx.refuse("none")
    if found != {"category": 2, "expires_day": LAST_DAY}:
        ctx.refuse("found", found["expires_day"])
    return "open"


def enterprise(ctx, call, account):
    found = ctx.enterprise(account)
    if found == None:
        ctx.refuse("none")
    if found != {"credit_code": "91110000MA0000000X", "province": "BJ", "attributes": {}}:
        ctx.refuse("found", found["credit_code"])
    return "open"


def second(ctx, call):
    ctx.four_eyes()
    return "open"


def disclose(ctx, call, digest):
    first = ctx.disclose(5, 1, digest)
    later = ctx.disclose(5, 1, digest, first)
    if [first, later] != [1, 2]:
        ctx.refuse("number", first)
    return "open"
""".replace("LAST_DAY", str(MONDAY + 300))

ENTERPRISE: dict[str, Any] = {
    "who": "operator",
    "do": "kernel.register_enterprise",
    "args": {
        "account": "a",
        "credit_code": "91110000MA0000000X",
        "province": "BJ",
        "attributes": {},
        "evidence": "licence",
    },
}
CASES: dict[str, tuple[list[Any], str]] = {
    "a proof": (["a proof account=a"], ""),
    "no proof": (["a proof account=b"], "test.reader.none"),
    "no proof of one nobody knows": (["a proof account=nobody"], "test.reader.none"),
    "an enterprise": ([ENTERPRISE, "b enterprise account=a"], ""),
    "no enterprise": ([ENTERPRISE, "b enterprise account=b"], "test.reader.none"),
    "a second house": (["operator second with governor-2"], ""),
    "nobody else": (["operator second"], "kernel.four_eyes"),
    "a second signature of the same house": (["operator second with governor-1"], "kernel.four_eyes"),
    "a second signature of somebody": (["operator second with a"], "kernel.four_eyes"),
    "numbers of disclosures": ([ENTERPRISE, "a disclose digest=text"], ""),
}


@pytest.mark.parametrize(("steps", "refused"), CASES.values(), ids=CASES.keys())
def test_reading(steps: list[Any], refused: str) -> None:
    tree = encode_tree(parse_template(READER.encode()))
    case = {"name": "reading", "steps": ["b create", *steps], "refused": refused}
    file = {"template": "test.reader", "people": ["a", "b"], "setup": {"unqualified": ["b"]}, "case": [case]}
    [outcome] = run_cases(file, compile_tree(tree), tree)
    assert outcome.wrong == ""
