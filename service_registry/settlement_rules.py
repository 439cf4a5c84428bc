"""Rules by which batches, disputes and claims are refused, in both languages (docs/spec/service-records.md)."""

from __future__ import annotations

from collections.abc import Mapping

from chain_core.execution.contract import RuleText

SETTLEMENT_RULES: Mapping[str, RuleText] = {
    "services.batch_number": RuleText("批次编号应为 {0}", "the gateway's next batch has the number {0}"),
    "services.batch_key": RuleText(
        "承诺公钥不是网关账户有效的 assertion 公钥", "the promise key is no active assertion key of the gateway"
    ),
    "services.batch_rows": RuleText("批次第 {0} 行不正确：{1}", "row {0} of the batch is wrong: {1}"),
    "services.batch_unknown": RuleText("批次第 {0} 行的 {1} 不符", "row {0} of the batch names an unknown {1}"),
    "services.batch_day": RuleText("批次第 {0} 行的日期 {1} 距区块时间过远", "day {1} of row {0} is too far off"),
    "services.batch_replayed": RuleText(
        "批次第 {0} 行含有已使用的调用编号", "a call id in row {0} of the batch was used before"
    ),
    "services.dispute_evidence": RuleText("争议证据不成立：{0}", "the evidence does not hold: {0}"),
    "services.dispute_party": RuleText("只有该行的使用方或发布方可以提出争议", "only the row's parties may dispute"),
    "services.ruled": RuleText("该记录已有裁定 {0}", "this record has been ruled on: {0}"),
    "services.claim_malformed": RuleText("承诺不正确：{0}", "the promise is wrong: {0}"),
    "services.claim_signature": RuleText("承诺的签名无效", "the promise is not signed by a key of the gateway"),
    "services.claim_early": RuleText("承诺期限 {0} 未到", "the promise's deadline {0} has not passed"),
    "services.claim_late": RuleText("承诺期限 {0} 已过二十七日", "the deadline {0} passed more than 27 days ago"),
    "services.key_changes": RuleText(
        "七日内受信任密钥更换不得超过 {0} 次，尚有调用待批量记录",
        "{0} trusted keys were replaced within 7 days: calls signed by them may still wait for their batch",
    ),
    "services.claim_party": RuleText("只有承诺的{0}可以办理", "only the promise's {0} may do this"),
    "services.claim_state": RuleText("状态 {0} 下不能执行 {1}", "in the state {0} there is no {1}"),
    "services.claim_unknown": RuleText("没有该承诺的主张", "nobody claimed this promise"),
}
