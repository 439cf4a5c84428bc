"""The templates of this build, and their filing records for genesis.

Sources lie in ``sources/``, the trees that nodes execute in ``trees/``: made by ``dualchain template build``, held
together by a test. A node reads trees only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from chain_core.crypto.hashing import sm3
from chain_core.types.values import Value
from contracts.templates.compiled import Compiled, compile_tree
from contracts.templates.filings import genesis_record

DIRECTORY = Path(__file__).parent
SOURCES, TREES, CASES = DIRECTORY / "sources", DIRECTORY / "trees", DIRECTORY / "cases"


@dataclass(frozen=True, slots=True)
class Shipped:
    """A template of this build: the SM3 of its source, and its tree."""

    source_sm3: bytes
    tree: bytes

    @property
    def compiled(self) -> Compiled:
        """Checked and compiled, once a process."""
        return compile_tree(self.tree)


@cache
def catalogue() -> tuple[Shipped, ...]:
    """Every template of this build, by id. Reads the files once, when the process starts; execution reads none."""
    return tuple(
        Shipped(sm3((SOURCES / f"{path.stem}.star").read_bytes()), path.read_bytes())
        for path in sorted(TREES.glob("*.tree"))
    )


def template_documents(filing_numbers: Mapping[str, str] | None = None) -> dict[str, Value]:
    """The genesis document ``templates``: all of this build's, live. A filing number is empty until the regulator
    gives one.
    """
    numbers = filing_numbers or {}
    rows: dict[str, Value] = {}
    for shipped in catalogue():
        compiled = shipped.compiled
        rows[compiled.template.id] = genesis_record(compiled, shipped.source_sm3, numbers.get(compiled.template.id, ""))
    return rows
