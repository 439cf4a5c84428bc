from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.crosschain.chains import Layers
from tests.unit.crosschain.conftest import batches, layers
from tests.unit.supervisory_chain.ending import End, near_the_end

__all__ = ["batches", "layers"]


@pytest.fixture
def end(layers: Layers, tmp_path: Path) -> End:
    return near_the_end(layers, tmp_path)


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Iterator[End]:
    """The same, for tests that only try what a transaction would give."""
    directory = tmp_path_factory.mktemp("still")
    layers = Layers.begin(directory)
    layers.register()
    yield near_the_end(layers, directory)
    layers.close()
