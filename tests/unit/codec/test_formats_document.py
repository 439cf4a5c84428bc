"""docs/spec/formats.md says what the code does: offsets, tags, codes, limits, and its shell commands run."""

import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from chain_core.codec import block, genesis, proofs, votes
from chain_core.codec.block import HEADER_FIELDS, encode_header
from chain_core.crypto.merkle import merkle_root
from chain_core.execution import overlay
from chain_core.execution.codes import Code
from chain_core.ledger.bucket_tree import ENTRIES_A_BUCKET, MAX_BUCKETS, SPLITS_A_BLOCK
from chain_core.ledger.roots import SEEN_BUCKETS
from chain_core.types import ids, transaction, validator_set, values
from chain_core.types.block import Phase
from tests.vectors.keys import public_key
from tests.vectors.samples import Samples

DOCUMENT = (Path(__file__).parents[3] / "docs/spec/formats.md").read_text("utf-8")
MODULES = (block, genesis, proofs, votes, overlay, transaction, validator_set, values)


def section(number: int) -> str:
    """The text of one numbered section."""
    found = re.search(rf"^## {number}\. .*?(?=^## |\Z)", DOCUMENT, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found.group()


def rows(text: str) -> list[list[str]]:
    """Cells of all table rows."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]


def test_header_offsets() -> None:
    listed = [row for row in rows(section(6)) if len(row) == 4 and row[0].isdigit()]
    expected, offset = [], 0
    for name, code in HEADER_FIELDS:
        size = {"H": 2, "I": 4, "Q": 8, "32s": 32}[code]
        expected.append([str(offset), str(size), f"`{name}`"])
        offset += size
    assert [row[:3] for row in listed] == expected
    assert offset == 408


def test_vote_offsets_and_phases() -> None:
    listed = [row for row in rows(section(7)) if row[0].isdigit()]
    offset = 0
    for row in listed:
        assert int(row[0]) == offset, row
        offset += int(row[1])
    assert offset == votes.VOTE_SIZE
    phases = ", ".join(f"{phase.value} {phase.name.replace('_', '-')}" for phase in Phase)
    assert phases in DOCUMENT


ROOT = Path(__file__).parents[3]
HOUSE = ("chain_core", "contracts", "crosschain", "service_registry", "local_chain", "supervisory_chain", "dualchain")
MODULES_OF_THE_HOUSE = [path for name in HOUSE for path in sorted((ROOT / name).rglob("*.py"))]
TAG = re.compile(r'\btag\(b?"(dualchain/[a-z-]+/v1)"\)')


def test_every_tag_is_listed_once() -> None:
    """All of the house, wherever it is defined: two meanings of one tag would make signatures exchangeable."""
    listed = re.findall(r"`(dualchain/[a-z-]+/v1)`", section(3))
    defined = [found for path in MODULES_OF_THE_HOUSE for found in TAG.findall(path.read_text("utf-8"))]
    assert len(defined) > 25
    assert len(set(listed)) == len(listed) and len(set(defined)) == len(defined)
    assert set(defined) == set(listed)


def test_receipt_codes() -> None:
    listed = [(int(row[0]), row[1]) for row in rows(section(4)) if row[0].isdigit()]
    assert listed == [(code.value, code.name) for code in Code]


def test_limits() -> None:
    listed = {row[0].strip("`"): row[1] for row in rows(section(1)) if re.fullmatch(r"`[A-Z_]+`", row[0])}
    assert len(listed) > 15
    for name, stated in listed.items():
        found = {vars(module)[name] for module in MODULES if name in vars(module)}
        assert found == {int(stated.replace(",", ""))}, name


def test_numbers_in_the_text() -> None:
    assert f"{proofs.MAX_PACKET_BYTES:,}" in section(9)
    assert f"the seen tree {SEEN_BUCKETS:,}" in section(10)
    assert f"min(B + {SPLITS_A_BLOCK}, ceil(n / {ENTRIES_A_BUCKET}), 2^{MAX_BUCKETS.bit_length() - 1})" in section(10)
    assert [row[0].strip("`") for row in rows(section(12))[2:]] == list(ids.PURPOSES)
    assert ids.SM2_USER_ID.decode() in section(1)


def test_every_section_that_code_cites_exists() -> None:
    cited = set()
    for path in (Path(__file__).parents[3] / "chain_core").rglob("*.py"):
        for match in re.finditer(r"formats\.md((?:[\s,-]*§[\d.]+)+)", path.read_text("utf-8")):
            cited.update(re.findall(r"§([\d.]+\d|\d)", match.group(1)))
    assert cited
    headings = set(re.findall(r"^##+ ([\d.]+?)\.? ", DOCUMENT, re.MULTILINE))
    assert cited <= headings


# ---- the shell commands of §14


def script(name: str) -> str:
    found = re.search(rf"```sh\n# {name}\n(.*?)```", section(14), re.DOTALL)
    assert found is not None
    return found.group(1)


def run(name: str, directory: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", script(name)],
        cwd=directory,
        env={"PATH": os.environ["PATH"], **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture
def directory(tmp_path: Path, samples: Samples) -> Path:
    """A header, replica 2's vote over it and its key, as files."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl command here")
    digest = subprocess.run(["openssl", "dgst", "-sm3"], input=b"", capture_output=True, check=False, timeout=60)
    curves = subprocess.run(["openssl", "ecparam", "-list_curves"], capture_output=True, check=False, timeout=60)
    if digest.returncode or b"SM2" not in curves.stdout:
        version = subprocess.run(["openssl", "version"], capture_output=True, text=True, check=False, timeout=60)
        pytest.skip(f"this openssl has no SM2 or SM3: {version.stdout.strip()}")
    vote = samples.header_votes[2]
    (tmp_path / "header.bin").write_bytes(vote.header_bytes)
    (tmp_path / "signature.bin").write_bytes(vote.signature)
    (tmp_path / "key.bin").write_bytes(public_key(2))
    return tmp_path


def test_openssl_verifies_a_header_vote(directory: Path) -> None:
    result = run("check-vote", directory)
    assert result.returncode == 0, result.stderr
    assert "Verified Successfully" in result.stdout


@pytest.mark.parametrize("name", ["header.bin", "signature.bin"])
@pytest.mark.parametrize("position", [4, 31, 63])
def test_openssl_refuses_an_altered_one(directory: Path, name: str, position: int) -> None:
    data = bytearray((directory / name).read_bytes())
    data[position] ^= 1
    (directory / name).write_bytes(data)
    assert run("check-vote", directory).returncode != 0


def test_openssl_refuses_another_validator(directory: Path) -> None:
    (directory / "key.bin").write_bytes(public_key(1))
    assert run("check-vote", directory).returncode != 0


@pytest.mark.parametrize("index", [0, 6, 7, 10])
def test_openssl_follows_a_path_in_a_lopsided_tree(directory: Path, samples: Samples, index: int) -> None:
    """Eleven leaves: some nodes rise without a sibling."""
    leaves = tuple(bytes([number]) * 40 for number in range(11))
    header = encode_header(replace(samples.header, outbox_root=merkle_root(leaves), outbox_count=11))
    (directory / "header.bin").write_bytes(header)
    (directory / "leaf.bin").write_bytes(leaves[index])
    (directory / "path.bin").write_bytes(b"".join(samples.inclusion(leaves, index).path))
    assert run("check-path", directory, OFFSET="212", COUNT="11", INDEX=str(index)).returncode == 0
    assert run("check-path", directory, OFFSET="212", COUNT="11", INDEX=str(index ^ 1)).returncode != 0


@pytest.mark.parametrize("index", [0, 1])
def test_openssl_follows_a_receipt_to_its_root(directory: Path, samples: Samples, index: int) -> None:
    proof = samples.inclusion(samples.receipt_bytes, index)
    (directory / "leaf.bin").write_bytes(samples.receipt_bytes[index])
    (directory / "path.bin").write_bytes(b"".join(proof.path))
    place = {"INDEX": str(index), "COUNT": str(proof.count)}
    assert run("check-path", directory, OFFSET="176", **place).returncode == 0
    assert run("check-path", directory, OFFSET="212", **place).returncode != 0
    (directory / "leaf.bin").write_bytes(samples.receipt_bytes[1 - index])
    assert run("check-path", directory, OFFSET="176", **place).returncode != 0
