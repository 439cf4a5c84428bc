"""SM2 encryption: the standard's example, both directions with openssl and gmssl, and everything that is refused."""

import shutil
import subprocess
from pathlib import Path

import pytest
from gmssl import sm2
from hypothesis import given, settings
from hypothesis import strategies as st

from chain_core.crypto.errors import CryptoError, DecryptionRefused, InvalidKey, MalformedCiphertext
from chain_core.crypto.keys import public_key_pem, write_private_key
from chain_core.crypto.providers import generate_private_key, signing_provider
from chain_core.crypto.sm2_domain import N, P
from chain_core.crypto.sm2_encryption import MAX_MESSAGE, MIN_MESSAGE, check_ciphertext, sm2_decrypt, sm2_encrypt
from tests.unit.crypto.support import load

CASES = load("sm2/gbt-32918.5-2017-annex-c.json")["cases"]
PRIVATE = generate_private_key()
PUBLIC = signing_provider().sm2_public_key(PRIVATE)
SECRET = bytes(range(16))


def integer(value: int) -> bytes:
    body = value.to_bytes(value.bit_length() // 8 + 1, "big")
    return bytes((2, len(body))) + body


def tlv(kind: int, body: bytes) -> bytes:
    size = len(body)
    head = bytes((size,)) if size < 0x80 else bytes((0x81, size)) if size < 0x100 else b"\x82" + size.to_bytes(2, "big")
    return bytes((kind,)) + head + body


def ciphertext(x: int, y: int, c3: bytes, c2: bytes) -> bytes:
    return tlv(0x30, integer(x) + integer(y) + tlv(4, c3) + tlv(4, c2))


def of_case(case: dict[str, str]) -> bytes:
    c1 = bytes.fromhex(case["c1"])
    c1 = c1[1:] if len(c1) == 65 else c1
    x, y = (int.from_bytes(half, "big") for half in (c1[:32], c1[32:]))
    return ciphertext(x, y, bytes.fromhex(case["c3"]), bytes.fromhex(case["c2"]))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_standards_own_ciphertext_opens(case: dict[str, str]) -> None:
    private = bytes.fromhex(case["private_key"])
    assert signing_provider().sm2_public_key(private) == bytes.fromhex(case["public_key"])
    assert sm2_decrypt(private, of_case(case)) == bytes.fromhex(case["message"])


@pytest.mark.parametrize("size", [MIN_MESSAGE, 17, 127, 128, 255, 256, MAX_MESSAGE])
def test_there_and_back(size: int) -> None:
    message = bytes(i % 251 for i in range(size))
    one, other = sm2_encrypt(PUBLIC, message), sm2_encrypt(PUBLIC, message)
    assert one != other
    assert sm2_decrypt(PRIVATE, one) == sm2_decrypt(PRIVATE, other) == message


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl command here")
def test_openssl_opens_ours_and_we_open_openssls(tmp_path: Path) -> None:
    def pkeyutl(*options: str, data: bytes) -> bytes:
        done = subprocess.run(["openssl", "pkeyutl", *options], input=data, capture_output=True, check=True)
        return done.stdout

    key, public = tmp_path / "key.pem", tmp_path / "public.pem"
    write_private_key(key, PRIVATE)
    public.write_text(public_key_pem(PUBLIC))
    assert pkeyutl("-decrypt", "-inkey", str(key), data=sm2_encrypt(PUBLIC, SECRET)) == SECRET
    theirs = pkeyutl("-encrypt", "-pubin", "-inkey", str(public), data=SECRET)
    check_ciphertext(theirs)
    assert sm2_decrypt(PRIVATE, theirs) == SECRET


def test_gmssl_opens_ours_and_we_open_gmssls() -> None:
    private, public = CASES[0]["private_key"], CASES[0]["public_key"]  # gmssl strips a public key's leading 04
    other = sm2.CryptSM2(private_key=private, public_key=public, mode=1)
    ours = sm2_encrypt(bytes.fromhex(public), SECRET)
    # gmssl's form is raw x || y || C3 || C2.
    size = ours[3]
    x, rest = ours[4 : 4 + size][-32:].rjust(32, b"\0"), ours[4 + size :]
    y, rest = rest[2 : 2 + rest[1]][-32:].rjust(32, b"\0"), rest[2 + rest[1] :]
    assert other.decrypt(x + y + rest[2:34] + rest[36:]) == SECRET
    theirs = other.encrypt(SECRET)
    halves = (int.from_bytes(half, "big") for half in (theirs[:32], theirs[32:64]))
    assert sm2_decrypt(bytes.fromhex(private), ciphertext(*halves, theirs[64:96], theirs[96:])) == SECRET


CASE = CASES[0]
X, Y = (int(CASE["c1"][-128:][part], 16) for part in (slice(0, 64), slice(64, 128)))
C3, C2 = bytes.fromhex(CASE["c3"]), bytes.fromhex(CASE["c2"])
GOOD = ciphertext(X, Y, C3, C2)
BODY = GOOD[2:]


@pytest.mark.parametrize(
    ("der", "place"),
    [
        (b"", "offset 0"),
        (GOOD[:-1], "offset 0"),
        (GOOD + b"\0", "offset 0"),
        (b"\x31" + GOOD[1:], "offset 0"),
        (b"\x30\x81" + GOOD[1:], "offset 0"),
        (b"\x30\x80" + BODY + b"\0\0", "offset 0"),
        (tlv(0x30, b"\x02\x22\0" + GOOD[4:]), "offset 2"),
        (tlv(0x30, b"\x02\x21\0\0" + GOOD[6:]), "offset 2"),
        (ciphertext(X, Y, C3[:31], C2), "offset"),
        (ciphertext(X, Y, C3, C2[:15]), "offset"),
        (ciphertext(X, Y, C3, bytes(MAX_MESSAGE + 1)), "offset"),
        (tlv(0x30, BODY + tlv(4, b"")), "offset"),
        (ciphertext(X, Y + 1, C3, C2), "C1"),
        (ciphertext(X + P, Y, C3, C2), "C1" if X + P < 1 << 256 else "offset 2"),
        (ciphertext(0, 0, C3, C2), "C1"),
        (ciphertext(1 << 256, Y, C3, C2), "offset 2"),
    ],
)
def test_malformed(der: bytes, place: str) -> None:
    with pytest.raises(MalformedCiphertext) as refusal:
        sm2_decrypt(PRIVATE, der)
    assert refusal.value.where.startswith(place)


@pytest.mark.parametrize("place", ["C3", "C2", "key"])
def test_altered_or_for_another_key(place: str) -> None:
    altered = {"C3": (C3[:-1] + bytes((C3[-1] ^ 1,)), C2), "C2": (C3, bytes((C2[0] ^ 1,)) + C2[1:]), "key": (C3, C2)}
    private = PRIVATE if place == "key" else bytes.fromhex(CASE["private_key"])
    with pytest.raises(DecryptionRefused):
        sm2_decrypt(private, ciphertext(X, Y, *altered[place]))


@pytest.mark.parametrize(
    "key",
    [b"", bytes(64), PUBLIC[:63], PUBLIC[:-1] + bytes((PUBLIC[-1] ^ 1,)), PUBLIC + b"\0"],
    ids=("none", "zeros", "short", "off the curve", "long"),
)
def test_no_public_key(key: bytes) -> None:
    with pytest.raises(InvalidKey):
        sm2_encrypt(key, SECRET)


@pytest.mark.parametrize("scalar", [0, N - 1, N, (1 << 256) - 1])
def test_no_private_key(scalar: int) -> None:
    with pytest.raises(InvalidKey):
        sm2_decrypt(scalar.to_bytes(32, "big"), GOOD)


@pytest.mark.parametrize("size", [0, MIN_MESSAGE - 1, MAX_MESSAGE + 1])
def test_no_secret(size: int) -> None:
    with pytest.raises(ValueError, match="16 to 1024"):
        sm2_encrypt(PUBLIC, bytes(size))


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.binary(max_size=200), st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255))))
def test_anything_is_a_message_or_a_typed_refusal(drawn: bytes | tuple[int, int]) -> None:
    der = drawn if isinstance(drawn, bytes) else GOOD[: drawn[0]] + bytes((drawn[1],)) + GOOD[drawn[0] + 1 :]
    try:
        opened = sm2_decrypt(bytes.fromhex(CASE["private_key"]), der)
    except CryptoError:
        return
    assert (opened, der) == (bytes.fromhex(CASE["message"]), GOOD)
