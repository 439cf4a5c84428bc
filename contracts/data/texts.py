"""Texts of the refusals of ``data`` in both languages (docs/spec/data-tiers.md §4)."""

from __future__ import annotations

from collections.abc import Mapping

from chain_core.execution.contract import RuleText

RULES: Mapping[str, RuleText] = {
    "data.exists": RuleText("该编号已用于数据对象 {0}", "this reference stands for object {0} already"),
    "data.unknown": RuleText("没有数据对象 {0}", "there is no object {0}"),
    "data.not_owner": RuleText("数据对象属于账户 {0}", "the object is account {0}'s"),
    "data.not_custodian": RuleText("保管方是账户 {0}", "its custodian is account {0}"),
    "data.not_allowed": RuleText("只有所有者或监管方可以这样做", "only the owner or a regulator may do this"),
    "data.wrong_tier": RuleText("该操作不适用于 {0} 级数据", "this is not for data of the tier {0}"),
    "data.wrong_state": RuleText("数据对象状态为 {0}", "the object is {0}"),
    "data.wrong_version": RuleText("当前版本是 {0}", "the version in force is {0}"),
    "data.bad_sealed": RuleText(
        "密文长度 {0} 不属于任何规格，须先补齐", "{0} bytes are no sealed body of a size class: pad it first"
    ),
    "data.bad_wrap": RuleText("第 {0} 个密钥封装不是 SM2 密文：{1}", "wrap {0} is no SM2 ciphertext: {1}"),
    "data.bad_wraps": RuleText(
        "读者 {0} 须为每个保管方各有一个密钥封装", "reader {0} needs one wrap for each custodian"
    ),
    "data.no_reader": RuleText("账户 {0} 不存在或未生效", "account {0} does not exist or is not active"),
    "data.no_sealing_key": RuleText(
        "该公钥不是账户 {0} 的有效加密公钥", "the key is no active sealing key of account {0}"
    ),
    "data.other_key": RuleText(
        "授权是针对账户 {0} 的另一加密公钥", "the grant was wrapped for another sealing key of account {0}"
    ),
    "data.no_custodian": RuleText("账户 {0} 不是保管方", "account {0} is no custodian"),
    "data.own": RuleText("所有者本人无需授权", "the owner needs no grant"),
    "data.twice": RuleText("账户 {0} 重复列出", "account {0} is listed twice"),
    "data.too_many_readers": RuleText("读者最多 {0} 个", "at most {0} readers"),
    "data.expired": RuleText("授权截止时间 {0} 已过", "the grant would have ended at {0} already"),
    "data.no_grant": RuleText("账户 {0} 没有授权", "account {0} has no grant"),
    "data.grant_over": RuleText("账户 {0} 的授权已到期", "the grant of account {0} has ended"),
    "data.regulators_grant": RuleText(
        "账户 {0} 的授权由监管方作出，所有者不得变更",
        "the grant of account {0} is a regulator's: the owner cannot change it",
    ),
    "data.reseal": RuleText(
        "受限数据须以新版本重新密封才能撤回授权", "limited data is withdrawn by a new version, sealed for the rest"
    ),
    "data.held": RuleText("监管方要求留存，不得删除", "a regulator holds the object: it cannot be deleted"),
}
