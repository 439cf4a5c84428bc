"""The market's assembly: names, roles, grants; every refusal has its texts in both languages, whoever writes it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import contracts
from chain_core.execution.contract import Lane
from chain_core.execution.executor import Executor
from chain_core.execution.messages import Messages
from contracts.agreements.contract import Agreements
from contracts.anchors.contract import Anchors
from contracts.assembly import MARKET_ROLES, market_contracts, market_grants
from contracts.data.contract import Data
from contracts.kernel.four_eyes import GOVERNOR
from contracts.templates.catalogue import catalogue
from contracts.templates.contract import ENGINE_TEXTS
from contracts.watch.catalogue import shipped_rules
from contracts.watch.rule import compile_rule

ROOT = Path(contracts.__file__).parent
FOUND = {f"{rule.id}.{reason}" for rule in map(compile_rule, shipped_rules()) for reason in rule.findings}
REFUSING = {"refuse": 0, "new_id": -1}
"""Methods of a CallContext, and the argument that names the rule."""
ENGINES = ("accounts.", "governance.")


def named_rules() -> set[str]:
    """Every text that names a rule in the packages' calls of what refuses on a CallContext."""
    found = set[str]()
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in REFUSING):
                continue
            rule = node.args[REFUSING[node.func.attr]] if node.args else None
            if isinstance(rule, ast.Constant) and "." in str(rule.value):
                found.add(str(rule.value))
    return found


def test_names_lanes_and_grants() -> None:
    market, hooks = market_contracts()
    assert [(contract.name, contract.lane) for contract in market] == [
        ("kernel", Lane.BUSINESS),
        ("templates", Lane.BUSINESS),
        ("watch", Lane.BUSINESS),
    ]
    assert [hook.name for hook in hooks] == ["market-rules", "watch-rules"]
    assert market_grants("border") == {
        "templates": ("kernel",),
        "market-rules": ("kernel",),
        "border": ("kernel",),
    }
    Executor(market, hooks=hooks, grants=market_grants())


def test_every_rule_that_is_named_has_its_texts() -> None:
    market, hooks = market_contracts()
    texts = Messages((*market, Agreements(), Data(), Anchors()), hooks).rules
    named = named_rules()
    assert len(named) > 40
    assert not {rule for rule in named if rule not in texts}
    own = {rule for shipped in catalogue() for rule in shipped.compiled.template.rules}
    elsewhere = {
        "csrc.frozen_party",
        "csrc.frozen_security",
        "data.grant_over",
        *ENGINE_TEXTS,
        *FOUND,
    }  # named in tables
    assert set(texts) == named | own | elsewhere, "a text that nothing refuses with"


@pytest.mark.parametrize("language", ["zh", "en"])
def test_texts_take_their_facts(language: str) -> None:
    market, hooks = market_contracts()
    for rule, text in Messages(market, hooks).rules.items():
        line = text.zh if language == "zh" else text.en
        assert line and line.isascii() == (language == "en"), rule
        assert rule.isascii() and len(rule) <= 64


def test_roles_of_methods_are_the_markets() -> None:
    market, _ = market_contracts()
    roles = {role for contract in market for method in contract.methods.values() for role in method.roles}
    assert roles == {*MARKET_ROLES, GOVERNOR}


def test_execution_here_is_pure() -> None:
    """No clock, file, randomness or thread in anything that runs inside a block."""
    banned = {
        "asyncio",
        "datetime",
        "io",
        "logging",
        "os",
        "pathlib",
        "random",
        "secrets",
        "socket",
        "sys",
        "threading",
        "time",
    }
    outside = {
        "templates/catalogue.py": {"pathlib"},  # reads the build's templates once, at the start
        "engine/stack.py": {"sys"},  # a setting of the process
        "engine/source.py": {"io"},  # off chain
        "data_model/schemas.py": {"pathlib"},  # off chain
        "watch/catalogue.py": {"pathlib"},  # reads the build's rules once, at the start
    }
    for path in ROOT.rglob("*.py"):
        forbidden = banned - outside.get(str(path.relative_to(ROOT)), set())
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert name.split(".")[0] not in forbidden, path
