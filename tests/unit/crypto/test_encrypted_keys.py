"""Encrypted key files: openssl opens ours, we open openssl's, and everything else is refused by name."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chain_core.crypto import pbes2
from chain_core.crypto.errors import CryptoError, KeyFileRefused
from chain_core.crypto.keys import (
    encrypted_key_pem,
    inspect_key_file,
    load_private_key,
    private_key_pem,
    replace_private_key,
    write_private_key,
)
from chain_core.crypto.passphrase import Passphrase, Source, Unlock
from chain_core.crypto.pkcs8 import ENCRYPTED, pem, read_pem
from chain_core.crypto.private_key import PrivateKey
from tests.unit.crypto.test_keys import KEY, key_file, openssl

WORDS = b"correct horse battery"
QUICK = 1_000
"""Iterations: what is tested does not depend on them."""


@pytest.fixture
def unlock(tmp_path: Path) -> Unlock:
    (tmp_path / "words").write_bytes(WORDS + b"\n")
    (tmp_path / "words").chmod(0o600)
    return Unlock(Source("file", str(tmp_path / "words")))


def sealed(tmp_path: Path) -> Path:
    return key_file(tmp_path, encrypted_key_pem(KEY, Passphrase(WORDS), QUICK))


def test_round_trip_with_the_stated_cost(tmp_path: Path, unlock: Unlock) -> None:
    path = tmp_path / "key.pem"
    write_private_key(path, KEY, Passphrase(WORDS))
    assert load_private_key(path, unlock) == KEY
    assert path.stat().st_mode & 0o777 == 0o600
    assert (inspect_key_file(path).iterations, inspect_key_file(path).salt_bytes) == (600_000, 16)


def test_openssl_opens_ours(tmp_path: Path) -> None:
    path = sealed(tmp_path)
    opened = openssl("pkey", "-in", str(path), "-passin", f"pass:{WORDS.decode()}")
    assert opened == private_key_pem(KEY)


@pytest.mark.parametrize("iterations", ["2048", "600000"])
def test_we_open_openssls(tmp_path: Path, unlock: Unlock, iterations: str) -> None:
    plain, path = key_file(tmp_path, private_key_pem(KEY)), tmp_path / "encrypted.pem"
    command = ["pkcs8", "-topk8", "-v2", "sm4-cbc", "-iter", iterations, "-in", str(plain), "-out", str(path)]
    openssl(*command, "-passout", f"pass:{WORDS.decode()}")
    path.chmod(0o600)
    assert load_private_key(path, unlock) == KEY
    assert inspect_key_file(path).iterations == int(iterations)


def test_the_structure_is_byte_for_byte_openssls() -> None:
    """Salt, IV and content differ; every byte around them is the same."""
    made = subprocess.run(
        ["openssl", "pkcs8", "-topk8", "-v2", "sm4-cbc", "-iter", "600000", "-passout", "pass:x"],
        input=private_key_pem(KEY).encode(),
        capture_output=True,
        check=False,
    )
    if made.returncode:
        pytest.skip(f"this openssl cannot do it: {made.stderr.decode().strip()}")
    _, der = read_pem(made.stdout, "openssl")
    theirs = pbes2.parse(der, "openssl")
    key = pbes2.derive(b"x", theirs.salt, theirs.iterations)
    inside = pbes2.unseal(key, theirs)
    assert inside is not None
    ours = pbes2.seal(key, theirs.salt, theirs.iterations, inside)
    mine = pbes2.parse(ours, "ours")
    assert ours.replace(mine.iv, theirs.iv).replace(mine.ciphertext, theirs.ciphertext) == der


def test_one_derivation_serves_all_files_of_a_passphrase(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[int] = []
    derive = pbes2.derive
    monkeypatch.setattr(pbes2, "derive", lambda *args: (counted.append(1), derive(args[0], args[1], QUICK))[1])
    words = Passphrase(WORDS)
    for number in range(5):
        write_private_key(tmp_path / f"{number}.key", KEY, words)
    assert len(counted) == 1
    ivs = {pbes2.parse(read_pem((tmp_path / f"{n}.key").read_bytes(), "")[1], "").iv for n in range(5)}
    assert len(ivs) == 5
    assert Passphrase(WORDS).salt != words.salt


def test_replacing_is_what_changes_a_passphrase(tmp_path: Path, unlock: Unlock) -> None:
    path = key_file(tmp_path, private_key_pem(KEY))
    replace_private_key(path, KEY, Passphrase(WORDS))
    assert load_private_key(path, unlock) == KEY
    replace_private_key(path, KEY, None)
    assert load_private_key(path) == KEY
    assert path.stat().st_mode & 0o777 == 0o600
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["key.pem", "words"]


def test_a_wrong_passphrase_is_refused_whatever_its_padding_looks_like(tmp_path: Path) -> None:
    """One wrong key in 256 leaves well-formed padding: 1,000 wrong ones meet both cases."""
    _, der = read_pem(sealed(tmp_path).read_bytes(), "")
    parsed = pbes2.parse(der, "")
    outcomes = {pbes2.unseal(number.to_bytes(16, "big"), parsed) is None for number in range(1_000)}
    assert outcomes == {True, False}
    looks_right = next(n for n in range(1_000) if pbes2.unseal(n.to_bytes(16, "big"), parsed) is not None)

    class Wrong(Passphrase):
        def key(self, salt: bytes, iterations: int) -> bytes:
            return looks_right.to_bytes(16, "big")

    for words in (Wrong(b"x"), Passphrase(b"x")):
        opener = Unlock()
        opener._passphrase = words
        with pytest.raises(KeyFileRefused, match="does not open it"):
            load_private_key(sealed(tmp_path), opener)


def test_who_may_open_what(tmp_path: Path, unlock: Unlock) -> None:
    encrypted = sealed(tmp_path)
    with pytest.raises(KeyFileRefused, match=r"encrypted, and no passphrase.*--passphrase-from"):
        load_private_key(encrypted)
    with pytest.raises(KeyFileRefused, match="no passphrase"):
        load_private_key(encrypted, Unlock(plain=True))
    plain = tmp_path / "plain.pem"
    write_private_key(plain, KEY)
    assert load_private_key(plain) == load_private_key(plain, Unlock(plain=True)) == KEY
    with pytest.raises(KeyFileRefused, match=r"not encrypted.*plaintext_keys"):
        load_private_key(plain, unlock)


def variants() -> dict[str, tuple[bytes, str]]:
    salt, iv = bytes(16), bytes(16)
    good = pbes2.seal(bytes(16), salt, QUICK, b"inside")
    iterations = bytes.fromhex("020203e8")
    assert iterations in good and pbes2.parse(good, "").iterations == QUICK

    def changed(old: bytes, new: bytes) -> bytes:
        assert good.count(old) == 1 and len(old) == len(new)
        return good.replace(old, new)

    prf = bytes.fromhex("300c06082a864886f70d02090500")
    return {
        "trailing byte": (good + b"\0", "no EncryptedPrivateKeyInfo"),
        "cut off": (good[:-1], "no EncryptedPrivateKeyInfo"),
        "length in two bytes where one does": (b"\x30\x81" + good[1:], "no EncryptedPrivateKeyInfo"),
        "PBES1": (changed(pbes2._PBES2, pbes2._PBES2[:-1] + b"\x03"), "not PBES2"),
        "scrypt": (changed(pbes2._PBKDF2, pbes2._PBKDF2[:-1] + b"\x0e"), "not PBKDF2"),
        "HMAC-SHA1": (changed(prf, prf.replace(b"\x02\x09", b"\x02\x07")), "not HMAC-SHA256"),
        "absent PRF": (
            pbes2._tlv(
                0x30,
                pbes2._tlv(
                    0x30,
                    pbes2._PBES2
                    + pbes2._tlv(
                        0x30,
                        pbes2._tlv(0x30, pbes2._PBKDF2 + pbes2._tlv(0x30, pbes2._tlv(4, salt) + iterations))
                        + pbes2._tlv(0x30, pbes2._SM4_CBC + pbes2._tlv(4, iv)),
                    ),
                )
                + pbes2._tlv(4, bytes(16)),
            ),
            "not HMAC-SHA256",
        ),
        "SM4-ECB": (changed(pbes2._SM4_CBC, pbes2._SM4_CBC[:-1] + b"\x01"), "not SM4-CBC"),
        "999 iterations": (changed(iterations, bytes.fromhex("020203e7")), "999 iterations"),
        "no end of iterations": (pbes2.seal(bytes(16), salt, 10_000_001, b"x"), "10000001 iterations"),
        "negative iterations": (changed(iterations, bytes.fromhex("0202ffff")), "no EncryptedPrivateKeyInfo"),
        "short salt": (pbes2.seal(bytes(16), bytes(7), QUICK, b"x"), "salt of 7 bytes"),
        "long salt": (pbes2.seal(bytes(16), bytes(65), QUICK, b"x"), "salt of 65 bytes"),
    }


@pytest.mark.parametrize("name", variants())
def test_other_schemes_and_bounds_are_refused_by_name(tmp_path: Path, unlock: Unlock, name: str) -> None:
    der, reason = variants()[name]
    with pytest.raises(KeyFileRefused, match=reason) as refused:
        load_private_key(key_file(tmp_path, pem(ENCRYPTED, der)), unlock)
    assert refused.value.next_step


@given(st.binary(max_size=300))
@example(b"\x30\x80")
@example(b"\x30\x84\xff\xff\xff\xff")
def test_whatever_the_bytes_a_value_or_a_refusal(data: bytes) -> None:
    try:
        pbes2.parse(data, "")
    except CryptoError:
        return


@given(st.integers(0, 400), st.integers(0, 255))
def test_a_changed_byte_is_refused_or_without_effect(place: int, value: int) -> None:
    """CBC authenticates nothing; that the halves belong together does."""
    der = bytearray(pbes2.seal(Passphrase(WORDS).key(b"s" * 16, QUICK), b"s" * 16, QUICK, _info()))
    der[place % len(der)] = value
    try:
        parsed = pbes2.parse(bytes(der), "")
    except CryptoError:
        return
    if parsed.iterations > 100_000:
        return
    inside = pbes2.unseal(Passphrase(WORDS).key(parsed.salt, parsed.iterations), parsed)
    assert inside is None or inside == _info() or not _opens(inside)


def _info() -> bytes:
    return base64.b64decode("".join(private_key_pem(KEY).splitlines()[1:-1]))


def _opens(inside: bytes) -> bool:
    from chain_core.crypto.pkcs8 import read_private_key_info

    try:
        read_private_key_info(inside, "")
    except KeyFileRefused:
        return False
    return True


def test_a_key_hides_itself() -> None:
    import pickle
    from dataclasses import dataclass

    key = PrivateKey(KEY)

    @dataclass
    class Holder:
        key: bytes

    shown = f"{key} {key!r} {Holder(key)} {[key]} {key:>10} {Passphrase(WORDS)!r} {Unlock(Source('prompt'))!r} %s" % key
    assert "9E" not in shown.upper().replace("<PRIVATE KEY>", "") and KEY.hex() not in shown
    assert repr(KEY)[2:-1] not in shown and WORDS.decode() not in shown
    assert key == KEY and hash(key) == hash(KEY) and bytes(key) == KEY
    for secret in (key, Passphrase(WORDS)):
        with pytest.raises(TypeError):
            pickle.dumps(secret)
