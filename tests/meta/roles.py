"""The tables of docs/spec/roles.md, from the contracts themselves: ``python -m tests.meta.roles --rewrite``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from chain_core.node.assembly import Assembly
from local_chain.assembly import local_assembly
from supervisory_chain.assembly import supervisory_assembly
from tests.unit.crosschain.chains import local_genesis, supervisory_genesis

SPEC = Path(__file__).parents[2] / "docs/spec/roles.md"
ANYBODY = "anybody"


def assemblies() -> dict[str, Assembly]:
    """One of each kind of chain, by the name of its table."""
    return {
        "supervisory": supervisory_assembly(supervisory_genesis()),
        "local": local_assembly(local_genesis()),
    }


def rights(assembly: Assembly) -> list[tuple[str, str, str]]:
    """(contract, roles, methods) of a chain: methods of one contract that are open to the same roles share a row."""
    rows: dict[tuple[str, str], list[str]] = {}
    for contract, methods in sorted(assembly.executor().assembly.methods.items()):
        for name, method in methods.items():
            roles = ", ".join(f"`{role}`" for role in sorted(method.roles)) or ANYBODY
            rows.setdefault((contract, roles), []).append(name)
    return [
        (contract, roles, ", ".join(f"`{name}`" for name in sorted(names))) for (contract, roles), names in rows.items()
    ]


def table(assembly: Assembly) -> str:
    """As it stands in the document."""
    lines = [f"| `{contract}` | {roles} | {methods} |" for contract, roles, methods in rights(assembly)]
    return "\n".join(["| contract | roles | methods |", "|---|---|---|", *lines])


def written(text: str) -> str:
    """The document with its tables as the program has them."""
    for name, assembly in assemblies().items():
        begin, end = f"<!-- {name}: begin -->\n", f"\n<!-- {name}: end -->"
        head, _, rest = text.partition(begin)
        text = head + begin + table(assembly) + end + rest.partition(end.strip("\n"))[2]
    return text


def main(arguments: Sequence[str]) -> int:
    """0 when the document says what the program does; ``--rewrite`` makes it so."""
    parser = argparse.ArgumentParser(prog="python -m tests.meta.roles", description=__doc__)
    parser.add_argument("--rewrite", action="store_true")
    rewrite = parser.parse_args(arguments).rewrite
    stands = SPEC.read_text("utf-8")
    if stands == written(stands):
        return 0
    if rewrite:
        SPEC.write_text(written(stands), "utf-8")
        return 0
    print("docs/spec/roles.md differs from the contracts: python -m tests.meta.roles --rewrite", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
