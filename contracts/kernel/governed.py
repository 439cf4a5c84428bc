"""The kernel's governed data: calendar, rules, market, and investors' suitability (docs/spec/kernel.md §2, §3.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from chain_core.codec.values import encode_value
from chain_core.execution.context import CallContext
from chain_core.execution.overlay import Namespace
from chain_core.types.genesis import Genesis
from chain_core.types.values import Value
from contracts.hooks.rules import ALWAYS, PARAMETER_BOUNDS, RULE_IDS, rules_document
from contracts.hooks.today import today
from contracts.kernel.calendar import MAX_DAY, TradingCalendar, day_of, decode_calendar, wrong_days
from contracts.kernel.four_eyes import require_second_house
from contracts.kernel.parties import require_active
from contracts.kernel.records import CALENDAR, MARKET, RULES, SUITABILITY, Suitability, encode_suitability

DAY_LISTS = ("holidays", "workdays", "opened")
PERSON, PERSON_ASSETS_FEN, PERSON_EXPERIENCE_MONTHS = 1, 50_000_000, 24
"""What a natural person proves: 500,000 yuan of financial assets, two years."""
_RULE_FIELDS = {"article", "effective_from", "zh", "en", "parameters"}


def write_genesis(genesis: Genesis, writer: CallContext) -> None:
    """Market code, documents ``calendar`` and ``rules``, and the bounds of the rules' parameters."""
    writer.put(MARKET, genesis.market.encode("ascii"))
    writer.put(CALENDAR, _calendar(writer, genesis.documents.get("calendar", {})).encode())
    rules = genesis.documents.get("rules", rules_document())
    if not _is_rules(rules):
        writer.refuse("kernel.bad_genesis", "documents.rules")
    writer.put(RULES, encode_value(rules))
    for name, (low, high) in PARAMETER_BOUNDS.items():
        if name in genesis.parameters and not low <= genesis.parameters[name] <= high:
            writer.refuse("kernel.bad_genesis", f"parameters.{name}")


def _calendar(writer: CallContext, document: Value) -> TradingCalendar:
    if not isinstance(document, dict) or not set(document) <= set(DAY_LISTS):
        writer.refuse("kernel.bad_genesis", "documents.calendar")
    lists = {name: document.get(name, []) for name in DAY_LISTS}
    wrong = next((name for name, days in lists.items() if not isinstance(days, list)), None) or wrong_days(lists)
    if wrong is not None:
        writer.refuse("kernel.bad_genesis", f"documents.calendar.{wrong}")
    return _from_lists(cast(Mapping[str, Sequence[int]], lists), 1)


def _from_lists(lists: Mapping[str, Sequence[int]], version: int) -> TradingCalendar:
    holidays, workdays, opened = (tuple(lists[name]) for name in DAY_LISTS)
    return TradingCalendar(holidays, workdays, opened, version)


def _is_rules(document: Value) -> bool:
    """Exactly this build's rules, each with its fields; freezes and encumbrances have no first day."""
    if not isinstance(document, dict) or set(document) != set(RULE_IDS):
        return False
    for name, row in document.items():
        if not isinstance(row, dict) or set(row) != _RULE_FIELDS:
            return False
        day = row["effective_from"]
        if type(day) is not int or not 0 <= day <= (0 if name in ALWAYS else MAX_DAY):
            return False
    return True


def set_calendar(space: Namespace, ctx: CallContext, lists: Mapping[str, Sequence[int]]) -> None:
    """The next version, for days after today only; a governor of another entity signs as well. Emits
    ``calendar_set``.
    """
    require_second_house(ctx)
    wrong = wrong_days(lists)
    if wrong is not None:
        ctx.refuse("kernel.bad_days", wrong)
    day = day_of(ctx.block.time_ms)
    old = decode_calendar(space.get(CALENDAR) or b"")
    for name, before in zip(DAY_LISTS, (old.holidays, old.workdays, old.opened), strict=True):
        if [d for d in before if d <= day] != [d for d in lists[name] if d <= day]:
            ctx.refuse("kernel.calendar_past", day)
    calendar = _from_lists(lists, old.version + 1)
    space.put(CALENDAR, calendar.encode())
    ctx.emit("calendar_set", version=calendar.version)


def set_suitability(space: Namespace, ctx: CallContext, rows: Sequence[Mapping[str, Value]]) -> None:
    """Records checked proofs; expires_day 0 withdraws one. Refuses with csrc.investor_proof a person whose attested
    assets or experience do not suffice. Emits ``suitability_set``.
    """
    checked = today(space, ctx).applies("csrc.investor_proof")
    for row in rows:
        account, expires, category = (cast(Any, row[name]) for name in ("account", "expires_day", "category"))
        if expires == 0:
            space.delete(SUITABILITY + account)
            continue
        require_active(ctx, account)
        assets_fen, months = cast(int, row.get("assets_fen", 0)), cast(int, row.get("experience_months", 0))
        if checked and category == PERSON and (assets_fen < PERSON_ASSETS_FEN or months < PERSON_EXPERIENCE_MONTHS):
            ctx.refuse("csrc.investor_proof", account, assets_fen, months)
        space.put(SUITABILITY + account, encode_suitability(Suitability(category, expires, assets_fen, months)))
    ctx.emit("suitability_set", rows=[[row["account"], row["category"], row["expires_day"]] for row in rows])
