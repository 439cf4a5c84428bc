"""The kernel's own refusals in both languages; those of the market rules stand with the rules
(contracts/hooks/rules.py).
"""

from __future__ import annotations

from collections.abc import Mapping

from chain_core.execution.contract import RuleText

TEXTS: Mapping[str, RuleText] = {
    "kernel.unknown_security": RuleText("证券 {0} 不存在", "there is no security {0}"),
    "kernel.unknown_party": RuleText("主体 {0} 未登记或非正常状态", "party {0} is not registered or not active"),
    "kernel.security_exists": RuleText(
        "该编号已登记为证券 {0}", "this reference is already registered as security {0}"
    ),
    "kernel.not_registrar": RuleText("证券 {0} 由他人登记", "security {0} is registered by somebody else"),
    "kernel.not_registering": RuleText("证券 {0} 已完成登记", "the registration of security {0} is complete"),
    "kernel.not_live": RuleText("证券 {0} 尚未完成登记", "the registration of security {0} is not complete"),
    "kernel.registered": RuleText("{0} 已登记持有证券 {1}", "{0} is in the register of security {1} already"),
    "kernel.not_registered": RuleText("{0} 未登记持有证券 {1}", "{0} is not in the register of security {1}"),
    "kernel.list_full": RuleText("{0} 的名册或持仓清单已满 {1} 项", "the list of {0} is full: {1} entries"),
    "kernel.future_day": RuleText("取得日 {0} 晚于当日 {1}", "acquired on day {0}, which is after today, {1}"),
    "kernel.above_declared": RuleText(
        "证券 {0} 登记合计将达 {1}，超过申报总数 {2}", "rows of security {0} would sum to {1}, declared are {2}"
    ),
    "kernel.sum_differs": RuleText(
        "证券 {0} 登记合计 {1} 与申报总数 {2} 不符", "rows of security {0} sum to {1}, declared are {2}"
    ),
    "kernel.same_party": RuleText("转出方与转入方同为 {0}", "{0} stands on both sides"),
    "kernel.not_accepted": RuleText(
        "受让方 {0} 未会签本次转让，也未声明接受转让",
        "{0} has neither signed this transfer nor accepted transfers in general",
    ),
    "kernel.insufficient": RuleText(
        "{0} 持有证券 {1} 共 {2}，需要 {3}", "{0} holds {2} of security {1}, {3} are needed"
    ),
    "kernel.insufficient_cash": RuleText(
        "{0} 可用资金 {1} 分，占用 {2} 分，需要 {3} 分", "{0} has {1} fen available and {2} held, {3} are needed"
    ),
    "kernel.too_much": RuleText("金额 {0} 分超出上限", "{0} fen are more than the ledger can hold"),
    "kernel.instruction_done": RuleText("银行指令 {0} 已执行", "bank instruction {0} was carried out before"),
    "kernel.owner_signs": RuleText("须由持有人 {0} 签名", "the owner {0} has to sign"),
    "kernel.bad_expiry": RuleText(
        "到期时间 {0} 应在 {1} 之后、{2} 之前", "expires at {0}, which is not between {1} and {2}"
    ),
    "kernel.hold_exists": RuleText("该编号已有锁定 {0}", "this reference has a hold already, {0}"),
    "kernel.unknown_hold": RuleText("锁定 {0} 不存在", "there is no hold {0}"),
    "kernel.hold_expired": RuleText("锁定 {0} 已于 {1} 到期", "hold {0} expired at {1}"),
    "kernel.other_controller": RuleText("锁定 {0} 由他方合约管理", "hold {0} is controlled by another contract"),
    "kernel.not_shares": RuleText("锁定 {0} 不是证券", "hold {0} is not of shares"),
    "kernel.not_for_you": RuleText("锁定 {0} 不是给 {1} 的证券", "hold {0} is not of shares for {1}"),
    "kernel.wrong_price": RuleText("价款应为 {0} 分，而非 {1} 分", "the price is {0} fen, not {1}"),
    "kernel.payment_missing": RuleText("交付 {0} 须同时付款 {1} 分", "delivery of {0} takes the payment of {1} fen"),
    "kernel.payment_differs": RuleText(
        "资金锁定 {1} 与证券锁定 {0} 不对应", "hold of cash {1} is not for the shares {0}"
    ),
    "kernel.not_party": RuleText("{0} 不是该锁定的当事方", "{0} is no party of this hold"),
    "kernel.pledge_exists": RuleText("该编号已有质押 {0}", "this reference has a pledge already, {0}"),
    "kernel.unknown_pledge": RuleText("质押 {0} 不存在", "there is no pledge {0}"),
    "kernel.not_pledgee": RuleText("只有质权人 {0} 可以解除质押", "only the pledgee {0} can end the pledge"),
    "kernel.bad_days": RuleText("日历 {0} 不正确", "the calendar's {0} are wrong"),
    "kernel.calendar_past": RuleText("不得更改第 {0} 日及以前的日历", "days up to {0} cannot be changed any more"),
    "kernel.four_eyes": RuleText("须由另一机构的治理成员会签", "a governor of another entity has to sign as well"),
    "kernel.bad_quantity": RuleText("数量 {0} 不正确", "{0} is no quantity"),
    "kernel.bad_directive": RuleText("指令编号应为 1 至 {0} 字节", "a directive's id has 1 to {0} bytes"),
    "kernel.frozen_already": RuleText("指令 {0} 的冻结已在执行", "directive {0} freezes this already"),
    "kernel.too_many_freezes": RuleText("冻结最多 {0} 项", "at most {0} freezes"),
    "kernel.no_such_freeze": RuleText("没有指令 {0} 的冻结", "directive {0} freezes nothing here"),
    "kernel.register_closed": RuleText(
        "证券 {0} 的名册自第 {1} 日起因公司行为关闭",
        "the register of security {0} is closed for a corporate action since day {1}",
    ),
    "kernel.bad_lot": RuleText(
        "限售类别 {0}、解除日 {1}、数量 {2} 不正确", "no lot: class {0}, release day {1}, quantity {2}"
    ),
    "kernel.too_many_lots": RuleText(
        "{0} 持有证券 {1} 的限售最多 {2} 笔", "{0} has at most {2} lock-up lots of security {1}"
    ),
    "kernel.locked_too_much": RuleText(
        "{0} 持有证券 {1} 限售将达 {2}，持有 {3}", "{0} would have {2} of security {1} locked, and holds {3}"
    ),
    "kernel.no_such_lot": RuleText(
        "{0} 持有证券 {1} 没有类别 {2}、解除日 {3}、数量 {4} 的限售",
        "{0} has no lock-up of security {1} of class {2} until day {3} with a quantity of {4}",
    ),
    "kernel.too_many_securities": RuleText("{0} 持有证券超过 {1} 只", "{0} holds more than {1} securities"),
    "kernel.not_of_family": RuleText("证券 {0} 不能作为 {1} 的后续分期发行", "security {0} is no further stage of {1}"),
    "kernel.register_not_empty": RuleText("证券 {0} 的名册已有持有人", "the register of security {0} has holders"),
    "kernel.unknown_order": RuleText("没有司法冻结 {0}", "no court's order {0} stands"),
    "kernel.order_exists": RuleText("该编号已有司法冻结 {0}", "this reference has an order already, {0}"),
    "kernel.bad_order_day": RuleText("到期日 {0} 应晚于 {1}", "the last day {0} has to be later than {1}"),
    "kernel.order_holds_less": RuleText("司法冻结 {0} 冻结 {1}、孳息 {2} 分", "order {0} holds {1} shares and {2} fen"),
    "kernel.order_stands": RuleText("有司法冻结 {0}", "the court's order {0} stands on this holding"),
    "kernel.too_many_pledges": RuleText("质押最多 {0} 笔", "at most {0} pledges"),
    "kernel.pledge_holds_less": RuleText("质押 {0} 现有 {1}、孳息 {2} 分", "pledge {0} holds {1} shares and {2} fen"),
    "kernel.unknown_resolution": RuleText("没有决议 {0}", "there is no resolution {0}"),
    "kernel.resolution_exists": RuleText("该编号已有决议 {0}", "this reference has a resolution already, {0}"),
    "kernel.other_resolution": RuleText(
        "决议 {0} 用途不同或由他方合约管理", "resolution {0} is for something else, or another contract's"
    ),
    "kernel.resolution_over": RuleText("决议 {0} 于第 {1} 日到期", "resolution {0} ended on day {1}"),
    "kernel.above_resolution": RuleText("决议 {0} 尚余 {2}，需要 {1}", "resolution {0} has {2} left, {1} are needed"),
    "kernel.bad_conversion": RuleText(
        "证券 {0} 不能按面值 {2} 分、转股价 {3} 分转换为 {1}",
        "security {0} is not converted into {1} at face {2} fen and price {3} fen",
    ),
    "kernel.not_reduced": RuleText("{0} 曾减少 {1}，不能恢复 {2}", "{0} was reduced by {1}, not by {2}"),
    "kernel.escrow_short": RuleText("{0} 备付 {1} 分，需要 {2} 分", "{0} has {1} fen held for it, {2} are needed"),
    "kernel.unknown_action": RuleText("没有公司行为 {0}", "there is no corporate action {0}"),
    "kernel.action_exists": RuleText("该编号已有公司行为 {0}", "this reference has a corporate action already, {0}"),
    "kernel.action_over": RuleText("公司行为 {0} 已办结", "corporate action {0} is over"),
    "kernel.no_action": RuleText("锁定 {0} 不妨碍公司行为", "no corporate action asks for the release of hold {0}"),
    "kernel.action_begun": RuleText("公司行为 {0} 已开始办理", "corporate action {0} has begun"),
    "kernel.action_early": RuleText(
        "公司行为 {0} 自第 {1} 日起办理", "corporate action {0} is carried out from day {1} on"
    ),
    "kernel.bad_terms": RuleText(
        "每 {0} 份派 {1} 分、增减 {2} 份不正确", "no terms: {1} fen and {2} units for each {0}"
    ),
    "kernel.held_in_action": RuleText(
        "{0} 持有证券 {1} 有未了结的锁定，尚差 {2}", "{0} has open holds of security {1}: {2} short"
    ),
    "kernel.bad_status": RuleText(
        "证券 {0} 状态为 {1}，不能变更为 {2}", "the status of security {0} is {1}, which {2} does not follow"
    ),
    "kernel.bad_layer": RuleText(
        "证券 {0} 层次为 {1}，不能变更为 {2}", "security {0} is on board {1} and cannot be moved to {2}"
    ),
    "kernel.not_enterprise": RuleText("{0} 未登记为企业", "{0} is not registered as an enterprise"),
    "kernel.bad_disclosure": RuleText("披露类型 {0}、可见层级 {1} 不正确", "no disclosure of type {0} and tier {1}"),
    "kernel.no_disclosure": RuleText("{0} 没有披露 {1}", "{0} has made no disclosure {1}"),
    "kernel.entry_differs": RuleText(
        "交易 {0} 第 {1} 笔此前所述不同", "entry {1} of transaction {0} was stated otherwise before"
    ),
    "kernel.above_entry": RuleText("更正 {0} 超过尚可更正的 {1}", "{0} are more than the {1} left to correct"),
    "kernel.bad_code": RuleText("投资者编码 {0} 不正确：{1}", "{0} is no investor code: {1}"),
    "kernel.code_taken": RuleText("编码 {0} 已对应主体 {1}", "the code {0} is that of {1} already"),
    "kernel.account_bound": RuleText("{0} 已绑定投资者编码 {1}", "{0} has the investor code {1} already"),
    "kernel.not_bound": RuleText("{0} 未绑定投资者编码", "{0} has no investor code"),
    "kernel.bad_genesis": RuleText("创世文件 {0} 不正确", "the genesis document is wrong at {0}"),
}
