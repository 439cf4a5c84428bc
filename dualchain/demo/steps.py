"""The story's steps as the summary tells them: for each, what the evidence proves, in numbers."""

from __future__ import annotations

from collections import Counter
from typing import Any

Row = dict[str, Any]


def steps_of(summary: Row) -> list[Row]:
    """One row a step: its name, what was verified, the numbers. Pure, from the rest of the summary."""
    markets: dict[str, Row] = summary["markets"]
    return [
        _genesis(summary),
        _nodes(summary["chains"]),
        _registration(summary["registration"]),
        _custody(markets),
        _admission(summary["admissions"]),
        _step(
            "forgeries",
            "altered headers and certificates were refused by the supervisory chain, each by its rule",
            refused=len(summary["forgeries_refused"]),
        ),
        _directives(summary["border"]),
        _step(
            "filing",
            "a template of a market's own runs with the tree and the source that two officers approved",
            **summary["own_template"],
        ),
        _transfers(markets),
        _step(
            "identity",
            "one investor has one code in both markets, and each market's DID stands on the supervisory chain too",
            **summary["identity"],
        ),
        _step(
            "data",
            "each data object lies where its tier says: in plain, sealed, or off the chain with its commitment on it",
            tiers=summary["data_tiers"],
        ),
        _supervision(summary["border"]),
        *_services(summary["services"]),
        _step(
            "government data",
            "an enterprise's data were used as often as it had authorised, each use with the bureau's receipt",
            **summary["government_data"],
        ),
        _desk(summary["desk"]),
        _step(
            "risk",
            "an indicator above its threshold raised an alarm and a case; below it the alarm was cleared",
            alarms=summary["risk_alarm"],
        ),
        _reconciliation(markets),
        _articles(summary["articles"]),
    ]


def _step(name: str, verified: str, **numbers: object) -> Row:
    return {"step": name, "verified": verified, **numbers}


def _genesis(summary: Row) -> Row:
    text = "each chain's genesis document hashes to the identity that all its signatures and headers name"
    return _step(
        "genesis",
        text,
        chains=len(summary["chains"]),
        run_day=summary["run_day"],
        run_day_opened_by_genesis=summary["run_day_opened_by_genesis"],
    )


def _nodes(chains: dict[str, Row]) -> Row:
    text = "headers certified by a quorum of their chain's validators, receipts proven under them, signatures checked"
    return _step(
        "chains",
        text,
        validators=sum(row["validators"] for row in chains.values()),
        headers_certified=sum(row["headers_certified"] for row in chains.values()),
        receipts_proven=sum(row["receipts_proven"] for row in chains.values()),
    )


def _registration(found: Row) -> Row:
    text = "market chains stand in the supervisory chain's state as admitted; bad applications were refused by rule"
    return _step("registration", text, admitted=len(found["admitted"]), refused=len(found["refused"]))


def _custody(markets: dict[str, Row]) -> Row:
    text = "every holder roll on chain is complete and equal to roll.csv, client money equal to cash.csv"
    rolls = [books for row in markets.values() for books in row["securities"].values()]
    return _step(
        "custody",
        text,
        investors=sum(row["investors"] for row in markets.values()),
        rolls=len(rolls),
        holdings=sum(books["holders_before"] for books in rolls),
        deposited_fen=sum(row["cash"]["deposited_fen"] for row in markets.values()),
    )


def _admission(found: dict[str, Row]) -> Row:
    text = "each market was admitted by two officers, on a joint test's report and on evidence of every kind"
    return _step(
        "admission",
        text,
        markets=len(found),
        testers=sorted({row["tester"] for row in found.values()}),
        documents_accepted=sum(len(row["evidence"]) for row in found.values()),
    )


def _desk(found: list[Row]) -> Row:
    text = "notices, inspections, advisories stand on chain step by step, closed by another than who opened them"
    return _step("desk", text, records={row["subject"]: row["state"] for row in found})


def _articles(found: list[Row]) -> Row:
    text = "articles of the guideline that this evidence shows, each with final transactions or certified headers"
    return _step("articles", text, shown=[row["article"] for row in found])


def _directives(border: dict[str, Row]) -> Row:
    text = "each directive was executed by its market's chain and acknowledged with a proven packet"
    return _step("directives", text, acknowledged=sum(len(row["directives"]) for row in border.values()))


def _transfers(markets: dict[str, Row]) -> Row:
    text = "each order of orders.csv has proven receipts signed by its parties: settled in full, or refused by a rule"
    refused = Counter(
        order["rule"] for row in markets.values() for order in row["orders"] if order["outcome"] == "refused"
    )
    return _step(
        "transfers",
        text,
        orders=sum(len(row["orders"]) for row in markets.values()),
        settled=sum(row["orders_settled"] for row in markets.values()),
        refused_by_rule=dict(sorted(refused.items())),
    )


def _supervision(border: dict[str, Row]) -> Row:
    text = "the supervisory chain followed each market to a header that is the market's own, and took its reports"
    return _step(
        "supervision",
        text,
        followed={market: row["followed_height"] for market, row in border.items()},
        reports=sum(row["reports"] for row in border.values()),
        transactions_reported=sum(row["transactions_reported"] for row in border.values()),
    )


def _services(found: Row) -> list[Row]:
    text = "a service's life from draft to call, with its records in the supervisory chain's state"
    return [_step("services", text, **found)] if found else []


def _reconciliation(markets: dict[str, Row]) -> Row:
    text = "roll before + settled orders = roll after, holder by holder; deposits and payments give the money after"
    rolls = [books for row in markets.values() for books in row["securities"].values()]
    return _step(
        "reconciliation",
        text,
        securities=len(rolls),
        holders_after=sum(books["holders_after"] for books in rolls),
        units_moved=sum(books["moved"] for books in rolls),
        paid_fen=sum(row["cash"]["paid_fen"] for row in markets.values()),
    )
