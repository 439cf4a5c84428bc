"""Joint-test reports (联调测试报告) that an admission demands (docs/spec/registration.md §1, art. 6, 14, 22)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from chain_core.codec.values import decode_map, encode_value
from chain_core.crypto.providers import provider
from chain_core.execution.arguments import HASH, Kind, Octets
from chain_core.execution.context import CallContext
from chain_core.execution.contract import RuleText
from chain_core.types.validator_set import same_entity
from chain_core.types.values import Value
from crosschain.client_types import OWN_TYPE
from crosschain.conformance.report import CHECKS, OpenReport, ReportRefused, Result, open_report

TESTER = "tester"
DAYS = "joint_test_days"
"""On-chain parameter: how many days a report counts; 0, or not in the genesis document: admission demands none."""
PARAMETERS: Mapping[str, tuple[int, int]] = {DAYS: (0, 3_650)}
DEFAULT_DAYS = 90
MAX_REPORT_BYTES = 131_072
MAX_CHECK_CHARACTERS = 64
"""Of a check's name in a refusal: the file may name others than the kit has."""
AHEAD_MS = 60_000
"""A tester's clock may be that far before block time."""
_DAY_MS = 86_400_000

ARGUMENTS: Mapping[str, Kind] = {"chain": HASH, "report": Octets(1, MAX_REPORT_BYTES)}
RULES: Mapping[str, RuleText] = {
    "chains.report_malformed": RuleText(
        "不是规范编码的已签名联调测试报告", "no signed joint-test report in its one encoding"
    ),
    "chains.report_differs": RuleText("联调测试报告不是针对链 {0}", "the joint-test report is not about the chain {0}"),
    "chains.report_failed": RuleText("联调测试未通过：{0}", "the joint test was not passed: {0}"),
    "chains.report_time": RuleText(
        "联调测试时间 {0} 晚于区块时间 {1}", "the joint test of {0} is later than block time {1}"
    ),
    "chains.report_signature": RuleText(
        "联调测试报告未由测试方有效的 assertion 密钥签名", "the report is not signed by an assertion key of the tester"
    ),
    "chains.not_independent": RuleText(
        "测试机构“{0}”是登记人或该链的验证者", "the tester's entity {0} registered the chain or runs a node of it"
    ),
    "chains.not_tested": RuleText("链 {0} 没有联调测试报告，不得准入", "the chain {0} has no joint-test report"),
    "chains.report_old": RuleText(
        "联调测试已超过 {0} 天，须重新测试", "the joint test is older than {0} days: have it run again"
    ),
}


def file(ctx: CallContext, chain: bytes, record: Mapping[str, Value], raw: bytes) -> None:
    """Takes the tester's report on a chain that waits for admission; a later one takes its place."""
    try:
        report = open_report(raw)
    except ReportRefused:  # not in the library's words, which may differ from node to node
        ctx.refuse("chains.report_malformed")
    _check_passed(ctx, report)  # first: a test that failed early does not know whose chain it was
    own = record["client_type"] == OWN_TYPE
    names_chain = report.document["genesis_hash"] == chain.hex()
    if not names_chain and (own or report.document["network_id"] != record["chain_id"]):
        ctx.refuse("chains.report_differs", chain)
    started_ms, now_ms = cast(int, report.document["started_ms"]), ctx.block.time_ms
    if started_ms > now_ms + AHEAD_MS:
        ctx.refuse("chains.report_time", started_ms, now_ms)
    _check_independent(ctx, record)
    tester = ctx.record_of(ctx.account)
    known = tester is not None and report.key in tester.keys.get("assertion", ())
    if not known or not provider().sm2_verify(report.key, report.message, report.signature):
        ctx.refuse("chains.report_signature")
    kept: dict[str, Value] = {
        "report": report.digest,
        "tester": ctx.account,
        "tester_entity": ctx.entity,
        "key": report.key,
        "started_ms": started_ms,
        "height": ctx.block.height,
    }
    ctx.put(place(chain), encode_value(kept))
    ctx.emit("tested", chain=chain, report=report.digest, tester=ctx.account)


def demand(ctx: CallContext, chain: bytes) -> None:
    """Refuses an admission without a report that counts, where the chain's parameters demand one."""
    days = ctx.parameters.get(DAYS, 0)
    if not days:
        return
    raw = ctx.get(place(chain))
    if raw is None:
        ctx.refuse("chains.not_tested", chain)
    if cast(int, decode_map(raw, "joint test")["started_ms"]) < ctx.block.time_ms - days * _DAY_MS:
        ctx.refuse("chains.report_old", days)


def place(chain: bytes) -> bytes:
    """Key inside ``chains`` of what is kept of the last report."""
    return b"j" + chain


def _check_passed(ctx: CallContext, report: OpenReport) -> None:
    results: dict[str, str] = {}
    for row in cast(Sequence[Mapping[str, str]], report.document["checks"]):
        if row["result"] != Result.PASS:
            ctx.refuse("chains.report_failed", row["check"][:MAX_CHECK_CHARACTERS])
        results[row["check"]] = row["result"]
    missing = [name for name in CHECKS if name not in results]
    if missing or not report.document["passed"]:
        ctx.refuse("chains.report_failed", missing[0] if missing else "passed")


def _check_independent(ctx: CallContext, record: Mapping[str, Value]) -> None:
    involved = [cast(str, record["registrar_entity"])]
    involved += [row["entity"] for row in cast(Sequence[Mapping[str, str]], record["validators"])]
    if same_entity(ctx.entity) in map(same_entity, involved):
        ctx.refuse("chains.not_independent", ctx.entity)
