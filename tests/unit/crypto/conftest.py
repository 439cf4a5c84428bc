import pytest

from chain_core.crypto.provider import CryptoProvider
from tests.unit.crypto.support import PROVIDERS, provider_or_skip


@pytest.fixture(params=PROVIDERS)
def crypto(request: pytest.FixtureRequest) -> CryptoProvider:
    """Each provider that runs on this machine."""
    return provider_or_skip(request.param)
