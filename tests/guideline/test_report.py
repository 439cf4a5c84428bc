"""The report as a whole: every article has its file and its row, and whoever lies to it proves nothing."""

from __future__ import annotations

import asyncio
import io
import json
import re
from pathlib import Path

from rich.console import Console

from chain_core.node.chain_view import ChainView
from chain_core.node.verifying_client import VerifyingClient
from dualchain.guideline.articles import ARTICLES, NAMED
from dualchain.guideline.asking import AskedChain, Network
from dualchain.guideline.examination import Finding, Verdict
from dualchain.guideline.report import as_rows, examine, examine_all, proven, show
from local_chain.assembly import local_assembly
from tests.guideline.house import House
from tests.integration.served_chain import Alter, ServedNode

HERE = Path(__file__).parent
SPEC = HERE.parents[1] / "docs" / "spec" / "guideline.md"


def test_each_article_has_a_check_a_test_file_and_a_row_of_the_specification() -> None:
    files = {int(path.stem.rpartition("_")[2]) for path in HERE.glob("test_article_*.py")}
    table = SPEC.read_text("utf-8").split("## 3.", 1)[1].split("\n## ", 1)[0]
    rows = {int(number) for number in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)}
    assert files == set(ARTICLES) == rows
    assert not set(NAMED) & set(ARTICLES)


def test_all_articles_hold_and_the_report_says_so_in_both_languages(house: House) -> None:
    findings = asyncio.run(examine_all(house.network))
    told = as_rows(house.network, findings)
    assert proven(findings) and told["proven"] is True
    assert [row["article"] for row in told["articles"]] == sorted(ARTICLES)
    assert json.loads(json.dumps(told, ensure_ascii=False)) == told
    shown = io.StringIO()
    show(Console(file=shown, width=80), findings)
    lines = shown.getvalue().splitlines()
    assert sum("符合 holds  第" in line for line in lines) == len(ARTICLES)
    assert any(re.search(r"\[supervisory \d+ [0-9a-f]{16}… tx [0-9a-f]{16}…\]", line) for line in lines)


def test_one_fault_is_enough_and_is_shown(house: House) -> None:
    house.bj.node(0).down = house.bj.node(1).down = True
    findings = asyncio.run(examine_all(house.network, (7, 26)))
    assert [finding.verdict for finding in findings] == [Verdict.FAILS, Verdict.HOLDS] and not proven(findings)
    shown = io.StringIO()
    show(Console(file=shown, width=80), findings)
    assert "! BJ 可询问的节点 2 个" in shown.getvalue()


def served(house: House, alter: Alter | None) -> Finding:
    """Article 26 asked of a real port of BJ's chain, by the real client."""

    async def asked() -> Finding:
        chain = house.bj.chain
        node = ServedNode(chain, local_assembly(chain.genesis), alter)
        await node.start()
        lower = AskedChain("BJ", VerifyingClient(ChainView(chain.genesis_bytes), [node.address]))
        try:
            return await examine(Network(house.upper, {"BJ": lower}), ARTICLES[26])
        finally:
            await lower.client.close()
            await node.stop()

    return asyncio.run(asked())


def test_a_node_that_alters_its_answers_proves_nothing(house: House) -> None:
    assert served(house, None).verdict is Verdict.HOLDS

    def lie(method: str, answer: bytes) -> bytes:
        return answer.replace(b"effective_from", b"effective_FROM") if method == "QueryState" else answer

    found = served(house, lie)
    assert found.verdict is Verdict.FAILS and "cannot be verified" in found.faults[0].en and not found.evidence
