"""An advisory goes to all markets; who does not patch in time has a case (docs/spec/desk.md §3)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from chain_core.crypto.hashing import sm3
from chain_core.execution.codes import Code
from chain_core.types.values import Value
from contracts.kernel.calendar import DAY_MS, day_of
from crosschain.packets import count_in
from supervisory_chain.cases import RISK_ALARM, case_key, count_key
from supervisory_chain.desk.advisories import patch_key
from supervisory_chain.desk.filings import filing_key
from tests.unit.crosschain.chains import op
from tests.unit.supervisory_chain.desk.test_desk import Desk, begin
from tests.unit.supervisory_chain.ending import End


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = begin(tmp_path)
    assert made.chain.one("csrc-1", op("chains", "approve", chain=made.market)).code == Code.OK
    assert made.chain.one("csrc-2", op("chains", "admit", chain=made.market)).code == Code.OK
    yield made
    made.chain.store.close()


def cases(desk: Desk) -> list[dict[str, Any]]:
    numbers = range(count_in(desk.chain.store.get(count_key(desk.market))))
    found = [cast(dict[str, Any], desk.chain.value(case_key(desk.market, number))) for number in numbers]
    return [case for case in found if case["kind"] != RISK_ALARM]  # days go by in which nobody follows the chain


def test_a_market_acknowledges_once_and_records_its_patch(desk: Desk) -> None:
    assert desk.advisory(0).rule == "desk.too_soon"
    assert desk.acknowledge(0).rule == "desk.no_advisory"
    assert desk.advisory().code == Code.OK
    assert desk.acknowledge(0, "second operator").rule == "desk.not_yours"
    assert desk.acknowledge(0).code == Code.OK
    assert desk.acknowledge(0).rule == "desk.acknowledged"
    assert desk.acknowledge(1).rule == "desk.no_advisory", "that is no advisory"
    desk.ok("operator", "record_patch", 1, version="1.1")
    assert (desk.matter(1).state, desk.matter(1).fields["version"]) == ("patched", "1.1")
    assert desk.chain.value(patch_key(0, desk.market)) == [1, -1]
    desk.go(12)
    assert desk.take("courier", "escalate_advisory", 0, late=desk.market).rule == "desk.not_overdue"
    assert desk.take("csrc-1", "close_advisory").rule == "desk.four_eyes"
    desk.ok("csrc-2", "close_advisory")


def test_who_has_not_patched_by_the_day_has_one_case_and_is_seen_to_be_through(desk: Desk) -> None:
    assert desk.advisory(2).code == desk.acknowledge(0).code == Code.OK
    assert desk.take("courier", "escalate_advisory", 0, late=desk.market).rule == "desk.not_overdue", "not yet"
    desk.go(4)
    assert desk.take("courier", "escalate_advisory", 0, late=sm3(b"other")).rule == "desk.not_admitted"
    desk.ok("courier", "escalate_advisory", 0, late=desk.market)
    assert desk.take("courier", "escalate_advisory", 0, late=desk.market).rule == "desk.not_overdue", "once"
    (case,) = cases(desk)
    assert (case["kind"], case["facts"]["advisory"], case["facts"]["acknowledged"]) == ("overdue_patch", 0, True)
    assert "late" not in desk.matter(0).fields
    desk.ok("operator", "declare_unaffected", 1)
    assert cases(desk)[0]["facts"]["done_ms"] == desk.chain.time_ms
    desk.ok("csrc-1", "return_patch", 1)
    assert desk.matter(1).state == "acknowledged"


def test_what_a_market_patched_counts_for_its_successor(end: End) -> None:
    above, document = end.layers.supervisory, sm3(b"advisory")
    args: dict[str, Value] = {"subject": "flaw", "component": "openssl", "versions": ["3.0"], "severity": 2}
    deadline = day_of(above.time_ms) + 1
    issue = op("desk", "issue_advisory", **args, deadline_day=deadline, document=document)
    assert above.one("csrc-1", issue).code == Code.OK
    take = op("desk", "acknowledge", chain=end.before, subject="flaw", advisory=0, document=document)
    assert above.one("operator", take).code == Code.OK
    patch = op("desk", "record_patch", number=1, version="3.1", document=document)
    assert above.one("operator", patch).code == Code.OK
    end.moved()
    above.block(after_ms=3 * DAY_MS)
    late = op("desk", "escalate_advisory", number=0, late=end.chain, document=document)
    assert above.one("courier", late).rule == "desk.not_overdue"


def test_silence_is_overdue_as_well(desk: Desk) -> None:
    assert desk.advisory(2).code == Code.OK
    desk.go(4)
    desk.ok("courier", "escalate_advisory", 0, late=desk.market)
    assert cases(desk)[0]["facts"]["acknowledged"] is False
    assert desk.acknowledge(0).code == Code.OK
    record, case = cast(list[int], desk.chain.value(patch_key(0, desk.market)))
    assert record == 1 and case >= 0


def test_a_version_of_a_template_is_filed_once_and_approved_by_two(desk: Desk) -> None:
    assert desk.filing("csrc.pledge").rule == "desk.common_template"
    assert desk.filing("Block Transfer").code == Code.BAD_ARGUMENTS
    assert desk.filing(who="second operator").rule == "desk.not_yours"
    assert desk.filing().code == desk.filing(version=2).code == Code.OK
    assert desk.filing().rule == "desk.filed_already"
    assert desk.chain.value(filing_key(desk.market, "bj.block-transfer", 2)) == 1
    desk.ok("csrc-1", "return_filing", 0)
    desk.ok("operator", "refile", 0, tree=sm3(b"tree 2"), source=sm3(b"source 2"))
    assert desk.matter(0).fields["tree"] == sm3(b"tree 2")
    desk.ok("csrc-1", "propose_approval", 0)
    assert desk.take("csrc-1", "approve_filing", 0).rule == "desk.four_eyes"
    desk.ok("csrc-2", "approve_filing", 0)
    desk.ok("csrc-1", "revoke_filing", 0)
    assert desk.filing().rule == "desk.filed_already", "what was revoked is not filed again"
    desk.ok("operator", "withdraw_filing", 1)
    assert desk.filing(version=2).code == Code.OK
