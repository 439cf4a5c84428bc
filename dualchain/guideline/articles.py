"""Which articles are checked, and which are named only (docs/spec/guideline.md §3)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import cast

from dualchain.guideline import (
    article_03,
    article_04,
    article_05,
    article_06,
    article_07,
    article_08,
    article_09,
    article_10,
    article_11,
    article_12,
    article_13,
    article_14,
    article_15,
    article_16,
    article_17,
    article_18,
    article_19,
    article_20,
    article_21,
    article_22,
    article_24,
    article_25,
    article_26,
)
from dualchain.guideline.examination import Examination, Text

Check = Callable[[Examination], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Article:
    """One article with its check."""

    number: int
    requirement: Text
    check: Check


def _article(module: ModuleType) -> Article:
    number = int(module.__name__.rpartition("_")[2])
    return Article(number, cast(Text, module.REQUIREMENT), cast(Check, module.check))


_MODULES = (
    article_03,
    article_04,
    article_05,
    article_06,
    article_07,
    article_08,
    article_09,
    article_10,
    article_11,
    article_12,
    article_13,
    article_14,
    article_15,
    article_16,
    article_17,
    article_18,
    article_19,
    article_20,
    article_21,
    article_22,
    article_24,
    article_25,
    article_26,
)
ARTICLES: Mapping[int, Article] = {article.number: article for article in map(_article, _MODULES)}

NAMED: Mapping[int, Text] = {
    1: Text("目的与依据", "purpose and basis"),
    2: Text(
        "应用导向：服务中小微企业、强化合规风控、增强监管能力、保障金融安全",
        "aim: service for small firms, compliance, supervision, financial security",
    ),
    23: Text("省级人民政府的政策支持", "support by provincial governments"),
}
"""Purpose and policy: there is nothing in them that software could show."""
