"""The manifest holds every file of the evidence; bytes that are not shaped like evidence are refused, too."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from chain_core.crypto.hashing import sm3
from dualchain.demo.evidence import EvidenceRefused, check_genesis, check_manifest, readable, write_manifest
from dualchain.demo.verify import parse_hash, verify


@pytest.fixture
def evidence(tmp_path: Path) -> tuple[Path, bytes]:
    for name in ("genesis/BJ.bin", "headers/BJ.jsonl", "summary.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"bytes of {name}")
    return tmp_path, write_manifest(tmp_path)


def refused(check: Callable[[], object]) -> EvidenceRefused:
    with pytest.raises(EvidenceRefused) as caught:
        check()
    return caught.value


def test_the_manifest_lists_every_other_file(evidence: tuple[Path, bytes]) -> None:
    directory, expected = evidence
    assert check_manifest(directory, expected) == 3
    listed = json.loads((directory / "manifest.json").read_bytes())["files"]
    assert sorted(listed) == ["genesis/BJ.bin", "headers/BJ.jsonl", "summary.json"]
    text = b"bytes of summary.json"
    assert listed["summary.json"] == {"size": len(text), "sm3": sm3(text).hex()}


def _changed(directory: Path) -> str:
    (directory / "summary.json").write_text("Bytes of summary.json")
    return "changed"


def _removed(directory: Path) -> str:
    (directory / "summary.json").unlink()
    return "removed"


def _swapped(directory: Path) -> str:
    (directory / "summary.json").write_text("bytes of headers/BJ.jsonl")
    return "changed"


@pytest.mark.parametrize("tamper", [_changed, _removed, _swapped])
def test_a_file_that_is_not_as_listed_is_named(evidence: tuple[Path, bytes], tamper: Callable[[Path], str]) -> None:
    directory, expected = evidence
    state = tamper(directory)
    refusal = refused(lambda: check_manifest(directory, expected))
    assert refusal.where == "summary.json" and refusal.what == f"a file was {state}"


def test_an_added_file_is_named(evidence: tuple[Path, bytes]) -> None:
    directory, expected = evidence
    (directory / "genesis" / "another.bin").write_bytes(b"")
    refusal = refused(lambda: check_manifest(directory, expected))
    assert (refusal.where, refusal.what) == ("genesis/another.bin", "a file was added")


def test_links_are_no_evidence(evidence: tuple[Path, bytes]) -> None:
    directory, expected = evidence
    (directory / "genesis" / "link.bin").symlink_to(directory / "genesis" / "BJ.bin")
    assert "neither a file" in refused(lambda: check_manifest(directory, expected)).what


def test_a_manifest_that_was_made_again_is_another_manifest(evidence: tuple[Path, bytes]) -> None:
    directory, expected = evidence
    (directory / "summary.json").write_text("something else")
    again = write_manifest(directory)
    assert again != expected and check_manifest(directory, again) == 3
    assert refused(lambda: check_manifest(directory, expected)).where == "manifest.json"


def test_no_manifest(tmp_path: Path) -> None:
    assert "no manifest" in refused(lambda: check_manifest(tmp_path, bytes(32))).what


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"files": 3}', b"\xff", b"[" * 100_000])
def test_a_manifest_that_is_none_is_refused(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "manifest.json").write_bytes(raw)
    refused(lambda: check_manifest(tmp_path, sm3(raw)))


@pytest.mark.parametrize("text", ["", "00", "zz" * 32, "0" * 63, "0x" + "0" * 62, " " + "00" * 31 + "0"])
def test_a_hash_is_64_hexadecimal_digits(text: str) -> None:
    assert refused(lambda: parse_hash(text, "--manifest")).where == "--manifest"


def test_genesis_documents_are_compared_by_hash_before_they_are_read(evidence: tuple[Path, bytes]) -> None:
    directory, expected = evidence
    assert "other chains" in refused(lambda: check_genesis(directory, [bytes(32)])).what
    assert "other chains" in refused(lambda: verify(directory, ["00" * 32], expected.hex())).what


@pytest.mark.parametrize("error", [KeyError("height"), ValueError("no hex"), TypeError("int"), IndexError("0")])
def test_misshapen_evidence_is_refused(error: Exception) -> None:
    def read() -> None:
        with readable("receipts/BJ.jsonl"):
            raise error

    refusal = refused(read)
    assert refusal.where == "receipts/BJ.jsonl" and type(error).__name__ in refusal.what
