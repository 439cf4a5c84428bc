"""The rules by which ``services`` refuses, in both languages (docs/spec/service-registry.md §3-§6)."""

from __future__ import annotations

from collections.abc import Mapping

from chain_core.execution.contract import RuleText

RULES: Mapping[str, RuleText] = {
    "services.not_admitted": RuleText("市场 {0} 没有已准入的地方业务链", "the market {0} has no admitted chain"),
    "services.not_your_market": RuleText(
        "账户未登记市场 {0} 的链，也未获登记人授权",
        "the account did not register the chain of market {0}, nor acts for who did",
    ),
    "services.exists": RuleText("该编号已有服务 {0}", "this reference has a service already, {0}"),
    "services.unknown": RuleText("服务 {0} 不存在", "there is no service {0}"),
    "services.not_publisher": RuleText("只有发布方 {0} 可以办理", "only the publisher {0} may do this"),
    "services.bad_endpoint": RuleText("端点地址 {0} 不是 主机:端口", "the endpoint {0} is not host:port"),
    "services.bad_definition": RuleText(
        "服务定义的 {0} 与其他字段不相容", "in the definition {0} does not go with the other fields"
    ),
    "services.not_listed": RuleText(
        "该服务未对市场 {0} 开放申请", "the service takes no applications from the market {0}"
    ),
    "services.wrong_state": RuleText("状态 {0} 下不能执行 {1}", "in the state {0} there is no {1}"),
    "services.suspended": RuleText(
        "服务已依监管指令 {0} 停用", "the service is halted by the regulator's directive {0}"
    ),
    "services.no_draft": RuleText("没有待测试的版本", "no version is in test"),
    "services.not_tested": RuleText(
        "版本 {0} 未通过联调测试，不得登记", "version {0} has no passing joint-test report for its definition"
    ),
    "services.not_announced": RuleText(
        "定义 {0} 与现行版本不兼容，须先向监管公告满 20 个工作日（或经豁免）并生效",
        "the definition {0} breaks the version in force: its notice has to be in force first"
        " (20 working days, or a waiver)",
    ),
    "services.not_independent": RuleText(
        "测试方 {0} 与发布方或使用方为同一账户或机构", "the tester {0} is publisher or consumer, or of their entities"
    ),
    "services.tested_it": RuleText(
        "机构“{0}”测试过该服务，不得申请使用", "the entity {0} tested this service and cannot consume it"
    ),
    "services.report_malformed": RuleText("联调测试报告不正确：{0}", "the joint-test report is wrong: {0}"),
    "services.report_differs": RuleText(
        "联调测试报告的 {0} 与待测版本不符", "the report's {0} is not that of the version in test"
    ),
    "services.report_signature": RuleText(
        "联调测试报告的签名无效", "the report is not signed by an assertion key of the tester"
    ),
    "services.report_unfounded": RuleText(
        "联调测试报告的结论没有依据：{0}", "the verdict is not borne out by the report: {0}"
    ),
    "services.report_log": RuleText(
        "联调测试报告与测试方经网关的访问记录不符", "the report is not about the tester's calls through the gateway"
    ),
    "services.not_assertion_key": RuleText(
        "公钥（SM3 {0}）不是该账户有效的 assertion 公钥",
        "the key with SM3 {0} is no active assertion key of the account",
    ),
    "services.certificate_differs": RuleText(
        "所交证书的 SM3 与申报不符", "SM3 of the first certificate is not the one that is named"
    ),
    "services.no_path": RuleText(
        "监管机构已指定证书颁发机构，须上传证书及其上级证书",
        "authorities are named: the certificate is uploaded with those above it",
    ),
    "services.not_marked": RuleText(
        "版本 {0} 登记时须附发布方对服务来源的签名", "version {0} is registered with the publisher's signed source mark"
    ),
    "services.offer_signature": RuleText(
        "服务来源标识的签名无效", "the source mark is not signed by the publisher's trusted key"
    ),
    "services.no_certificate": RuleText("账户 {0} 未上传可信证书", "account {0} has no trusted certificate"),
    "services.same_side": RuleText(
        "申请方与发布方为同一市场或机构", "the consumer is of the publisher's own market or entity"
    ),
    "services.no_application": RuleText("账户 {0} 没有申请", "account {0} has not applied"),
    "services.too_many_consumers": RuleText("申请方最多 {0} 个", "at most {0} consumers"),
    "services.record_malformed": RuleText("第 {0} 条访问记录不正确：{1}", "access record {0} is wrong: {1}"),
    "services.record_stale": RuleText(
        "第 {0} 条访问记录的调用时间 {1} 距区块时间过远", "the call of record {0}, of {1}, is too far from block time"
    ),
    "services.record_unknown": RuleText(
        "第 {0} 条访问记录的服务或调用方不存在或没有可信证书",
        "record {0} names no service, or a caller without certificate",
    ),
    "services.record_signature": RuleText(
        "第 {0} 条访问记录中{1}的签名无效", "in record {0} the signature of the {1} is not valid"
    ),
    "services.record_reply": RuleText("第 {0} 条访问记录的应答不符：{1}", "the reply of record {0} does not fit: {1}"),
    "services.record_denied": RuleText(
        "第 {0} 条访问记录的调用无权进行：{1}", "the call of record {0} is not allowed: {1}"
    ),
    "services.record_replayed": RuleText(
        "第 {0} 条访问记录的调用编号 {1} 已使用", "call id {1} of record {0} was used before"
    ),
}
