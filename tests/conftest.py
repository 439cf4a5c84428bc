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


def pytest_report_header() -> str:
    provider = os.environ.get("DUALCHAIN_CRYPTO", "chosen at start")
    return f"dualchain: {platform.machine()}, {os.cpu_count()} processors, crypto provider {provider}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        place = Path(item.path).relative_to(config.rootpath).parts
        for name in MARKED_DIRECTORIES:
            if name in place:
                item.add_marker(name)
