"""Imports point downward only; what breaks that is refused, wherever the import stands."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.meta.sources import PACKAGES, ROOT

HOUSE = "The house: imports point downward BROKEN"
ENGINE = "The engine: imports point downward BROKEN"
PURE = "Pure packages know no clock, socket, disk, thread, randomness or logger BROKEN"
REACH = "Pure packages do not reach IO through others either BROKEN"


def lint_imports(tree: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    return subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture
def skeleton(tmp_path: Path) -> Path:
    """The house without its furniture: every package of the repository, empty, under the same contracts."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for package in PACKAGES:
        for init in [ROOT / package / "__init__.py", *(ROOT / package).rglob("*/__init__.py")]:
            target = tmp_path / init.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch()
    return tmp_path


def test_the_repository_keeps_its_contracts() -> None:
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


def test_an_empty_house_keeps_them_too(skeleton: Path) -> None:
    result = lint_imports(skeleton)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("importer", "statement", "broken"),
    [
        ("chain_core/node/bad.py", "import contracts", HOUSE),
        ("crosschain/bad.py", "from service_registry import anything", HOUSE),
        ("local_chain/bad.py", "import supervisory_chain", HOUSE),
        ("supervisory_chain/bad.py", "import local_chain", HOUSE),
        ("contracts/bad.py", "def late():\n    import crosschain.light_client", HOUSE),
        ("chain_core/types/bad.py", "import chain_core.codec", ENGINE),
        ("chain_core/consensus/bad.py", "from chain_core.execution import anything", ENGINE),
        ("chain_core/cupboard/__init__.py", "", ENGINE),
        ("chain_core/consensus/bad.py", "import time", PURE),
        ("chain_core/execution/bad.py", "def late():\n    from os import path", PURE),
        ("crosschain/light_client/bad.py", "import random", PURE),
        ("chain_core/crypto/bad.py", "import plyvel\nimport chain_core.consensus", ENGINE),
    ],
)
def test_a_bad_import_is_found(skeleton: Path, importer: str, statement: str, broken: str) -> None:
    bad = skeleton / importer
    bad.parent.mkdir(exist_ok=True)
    bad.write_text(statement + "\n", "utf-8")
    result = lint_imports(skeleton)
    assert result.returncode == 1
    assert broken in result.stdout


def test_reaching_io_through_a_lower_layer_is_found(skeleton: Path) -> None:
    (skeleton / "chain_core/codec/bad.py").write_text("import grpc\n", "utf-8")
    (skeleton / "chain_core/consensus/innocent.py").write_text("import chain_core.codec.bad\n", "utf-8")
    result = lint_imports(skeleton)
    assert result.returncode == 1
    assert REACH in result.stdout
