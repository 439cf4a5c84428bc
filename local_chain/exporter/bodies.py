"""The parts of bodies that the chain decides, by kind (docs/spec/exporter.md §3). Names as published, model 2.0.0."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from functools import lru_cache
from typing import Any

from contracts.data_model.json_text import MAX_SAFE, Json, merge_patch, scaled, without_nulls

CNY = "156"
EQUITY_ACCOUNT, FUND_ACCOUNT = 1, 2
NORMAL, FROZEN, CLOSED = 1, 2, 3
"""Of an account."""
RIGHTS, ROSTER = 1, 2
NON_TRADE, TRADE = 1, 2
_CHINA = timezone(timedelta(hours=8))
_LAST_DAY = (date.max - date(1970, 1, 1)).days


DEFAULTS: Mapping[str, Json] = {
    "subject": {
        "subject_information": {
            "basic_information_subject": {
                "general_information_subject": {"subject_main_administrative_region": 0},
                "subject_qualification_information": [],
            }
        }
    },
    "account": {
        "account_information": {
            "basic_account_information": {"account_purpose": []},
            "account_cycle_information": {
                "account_opening_information": {"account_opening_doc": []},
                "account_cancellation_information": {"account_closing_doc": []},
                "freeze_information": {"account_frozen_doc": []},
                "unfreezing_information": {"account_thaw_doc": []},
            },
        }
    },
    "product": {
        "product_information": {
            "essential_information": {"service_provider_information": [], "product_file_information": []},
            "release_information": {"filing_information": []},
        }
    },
    "transactionreport": {"transaction_report_information": {"transaction_intermediary_information": []}},
}
"""What must stand in a body and may be empty."""


def whole(kind: str, attributes: Json, facts: Json) -> Json:
    """The body: what may be empty, under what is private, under what the chain says."""
    default = DEFAULTS.get(kind)
    if default is None and not attributes:
        return facts
    body: Json = merge_patch(merge_patch(default or {}, without_nulls(attributes)), facts)
    enterprise: Any = body
    for name in ("subject_information", "organization_subject_information", "basic_information_of_enterprise"):
        enterprise = enterprise.get(name, {}) if isinstance(enterprise, dict) else {}
    if kind == "subject" and enterprise:  # only where the group is filled at all
        enterprise.setdefault("leading_member_information", [])
        enterprise.get("basic_information_description", {}).setdefault("subject_shareholders_number", 0)
    return body


@lru_cache(maxsize=64)
def moment(time_ms: int) -> str:
    """A time as bodies carry it, with the offset of China."""
    return datetime.fromtimestamp(time_ms // 1_000, UTC).astimezone(_CHINA).isoformat()


def day(time_ms: int) -> str:
    """A date as bodies carry it, in China."""
    return moment(time_ms)[:10]


def subject(time_ms: int) -> Json:
    """A party; who it is comes from its attributes alone."""
    general = {"subject_id": "", "subject_create_time": moment(time_ms)}
    return {"subject_information": {"basic_information_subject": {"general_information_subject": general}}}


def holder_count(count: int) -> Json:
    """How many holders an issuer has."""
    description = {"subject_shareholders_number": count}
    group = {"basic_information_of_enterprise": {"basic_information_description": description}}
    return {"subject_information": {"organization_subject_information": group}}


def suitability(category: int, expires_day: int, certifier: str, time_ms: int) -> Json:
    """A checked proof of suitability; ``expires_day`` 0 withdraws."""
    row = {
        "subject_investor_qualification": category,
        "subject_investor_qualification_certifier_ref": certifier,
        "subject_investor_qualification_certificate_time": moment(time_ms),
        "subject_investor_qualification_status": expires_day > 0,
    }
    listed = [{"investor_suitability_information": [row]}]
    return {"subject_information": {"basic_information_subject": {"subject_qualification_information": listed}}}


def account(kind: int, number: str, subject_ref: str, depository_ref: str, time_ms: int, associated: str = "") -> Json:
    """A securities account, or a fund account that names it."""
    basic = {
        "account_subject_ref": subject_ref,
        "account_depository_ref": depository_ref,
        "account_number": number,
        "account_type": kind,
        "account_status": NORMAL,
        "account_create_time": moment(time_ms),
    }
    cycle: Json = {
        "account_opening_information": {"account_opening_date": day(time_ms)},
    }
    related: Json = {"account_associated_account_ref": associated} if associated else {}
    parts: Json = {"basic_account_information": basic, "account_cycle_information": cycle}
    return {"account_information": parts | {"account_related_information": related}}


def account_frozen(status: int, frozen: bool, directive: str, time_ms: int) -> Json:
    """A freeze of the party, or its end; ``status`` is what the account is then."""
    if frozen:
        group: Json = {"freeze_information": {"account_frozen_date": day(time_ms), "account_frozen_remark": directive}}
    else:
        group = {"unfreezing_information": {"account_thaw_date": day(time_ms), "account_thaw_remark": directive}}
    return {"account_information": {"basic_account_information": {"account_status": status}, **_cycle(group)}}


def account_closed(time_ms: int) -> Json:
    """The end of an account; what it still holds is another matter."""
    group: Json = {"account_cancellation_information": {"account_closing_date": day(time_ms)}}
    return {"account_information": {"basic_account_information": {"account_status": CLOSED}, **_cycle(group)}}


def _cycle(group: Json) -> Json:
    return {"account_cycle_information": group}


@dataclass(frozen=True, slots=True)
class ProductFacts:
    """What chain and market say of a security."""

    code: str
    name: str
    issuer_ref: str
    issuer_name: str
    market_ref: str
    market_name: str
    declared: int
    decimals: int


def product(facts: ProductFacts, time_ms: int) -> Json:
    """A security; its type and issue come from its attributes."""
    basic = {
        "product_trading_market_category": 0,
        "product_market_subject_ref": facts.market_ref,
        "product_market_subject_name": facts.market_name,
        "product_issuer_subject_ref": facts.issuer_ref,
        "product_code": facts.code,
        "product_name": facts.name,
        "product_scale": scaled(facts.declared, facts.decimals),
        "product_scale_currency": CNY,
        "product_create_time": moment(time_ms),
    }
    if facts.issuer_name:
        basic["product_issuer_name"] = facts.issuer_name
    return {"product_information": {"essential_information": {"basic_product_information": basic}}}


def product_status(status: int) -> Json:
    """The product's status code (docs/spec/exporter.md §3)."""
    return _of_product({"transaction_status": {"product_transaction_status": status}})


