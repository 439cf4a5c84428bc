"""``--rewrite`` writes the transcripts anew; the difference is then reviewed as text."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rewrite", action="store_true", default=False, help="write the scenarios' transcripts anew")
