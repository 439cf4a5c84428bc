"""Chinese and English text of receipts, for API and CLI; execution never touches text (docs/spec/execution.md §5)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from chain_core.codec.seen import state_key
from chain_core.execution.codes import FIRST_OPERATION_CODE, Code
from chain_core.execution.contract import Contract, Hook, RuleText
from chain_core.types.values import Value

Read = Callable[[bytes], bytes | None]
LANGUAGES = ("zh", "en")
_PLACE = re.compile(r"\{(\d)\}")

CODE_TEXTS: Mapping[Code, RuleText] = {
    Code.OK: RuleText("成功", "done"),
    Code.DUPLICATE: RuleText(
        "该交易已在高度 {1} 序号 {2} 处理", "this transaction was ordered already, at height {1}, index {2}"
    ),
    Code.NONCE_USED: RuleText(
        "该账户的序号已被交易 {0} 使用（高度 {1} 序号 {2}），请换用新的序号重新签名",
        "the account used this nonce for transaction {0} (height {1}, index {2}): sign again with a fresh one",
    ),
    Code.EXPIRED: RuleText(
        "交易已过有效期（区块时间 {0}），请重新签名提交", "expired at block time {0}: sign again and submit"
    ),
    Code.NOT_YET: RuleText("有效期过长，最迟不得超过 {0}", "valid for too long: valid_until_ms may be at most {0}"),
    Code.UNKNOWN_ACCOUNT: RuleText("账户 {0} 不存在", "there is no account {0}"),
    Code.UNAUTHORISED: RuleText(
        "签名公钥无权代表账户 {0}（未登记、已撤销、用途不符或账户非正常状态）",
        "the signing key may not act for account {0}: not attached, revoked, of another purpose, or account not active",
    ),
    Code.WRONG_LEDGER: RuleText("账本编号不符，本账本为 {0}", "signed for another ledger, this is ledger {0}"),
    Code.UNKNOWN_CONTRACT: RuleText("合约 {0} 不存在", "there is no contract {0}"),
    Code.UNKNOWN_METHOD: RuleText("合约 {0} 没有方法 {1}", "contract {0} has no method {1}"),
    Code.BAD_ARGUMENTS: RuleText(
        "{0}.{1} 的参数 {2} 缺失、多余或超出限制", "argument {2} of {0}.{1} is missing, unknown or outside its limits"
    ),
    Code.MIXED_LANES: RuleText(
        "一笔交易不得混合不同通道的操作", "a transaction may not mix operations of different lanes"
    ),
    Code.FORBIDDEN: RuleText("账户没有调用 {0}.{1} 所需的角色", "the account lacks the role to call {0}.{1}"),
    Code.REFUSED_BY_RULE: RuleText("被规则拒绝", "refused by a rule"),
    Code.SKIPPED: RuleText(
        "共识节点法定多数同意跳过：执行该交易会使系统出错", "skipped by a quorum: executing it breaks the engine"
    ),
    Code.LIMIT: RuleText("超出限额 {0}", "above the limit of {0}"),
}


class Messages:
    """The texts of one assembly: codes, the rules its contracts and hooks registered, and those that contracts have on
    the chain (a template filed later brings its own).
    """

    def __init__(self, contracts: Sequence[Contract], hooks: Sequence[Hook] = ()) -> None:
        self.rules: dict[str, RuleText] = {}
        self._contracts = tuple(contracts)
        for rules in (*(contract.rules for contract in contracts), *(hook.rules for hook in hooks)):
            self.rules.update(rules)

    def render(self, code: int, rule: str, parameters: Sequence[Value], language: str, get: Read | None = None) -> str:
        """One line for people. ``language`` is "zh" or "en"; unknown codes and rules by number and id. ``get``
        reads the latest state by full key: without it only this build's texts are known.
        """
        if language not in LANGUAGES:
            raise ValueError(f"language {language}: one of {', '.join(LANGUAGES)}")
        try:
            known = Code(code)
        except ValueError:
            return f"{code} {rule} {_shown(list(parameters))}".strip()
        place, params = -1, list(parameters)
        if known >= FIRST_OPERATION_CODE and params and isinstance(params[0], int):
            place, params = params[0], params[1:]
        text = self.rules.get(rule) or self._on_chain(rule, get) or CODE_TEXTS[known]
        line = _filled(text.zh if language == "zh" else text.en, params)
        if rule:
            line += f"（{rule}）" if language == "zh" else f" ({rule})"
        if place < 0:
            return line
        return f"第 {place + 1} 项操作：{line}" if language == "zh" else f"operation {place + 1}: {line}"

    def _on_chain(self, rule: str, get: Read | None) -> RuleText | None:
        """What a contract says of a rule that this build does not know."""
        if not rule or get is None:
            return None
        read = get
        for contract in self._contracts:
            text = contract.text_of(rule, lambda key, name=contract.name: read(state_key(name, key)))  # type: ignore[misc]
            if text is not None:
                return text
        return None


def _shown(value: Value) -> str:
    """A parameter as people read it: ids and hashes in hexadecimal."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_shown(item) for item in value) + "]"
    return str(value)


def _filled(text: str, params: Sequence[Value]) -> str:
    def parameter(place: re.Match[str]) -> str:
        number = int(place[1])
        return _shown(params[number]) if number < len(params) else place[0]

    return _PLACE.sub(parameter, text)
