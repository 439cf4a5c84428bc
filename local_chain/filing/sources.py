"""A template's source file, read as its author and its approver do: parsed, checked, compiled, its examples run."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

from chain_core.crypto.hashing import sm3
from chain_core.types.errors import DualchainError
from contracts.engine.nodes import encode_tree
from contracts.engine.parser import describe, parse_template
from contracts.engine.refusals import TemplateRefused
from contracts.sandbox.cases import CaseWrong, Outcome, read_cases, run_cases
from contracts.templates.catalogue import CASES, SOURCES, TREES
from contracts.templates.compiled import Compiled, compile_tree
from contracts.watch.catalogue import SOURCES as RULE_SOURCES
from contracts.watch.catalogue import TREES as RULE_TREES


class SourceRefused(DualchainError):
    """A file that is no template, or whose examples cannot be read."""

    code = "TEMPLATE_REFUSED"


@dataclass(frozen=True, slots=True)
class Read:
    """A source with what it becomes."""

    path: Path
    source: bytes
    tree: bytes
    compiled: Compiled

    @property
    def source_sm3(self) -> bytes:
        """The SM3 of the source, filed beside the tree's."""
        return sm3(self.source)

    @property
    def about(self) -> str:
        """The first line of the text for the reviewer."""
        return describe(self.source).partition("\n")[0]


def find(name: str) -> Path:
    """A file, or a template of this build by its id. Raises SourceRefused."""
    path = Path(name)
    shipped = SOURCES / f"{name}.star"
    if path.is_file():
        return path
    if shipped.is_file():
        return shipped
    raise SourceRefused("there is no such file, and no such template here", where=name, next_step="name a .star file")


def read(name: str) -> Read:
    """Parses and checks. Raises SourceRefused that names the line."""
    path = find(name)
    source = path.read_bytes()
    try:
        tree = encode_tree(parse_template(source))
        return Read(path, source, tree, compile_tree(tree))
    except TemplateRefused as refused:
        where = f"{path}, line {refused.line}" if refused.line else str(path)
        what = f"{refused.reason}: {refused.detail}"
        raise SourceRefused(
            what, where=where, next_step="see docs/spec/tpl-1.md and docs/spec/templates.md"
        ) from refused
    except ValueError as error:
        raise SourceRefused(str(error), where=str(path), next_step="make the template shorter") from error


def cases_of(found: Read, cases: Path | None) -> bytes:
    """The bytes of its examples: the file named, else that beside it, else this build's; empty for none."""
    name = f"{found.compiled.template.id}.toml"
    for path in [cases] if cases is not None else [found.path.with_suffix(".toml"), CASES / name]:
        if path.is_file():
            return path.read_bytes()
    if cases is not None:
        raise SourceRefused("the case file cannot be read", where=str(cases), next_step="name a TOML file")
    return b""


def run_examples(found: Read, raw: bytes) -> list[Outcome]:
    """Every example on a market in memory. Raises SourceRefused for a file that holds none of this template's."""
    try:
        file = read_cases(raw)
    except CaseWrong as wrong:
        raise SourceRefused(str(wrong), where=str(found.path), next_step="see docs/spec/template-cases.md") from wrong
    if file["template"] != found.compiled.template.id:
        what = f"the examples are of {file['template']}"
        raise SourceRefused(what, where=str(found.path), next_step=f"they must say {found.compiled.template.id}")
    return run_cases(file, found.compiled, found.tree)


def build() -> list[str]:
    """Writes the tree of every source of this build, of templates and of supervision rules; those that it had already
    are left alone. The names of what was written.
    """
    written = []
    for sources, trees in ((SOURCES, TREES), (RULE_SOURCES, RULE_TREES)):
        for path in sorted(sources.glob("*.star")):
            tree = encode_tree(parse_template(path.read_bytes()))
            target = trees / f"{path.stem}.tree"
            if not target.is_file() or target.read_bytes() != tree:
                target.write_bytes(tree)
                written.append(path.stem)
    return written


def difference(before: bytes, after: bytes, names: tuple[str, str]) -> list[str]:
    """A unified diff of two sources."""
    texts = (before.decode("utf-8").splitlines(), after.decode("utf-8").splitlines())
    return list(difflib.unified_diff(*texts, *names, lineterm=""))
