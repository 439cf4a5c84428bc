"""chain_core/_pb is what protos/ say, and its modules find each other below the package."""

import importlib
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from tests.meta.sources import GENERATED, ROOT

SCRIPT = "scripts/generate_protos.py"
MESSAGES = sorted(GENERATED.rglob("*_pb2.py"))

LEAF = 'syntax = "proto3";\npackage dualchain.leaf.v1;\nmessage Leaf { uint64 height = 1; }\n'
TREE = (
    'syntax = "proto3";\npackage dualchain.tree.v1;\n'
    'import "dualchain/leaf/v1/leaf.proto";\nimport "google/protobuf/empty.proto";\n'
    "message Tree { repeated dualchain.leaf.v1.Leaf leaves = 1; }\n"
    "service Forest { rpc Grow(google.protobuf.Empty) returns (Tree); }\n"
)

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("grpc_tools") is None,
    reason="grpc_tools is not installed",
)


def run(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture
def small_house(tmp_path: Path) -> Path:
    """A house with two protos, one of which imports the other, generated."""
    contents = {
        SCRIPT: (ROOT / SCRIPT).read_text("utf-8"),
        "chain_core/__init__.py": "",
        "chain_core/_pb/__init__.py": "",
        "protos/dualchain/leaf/v1/leaf.proto": LEAF,
        "protos/dualchain/tree/v1/tree.proto": TREE,
    }
    for name, text in contents.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    result = run(tmp_path, SCRIPT)
    assert result.returncode == 0, result.stderr
    return tmp_path


def test_generated_code_is_up_to_date() -> None:
    result = run(ROOT, SCRIPT, "--check")
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("path", MESSAGES, ids=lambda path: path.stem)
def test_generated_module_imports(path: Path) -> None:
    module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    assert module.DESCRIPTOR.package.startswith("dualchain.")


def test_modules_import_each_other_below_the_package(small_house: Path) -> None:
    program = (
        "from chain_core._pb.dualchain.tree.v1 import tree_pb2\n"
        "from chain_core._pb.dualchain.leaf.v1 import leaf_pb2\n"
        "tree = tree_pb2.Tree(leaves=[leaf_pb2.Leaf(height=7)])\n"
        "print(tree_pb2.Tree.FromString(tree.SerializeToString()).leaves[0].height)\n"
        "print(list(tree_pb2.DESCRIPTOR.services_by_name))\n"
    )
    result = run(small_house, "-c", program)
    assert result.stdout.splitlines() == ["7", "['Forest']"], result.stderr
    stub = (small_house / "chain_core/_pb/dualchain/tree/v1/tree_pb2.pyi").read_text("utf-8")
    assert "from chain_core._pb.dualchain.leaf.v1 import leaf_pb2" in stub


@pytest.mark.parametrize("change", ["edited", "added", "removed", "touched by hand"])
def test_stale_code_is_noticed(small_house: Path, change: str) -> None:
    assert run(small_house, SCRIPT, "--check").returncode == 0
    protos = small_house / "protos/dualchain"
    match change:
        case "edited":
            (protos / "leaf/v1/leaf.proto").write_text(LEAF + "message Twig {}\n", "utf-8")
        case "added":
            (protos / "leaf/v1/root.proto").write_text(LEAF.replace("Leaf", "Root"), "utf-8")
        case "removed":
            (protos / "tree/v1/tree.proto").unlink()
        case _:
            (small_house / "chain_core/_pb/dualchain/leaf/v1/leaf_pb2.py").write_text("", "utf-8")
    result = run(small_house, SCRIPT, "--check")
    assert result.returncode == 1
    assert "make protos" in result.stdout
    assert run(small_house, SCRIPT).returncode == 0
    assert run(small_house, SCRIPT, "--check").returncode == 0
