"""docs/rules.md names every rule, and only cases that exist."""

from __future__ import annotations

import re
from pathlib import Path

from contracts.hooks.rules import RULE_IDS

HERE = Path(__file__).parent
PAGE = (HERE.parents[2] / "docs" / "rules.md").read_text("utf-8")


def test_every_rule_has_its_row() -> None:
    assert set(re.findall(r"^\| `(csrc\.\w+)`", PAGE, re.MULTILINE)) == set(RULE_IDS)


def test_every_case_that_is_named_exists() -> None:
    sources = {path.name: path.read_text("utf-8") for path in HERE.glob("test_*.py")}
    assert set(re.findall(r"(test_\w+\.py)", PAGE)) <= set(sources)
    for name in re.findall(r"(?:::|`)(test_\w+)`", PAGE):
        assert any(f"def {name}(" in text for text in sources.values()), name
