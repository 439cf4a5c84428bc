"""Every kind of case that a contract opens has a name in the officers' list."""

from __future__ import annotations

from crosschain import channel
from supervisory_chain import cases, delivered, drift, escalation, misbehaviour, probes
from supervisory_chain.desk import advisories
from supervisory_chain.desk import contract as desk
from supervisory_chain.regulating.cases_cli import KINDS


def test_severities_are_of_kinds_that_there_are() -> None:
    assert cases.SEVERITIES.keys() <= KINDS.keys()


def test_each_kind_of_case_has_a_name() -> None:
    opened = {misbehaviour.FORK, misbehaviour.EQUIVOCATION, misbehaviour.EQUIVOCATORS, delivered.CONFLICT}
    opened |= {
        escalation.OVERDUE,
        desk.OVERDUE,
        drift.UNANNOUNCED,
        probes.ENDPOINT_DRIFT,
        advisories.OVERDUE_PATCH,
        cases.RISK_ALARM,
    }
    opened |= {channel.CONFLICTING, channel.PASSED_OVER, channel.LATE, channel.EARLY, channel.AFTER_REFUND}
    assert KINDS.keys() == opened
    assert all(text.endswith(f" {kind}") for kind, text in KINDS.items())
