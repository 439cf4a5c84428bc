"""Every package that an installation brings along is pinned, and installed as pinned."""

import re
from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.meta.sources import ROOT


def pinned() -> dict[str, Requirement]:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    found = (Requirement(line) for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(requirement.name): requirement for requirement in found}


def closure(name: str, extras: frozenset[str]) -> set[str]:
    """Return the names of everything ``name`` needs on this machine, directly or not."""
    seen: set[str] = set()
    waiting = [(name, extras)]
    while waiting:
        current, wanted = waiting.pop()
        for requirement in map(Requirement, requires(current) or []):
            markers = [{"extra": extra} for extra in wanted | {""}]
            if requirement.marker and not any(requirement.marker.evaluate(marker) for marker in markers):
                continue
            found = canonicalize_name(requirement.name)
            if found not in seen:
                seen.add(found)
                waiting.append((found, frozenset(requirement.extras)))
    return seen


def test_constraints_pin_the_whole_closure() -> None:
    needed = closure("dualchain", frozenset({"dev", "fast"}))
    assert len(needed) > 30
    assert sorted(needed - pinned().keys()) == []


def test_every_pin_is_exact_and_installed() -> None:
    differing = []
    for name, requirement in pinned().items():
        assert re.fullmatch(r"==[0-9][^*]*", str(requirement.specifier)), requirement
        if requirement.marker and not requirement.marker.evaluate():
            continue
        try:
            installed = version(name)
        except PackageNotFoundError:
            installed = "missing"
        if not requirement.specifier.contains(installed if installed != "missing" else "0"):
            differing.append(f"{name} {requirement.specifier}, installed: {installed}")
    assert differing == []
