"""``--seed N`` runs one seed of the simulator instead of the regular ones."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seed", type=int, default=None, help="run this seed of the simulator only")
