from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.crosschain.chains import Layers


@pytest.fixture
def layers(tmp_path: Path) -> Iterator[Layers]:
    """A supervisory chain and a local one that has registered and is admitted."""
    made = Layers.begin(tmp_path)
    made.register()
    yield made
    made.close()
