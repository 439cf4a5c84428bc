"""docs/spec/roles.md says which role may call what, and nothing else."""

from __future__ import annotations

import re

import pytest

from chain_core.execution.registry import DUTIES
from supervisory_chain.genesis import ACCOUNTS, GRANTABLE_ROLES
from tests.meta.roles import ANYBODY, SPEC, assemblies, main, rights

TEXT = SPEC.read_text("utf-8")
NAMED = set(re.findall(r"`([a-z_]+)`", TEXT.split("## 1. Roles", 1)[1].split("\n## ", 1)[0]))


def test_the_tables_are_the_program() -> None:
    assert main([]) == 0, "python -m tests.meta.roles --rewrite"


@pytest.mark.parametrize("kind", ["supervisory", "local"])
def test_every_role_that_opens_a_method_is_described(kind: str) -> None:
    used = {
        role for _, roles, _ in rights(assemblies()[kind]) if roles != ANYBODY for role in re.findall("`(.*?)`", roles)
    }
    assert used <= NAMED, used - NAMED


def test_every_role_that_is_given_is_described() -> None:
    given = {role for plan in ACCOUNTS for role in plan.roles} | set(GRANTABLE_ROLES) | set(DUTIES)
    assert given <= NAMED, given - NAMED


def test_an_auditor_writes_down_what_it_reads_and_nothing_else() -> None:
    """Audit is a duty of its own: it opens no method that changes anything."""
    opened = [row for made in assemblies().values() for row in rights(made) if "`auditor`" in row[1]]
    assert [(contract, methods) for contract, _, methods in opened] == [("lookups", "`record`")]
