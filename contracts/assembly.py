"""The market's contracts, hooks, grants and genesis documents for a local chain's assembly (docs/spec/kernel.md §1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chain_core.execution.contract import Contract, Hook
from chain_core.types.values import Value
from contracts.hooks.market_hook import MarketHook
from contracts.hooks.rules import RULE_PARAMETERS, rules_document
from contracts.kernel.calendar import wrong_days
from contracts.kernel.contract import Kernel
from contracts.kernel.records import KERNEL
from contracts.templates.catalogue import catalogue, template_documents
from contracts.templates.contract import TEMPLATES, Templates
from contracts.watch.catalogue import shipped_rules
from contracts.watch.contract import Watch
from contracts.watch.hook import WatchHook

OPERATOR, DEPOSITORY_BANK = "operator", "depository_bank"
MARKET_ROLES = (DEPOSITORY_BANK, OPERATOR)
"""Roles that the market's contracts ask for."""


def market_contracts() -> tuple[tuple[Contract, ...], tuple[Hook, ...]]:
    """Kernel, templates and supervision rules, and the hooks around their calls. They belong together: a hook halts a
    kernel without it.
    """
    filed = [(shipped.tree, shipped.compiled.template) for shipped in catalogue()]
    rules = shipped_rules()
    return (Kernel(), Templates(filed), Watch(rules)), (MarketHook(), WatchHook(rules))


def market_grants(*border: str) -> dict[str, Sequence[str]]:
    """Who may work in the kernel's state; ``border`` names the contracts that carry out directives."""
    return dict.fromkeys((TEMPLATES, MarketHook.name, *border), (KERNEL,))


def market_parameters() -> dict[str, int]:
    """On-chain parameters of the rules, for a genesis document."""
    return dict(RULE_PARAMETERS)


def market_documents(
    holidays: Sequence[int] = (),
    workdays: Sequence[int] = (),
    opened: Sequence[int] = (),
    *,
    effective_from: Mapping[str, int] | None = None,
    filing_numbers: Mapping[str, str] | None = None,
) -> dict[str, Value]:
    """Genesis documents ``calendar``, ``rules`` and ``templates``. Days are UTC+8 day numbers in any order.

    ``opened`` are days made trading days although weekday or holidays say otherwise. ``effective_from`` gives rules
    their first day, ``filing_numbers`` templates their number. ValueError for a calendar that contradicts itself.
    """
    calendar: dict[str, Sequence[Value]] = {
        "holidays": sorted(set(holidays)),
        "workdays": sorted(set(workdays)),
        "opened": sorted(set(opened)),
    }
    wrong = wrong_days(calendar)
    if wrong is not None:
        raise ValueError(f"the calendar's {wrong} are not day numbers, or contradict the holidays and weekends")
    return {
        "calendar": calendar,
        "rules": rules_document(effective_from),
        "templates": template_documents(filing_numbers),
    }
