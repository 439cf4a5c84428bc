"""Claims that rest on a name or a place are checked as well: whose chain it is, what is before and after the orders."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest

from chain_core.codec.genesis import genesis_hash
from chain_core.node.chain_view import ChainView
from dualchain.demo.evidence import EvidenceRefused, summary_bytes
from dualchain.demo.summary import AFTER, BEFORE, CASH, check_chains, check_times

UPPER, OTHER = b"the supervisory document", b"another one"


def views(**changed: Mapping[str, Any]) -> dict[str, ChainView]:
    """Three chains as they should be, with changes."""
    rows: dict[str, dict[str, Any]] = {
        "supervisory": {"kind": "supervisory", "market": "", "supervisory_genesis": b""},
        **{m: {"kind": "local", "market": m, "supervisory_genesis": UPPER} for m in ("BJ", "JS")},
    }
    for name, fields in changed.items():
        rows.setdefault(name, {}).update(fields)
    found = {
        name: SimpleNamespace(genesis=SimpleNamespace(**row), genesis_hash=genesis_hash(UPPER))
        for name, row in rows.items()
        if row.get("kind")
    }
    return cast(dict[str, ChainView], found)


def test_each_chain_stands_under_its_name() -> None:
    check_chains(views())


@pytest.mark.parametrize(
    "changed",
    [
        {"BJ": {"market": "JS"}, "JS": {"market": "BJ"}},
        {"BJ": {"kind": "supervisory"}},
        {"supervisory": {"kind": "local"}},
        {"JS": {"supervisory_genesis": OTHER}},
        {"JS": {"kind": ""}},
        {"ZJ": {"kind": "local", "market": "ZJ", "supervisory_genesis": UPPER}},
    ],
)
def test_a_chain_under_another_name_is_refused(changed: dict[str, dict[str, Any]]) -> None:
    with pytest.raises(EvidenceRefused):
        check_chains(views(**changed))


def test_before_is_before_the_orders_and_after_is_after() -> None:
    heights = {("BJ", BEFORE): 4, ("BJ", AFTER): 9, ("BJ", CASH): 10}
    check_times("BJ", heights, [5, 7, 9])
    check_times("BJ", heights, [])
    for name, height in ((BEFORE, 5), (AFTER, 8), (CASH, 8)):
        with pytest.raises(EvidenceRefused, match=name):
            check_times("BJ", {**heights, ("BJ", name): height}, [5, 7, 9])


def test_a_summary_is_compared_to_the_byte() -> None:
    assert {"format": True} == {"format": 1} and summary_bytes({"format": True}) != summary_bytes({"format": 1})
