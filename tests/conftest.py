"""What all tests share: reproducible property tests, a header that says what ran, markers by directory."""

import os
import platform
from pathlib import Path

import pytest
from hypothesis import settings

# The same examples on every machine and in every run; a wider search is asked for by name.
settings.register_profile("repository", derandomize=True, deadline=None, database=None)
settings.register_profile("search", max_examples=2_000, deadline=None, database=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repository"))

MARKED_DIRECTORIES = ("integration", "simulation")

# The pure-Python reference verifies some seventy signatures a second: with it, what is about the provider itself runs,
# and enough of everything above it to show that a chain runs on any machine.
REFERENCE_PROVIDER = "gmssl"
WITH_THE_REFERENCE = (
    "tests/unit/crypto",
    "tests/unit/codec",
    "tests/simulation/test_seeds.py",
    "tests/integration/test_five_blocks.py",
)


def pytest_report_header() -> str:
    provider = os.environ.get("DUALCHAIN_CRYPTO", "chosen at start")
    line = f"dualchain: {platform.machine()}, {os.cpu_count()} processors, crypto provider {provider}"
    if provider == REFERENCE_PROVIDER:
        line += f"; with this slow reference only {', '.join(WITH_THE_REFERENCE)} run"
    return line


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        place = Path(item.path).relative_to(config.rootpath).parts
        for name in MARKED_DIRECTORIES:
            if name in place:
                item.add_marker(name)
    if os.environ.get("DUALCHAIN_CRYPTO") == REFERENCE_PROVIDER:
        _only_with_the_reference(config, items)


def _only_with_the_reference(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselects, and says so in the closing line, what the slow reference provider is not asked to run."""
    chosen = [
        item for item in items if Path(item.path).relative_to(config.rootpath).as_posix().startswith(WITH_THE_REFERENCE)
    ]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(chosen)])
    items[:] = chosen
