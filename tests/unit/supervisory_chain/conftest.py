from tests.unit.crosschain.conftest import batches, layers

__all__ = ["batches", "layers"]
