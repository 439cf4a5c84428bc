"""Key files: what openssl writes is read, what we write openssl reads, anything unsafe is refused."""

import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from chain_core.crypto.errors import InvalidKey, KeyFileRefused
from chain_core.crypto.keys import load_private_key, private_key_pem, public_key_pem, write_private_key
from chain_core.crypto.providers import signing_provider
from chain_core.crypto.sm2_domain import N
from tests.unit.crypto.support import be

KEY = be(0x3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8)


def openssl(*arguments: str) -> str:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl command")
    result = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        pytest.skip(f"this openssl cannot do it: {result.stderr.strip()}")
    return result.stdout


def key_file(directory: Path, text: str, mode: int = 0o600) -> Path:
    path = directory / "key.pem"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    write_private_key(path, KEY)
    assert load_private_key(path) == KEY
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["key.pem"]


def test_openssl_reads_ours(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    write_private_key(path, KEY)
    assert openssl("pkey", "-in", str(path)) == path.read_text()
    public_key = signing_provider().sm2_public_key(KEY)
    assert openssl("pkey", "-in", str(path), "-pubout") == public_key_pem(public_key)


def test_we_read_openssls(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    openssl("genpkey", "-algorithm", "SM2", "-out", str(path))
    path.chmod(0o600)
    assert private_key_pem(load_private_key(path)) == path.read_text()


def test_an_existing_key_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    write_private_key(path, KEY)
    with pytest.raises(KeyFileRefused, match="exists already"):
        write_private_key(path, be(5))
    assert load_private_key(path) == KEY
    assert [entry.name for entry in tmp_path.iterdir()] == ["key.pem"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601, 0o644])
def test_a_file_others_can_reach_is_refused(tmp_path: Path, mode: int) -> None:
    path = key_file(tmp_path, private_key_pem(KEY), mode)
    with pytest.raises(KeyFileRefused, match=f"{mode:04o}.*chmod 600 {path}"):
        load_private_key(path)


def test_missing_file_and_missing_directory(tmp_path: Path) -> None:
    with pytest.raises(KeyFileRefused, match=r"No such file.*dualchain key new"):
        load_private_key(tmp_path / "none.pem")
    with pytest.raises(KeyFileRefused, match="cannot be written"):
        write_private_key(tmp_path / "none" / "key.pem", KEY)


def with_der(pem: str, old: bytes, new: bytes) -> str:
    import base64

    lines = pem.splitlines()
    der = base64.b64decode("".join(lines[1:-1])).replace(old, new)
    return "\n".join([lines[0], base64.b64encode(der).decode(), lines[-1], ""])


def damaged() -> dict[str, tuple[str, str]]:
    pem = private_key_pem(KEY)
    sm2, p256 = bytes.fromhex("2a811ccf5501822d"), bytes.fromhex("2a8648ce3d030107")
    return {
        "empty": ("", "not one PKCS#8"),
        "certificate": (pem.replace("PRIVATE KEY", "CERTIFICATE"), "not one PKCS#8"),
        "two keys": (pem + pem, "base64"),
        "encrypted": (pem.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY"), "no EncryptedPrivateKeyInfo"),
        "cut off": (pem[:120], "not one PKCS#8"),
        "bad base64": (pem.replace("MIGH", "M!GH"), "base64"),
        "another curve": (with_der(pem, sm2, p256), "not an SM2 key"),
        "scalar n - 1": (with_der(pem, KEY, be(N - 1)), r"\[1, n-2\]"),
        "halves of two keys": (with_der(pem, KEY, be(5)), "halves differ"),
    }


@pytest.mark.parametrize("name", damaged())
def test_damaged_files_are_refused(tmp_path: Path, name: str) -> None:
    text, reason = damaged()[name]
    with pytest.raises(KeyFileRefused, match=reason) as refused:
        load_private_key(key_file(tmp_path, text))
    assert refused.value.where == str(tmp_path / "key.pem")
    assert refused.value.next_step


def test_no_refusal_shows_the_key(tmp_path: Path) -> None:
    for text, _ in damaged().values():
        with pytest.raises(KeyFileRefused) as refused:
            load_private_key(key_file(tmp_path, text))
        assert KEY.hex() not in str(refused.value)


def test_public_key_pem_refuses_what_is_no_key() -> None:
    for refused in (b"", bytes(64), b"\x04" + bytes(64), b"\xff" * 64):
        with pytest.raises(InvalidKey):
            public_key_pem(refused)
