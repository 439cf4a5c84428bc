"""Documents point at things that exist."""

import re
from pathlib import Path

import pytest

from tests.meta.sources import ROOT

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")


def dead_links(document: Path) -> list[str]:
    """Return the relative links of ``document`` that lead nowhere; links to the web are not followed."""
    targets = (match.group(1) for match in LINK.finditer(document.read_text("utf-8")))
    local = (target for target in targets if "://" not in target)
    return [target for target in local if not (document.parent / target).exists()]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_document(document: Path) -> None:
    assert dead_links(document) == []


def test_the_judge_follows(tmp_path: Path) -> None:
    document = tmp_path / "a.md"
    document.write_text("[one](a.md#part) [two](gone.md) [web](https://example.org/x)", "utf-8")
    assert dead_links(document) == ["gone.md"]
