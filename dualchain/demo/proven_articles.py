"""Which articles of the guideline the evidence shows, each with a transaction of it (docs/spec/guideline.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dualchain.demo.evidence import Evidence
from dualchain.demo.govdata_story import NAME
from dualchain.demo.layout import MARKETS, SUPERVISORY

Row = dict[str, Any]
BELOW = "markets"

SHOWN_BY: Mapping[int, tuple[tuple[str, str, str], ...]] = {
    4: ((SUPERVISORY, "chains", "register"), (SUPERVISORY, "chains", "admit")),
    5: ((SUPERVISORY, "directives", "confirm"),),
    6: ((SUPERVISORY, "chains", "file_report"), (SUPERVISORY, "chains", "accept_evidence")),
    8: ((SUPERVISORY, "desk", "approve_filing"), (BELOW, "templates", "approve")),
    10: ((SUPERVISORY, "chains", "register"),),
    11: ((BELOW, "identities", "take_code"), (BELOW, "identities", "create")),
    13: ((SUPERVISORY, "desk", "record_patch"),),
    14: ((SUPERVISORY, "desk", "give_notice"),),
    15: ((SUPERVISORY, "chains", "accept_evidence"),),
    17: ((BELOW, "data", "publish"), (BELOW, "data", "seal"), (BELOW, "data", "describe")),
    19: ((SUPERVISORY, "services", "record_access"), (SUPERVISORY, "services", "record_batch")),
    20: ((BELOW, "templates", "call"),),
    21: ((SUPERVISORY, "services", "online"),),
    22: ((SUPERVISORY, "services", "file_report"), (SUPERVISORY, "services", "confirm")),
    25: ((SUPERVISORY, "risk", "set_threshold"), (SUPERVISORY, "risk", "assess")),
    24: ((SUPERVISORY, "desk", "close_inspection"),),
}
"""Article -> (chain, contract, method) of final transactions that show it; ``markets`` stands for both chains."""


def articles(evidence: Evidence) -> list[Row]:
    """One row an article, in their order, with the first transaction of each kind; the guideline's report says more."""
    followed = [row for market in MARKETS for row in _proven(evidence, SUPERVISORY, f"following {market}")]
    rows: list[Row] = [
        {"article": 3, "headers": followed},
        {"article": 12, "headers": _proven(evidence, "BJ", NAME)},
        {"article": 7, "headers": _certified(evidence, "validators")},
        {"article": 9, "headers": _certified(evidence, "signatures")},
        {"article": 16, "headers": _certified(evidence, "entities")},
    ]
    for number, shown_by in SHOWN_BY.items():
        found = [row for wanted in shown_by if (row := _first(evidence, *wanted)) is not None]
        if found:
            rows.append({"article": number, "transactions": found})
    return sorted(rows, key=lambda row: int(str(row["article"])))


def _proven(evidence: Evidence, chain: str, name: str) -> list[Row]:
    """The header under which values were proven."""
    height = evidence.heights[chain, name]
    return [{"chain": chain, "height": height, "header": evidence.hashes[chain][height].hex(), "values": name}]


def _certified(evidence: Evidence, what: str) -> list[Row]:
    """The highest header of each chain: its certificate was verified when the evidence was read."""
    rows = []
    for chain, view in sorted(evidence.views.items()):
        members, height = view.genesis.validators, max(evidence.hashes.get(chain, {0: b""}))
        count = {
            "validators": members.n,
            "signatures": members.q,
            "entities": len({one.entity for one in members.validators}),
        }[what]
        header = evidence.hashes.get(chain, {}).get(height, b"").hex()
        rows.append({"chain": chain, "height": height, "header": header, what: count})
    return rows


def _first(evidence: Evidence, where: str, contract: str, method: str) -> Row | None:
    for chain in MARKETS if where == BELOW else (where,):
        for transaction, _ in evidence.operations(chain, contract, method):
            if not transaction.receipt.code:
                return {
                    "chain": chain,
                    "height": transaction.header.height,
                    "transaction": transaction.receipt.transaction_id.hex(),
                    "method": f"{contract}.{method}",
                }
    return None
