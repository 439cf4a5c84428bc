"""The market rules as data: what each says, where it comes from, which movements it judges (docs/spec/kernel.md §4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from chain_core.codec.values import decode_map
from chain_core.execution.contract import RuleText
from chain_core.types.values import Value
from contracts.kernel.moves import MoveKind

HOLDER_CAP, TRADE_GAP_DAYS = "holder_cap", "trade_gap_days"
RULE_PARAMETERS: dict[str, int] = {HOLDER_CAP: 200, TRADE_GAP_DAYS: 5}
"""On-chain parameters of the rules; used where a genesis document does not set them."""
PARAMETER_BOUNDS: dict[str, tuple[int, int]] = {HOLDER_CAP: (2, 200), TRADE_GAP_DAYS: (5, 250)}
"""A market's own governors may only be stricter than the regulation: fewer holders, more days."""

_MEASURES = "《区域性股权市场监督管理试行办法》（证监会令第132号）"
_NOTICE = "国办发〔2017〕11号《关于规范发展区域性股权市场的通知》"
_EVERY = tuple(MoveKind)
_MOVED = (MoveKind.TRADE, MoveKind.NON_TRADE, MoveKind.ISSUE, MoveKind.CANCELLATION)
_GROWING = (MoveKind.REGISTRATION, MoveKind.TRADE, MoveKind.NON_TRADE, MoveKind.ISSUE, MoveKind.ENTITLEMENT)
_BOUGHT = (MoveKind.TRADE, MoveKind.ISSUE)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. ``judges`` are the kinds of movement it applies to, ``parameters`` the on-chain ones it reads,
    ``refusal`` the text of a receipt that names it.
    """

    id: str
    article: str
    zh: str
    en: str
    judges: tuple[MoveKind, ...]
    parameters: tuple[str, ...]
    refusal: RuleText


RULES: tuple[Rule, ...] = (
    Rule(
        "csrc.frozen_security",
        "监管指令、司法协助执行",
        "被冻结的证券不得变动",
        "shares of a frozen security do not move",
        _EVERY,
        (),
        RuleText("证券 {0} 已被冻结", "security {0} is frozen"),
    ),
    Rule(
        "csrc.frozen_party",
        "监管指令、司法协助执行",
        "被冻结的主体不得转出或转入证券，不得办理业务",
        "a frozen party's holdings do not move, in or out, and it does no business",
        _MOVED,
        (),
        RuleText("主体 {0} 已被冻结（指令 {1}）", "party {0} is frozen by directive {1}"),
    ),
    Rule(
        "csrc.trading_day",
        _MEASURES,
        "证券转让在交易日进行；非交易登记不受此限",
        "trades are made on trading days; non-trade registration on any day",
        (MoveKind.TRADE,),
        (),
        RuleText("第 {0} 日不是交易日", "day {0} is no trading day"),
    ),
    Rule(
        "csrc.qualified_investor",
        _MEASURES,
        "买方在成交时应为合格投资者，证明在有效期内",
        "the buyer is a qualified investor at trade time, with a proof that has not expired",
        _BOUGHT,
        (),
        RuleText(
            "买方 {0} 不是合格投资者：证明有效期至第 {1} 日，成交日为第 {2} 日（0 为无证明）",
            "buyer {0} is no qualified investor: proof valid through day {1}, trade on day {2} (0: no proof)",
        ),
    ),
    Rule(
        "csrc.trade_gap",
        _NOTICE,
        "同一投资者买入后卖出、卖出后买入同一证券，间隔不得少于规定的交易日数",
        "one party's buy and sale of a security lie the set number of trading days apart, in either order",
        _BOUGHT,
        (TRADE_GAP_DAYS,),
        RuleText(
            "{0} 对证券 {1} 的上一次反向成交在第 {2} 日，距今 {3} 个交易日，不足 {4} 个",
            "{0} traded security {1} the other way on day {2}, {3} trading days ago; {4} are needed",
        ),
    ),
    Rule(
        "csrc.holder_cap",
        _MEASURES,
        "单只证券持有人不得超过规定人数，穿透并合并分期发行计算；存量超限的名册只减不增",
        "a security has at most the set number of holders, looked through vehicles and merged over staged issues; a "
        "legacy register above it may only shrink",
        _GROWING,
        (HOLDER_CAP,),
        RuleText(
            "证券 {0} 的持有人将达 {1} 人，上限 {2} 人", "security {0} would have {1} holders, at most {2} are allowed"
        ),
    ),
    Rule(
        "csrc.lock_up",
        "《公司法》、限售承诺",
        "限售期内的股份不得转让；可以质押、司法冻结，非交易过户时限售随股份转移",
        "locked shares are not sold before their day; they may be pledged or frozen, and stay locked when they pass by "
        "non-trade transfer",
        (MoveKind.TRADE,),
        (),
        RuleText(
            "{0} 持有证券 {1} 限售 {2}，变动后只剩 {3}",
            "{0} has {2} of security {1} locked up, only {3} would be left",
        ),
    ),
    Rule(
        "csrc.security_status",
        _MEASURES,
        "停牌、摘牌的证券不得转让",
        "a suspended or delisted security is not traded",
        (),
        (),
        RuleText("证券 {0} 状态为 {1}，不得转让", "security {0} is not traded: its status is {1}"),
    ),
    Rule(
        "csrc.instrument",
        _MEASURES,
        "只登记股票、可转换为股票的公司债券和国务院有关部门认可的其他证券",
        "only shares, convertible bonds and what the State has approved are registered",
        (),
        (),
        RuleText("证券品种 {0} 不在许可范围", "instruments of kind {0} are not permitted"),
    ),
    Rule(
        "csrc.investor_proof",
        _MEASURES,
        "合格投资者中的自然人金融资产不低于 50 万元，且具有 2 年以上金融投资经历",
        "a natural person has financial assets of at least 500,000 yuan and two years' experience of investing",
        (),
        (),
        RuleText(
            "{0} 的证明不足：金融资产 {1} 分，投资经历 {2} 个月",
            "the proof of {0} does not suffice: financial assets of {1} fen, {2} months of experience",
        ),
    ),
    Rule(
        "csrc.encumbered",
        "《民法典》、司法协助执行",
        "质押、冻结、锁定的证券不得变动",
        "pledged, frozen and held shares do not move",
        (),
        (),
        RuleText(
            "{0} 持有证券 {1} 可用 {2}，质押 {3}，冻结 {4}；需要 {5}",
            "{0} holds of security {1}: available {2}, pledged {3}, frozen {4}; {5} are needed",
        ),
    ),
    Rule(
        "csrc.province",
        _MEASURES,
        "不得为所在省级行政区域外企业的证券提供服务",
        "no service to enterprises outside the market's province",
        (),
        (),
        RuleText("企业所在地 {0} 不在本市场区域 {1}", "the enterprise is in {0}, this market serves {1}"),
    ),
)

RULE_IDS = tuple(rule.id for rule in RULES)
ALWAYS = ("csrc.frozen_security", "csrc.frozen_party", "csrc.encumbered", "csrc.lock_up")
"""Rules without an effective date: a directive, a pledge or a lock-up binds from its first block."""
REFUSALS: Mapping[str, RuleText] = {rule.id: rule.refusal for rule in RULES}


def rules_document(effective_from: Mapping[str, int] | None = None) -> dict[str, Value]:
    """The genesis document ``rules``. ``effective_from`` maps rule ids to days (0 when absent). ValueError for a
    stranger.
    """
    days = dict(effective_from or {})
    if set(days) - set(RULE_IDS) or set(days) & set(ALWAYS):
        raise ValueError(
            f"no effective date can be set for {sorted((set(days) - set(RULE_IDS)) | (set(days) & set(ALWAYS)))}"
        )
    return {
        rule.id: {
            "article": rule.article,
            "effective_from": days.get(rule.id, 0),
            "zh": rule.zh,
            "en": rule.en,
            "parameters": rule.parameters,
        }
        for rule in RULES
    }


def effective_days(raw: bytes) -> dict[str, int]:
    """Rule id -> first day in force, from the state value ``rules``."""
    rows = cast(Mapping[str, Mapping[str, int]], decode_map(raw, "rules"))
    return {name: row["effective_from"] for name, row in rows.items()}
