"""The project's own source files, for the tests that judge them."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PACKAGES = (
    "benchmarks",
    "chain_core",
    "contracts",
    "crosschain",
    "dualchain",
    "local_chain",
    "service_registry",
    "supervisory_chain",
)
GENERATED = ROOT / "chain_core" / "_pb"
PURE = (
    "chain_core/consensus",
    "chain_core/execution",
    "chain_core/network/sm_session",
    "crosschain/light_client",
)


def modules(*directories: str, root: Path = ROOT) -> list[Path]:
    """Return every hand-written Python file below ``directories`` of ``root``."""
    found = (path for name in directories for path in (root / name).rglob("*.py"))
    return sorted(path for path in found if not path.is_relative_to(GENERATED))


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield every function of a module, methods and inner functions included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
