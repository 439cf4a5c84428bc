from tests.unit.crosschain.conftest import layers

__all__ = ["layers"]
