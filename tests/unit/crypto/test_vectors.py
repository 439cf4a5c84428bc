"""Each provider gives the standards' own answers (GB/T 32905, 32907, 32918; RFC 8998)."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from gmssl.sm4 import SM4_ENCRYPT, CryptSM4

from chain_core.crypto.errors import DecryptionRefused, InvalidKey
from chain_core.crypto.provider import CryptoProvider
from chain_core.crypto.sm2_domain import ZA_PREFIX
from tests.unit.crypto.support import load

SM3_CASES = load("sm3/gbt-32905-2016-annex-a.json")["cases"]
SM2_CASES = load("sm2/gbt-32918.5-2017-annex-a.json")["cases"]
EDGE_CASES = load("sm2/edge-cases.json")["cases"]
SM4_CASES = load("sm4/gbt-32907-2016-annex-a.json")["cases"]
GCM_CASES = load("sm4/rfc-8998-annex-a1.json")["cases"]


def verify_item(case: dict[str, Any]) -> tuple[bytes, bytes, bytes]:
    return (
        bytes.fromhex(case["public_key"]),
        bytes.fromhex(case["message"]),
        bytes.fromhex(case["signature"]),
    )


@pytest.mark.parametrize("case", SM3_CASES, ids=lambda case: case["name"])
def test_sm3(crypto: CryptoProvider, case: dict[str, str]) -> None:
    message, digest = bytes.fromhex(case["message"]), bytes.fromhex(case["digest"])
    assert crypto.sm3(message) == digest
    assert crypto.sm3_many([message, b"", message]) == [digest, crypto.sm3(b""), digest]
    assert crypto.sm3_records(message * 20, len(message)) == digest * 20


@pytest.mark.parametrize("case", SM2_CASES, ids=lambda case: case["name"])
def test_sm2(crypto: CryptoProvider, case: dict[str, str]) -> None:
    private_key = bytes.fromhex(case["private_key"])
    public_key, message, signature = verify_item(case)
    assert crypto.sm2_public_key(private_key) == public_key
    za = crypto.sm3(ZA_PREFIX + public_key)
    assert za.hex() == case["za"]
    assert crypto.sm3(za + message).hex() == case["e"]
    assert crypto.sm2_verify(public_key, message, signature)
    assert not crypto.sm2_verify(public_key, message + b"\0", signature)


@pytest.mark.parametrize("case", EDGE_CASES, ids=lambda case: case["name"])
def test_sm2_edge_case(crypto: CryptoProvider, case: dict[str, Any]) -> None:
    assert crypto.sm2_verify(*verify_item(case)) is case["valid"]


def test_sm2_edge_cases_in_one_batch(crypto: CryptoProvider) -> None:
    """A bad lane neither spoils nor excuses its neighbours."""
    items = [verify_item(case) for case in EDGE_CASES]
    assert crypto.sm2_verify_many(items) == [case["valid"] for case in EDGE_CASES]
    assert crypto.sm2_verify_many([]) == []


@pytest.mark.parametrize("case", SM4_CASES, ids=lambda case: case["name"])
def test_sm4_block(case: dict[str, Any]) -> None:
    """The cipher that every provider's SM4-GCM rests on. n chained blocks are CBC over zeros."""
    cipher = Cipher(algorithms.SM4(bytes.fromhex(case["key"])), modes.CBC(bytes.fromhex(case["plaintext"]))).encryptor()
    output = cipher.update(bytes(16 * case["rounds"]))
    assert output[-16:].hex() == case["ciphertext"]


@pytest.mark.parametrize("case", GCM_CASES, ids=lambda case: case["name"])
def test_sm4_gcm(crypto: CryptoProvider, case: dict[str, str]) -> None:
    key, nonce = bytes.fromhex(case["key"]), bytes.fromhex(case["nonce"])
    plaintext, associated = bytes.fromhex(case["plaintext"]), bytes.fromhex(case["associated"])
    sealed = crypto.sm4_gcm_seal(key, nonce, plaintext, associated)
    assert sealed.hex() == case["ciphertext"] + case["tag"]
    assert crypto.sm4_gcm_open(key, nonce, sealed, associated) == plaintext

    altered = [sealed[:i] + bytes([sealed[i] ^ 1]) + sealed[i + 1 :] for i in (0, 63, 64, 79)]
    for refused in (*altered, sealed[:-1], sealed[:15], b""):
        with pytest.raises(DecryptionRefused):
            crypto.sm4_gcm_open(key, nonce, refused, associated)
    with pytest.raises(DecryptionRefused):
        crypto.sm4_gcm_open(key, nonce, sealed, associated + b"\0")
    with pytest.raises(InvalidKey):
        crypto.sm4_gcm_seal(key[:15], nonce, plaintext, associated)
    with pytest.raises(InvalidKey):
        crypto.sm4_gcm_open(key, nonce + b"\0", sealed, associated)


def test_sm4_gcm_keystream_is_gmssl_counter_mode(crypto: CryptoProvider) -> None:
    """The shared SM4 against gmssl's, which has the block cipher only."""
    key, nonce = bytes(range(16)), bytes(range(12))
    sealed = crypto.sm4_gcm_seal(key, nonce, bytes(48), b"")
    block = CryptSM4()
    block.set_key(key, SM4_ENCRYPT)
    counters = [nonce + counter.to_bytes(4, "big") for counter in (2, 3, 4)]
    # gmssl's ECB pads; the first 16 bytes are the block's.
    assert sealed[:48] == b"".join(bytes(block.crypt_ecb(counter))[:16] for counter in counters)
