"""The sample chain with its stored signatures; nothing is signed anew."""

import pytest

from tests.vectors.keys import Signatures
from tests.vectors.samples import Samples


@pytest.fixture(scope="session")
def samples() -> Samples:
    return Samples(Signatures(may_sign=False))
