"""How a template is refused at filing, and how a call of it ends early (docs/spec/tpl-1.md §9).

Reasons are stable words: they stand in receipts and in the reports of reviewers.
"""

from __future__ import annotations

from typing import NoReturn


class TemplateRefused(Exception):
    """A source or tree is no template of this language. ``line`` counts from 1; 0 is the file as a whole."""

    def __init__(self, reason: str, line: int, detail: str) -> None:
        super().__init__(f"line {line}: {reason}: {detail}" if line else f"{reason}: {detail}")
        self.reason = reason
        self.line = line
        self.detail = detail


class Abort(Exception):
    """A call ended: ``reason`` is one of ``ABORTS``, ``line`` the template's."""

    def __init__(self, reason: str, line: int) -> None:
        super().__init__(reason, line)
        self.reason = reason
        self.line = line


ABORTS = {
    "fuel": ("执行步数超限", "the call used up its fuel"),
    "memory": ("内存用量超限", "the call used up its memory"),
    "integer_range": ("整数超出范围", "an integer left its range"),
    "too_long": ("字符串、列表或字典过长", "a string, list or dict became too long"),
    "too_deep": ("数据嵌套过深", "a value is nested too deeply"),
    "wrong_type": ("数据类型不符", "an operation does not fit the type of its value"),
    "no_such_item": ("下标或键不存在", "there is no such index or key"),
    "bad_key": ("字典键不合规", "a dict's key is text, or an integer in 0..2^60-1"),
    "division_by_zero": ("除数为零", "division by zero"),
    "not_a_number": ("文本不是整数", "the text is no integer"),
    "not_ascii": ("文本含非 ASCII 字符", "the operation takes ASCII text only"),
    "bad_argument": ("操作参数缺失或超出限制", "an argument of an operation is missing or outside its limits"),
    "locked": ("常量或遍历中的数据不可修改", "a constant, or what a loop runs over, cannot be changed"),
}
"""Every reason of an :class:`Abort`, with its text in Chinese and English."""


def refuse(reason: str, line: int, detail: str) -> NoReturn:
    """Raises :class:`TemplateRefused`."""
    raise TemplateRefused(reason, line, detail)
