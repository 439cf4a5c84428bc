"""Runs the checks of a joint test, whatever the other side answers (docs/spec/node-interface.md §8)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from chain_core.types.errors import DualchainError
from crosschain.conformance.checks import CASES, Case
from crosschain.conformance.examination import Examination, Failed
from crosschain.conformance.report import Report, Result, Row
from crosschain.jrt0314.endpoint import Endpoint, Paths

MAX_DETAIL = 400


def run(
    endpoints: Sequence[Endpoint], network_id: str, started_ms: int, told: Callable[[Row], None] = lambda _: None
) -> Report:
    """A joint test of one network; ``told`` hears of each check as it ends. Never raises for what the chain answers."""
    exam = Examination(endpoints, Paths(network_id))
    rows: list[Row] = []
    for case in CASES:
        bad = [row.check for row in rows if row.check in case.needs and row.result is not Result.PASS]
        row = Row(case.clause, case.name, Result.SKIPPED, f"rests on {bad[0]}", "") if bad else _row(exam, case)
        rows.append(row)
        told(row)
    names = tuple(one.name for one in endpoints)
    return Report(network_id, exam.genesis_hash, names, started_ms, exam.heights, tuple(rows))


def _row(exam: Examination, case: Case) -> Row:
    try:
        return Row(case.clause, case.name, Result.PASS, case.check(exam)[:MAX_DETAIL], "")
    except Failed as failed:
        return _failed(case, failed.detail, failed.next_step)
    except DualchainError as refusal:
        where = f"{refusal.where}: " if refusal.where else ""
        return _failed(case, f"{where}{refusal.what}", "")
    except (TypeError, ValueError, KeyError, AttributeError, IndexError, ArithmeticError, RecursionError) as error:
        return _failed(case, f"the answer cannot be read: {type(error).__name__} {error}", "")


def _failed(case: Case, detail: str, next_step: str) -> Row:
    printable = "".join(one if one.isprintable() else "?" for one in detail[:MAX_DETAIL])
    return Row(
        case.clause, case.name, Result.FAIL, printable, next_step or "see docs/spec/node-interface.md, mend, test again"
    )
