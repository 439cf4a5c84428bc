import pytest

from tests.unit.crosschain.conftest import layers
from tests.unit.service_registry.house import House, prepared
from tests.unit.service_registry.states import STATES

__all__ = ["layers"]


@pytest.fixture(scope="session")
def states() -> dict[str, House]:
    """A service in each of its states; a test takes a branch of it."""
    return {name: prepared(step) for name, step in STATES.items()}
