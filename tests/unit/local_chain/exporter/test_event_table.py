"""Every event that a market's chain can emit is mapped to data objects, or named with the reason why it is not."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from local_chain.exporter.mapping import DATA_EVENTS, DATA_NOT_EXPORTED, LEDGER_EVENTS, NOT_EXPORTED

ROOT = Path(__file__).resolve().parents[4]

LEDGER_SOURCES = (
    "contracts/kernel",
    "contracts/hooks",
    "contracts/templates",
    "contracts/watch",
    "contracts/anchors",
    "chain_core/execution",
    "local_chain/supervision.py",
    "local_chain/enforcement.py",
    "local_chain/main_ledger.py",
    "local_chain/reporting.py",
)
"""Where the contracts of ``local_assembly`` emit events, ``data`` apart."""


def emitted(*places: str) -> dict[str, str]:
    """Names of events that these sources emit, with where; a name that is computed must be told apart."""
    found: dict[str, str] = {}
    for place in places:
        path = ROOT / place
        for source in [path] if path.is_file() else sorted(path.rglob("*.py")):
            for node in ast.walk(ast.parse(source.read_text("utf-8"))):
                if not isinstance(node, ast.Call):
                    continue
                called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                if called in ("emit", "_emit"):
                    names = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
                    found |= {str(name): f"{source.relative_to(ROOT)}:{node.lineno}" for name in names}
    return found


def test_every_event_of_the_ledger_is_mapped_or_explained() -> None:
    told = emitted(*LEDGER_SOURCES)
    assert len(told) > 60 and "entitlements" in told and "locked_up" in told, "the sources were found"
    known = LEDGER_EVENTS.keys() | NOT_EXPORTED.keys()
    assert {name: where for name, where in told.items() if name not in known} == {}
    assert known - told.keys() == set(), "no row speaks of an event that there is not"


def test_every_event_of_published_data_is_mapped_or_explained() -> None:
    told = emitted("contracts/data")
    assert told.keys() == DATA_EVENTS.keys() | DATA_NOT_EXPORTED.keys()


@pytest.mark.parametrize("table", [(LEDGER_EVENTS, NOT_EXPORTED), (DATA_EVENTS, DATA_NOT_EXPORTED)])
def test_none_is_both_and_every_reason_says_something(table: tuple[dict[str, object], dict[str, str]]) -> None:
    mapped, silent = table
    assert not mapped.keys() & silent.keys()
    assert all(len(reason) > 10 for reason in silent.values())


def test_the_specification_lists_them() -> None:
    page = (ROOT / "docs/spec/exporter.md").read_text("utf-8")
    names = LEDGER_EVENTS.keys() | NOT_EXPORTED.keys() | DATA_EVENTS.keys() | DATA_NOT_EXPORTED.keys()
    assert {name for name in names if f"`{name}`" not in page} == set()
