"""Refusals of services without an audit record: lines, not more than the rate allows."""

import asyncio
import logging

import pytest

from chain_core.network.refusals import AuditUnavailable
from chain_core.node.logged_refusals import LoggedRefusals

FACTS = {"by": {"kind": "sm", "name": "alice"}, "method": "/s/M", "rule": "QUOTA_EXCEEDED"}


def test_a_flood_of_refusals_is_counted(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("chain_core"), "propagate", True)
    caplog.set_level(logging.WARNING)
    kept = LoggedRefusals()
    for _ in range(5_000):
        kept.refused(FACTS)
    lines = [line for line in caplog.messages if "REFUSED" in line]
    assert 200 <= len(lines) < 1_000
    assert "alice" in lines[0]


def test_nothing_is_read_on_a_record_that_is_not_kept() -> None:
    with pytest.raises(AuditUnavailable):
        asyncio.run(LoggedRefusals().read(FACTS))