def product_listed(time_ms: int) -> Json:
    """The day from which it is traded, or traded again."""
    listed: Json = {"product_listing_date": day(time_ms)}
    return _of_product({"listing_information": listed, "delisting_information": None})


def product_delisted(time_ms: int) -> Json:
    """The day on which it was taken off the market."""
    return _of_product({"delisting_information": {"product_delisting_date": day(time_ms)}})


def product_deregistered(time_ms: int) -> Json:
    """The day on which its register ended."""
    return {"product_information": {"escrow_information": {"product_escrow_deregistration_date": day(time_ms)}}}


def product_layer(layer: int) -> Json:
    """The board it stands on."""
    basic: Json = {"product_trading_market_category": layer}
    return {"product_information": {"essential_information": {"basic_product_information": basic}}}


def product_scale(declared: int, decimals: int) -> Json:
    """How much of it there is."""
    basic: Json = {"product_scale": scaled(declared, decimals)}
    return {"product_information": {"essential_information": {"basic_product_information": basic}}}


def _of_product(group: Json) -> Json:
    return {"product_information": {"transaction_information": group}}


@dataclass(frozen=True, slots=True)
class Balance:
    """Available, pledged and frozen units."""

    available: int = 0
    pledged: int = 0
    frozen: int = 0

    @property
    def total(self) -> int:
        """The whole holding."""
        return self.available + self.pledged + self.frozen


def registration(
    refs: Mapping[str, str],
    kinds: tuple[int, int],
    before: Balance,
    after: Balance,
    decimals: int,
    ms: int,
    note: str = "",
) -> Json:
    """A holder's rights after a change, whole; ``refs`` are its references by name, ``kinds`` the codes of subject and
    event.
    """

    def change(name: str, old: int, new: int, before_name: str) -> Json:
        return {
            f"register_{name}_balance_change": scaled(new - old, decimals),
            before_name: scaled(old, decimals),
            f"register_{name}_balance_after": scaled(new, decimals),
        }

    description = {
        "register_time": moment(ms),
        "register_subject_type": kinds[0],
        "register_asset_type": 0,
        "register_asset_unit": 0,
        "register_asset_currency": CNY,
        "register_create_time": moment(ms),
        **refs,
    }
    rights = {
        "basic_information_description": description,
        "available_registration": change("asset", before.available, after.available, "register_asset_balance_before"),
        "pledge_registration": change("pledge", before.pledged, after.pledged, "register_pledge_balance_before"),
        "freezing_registration": change("frozen", before.frozen, after.frozen, "register_frozen_balance"),
        "description_status_information": {
            "register_source_type": 0,
            **({"register_asset_note": note} if note else {}),
        },
    }
    basic = {"register_object_type": RIGHTS, "register_event_type": kinds[1]}
    body = {"register_basic_information": basic, "registration_rights": {"basic_information_rights": rights}}
    return {"registration_information": body}


