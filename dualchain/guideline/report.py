"""Running the checks, and the report as data and as a table (docs/spec/guideline.md §5)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dualchain.guideline.articles import ARTICLES, NAMED, Article
from dualchain.guideline.asking import Network, Place
from dualchain.guideline.examination import Examination, Finding, Text, Verdict

FORMAT = 1
_MARKS = {
    Verdict.HOLDS: "[green]✓ 符合 holds[/green]",
    Verdict.FAILS: "[red]✗ 不符合 fails[/red]",
    Verdict.UNPROVEN: "[yellow]· 未见证据 unproven[/yellow]",
}


async def examine(network: Network, article: Article) -> Finding:
    """One article's verdict. Whatever the check cannot ask or verify is a fault of the article."""
    exam = Examination(network)
    with exam.about(f"art. {article.number}"):
        await article.check(exam)
    return exam.finding(article.number, article.requirement)


async def examine_all(network: Network, numbers: Iterable[int] = ()) -> list[Finding]:
    """All articles, or those named, in their order."""
    wanted = set(numbers) or set(ARTICLES)
    return [await examine(network, article) for number, article in sorted(ARTICLES.items()) if number in wanted]


def proven(findings: Sequence[Finding]) -> bool:
    """Whether every article holds."""
    return all(finding.verdict is Verdict.HOLDS for finding in findings)


# ---- as data


def as_rows(network: Network, findings: Sequence[Finding]) -> dict[str, Any]:
    """The report for ``--json``."""
    return {
        "format": FORMAT,
        "chains": {chain.label: chain.hash.hex() for chain in network.chains},
        "proven": proven(findings),
        "articles": [_row(finding) for finding in findings],
        "named": [{"article": number, **_text(text)} for number, text in NAMED.items()],
    }


def _row(finding: Finding) -> dict[str, Any]:
    return {
        "article": finding.article,
        "requirement": _text(finding.requirement),
        "verdict": finding.verdict.value,
        "evidence": [{**_text(one.what), **_place(one.place)} for one in finding.evidence],
        "faults": [_text(fault) for fault in finding.faults],
    }


def _text(text: Text) -> dict[str, str]:
    return {"zh": text.zh, "en": text.en}


def _place(place: Place) -> dict[str, Any]:
    row: dict[str, Any] = {"chain": place.chain, "height": place.height, "header": place.header.hex()}
    if place.transaction:
        row["transaction"] = place.transaction.hex()
    if place.key:
        row["state_key"] = place.key.hex()
    return row


# ---- for a reader


def show(console: Console, findings: Sequence[Finding]) -> None:
    """One line an article, below it what it rests on; then the count."""
    for number, text in NAMED.items():
        console.print(f"[dim]第{number}条 art. {number}: {text.zh} / {text.en}[/dim]", soft_wrap=True, highlight=False)
    for finding in findings:
        _show(console, finding)
    counted = Table(title="区块链建设指引 guideline")
    for verdict in Verdict:
        counted.add_column(_MARKS[verdict], justify="right", no_wrap=True)
    counted.add_row(*(str(sum(one.verdict is verdict for one in findings)) for verdict in Verdict))
    console.print(counted)


def _show(console: Console, finding: Finding) -> None:
    zh, en = (escape(text) for text in finding.requirement)
    head = f"{_MARKS[finding.verdict]}  [bold]第{finding.article}条 art. {finding.article}[/bold]  {zh} / {en}"
    console.print(head, soft_wrap=True, highlight=False)
    for fault in finding.faults:
        console.print(f"    ! {fault.zh} / {fault.en}", soft_wrap=True, highlight=False, markup=False)
    for one in finding.evidence:
        place = one.place
        under = f" tx {place.transaction.hex()[:16]}…" if place.transaction else ""
        where = f"[{place.chain} {place.height} {place.header.hex()[:16]}…{under}]"
        console.print(f"    {one.what.zh} / {one.what.en} {where}", soft_wrap=True, highlight=False, markup=False)
