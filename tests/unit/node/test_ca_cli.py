"""`dualchain ca`: from a root to a verified node, a revoked client, and what it refuses to do."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from chain_core.crypto.keys import load_private_key, write_private_key
from chain_core.crypto.providers import generate_private_key, signing_provider
from chain_core.crypto.x509.authority import Authority, Wish, open_authority, read_index
from chain_core.crypto.x509.errors import CertificateRefused, Reason
from chain_core.crypto.x509.files import CertificateFileRefused, load_certificates, load_crls
from chain_core.crypto.x509.index import IndexRefused
from chain_core.crypto.x509.issue import Kind
from chain_core.crypto.x509.names import Subject
from chain_core.node.ca_cli import app
from chain_core.types.errors import DualchainError

ENTITY = "北京股权交易中心有限公司"


def ca(*words: object) -> dict[str, Any]:
    """The one JSON object that a command prints; its refusal is raised."""
    result = CliRunner().invoke(app, [*map(str, words), "--json"])
    if isinstance(result.exception, DualchainError):
        raise result.exception
    assert result.exit_code == 0, result.output + repr(result.exception)
    found = json.loads(result.stdout)
    assert isinstance(found, dict)
    return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root, an intermediate, and a client issued by it."""
    work = tmp_path_factory.mktemp("ca")
    ca("init", work / "root", "--name", "Root", "--entity", ENTITY)
    ca("intermediate", work / "middle", "--ca", work / "root", "--name", "Middle", "--entity", ENTITY)
    client(work, work / "client")
    return work


def client(work: Path, out: Path, *more: object) -> dict[str, Any]:
    options = ["--for", "client", "--name", "cli", "--entity", ENTITY, "--chain", "rem-beijing", *more]
    return ca("issue", "--ca", work / "middle", "--out", out, *options)


def verify(work: Path, file: Path, usage: str = "client", *more: object) -> dict[str, Any]:
    anchors = work / "root" / "anchors.pem"
    return ca("verify", file, "--anchors", anchors, "--usage", usage, "--chain", "rem-beijing", *more)


def test_a_client_gets_a_pair_that_verifies(made: Path) -> None:
    folder = made / "client"
    assert sorted(path.name for path in folder.iterdir()) == [
        "anchors.pem", "encryption.key", "encryption.pem", "signing.key", "signing.pem",
    ]  # fmt: skip
    row = verify(made, folder / "signing.pem", "client")
    assert (row["subject"], row["entity"], row["roles"], row["revocation"]) == (
        "cli",
        ENTITY,
        ["client"],
        "not checked",
    )
    verify(made, folder / "encryption.pem", "encryption")
    for name in ("signing", "encryption"):
        key = load_private_key(folder / f"{name}.key")
        assert load_certificates(folder / f"{name}.pem")[0].public_key == signing_provider().sm2_public_key(key)


def test_a_node_is_certified_for_the_key_it_has(made: Path, tmp_path: Path) -> None:
    key = tmp_path / "transport.key"
    write_private_key(key, generate_private_key())
    options = ["--for", "node", "--name", "bj-1", "--entity", ENTITY, "--key", key, "--address", "127.0.0.1"]
    ca("issue", "--ca", made / "middle", "--out", tmp_path / "node", *options, "--role", "auditor")
    assert not (tmp_path / "node" / "signing.key").exists()
    row = verify(made, tmp_path / "node" / "signing.pem", "peer")
    assert row["roles"] == ["auditor", "peer"]
    shown = ca("show", tmp_path / "node" / "signing.pem")["items"]
    assert [one["subject"] for one in shown] == ["bj-1", "Middle"] and shown[0]["addresses"] == ["127.0.0.1"]


def test_a_request_is_signed_with_the_roles_that_the_authority_says(made: Path, tmp_path: Path) -> None:
    key, request, out = tmp_path / "k.pem", tmp_path / "r.pem", tmp_path / "c.pem"
    write_private_key(key, generate_private_key())
    ca("request", key, "--name", "gw", "--entity", "某服务商", "--out", request)
    assert ca("show", request)["items"][0]["subject"] == "gw"
    ca("sign", request, "--ca", made / "middle", "--out", out, "--for", "gateway", "--role", "service")
    row = verify(made, out, "server")
    assert (row["subject"], row["entity"], row["roles"]) == ("gw", "某服务商", ["client", "service"])