def roll(issuer_ref: str, product_ref: str, holders: list[tuple[str, int]], decimals: int, time_ms: int) -> Json:
    """The register when it became live: (subject reference, units) of each holder."""
    basic = {
        "register_subject_ref": issuer_ref,
        "register_product_ref": product_ref,
        "register_list_date": day(time_ms),
    }
    rows = [
        {"register_equity_subject_ref": ref, "register_equity_shareholding": scaled(units, decimals)}
        for ref, units in holders
    ]
    records = {
        "basic_information_roster": basic,
        "register_shareholders": rows,
        "register_creditors": [],
        "fund_investors": [],
    }
    kind = {"register_object_type": ROSTER, "register_event_type": NON_TRADE}
    return {"registration_information": {"register_basic_information": kind, "roll_records": records}}


def transfer(
    product_ref: str,
    source: str,
    target: str,
    kind: int,
    quantity: int | str,
    serial: str,
    ms: int,
    paid_fen: int = 0,
) -> Json:
    """A transfer between two holders; ``paid_fen`` for it in all, 0 without payment."""
    remark = {
        "transaction_market_type": 0,
        "transaction_type": kind,
        "transaction_method": 0,
        "transaction_create_time": moment(ms),
    }
    asset = {
        "asset_custody_state": {"transaction_product_custody_status": 1},
        "custody_asset_transaction": {"transaction_custody_product_ref": product_ref},
    }
    content = {
        "transaction_series_number": serial,
        "transaction_settlement_currency": CNY,
        "transaction_settlement_quantity": quantity,
        "transaction_settlement_time": moment(ms),
    }
    if paid_fen:
        content["transaction_settlement_price"] = scaled(paid_fen, 2)
    parties = {"transaction_investor_original_ref": source, "transaction_investor_counterparty_ref": target}
    return {
        "transaction_report_information": {
            "basic_transaction_information": {"basic_information_remark": remark, "trading_asset_information": asset},
            "transaction_information": {
                "transaction_content_information": content,
                "transaction_party_information": parties,
            },
        }
    }


def transfer_description(text: str) -> Json:
    """Why it happened, where the parties' own wish is not the reason."""
    remark = {"transaction_description": text}
    return {"transaction_report_information": {"basic_transaction_information": {"basic_information_remark": remark}}}


def settlement(kind: int, amount_fen: int, serial: str, payer: str, payee: str, time_ms: int) -> Json:
    """Money in (1), out (2) or between two parties (3); ``payer`` and ``payee`` are references or empty."""
    basic = {
        "settlement_type": kind,
        "settlement_serial_number": serial,
        "settlement_time": moment(time_ms),
        "settlement_currency": CNY,
        "settlement_value": scaled(amount_fen, 2),
        "settlement_information_maintenance_time": moment(time_ms),
    }
    body: Json = {"basic_information_capital_settlement": basic}
    if payer:
        body["transferor_information"] = {"settlement_out_account_object_ref": payer}
    if payee:
        body["transferee_information"] = {"settlement_in_account_object_ref": payee}
    return {"capital_settlement_information": body}


def disclosure(subject_ref: str, time_ms: int, said: Mapping[str, Any] | None = None) -> Json:
    """That something was disclosed, and what the chain says of it; the rest comes from its attributes."""
    basic = {"disclosure_subject_ref": subject_ref, "disclosure_submit_date": day(time_ms), **(said or {})}
    return {"disclosure_approval_information": {"disclosure_basic_information": basic}}


def date_of(day_number: int) -> str:
    """A day of the chain as a date; "" beyond the last one that a date has."""
    return "" if day_number > _LAST_DAY else (date(1970, 1, 1) + timedelta(day_number)).isoformat()


def plain(value: Any) -> Any:
    """A value of an event as JSON: bytes as hexadecimal, integers beyond 2^53 as text, maps without what is None."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return {str(name): plain(inner) for name, inner in value.items() if inner is not None}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, int) and abs(value) > MAX_SAFE:
        return str(value)
    return value
