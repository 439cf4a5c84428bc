"""What one provider does, every other one accepts; on malformed input all give the same verdict."""

import random

import pytest

from chain_core.crypto.errors import InvalidKey
from chain_core.crypto.provider import CryptoProvider
from chain_core.crypto.providers import generate_private_key, provider_named
from chain_core.crypto.sm2_domain import N, signature_in_range
from tests.unit.crypto.support import PROVIDERS, be, provider_or_skip


@pytest.mark.parametrize("signer_name", PROVIDERS)
def test_every_provider_accepts_every_providers_signature(signer_name: str, crypto: CryptoProvider) -> None:
    signer = provider_or_skip(signer_name)
    for message in (b"", b"m", bytes(96), bytes(range(256))):
        private_key = generate_private_key()
        public_key = signer.sm2_public_key(private_key)
        assert crypto.sm2_public_key(private_key) == public_key
        signature = signer.sm2_sign(private_key, message)
        assert signature_in_range(signature)
        assert crypto.sm2_verify(public_key, message, signature)
        assert not crypto.sm2_verify(public_key, message + b"x", signature)


def test_signatures_are_randomised(crypto: CryptoProvider) -> None:
    """A repeated nonce gives the key away; two signatures over one message must not share r."""
    private_key = generate_private_key()
    signatures = {crypto.sm2_sign(private_key, b"once")[:32] for _ in range(4)}
    assert len(signatures) == 4


def test_altered_signatures_get_one_verdict(crypto: CryptoProvider) -> None:
    reference = provider_named("openssl")
    private_key = be(0x1234567)
    public_key = reference.sm2_public_key(private_key)
    signature = reference.sm2_sign(private_key, b"message")
    draw = random.Random(20170905)
    items = []
    for _ in range(12):
        altered = bytearray(public_key + signature)
        altered[draw.randrange(128)] ^= 1 << draw.randrange(8)
        items.append((bytes(altered[:64]), b"message", bytes(altered[64:])))
    assert crypto.sm2_verify_many(items) == [False] * len(items)
    assert crypto.sm2_verify(public_key, b"message", signature)


@pytest.mark.parametrize("count", [0, 1, 2, 7, 8, 9, 15, 16, 17, 33])
def test_batches_of_any_size_hash_alike(crypto: CryptoProvider, count: int) -> None:
    reference = provider_named("openssl")
    messages = [bytes([index]) * (index * 7 % 131) for index in range(count)]
    assert crypto.sm3_many(messages) == [reference.sm3(message) for message in messages]
    records = b"".join(bytes([index]) * 65 for index in range(count))
    expected = b"".join(reference.sm3(records[i : i + 65]) for i in range(0, len(records), 65))
    assert crypto.sm3_records(records, 65) == expected


@pytest.mark.parametrize(("size", "record_size"), [(10, 3), (10, 0), (10, -5), (1, 2), (100, 64)])
def test_partial_records_are_refused(crypto: CryptoProvider, size: int, record_size: int) -> None:
    with pytest.raises(ValueError, match="whole records"):
        crypto.sm3_records(bytes(size), record_size)


@pytest.mark.parametrize(
    "private_key", [b"", bytes(31), bytes(33), bytes(32), be(N - 1), be(N), b"\xff" * 32], ids=bytes.hex
)
def test_bad_private_keys_are_refused(crypto: CryptoProvider, private_key: bytes) -> None:
    with pytest.raises(InvalidKey):
        crypto.sm2_sign(private_key, b"message")
    with pytest.raises(InvalidKey):
        crypto.sm2_public_key(private_key)


def test_long_message(crypto: CryptoProvider) -> None:
    """Longer than what goes into a lane."""
    reference = provider_named("openssl")
    message = bytes(range(256)) * (16 if crypto.name == "gmssl" else 300)
    private_key = generate_private_key()
    public_key, signature = reference.sm2_public_key(private_key), reference.sm2_sign(private_key, message)
    items = [(public_key, message, signature), (public_key, message + b".", signature)]
    assert crypto.sm2_verify_many(items) == [True, False]
    assert crypto.sm3_many([message] * 9) == [reference.sm3(message)] * 9
