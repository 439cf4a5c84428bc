"""Joint-test reports for tests: as the kit signs them, of a test that every check passed unless told otherwise."""

from __future__ import annotations

from dataclasses import replace

from crosschain.conformance.report import CHECKS, Report, Result, Row, signed


def passing(chain: bytes, started_ms: int, network_id: str = "beijing-test") -> Report:
    rows = tuple(Row("§7", name, Result.PASS, "", "") for name in CHECKS)
    return Report(network_id, chain.hex(), ("https://one.example", "https://two.example"), started_ms, (1, 2), rows)


def failing(chain: bytes, started_ms: int, result: Result = Result.FAIL) -> Report:
    report = passing(chain, started_ms)
    return replace(report, checks=(*report.checks[:-1], replace(report.checks[-1], result=result)))


def file_of(report: Report, private_key: bytes) -> bytes:
    """The file that the tester hands in."""
    return signed(report, private_key)
