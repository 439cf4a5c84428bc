"""What the evidence amounts to: one pure function over verified evidence, used by the run and by the verifier alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from chain_core.codec.genesis import genesis_hash
from chain_core.codec.proofs import packet_hash
from chain_core.codec.signed import derive_id
from chain_core.codec.values import decode_map
from chain_core.node.chain_view import ChainView
from chain_core.node.provision import genesis_account_id
from crosschain.following import decode_position
from crosschain.packets import (
    chain_record_key,
    client_key,
    count_in,
    directive_key,
    directive_next_key,
    read_acknowledgement,
)
from dualchain.demo.border import status_key, tally_key
from dualchain.demo.days import date_of, run_days
from dualchain.demo.evidence import Evidence, EvidenceRefused
from dualchain.demo.inputs import MarketDay, Order, read_market_day
from dualchain.demo.layout import MARKETS, SUPERVISORY, market_calendar
from dualchain.demo.market_setup import rolls_of
from dualchain.demo.observe import cash_of, roll_of
from dualchain.demo.proven_articles import articles
from dualchain.demo.regulated import regulated
from dualchain.demo.services import services_summary
from dualchain.demo.steps import steps_of

Row = dict[str, Any]
BEFORE, AFTER, CASH = "rolls before", "rolls after", "cash after"


def summarise(evidence: Evidence) -> Row:
    """The summary. EvidenceRefused when the evidence contradicts the inputs or itself."""
    check_chains(evidence.views)
    days = run_days(evidence.views[SUPERVISORY].genesis.time_ms)
    run_day = days[0]
    day = read_market_day(evidence.directory / "inputs", days)
    for market in MARKETS:
        _check_calendar(evidence, day, market)
    markets = {market: _market(evidence, day, market) for market in MARKETS}
    found = {
        "format": 1,
        "run_day": date_of(run_day).isoformat(),
        "run_day_opened_by_genesis": run_day in day.calendar.opened,
        "chains": {chain: _chain(evidence, chain) for chain in sorted(evidence.views)},
        "registration": _registration(evidence),
        "markets": markets,
        "border": {market: _border(evidence, market) for market in MARKETS},
        "forgeries_refused": _forgeries(evidence),
        "services": services_summary(evidence),
        **regulated(evidence),
        "articles": articles(evidence),
    }
    return found | {"steps": steps_of(found)}


def check_chains(views: Mapping[str, ChainView]) -> None:
    """Each chain stands under its own name: one supervisory chain, and the markets that embed it."""
    if set(views) != {SUPERVISORY, *MARKETS} or views[SUPERVISORY].genesis.kind != SUPERVISORY:
        raise EvidenceRefused("not one supervisory chain and the two markets", where="genesis")
    for market in MARKETS:
        genesis = views[market].genesis
        if (genesis.kind, genesis.market) != ("local", market):
            raise EvidenceRefused("the chain is not this market's", where=f"genesis/{market}.bin")
        if genesis_hash(genesis.supervisory_genesis) != views[SUPERVISORY].genesis_hash:
            raise EvidenceRefused("the market is under another supervisory chain", where=f"genesis/{market}.bin")


def _check_calendar(evidence: Evidence, day: MarketDay, market: str) -> None:
    """The trading days that the orders were judged by are those of calendar.csv: the genesis document has them."""
    calendar = market_calendar(day.calendar)
    lists = {"holidays": calendar.holidays, "workdays": calendar.workdays, "opened": calendar.opened}
    if evidence.views[market].genesis.documents["calendar"] != {name: list(days) for name, days in lists.items()}:
        raise EvidenceRefused("the genesis document has another calendar than calendar.csv", where=market)


def _chain(evidence: Evidence, chain: str) -> Row:
    view, headers = evidence.views[chain], evidence.headers.get(chain, {})
    receipts = evidence.transactions[chain]
    return {
        "chain_id": view.genesis.chain_id,
        "genesis": view.genesis_hash.hex(),
        "validators": view.genesis.validators.n,
        "quorum": view.genesis.validators.q,
        "headers_certified": len(headers),
        "highest": max(headers, default=0),
        "receipts_proven": len(receipts),
        "receipts_refused": sum(bool(t.receipt.code) for t in receipts),
    }


def _registration(evidence: Evidence) -> Row:
    admitted = {}
    for market in MARKETS:
        chain = evidence.views[market].genesis_hash
        raw = evidence.state[SUPERVISORY][f"following {market}"][chain_record_key(chain)]
        if raw is None:
            raise EvidenceRefused("the market's chain is not registered", where=market)
        record = decode_map(raw)
        admitted[market] = {
            "chain_id": record["chain_id"],
            "status": record["status"],
            "endpoints": len(cast(Sequence[object], record["endpoints"])),
            "validators": len(cast(Sequence[object], record["validators"])),
        }
    refused = [
        {"case": transaction.label, "rule": transaction.receipt.rule}
        for transaction, _ in evidence.operations(SUPERVISORY, "chains", "register")
        if transaction.receipt.code
    ]
    return {"admitted": admitted, "refused": refused}


def _forgeries(evidence: Evidence) -> list[Row]:
    return [
        {"case": transaction.label, "rule": transaction.receipt.rule}
        for transaction, _ in evidence.operations(SUPERVISORY, "clients", "submit_headers")
        if transaction.receipt.code
    ]


def _account(evidence: Evidence, market: str, name: str) -> bytes:
    return derive_id(evidence.views[market].genesis_hash, "account", genesis_account_id("registrar"), name)


def _security(evidence: Evidence, market: str, security: str) -> bytes:
    return derive_id(evidence.views[market].genesis_hash, "security", genesis_account_id("operator"), security)


def _market(evidence: Evidence, day: MarketDay, market: str) -> Row:
    outcomes = [_outcome(evidence, market, order) for order in day.orders if order.market == market]
    orders = [order for order in day.orders if order.market == market]
    settled = [order for order, row in zip(orders, outcomes, strict=True) if row["outcome"] == "settled"]
    check_times(market, evidence.heights, [row["height"] for row in outcomes])
    _check_investors(evidence, day, market)
    return {
        "investors": sum(i.market == market for i in day.investors),
        "orders": outcomes,
        "orders_settled": len(settled),
        "orders_refused": len(orders) - len(settled),
        "securities": _reconcile_rolls(evidence, day, market, settled),
        "cash": _reconcile_cash(evidence, day, market, settled),
    }


def check_times(market: str, heights: Mapping[tuple[str, str], int], orders: Sequence[int]) -> None:
    """What is called before was proven before the first order ended, what is called after, after the last."""
    for name, late in ((BEFORE, False), (AFTER, True), (CASH, True)):
        at = heights[market, name]
        if any(at < height if late else at >= height for height in orders):
            raise EvidenceRefused(f"{name} is of height {at}, in the middle of the orders", where=market)


def _check_investors(evidence: Evidence, day: MarketDay, market: str) -> None:
    """Every investor of investors.csv has an account on the chain."""
    registered = {
        operation.args["reference"]
        for transaction, operation in evidence.operations(market, "accounts", "register")
        if not transaction.receipt.code
    }
    missing = {i.holder for i in day.investors if i.market == market} - registered
    if missing:
        raise EvidenceRefused("an investor of investors.csv has no account on the chain", where=str(min(missing)))


def _outcome(evidence: Evidence, market: str, order: Order) -> Row:
    """The order's transactions, found by what they say and who signed them, never by their label."""
    seller, buyer = (_account(evidence, market, name) for name in (order.seller, order.buyer))
    instance = derive_id(evidence.views[market].genesis_hash, "instance", seller, order.order)
    steps = [
        transaction
        for transaction, operation in evidence.operations(market, "templates", "create")
        if transaction.envelope.body.account == seller and operation.args["reference"] == order.order
    ]
    for method in ("accept", "settle"):
        steps += [
            transaction
            for transaction, operation in evidence.operations(market, "templates", "call")
            if operation.args["instance"] == instance and operation.args["method"] == method
        ]
    if not steps or any(t.receipt.code for t in steps[:-1]) or len(steps) > 3:
        raise EvidenceRefused("its transactions are missing or contradict each other", where=order.order)
    params = cast(Row, steps[0].envelope.body.operations[0].args["params"])
    said = (params["security"], params["buyer"], params["quantity"], params["price_fen"])
    if said != (_security(evidence, market, order.security), buyer, order.quantity, order.price_fen):
        raise EvidenceRefused("the order on chain is not the one in orders.csv", where=order.order)
    last = steps[-1]
    finished = len(steps) == 3 and not last.receipt.code
    if not finished and not last.receipt.code:
        raise EvidenceRefused("it was neither settled nor refused", where=order.order)
    return {
        "order": order.order,
        "outcome": "settled" if finished else "refused",
        "rule": last.receipt.rule,
        "height": last.header.height,
        "transaction": last.receipt.transaction_id.hex(),
    }


