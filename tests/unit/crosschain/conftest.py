from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from chain_core.crypto.provider import VerifyItem
from chain_core.crypto.providers import provider
from crosschain.light_client import verifier
from tests.unit.crosschain.chains import Layers


@pytest.fixture
def layers(tmp_path: Path) -> Iterator[Layers]:
    """A supervisory chain and a local one that has registered and is admitted."""
    made = Layers.begin(tmp_path)
    made.register()
    yield made
    made.close()


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many signatures the light client hands over to be verified, a number for each batch."""
    sizes: list[int] = []
    real = provider()

    class Counting:
        @staticmethod
        def sm2_verify_many(items: Sequence[VerifyItem]) -> list[bool]:
            sizes.append(len(items))
            return real.sm2_verify_many(items)

    monkeypatch.setattr(verifier, "provider", Counting)
    return sizes
