"""A store with its genesis installed, closed at the end."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from chain_core.ledger.store import LedgerStore
from tests.unit.ledger.support import new_store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger"


@pytest.fixture
def store(path: Path) -> Iterator[LedgerStore]:
    opened = new_store(path)
    yield opened
    opened.close()
