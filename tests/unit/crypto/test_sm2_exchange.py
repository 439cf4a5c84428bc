"""ECDH over the SM2 curve, signatures under another identifier, and HKDF: against the standards, gmssl and openssl."""

import shutil
import subprocess
from pathlib import Path

import pytest
from gmssl import sm2 as gmssl_sm2
from hypothesis import given, settings
from hypothesis import strategies as st

from chain_core.crypto import hkdf
from chain_core.crypto.der import signature_from_der, signature_to_der
from chain_core.crypto.errors import InvalidKey
from chain_core.crypto.keys import private_key_pem, public_key_pem
from chain_core.crypto.providers import signing_provider
from chain_core.crypto.sm2_domain import GX, GY, N, P
from chain_core.crypto.sm2_exchange import shared_x
from chain_core.crypto.sm2_identified import sign_as, verify_as

USER = b"TLSv1.3+GM+Cipher+Suite"
GENERATOR = GX.to_bytes(32, "big") + GY.to_bytes(32, "big")
KEYS = st.integers(1, N - 2).map(lambda number: number.to_bytes(32, "big"))
# GB/T 32918.5 annex A.2 (encryption example): the receiver's key and x2 of [k]P_B, and k.
RECEIVER = bytes.fromhex("3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8")
EPHEMERAL = bytes.fromhex("59276E27D506861A16680F3AD9C02DCCEF3CC1FA3CDBE4CE6D54B80DEAC1BC21")
SHARED = "335e18d751e51f040e27d468138b7ab1dc86ad7f981d7d416222fd6ab3ed230d"


def public(key: bytes) -> bytes:
    return signing_provider().sm2_public_key(key)


def test_the_standards_point() -> None:
    """GB/T 32918.5: x2 of its encryption example is the same multiplication."""
    assert shared_x(EPHEMERAL, public(RECEIVER)).hex() == SHARED
    assert shared_x(RECEIVER, public(EPHEMERAL)).hex() == SHARED


@settings(max_examples=20, deadline=None)
@given(KEYS, KEYS)
def test_both_ends_agree(ours: bytes, theirs: bytes) -> None:
    assert shared_x(ours, public(theirs)) == shared_x(theirs, public(ours))


@settings(max_examples=3, deadline=None)
@given(KEYS, KEYS)
def test_gmssl_multiplies_the_same(ours: bytes, theirs: bytes) -> None:
    reference = gmssl_sm2.CryptSM2(private_key="", public_key="00" * 64)
    assert shared_x(ours, public(theirs)).hex() == reference._kg(int.from_bytes(ours, "big"), public(theirs).hex())[:64]


def test_edges_of_the_range() -> None:
    assert shared_x((1).to_bytes(32, "big"), GENERATOR) == GENERATOR[:32]
    minus = GENERATOR[:32] + (P - GY).to_bytes(32, "big")
    assert shared_x((N - 2).to_bytes(32, "big"), minus) == public((2).to_bytes(32, "big"))[:32]


@pytest.mark.parametrize(
    "point",
    {
        "all zeros": bytes(64),
        "off the curve": GENERATOR[:63] + b"\x01",
        "x not below p": (P + 1).to_bytes(32, "big") + GENERATOR[32:],
        "too short": GENERATOR[:63],
        "with its tag": b"\x04" + GENERATOR,
        "empty": b"",
        "all ones": b"\xff" * 64,
    }.values(),
)
def test_no_point(point: bytes) -> None:
    with pytest.raises(InvalidKey):
        shared_x(EPHEMERAL, point)


@pytest.mark.parametrize("scalar", [0, N - 1, N, 2**256 - 1])
def test_no_private_key(scalar: int) -> None:
    with pytest.raises(InvalidKey):
        shared_x(scalar.to_bytes(32, "big"), GENERATOR)


def test_an_identifier_is_part_of_the_signature() -> None:
    signature = sign_as(RECEIVER, b"message", USER)
    assert verify_as(public(RECEIVER), b"message", signature, USER)
    assert not verify_as(public(RECEIVER), b"message", signature, b"1234567812345678")
    assert not signing_provider().sm2_verify(public(RECEIVER), b"message", signature)
    ours = signing_provider().sm2_sign(RECEIVER, b"message")
    assert verify_as(public(RECEIVER), b"message", ours, b"1234567812345678")
    assert not verify_as(public(EPHEMERAL), b"message", signature, USER)
    assert not verify_as(public(RECEIVER), b"another", signature, USER)
    assert not verify_as(bytes(64), b"message", signature, USER)
    assert not verify_as(public(RECEIVER), b"message", bytes(64), USER)


def test_openssl_knows_the_identifier(tmp_path: Path) -> None:
    """Both directions with the command line, where it has SM2."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl command")
    key, pub, message, signature = (tmp_path / name for name in ("key", "pub", "message", "signature"))
    key.write_text(private_key_pem(RECEIVER))
    pub.write_text(public_key_pem(public(RECEIVER)))
    message.write_bytes(b"message")
    common = ["-rawin", "-digest", "sm3", "-pkeyopt", f"distid:{USER.decode()}", "-in", str(message)]
    signed = subprocess.run(
        ["openssl", "pkeyutl", "-sign", "-inkey", str(key), "-out", str(signature), *common], capture_output=True
    )
    if signed.returncode:
        pytest.skip(f"this openssl does not sign with SM2: {signed.stderr.decode()[:80]}")
    assert verify_as(public(RECEIVER), b"message", signature_from_der(signature.read_bytes()), USER)
    signature.write_bytes(signature_to_der(sign_as(RECEIVER, b"message", USER)))
    verify = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(pub), "-sigfile", str(signature), *common]
    assert subprocess.run(verify, capture_output=True).returncode == 0


def test_hkdf_of_rfc_5869() -> None:
    """Test case 1 (SHA-256), and the same construction over SM3 from HMAC alone."""
    prk = hkdf.SHA256.extract(bytes(range(13)), b"\x0b" * 22)
    assert prk.hex() == "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5"
    okm = hkdf.SHA256.expand(prk, bytes(range(0xF0, 0xFA)), 42)
    assert okm.hex() == ("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865")
    first = hkdf.SM3.hmac(prk, b"info\x01")
    assert hkdf.SM3.expand(prk, b"info", 40) == (first + hkdf.SM3.hmac(prk, first + b"info\x02"))[:40]
    assert hkdf.SM3.digest(b"abc").hex() == "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