def _reconcile_rolls(evidence: Evidence, day: MarketDay, market: str, settled: Sequence[Order]) -> Row:
    """Proven roll before = roll.csv; proven roll after = before and the settled orders, holder by holder."""
    rows = {}
    for security, entries in rolls_of(day, market).items():
        identity = _security(evidence, market, security)
        before = roll_of(identity, evidence.state[market][BEFORE])
        after = roll_of(identity, evidence.state[market][AFTER])
        if before != {_account(evidence, market, h.holder): h.quantity for h in entries}:
            raise EvidenceRefused("the roll on chain is not the one in roll.csv", where=security)
        expected = dict(before)
        moved = 0
        for order in settled:
            if order.security == security:
                seller, buyer = (_account(evidence, market, name) for name in (order.seller, order.buyer))
                expected[seller] -= order.quantity
                expected[buyer] = expected.get(buyer, 0) + order.quantity
                moved += order.quantity
        if after != {account: quantity for account, quantity in expected.items() if quantity}:
            raise EvidenceRefused("the roll after does not follow from the roll before and the orders", where=security)
        rows[security] = {
            "holders_before": len(before),
            "holders_after": len(after),
            "total_before": sum(before.values()),
            "total_after": sum(after.values()),
            "moved": moved,
        }
    return rows


