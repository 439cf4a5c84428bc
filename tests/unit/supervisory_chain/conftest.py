import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.crosschain.chains import Layers
from tests.unit.crosschain.conftest import batches, layers
from tests.unit.supervisory_chain.ending import End, near_the_end

__all__ = ["batches", "layers"]


@pytest.fixture(scope="session")
def closed(tmp_path_factory: pytest.TempPathFactory) -> End:
    """A market's chain near its end, made once; its files are copied for whoever goes on with it."""
    directory = tmp_path_factory.mktemp("closed")
    layers = Layers.begin(directory)
    layers.register()
    made = near_the_end(layers, directory)
    layers.close()
    return made


def copied(closed: End, directory: Path) -> Iterator[End]:
    for name in ("supervisory", "local"):
        shutil.copytree(closed.scratch / name, directory / name)
    end = replace(closed, layers=closed.layers.again(directory), scratch=directory)
    yield end
    end.layers.close()


@pytest.fixture
def end(closed: End, tmp_path: Path) -> Iterator[End]:
    yield from copied(closed, tmp_path)


@pytest.fixture(scope="module")
def still(closed: End, tmp_path_factory: pytest.TempPathFactory) -> Iterator[End]:
    """The same, for tests that only try what a transaction would give."""
    yield from copied(closed, tmp_path_factory.mktemp("still"))
