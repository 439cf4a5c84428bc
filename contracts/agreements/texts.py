"""The rules of ``agreements`` in both languages (docs/spec/agreements.md §4)."""

from __future__ import annotations

from collections.abc import Mapping

from chain_core.execution.contract import RuleText

RULES: Mapping[str, RuleText] = {
    "agreements.exists": RuleText("该编号已用于 {0}", "the reference stands for {0} already"),
    "agreements.unknown": RuleText("没有协议 {0}", "there is no agreement {0}"),
    "agreements.closed": RuleText("协议状态为 {0}，不能再办理", "the agreement is {0}: nothing more happens to it"),
    "agreements.over": RuleText("协议的签署期限 {0} 已过", "the agreement's deadline {0} has passed"),
    "agreements.not_over": RuleText("协议的签署期限 {0} 未到", "the agreement's deadline {0} has not come"),
    "agreements.deadline": RuleText(
        "签署期限 {0} 须晚于当前且不超过 366 天", "the deadline {0} is not after now, or more than 366 days away"
    ),
    "agreements.party": RuleText("签约方 {0} 不是有效账户", "the party {0} is no active account"),
    "agreements.not_party": RuleText("账户 {0} 不是签约方", "the account {0} is no party"),
    "agreements.not_proposer": RuleText("只有发起人 {0} 可以撤回", "only the proposer {0} may withdraw it"),
    "agreements.signed": RuleText("签约方 {0} 已签署", "the party {0} has signed"),
    "agreements.not_your_turn": RuleText("应先由签约方 {0} 签署", "the party {0} signs first"),
    "agreements.commitment": RuleText("所签文件与协议文件不符", "the document is not the agreement's"),
    "agreements.key": RuleText(
        "该公钥不是签约方 {0} 有效的声明公钥", "the key is no active assertion key of the party {0}"
    ),
    "agreements.signature": RuleText("签约方 {0} 的签名无效", "the signature of the party {0} does not verify"),
    "agreements.quota": RuleText("账户今天已达上限 {0} 笔", "the account has made {0} of these today, the most it may"),
}