def _reconcile_cash(evidence: Evidence, day: MarketDay, market: str, settled: Sequence[Order]) -> Row:
    expected = {_account(evidence, market, i.holder): 0 for i in day.investors if i.market == market}
    for item in day.cash:
        if item.market == market:
            expected[_account(evidence, market, item.holder)] += item.amount_fen
    deposited = sum(expected.values())
    for order in settled:
        expected[_account(evidence, market, order.buyer)] -= order.price_fen
        expected[_account(evidence, market, order.seller)] += order.price_fen
    if cash_of(list(expected), evidence.state[market][CASH]) != expected:
        raise EvidenceRefused("client money does not follow from the deposits and the settled orders", where=market)
    paid = sum(order.price_fen for order in settled)
    return {"deposited_fen": deposited, "after_fen": sum(expected.values()), "paid_fen": paid}


def _border(evidence: Evidence, market: str) -> Row:
    """Directives with their proven acknowledgements; how far the supervisory chain followed, and what it was told."""
    chain = evidence.views[market].genesis_hash
    values = evidence.state[SUPERVISORY][f"following {market}"]
    position = decode_position(values[client_key(chain)])
    raw = values[tally_key(chain)]
    tally = decode_map(raw) if raw is not None else {}
    if evidence.hashes[market].get(position.height) != position.header_hash:
        raise EvidenceRefused("the supervisory chain follows another header than the market's own", where=market)
    return {
        "followed_height": position.height,
        "followed_header": position.header_hash.hex(),
        "reports": tally.get("reports", 0),
        "transactions_reported": tally.get("transactions", 0),
        "directives": _directives(evidence, market),
    }


def _directives(evidence: Evidence, market: str) -> list[Row]:
    chain = evidence.views[market].genesis_hash
    values = evidence.state[SUPERVISORY].get(f"directives to {market}", {})
    acknowledged = {}
    for height, packet in evidence.packets.get(market, []):
        if packet.kind == "ack" and packet.destination_genesis == evidence.views[SUPERVISORY].genesis_hash:
            ack = read_acknowledgement(packet.payload)
            acknowledged[ack.sequence] = (height, ack)
    rows = []
    for sequence in range(count_in(values.get(directive_next_key(chain)))):
        raw, directive = values[status_key(chain, sequence)], values[directive_key(chain, sequence)]
        if raw is None or directive is None or sequence not in acknowledged:
            raise EvidenceRefused(f"directive {sequence} has no proven acknowledgement", where=market)
        record = decode_map(raw)
        height, ack = acknowledged[sequence]
        if ack.packet != packet_hash(directive):
            raise EvidenceRefused(f"what was acknowledged is not directive {sequence}", where=market)
        rows.append(
            {
                "kind": record["kind"],
                "reference": record["reference"],
                "status": record["status"],
                "executed_at_height": height,
                "code": ack.code,
            }
        )
    return rows