def test_a_revoked_client_is_on_the_next_list(made: Path, tmp_path: Path) -> None:
    client(made, tmp_path / "gone")
    lists = tmp_path / "lists.pem"

    def bundle() -> Path:
        lists.write_text("".join((made / name / "crl.pem").read_text() for name in ("root", "middle")))
        return lists

    ca("crl", "--ca", made / "middle")
    leaf = tmp_path / "gone" / "signing.pem"
    assert verify(made, leaf, "client", "--crl", bundle())["revocation"] == "checked"
    before = load_crls(made / "middle" / "crl.pem")[0].number
    said = ca("revoke", leaf, "--ca", made / "middle", "--reason", "key-compromise")
    assert said["reason"] == "key-compromise"
    assert load_crls(made / "middle" / "crl.pem")[0].number == before + 1
    with pytest.raises(CertificateRefused) as refused:
        verify(made, leaf, "client", "--crl", bundle())
    assert refused.value.reason is Reason.REVOKED
    assert verify(made, made / "client" / "signing.pem", "client", "--crl", lists)["subject"] == "cli"
    listed = {row["serial"]: row["revoked"] for row in ca("list", "--ca", made / "middle")["certificates"]}
    assert "key-compromise" in listed[said["serial"]]
    with pytest.raises(IndexRefused, match="revoked already"):
        ca("revoke", said["serial"], "--ca", made / "middle")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("revoke", "abc123"), "not in this authority's index"),
        (("revoke", "no-such-file.pem"), "no serial number"),
        (("revoke", "1", "--reason", "spite"), "index"),
        (("issue", "--out", "x", "--for", "client", "--name", "n", "--entity", "e", "--role", "peer"), "no validator"),
        (("issue", "--out", "x", "--for", "client", "--name", "n", "--entity", "e", "--role", "A b"), "is no role"),
        (("issue", "--out", "x", "--for", "client", "--name", "n" * 65, "--entity", "e"), "printable"),
    ],
)
def test_refusals(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
    before = (made / "middle" / "index.json").read_bytes()
    with pytest.raises(DualchainError, match=reason) as refused:
        ca(words[0], "--ca", made / "middle", *words[1:])
    assert refused.value.next_step
    assert (made / "middle" / "index.json").read_bytes() == before


def test_nothing_is_overwritten(made: Path) -> None:
    files = {path: path.read_bytes() for path in (made / "client").iterdir()}
    with pytest.raises(DualchainError, match="exists already"):
        client(made, made / "client")
    with pytest.raises(CertificateFileRefused, match="exists already"):
        ca("init", made / "root", "--name", "Root", "--entity", ENTITY)
    assert {path: path.read_bytes() for path in (made / "client").iterdir()} == files


def test_no_authority_below_the_last_one(made: Path, tmp_path: Path) -> None:
    with pytest.raises(CertificateRefused, match="no authority may stand below"):
        ca("intermediate", tmp_path / "deep", "--ca", made / "middle", "--name", "Deep", "--entity", ENTITY)


def test_nothing_outlives_its_authority(made: Path, tmp_path: Path) -> None:
    client(made, tmp_path / "long", "--days", 36_500)
    issued = load_certificates(tmp_path / "long" / "signing.pem")
    assert issued[0].not_after_ms == issued[1].not_after_ms


def test_an_authority_that_has_ended_issues_nothing(made: Path) -> None:
    authority = open_authority(made / "middle")
    wish = Wish(Kind.SIGNING, Subject("late"), authority.certificate.public_key, 1)
    with pytest.raises(CertificateRefused, match="has ended"):
        authority.issue(wish, authority.certificate.not_after_ms)


def test_key_and_certificate_of_an_authority_belong_together(made: Path) -> None:
    with pytest.raises(CertificateFileRefused, match="different authorities"):
        Authority(made / "middle", load_private_key(made / "root" / "authority.key"))


def test_no_serial_is_given_twice(made: Path) -> None:
    entry = next(iter(read_index(made / "middle").entries.values()))
    with pytest.raises(IndexRefused, match="given before"):
        read_index(made / "middle").with_entry(entry)


def test_serials_are_random_and_keys_are_private(made: Path) -> None:
    serials = list(read_index(made / "middle").entries)
    assert len(set(serials)) == len(serials) and all(serial.bit_length() == 129 for serial in serials)
    for path in made.rglob("*.key"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_keys_can_be_encrypted(tmp_path: Path) -> None:
    secret = tmp_path / "passphrase"
    secret.write_text("correct horse battery staple\n")
    secret.chmod(0o600)
    source = ("--passphrase-from", f"file:{secret}")
    ca("init", tmp_path / "root", "--name", "Root", "--entity", ENTITY, *source)
    assert "ENCRYPTED" in (tmp_path / "root" / "authority.key").read_text()
    with pytest.raises(DualchainError, match="no passphrase is at hand"):
        ca("crl", "--ca", tmp_path / "root")
    assert ca("crl", "--ca", tmp_path / "root", *source)["items"][0]["number"] == 2


def test_a_damaged_index_is_named(made: Path, tmp_path: Path) -> None:
    whole = (made / "middle" / "index.json").read_text()
    broken = tmp_path / "broken"
    broken.mkdir()
    for damage in ("", "{}", whole[:-3], whole.replace('"kind"', '"king"', 1), whole.replace("ca 1", "ca 9"), "[1]"):
        (broken / "index.json").write_text(damage)
        with pytest.raises(IndexRefused, match="damaged"):
            read_index(broken)
    with pytest.raises(CertificateFileRefused):
        open_authority(broken)
