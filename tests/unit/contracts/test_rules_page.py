"""docs/rules.md names every rule, and only cases that exist."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from contracts.hooks.rules import RULE_IDS, RULES
from contracts.templates.catalogue import CASES

HERE = Path(__file__).parent
PAGE = (HERE.parents[2] / "docs" / "rules.md").read_text("utf-8")


PLAIN, OF_TEMPLATES = PAGE.split("## Cases of templates")
ROWS = {
    row[0]: row
    for row in (line.strip("| ").split(" | ") for line in OF_TEMPLATES.splitlines() if line.startswith("|"))
    if len(row) == 5 and row[0] != "Rule"
}
"""Rule -> rule, source, accepted and refused examples, the code these are refused with."""
BY_CONSTRUCTION = (
    {"no public solicitation", "no continuous auction, no market making"},
    {"the operator never touches client money"},
    {"judicial freezes queue", "judicial freezes reach the fruits"},
    {"holder roll true and complete", "transfer record true and complete"},
    {"what one house must not decide alone"},
    {"working and trading days by the calendar"},
)
"""The rows of the second table, in its order: what each becomes in that of the templates."""
SOURCES = {"measures": "《区域性股权市场监督管理试行办法》", "notice": "国办发〔2017〕11号"}
SOURCES |= {
    "company law": "《公司法》",
    "civil code": "《民法典》",
    "directives": "监管指令",
    "judicial assistance": "司法协助执行",
}


def test_every_rule_has_its_row() -> None:
    for part in (PLAIN, OF_TEMPLATES):
        assert set(re.findall(r"^\| `(csrc\.\w+)`", part, re.MULTILINE)) == set(RULE_IDS)
    by_construction = PLAIN.split("Rules that hold by construction")[1]
    assert by_construction.count("\n| ") - 1 == len(BY_CONSTRUCTION)
    assert set(ROWS) == {f"`{rule}`" for rule in RULE_IDS}.union(*BY_CONSTRUCTION)


@pytest.mark.parametrize("rule", RULES, ids=[rule.id for rule in RULES])
def test_the_source_is_the_rules_own(rule: object) -> None:
    assert isinstance(rule, type(RULES[0]))
    for word in ROWS[f"`{rule.id}`"][1].split(", "):
        assert SOURCES.get(word, "限售承诺") in rule.article


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
def test_the_examples_of_templates_end_as_the_page_says(row: list[str]) -> None:
    """That an example ends as it says itself is what test_template_cases.py runs."""
    rule, source, accepted, refused, code = row
    wanted = (rule if code == "the rule" else code).strip("`")
    assert source
    for cell, ends in ((accepted, None), (refused, wanted)):
        named = re.findall(r'`([\w.-]+\.toml)` "([^"]+)"', cell)
        assert named and len(named) == len(cell.split("<br>"))
        for file, name in named:
            cases = {case["name"]: case for case in tomllib.loads((CASES / file).read_text("utf-8"))["case"]}
            assert cases[name].get("refused") == ends, name


def test_every_case_that_is_named_exists() -> None:
    sources = {path.name: path.read_text("utf-8") for path in HERE.glob("test_*.py")}
    assert set(re.findall(r"(test_\w+\.py)", PAGE)) <= set(sources)
    for name in re.findall(r"(?:::|`)(test_\w+)`", PAGE):
        assert any(f"def {name}(" in text for text in sources.values()), name
