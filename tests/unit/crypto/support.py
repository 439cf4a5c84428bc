"""What the crypto tests share: vectors, the providers of this machine, integers as bytes."""

import json
from pathlib import Path
from typing import Any

import pytest

from chain_core.crypto.errors import CryptoUnavailable
from chain_core.crypto.provider import CryptoProvider
from chain_core.crypto.providers import provider_named

VECTORS = Path(__file__).parents[2] / "vectors"
PROVIDERS = ("multibuffer", "ippcp", "openssl", "gmssl")


def load(name: str) -> dict[str, Any]:
    """A vector file, by its path under tests/vectors."""
    document: dict[str, Any] = json.loads((VECTORS / name).read_text("utf-8"))
    return document


def provider_or_skip(name: str) -> CryptoProvider:
    try:
        return provider_named(name)
    except CryptoUnavailable as unavailable:
        pytest.skip(f"{name}: {unavailable.what}")


def be(value: int) -> bytes:
    """32 bytes, big-endian."""
    return value.to_bytes(32, "big")
